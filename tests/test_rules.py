"""Every rule of the verdict on both sides of its threshold."""

import re
from math import ceil

import numpy as np
import pandas as pd
import pytest

from mamlbook import verdict
from mamlbook.verdict import world
from mamlbook.verdict.claims import judged

# A sentence, one number with which it is so, and the nearest on the other side with which not.
LESS, MORE, WHOLE = 1 - 1e-9, 1 + 1e-9, 1e-300
TEXT = r"[^.]*"
SIDES = {
    r"With(out)? label noise (the two|they) agree to 4 standard errors\.": (4 * LESS, 4),
    r"They agree to \$10\^\{-12\}\$\.": (1e-12 * LESS, 1e-12),
    r"Correct (up to the factor .*|as printed)\.": (1e-5, 1e-5 * MORE),
    r"By SGD, MAML is nearer the hard task at every ratio between 0\.2 and 0\.6, .*": (WHOLE, 0),
    r"By SGD, NAL is nearer the easy task at every ratio\.": (-WHOLE, 0),
    r"At \$m=2000\$ the gain exceeds 2 somewhere\.": (2 * MORE, 2),
    r"The largest gain is larger at \$m=2000\$ than at \$m=100\$\.": (WHOLE, 0),
    r"At \$\\rho_H/\\rho_E=10\^\{-4\}\$ the gain is below 1\.1\.": (1.1 * LESS, 1.1),
    r"The gain is below 1\.2 where the left side is less than .*": (1.2 * LESS, 1.2),
    r"It is above 1\.2 where the left side is more than .*": (1.2 * MORE, 1.2),
    r"It is below 1\.2 where .* is a half or more\.": (1.2 * LESS, 1.2),
    r"At least 34 of 40 contain the (coordinate|risk)\.": (34, 33),
    r"At \$\\alpha=[41]\$, MAML is nearer the hard task for some .*": (0.01 * MORE, 0.01),
    r"At \$\\alpha=[41]\$, the gain exceeds 1\.1 for some .*": (1.1 * MORE, 1.1),
    r"\(P10\) and \(P11\) agree with Proposition 1 to \$10\^\{-10\}\$\.": (1e-10 * LESS, 1e-10),
    r"In the limit it agrees to a tenth\.": (0.1 * LESS, 0.1),
    r"Where the condition holds by a factor above 100 it agrees to a tenth\.": (0.1 * LESS, 0.1),
    r"With \$n_2=m\$ NAL's risk is never the smaller one\.": (1, 1 - 1e-9),
    r"The gain grows at each of four steps (down in \$r_H|up in \$R)\$\.": (WHOLE, 0),
    r"The gain is largest in \(d\)\.": (WHOLE, 0),
    r"With \$m=500\$ the gain exceeds 1\.5 for .*=10\$\.": (1.5 * MORE, 1.5),
    r"With \$m=500\$ it is below 1\.5 for .*=0\.5\$\.": (1.5 * LESS, 1.5),
    r"With \$m=100\$ it is larger for \$R\^2/r_H=10\$ than for 0\.5\.": (WHOLE, 0),
    r"The (coordinates|test errors) agree.*": (5, 4),
    r"MAML's coordinate agrees to 0\.05 with .*": (0.05 * LESS, 0.05),
    r"NAL's error falls with the weight and stays above MAML's\.": (WHOLE, 0),
    r"The hard task's gradient is the smaller one wherever .*": (LESS, 1),
    r"The square form of the bound holds\.": (0, 1),
    r"As \$\\alpha\\to0\$ the ratio of the gradients changes by no more .*": (1e-5, 1e-5 * MORE),
    r"Some networks with equal inputs satisfy the hypothesis\.": (1, 0),
    r"Their ratio is 1 to \$10\^\{-6\}\$ in every case\.": (1e-6 * LESS, 1e-6),
    r"With equal tasks they are at most 0\.07 apart, .*": (0.07, 0.07 * MORE),
    r"MAML's is nearer the hard task than NAL's\.": (-WHOLE, 0),
    r"NAL's loss is more than 1\.2 times MAML's( in the second)?\.": (1.2 * MORE, 1.2),
    r"The second distance is more than 3 times the first\.": (3 * MORE, 3),
    r"The losses differ by less than a tenth in the first case\.": (0.1 * LESS, 0.1),
    r"The corrected bound holds in every case\.": (0, 1),
    r"The printed bound holds for a rare task\.": (0, -WHOLE),
    rf"All four cells of {TEXT} (in|at) (Large|Small|\$p=.*\$) agree\.": (0, 1),
    r"(Sanskrit|Bengali) is among the ten\.": (10, 10.5),
    r"It is lower in every line(, on (training|test) alphabets| of Table 2)\.": (WHOLE, 0),
    r"The 95% interval lies above 0 on (training|test) alphabets\.": (WHOLE, 0),
    r"(Training on one alphabet instead of five|It) raises the gain on (one|five) unseen .*": (
        WHOLE, 0),
    r"NAL-10? changes by less than 5 points on (training|test) alphabets \(95% interval\)\.": (
        5 * LESS, 5),
    r"The gain is larger in Small on (training|test) alphabets\.": (WHOLE, 0),
    r"\$r_H\$ is smaller in Small on (training|test) classes\.": (WHOLE, 0),
    r"The gain is larger on hard tasks at \$p=0\.(99|5)\$ on (training|test) classes\.": (WHOLE, 0),
    r"There is a gain at \$p=0\.99\$ on (training|test) classes, and less than a third of it .*": (
        LESS / 3, 1 / 3),
    r"The accuracy on hard tasks rises\.": (WHOLE, 0),
    r"The accuracy on easy tasks does not fall\.": (0, -WHOLE),
    r"\$10\^\{-[36]\}\$ is the best, or within its interval, by (Adam|SGD) on the network .*": (
        0, WHOLE),
}  # fmt: skip


@pytest.mark.parametrize("claim", verdict.CLAIMS, ids=lambda claim: claim.name)
def test_a_rule_holds_on_one_side_of_its_threshold_and_not_on_the_other(claim):
    found = claim.judge()
    assert list(found.checks) == [rule.sentence for rule in found.found]
    for rule, value in found.found.items():
        (sides,) = (sides for text, sides in SIDES.items() if re.fullmatch(text, rule.sentence))
        words = [verdict.verdict(judged("", {rule: side})) for side in (*sides, np.nan)]
        assert words == ["reproduced", "not", "not"], rule
        assert found.checks[rule.sentence] == rule.holds(value)


def test_every_line_of_the_table_above_is_of_a_rule():
    sentences = [each for claim in verdict.CLAIMS for each in claim.judge().checks]
    assert all(any(re.fullmatch(text, each) for each in sentences) for text in SIDES)


def positions(rule, offs):
    """Rows of one seed whose gain is 1 + off times what the rule compares it with, at the rule's
    position, or at one for each of `offs`."""
    at = world.AT | dict(rule.at)
    lines = [at | ({} if len(offs) == 1 else {"packing": 1.0 + i}) for i in range(len(offs))]
    rows = pd.DataFrame(lines).assign(part=rule.part, seed=0, theory=1.7)
    beside = {"theory": 1.7, "formula": 1 + rows["packing"], "one": 1.0}[rule.quantity]
    return rows.assign(gain=beside * (1 + np.array(offs)))


def near(rule, threshold, share):
    count = 1 if len(rule.at) > 1 else 10
    enough = ceil(share * count)
    inside, outside = (sign * threshold * side for sign, side in ((-1, LESS), (1, MORE)))
    both = [[inside] * k + [outside] * (count - k) for k in (enough, enough - 1)]
    return [positions(rule, offs) for offs in both]


def above(rule, threshold, share):
    """Three seeds whose differences have an interval that ends beside the threshold."""
    spread = np.array([-1.0, 0.0, 1.0])
    mean = threshold + 4.3026527 / np.sqrt(3)
    seeds = {"part": rule.part, "seed": range(3), "theory": 1.7}
    there = pd.DataFrame([dict(rule.than)] * 3).assign(**seeds, gain=5.0)
    for shift in (1e-6, -1e-6):
        here = pd.DataFrame([dict(rule.at)] * 3).assign(**seeds, gain=5 + spread + mean + shift)
        yield pd.concat([here, there])


def rises(rule, threshold, share):
    dial, values = rule.along
    lines = pd.DataFrame([{**rule.at, dial: value} for value in values])
    for last in (threshold, threshold - 1e-9):
        gain = [2.0] * (len(values) - 1) + [2.0 + last]
        yield lines.assign(part=rule.part, seed=0, theory=1.7, gain=gain)


def at_most(rule, threshold, share):
    for value in (threshold, threshold * MORE):
        yield pd.DataFrame([dict(rule.at)]).assign(part=rule.part, seed=0, theory=1, gain=value)


def ranks(rule, threshold, share):
    """Ten positions whose rank correlations, 1 - sum of d^2 / 165, are 0.709 and 0.697."""
    assert threshold == 0.7
    for swaps in ([(0, 4), (1, 3), (5, 7)], [(0, 5)]):
        theory = np.arange(10.0)
        gain = theory.copy()
        for i, j in swaps:
            gain[[i, j]] = gain[[j, i]]
        yield positions(rule, [0.0] * 10).assign(gain=np.exp(gain), theory=theory)


def close(rule, threshold, share):
    rows = pd.DataFrame([world.AT | dict(rule.at)]).assign(part=rule.part, gain=1, theory=1)
    places = next(iter(world._places(rule.quantity, rows).values()))
    rows = pd.concat([rows] * 10, ignore_index=True)
    for good in (ceil(10 * share), ceil(10 * share) - 1):
        off = np.where(np.arange(10) < good, LESS, MORE) * threshold
        yield rows.assign(position=max(places) + off)


# In the order of the rules: the threshold, and what share of the positions must keep to it.
STATED = [
    (0.1, 0.9), (0.1, 1), (0, 1), (0, 1), (0.7, 1), (0, 1), (0, 1), (0, 1), (0, 1),
    (0.15, 0.8), (0.1, 0.9), (0.25, 0.5), (0.25, 0.5), (1.1, 1), (1.1, 1), (0.1, 1), (0.1, 0.8),
]  # fmt: skip
MADE = {
    "near": near, "above": above, "rises": rises, "at most": at_most, "ranks": ranks,
    "close": close,
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "stated"),
    list(zip(world.RULES, STATED, strict=True)),
    ids=[f"{rule.claim}-{rule.says}" for rule in world.RULES],
)
def test_a_rule_of_the_world_holds_on_one_side_of_its_threshold(rule, stated):
    inside, outside = MADE[rule.relation](rule, *stated)
    assert [bool(world.judge(rule, rows)[0]) for rows in (inside, outside)] == [True, False]
