"""Claims A to H about the world with dials. They are ours, not the paper's; F and G put the
paper's words to networks. The rules are data, written before the record's networks were trained:
the seeds 100 to 102, which are not in the record, served to find the recipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pandas as pd

from mamlbook.errors import InputError
from mamlbook.experiments.world import CENTRE, Place
from mamlbook.intervals import mean_ci95
from mamlbook.linear import learned_maml, nal_solution

DIALS = ["hardness", "packing", "m", "network"]
AT = {"hardness": CENTRE[0], "packing": CENTRE[1], "m": CENTRE[2], "network": "dense"}
PLAIN = {"network": "dense"}


@dataclass(frozen=True)
class Rule:
    """One check: a quantity of a part's pairs, a relation, a threshold, and where that is from.

    relation:
    - "near": in at least `share` of the positions the mean over seeds of the gain, divided by
      `quantity` ("theory", "formula" = 1 + R^2/r_H, "one"), differs from 1 by at most `threshold`;
    - "above": the gain at `at` less the gain at `than`, seed by seed, has a 95% interval above
      `threshold`;
    - "rises": along the values of `along`, a dial, no mean gain is below the one before;
    - "at most": the mean gain at `at` is at most `threshold`;
    - "ranks": over all positions the rank correlation of mean gain and theory is at least
      `threshold`;
    - "close": at least `share` of the networks lie within `threshold`, in units of the hard
      centre's distance, of a place that `quantity` names: "minima" (of the theory with learned
      rates, for MAML) or "nal" (the weighted mean, for NAL).
    """

    claim: str
    says: str
    part: str
    relation: str
    threshold: float
    source: str
    quantity: str = "theory"
    at: Mapping[str, object] = field(default_factory=lambda: PLAIN)
    than: Mapping[str, object] | None = None
    along: tuple[str, tuple[float, ...]] | None = None
    share: float = 1.0

    @property
    def anywhere(self) -> bool:
        """Whether it can be asked of any set of positions, so also of the unseen ones."""
        return self.relation in ("near", "ranks", "close") and self.at == PLAIN


CLAIMS = {
    "A": "With the readout alone adapting, Section 3 holds through pixels.",
    "B": "The part of the gain that is due to position needs a hardness discrepancy, and not "
    "too much of one.",
    "C": "The position part rises as the hard tasks are packed more closely.",
    "D": "The position part rises with the number of support images.",
    "E": "The initializations lie where the linear theory with learned rates has a minimum.",
    "F": "The gain is about $1+R^2/r_H$.",
    "G": "A gain needs a hardness discrepancy.",
    "H": "Where the network can see the hardness, position gives no gain.",
}
TEN, OURS = "round number: a tenth", "our choice"
RULES = (
    Rule("A", "the readout's gain is within 10% of Proposition 1 in nine positions of ten",
         "readout", "near", 0.1, TEN, share=0.9),
    Rule("B", "at equal hardness it is 1 within a tenth",
         "position", "near", 0.1, TEN, "one", AT | {"hardness": 1.0}),
    Rule("B", "at a ratio of 0.25 it is larger than at 1",
         "position", "above", 0.0, "interval", at=AT, than=AT | {"hardness": 1.0}),
    Rule("B", "at a ratio of 0.25 it is larger than at 0.05",
         "position", "above", 0.0, "interval", at=AT, than=AT | {"hardness": 0.05}),
    Rule("B", "it is ranked as by the theory with learned rates, over all positions",
         "position", "ranks", 0.7, OURS),
    Rule("C", "it is larger at $R^2/r_H=30$ than at 1",
         "position", "above", 0.0, "interval", at=AT | {"packing": 30.0},
         than=AT | {"packing": 1.0}),
    Rule("C", "from $R^2/r_H=1$ to 30 it never falls",
         "position", "rises", 0.0, "order", at=AT, along=("packing", (1.0, 3.0, 10.0, 30.0))),
    Rule("D", "it is larger with 100 support images than with 10",
         "position", "above", 0.0, "interval", at=AT, than=AT | {"m": 10}),
    Rule("D", "from 10 to 200 support images it never falls",
         "position", "rises", 0.0, "order", at=AT, along=("m", (10, 30, 100, 200))),
    Rule("E", "four MAML networks of five are within 0.15 of a minimum",
         "total", "close", 0.15, OURS, "minima", share=0.8),
    Rule("E", "nine NAL networks of ten are within 0.1 of NAL's solution",
         "position", "close", 0.1, OURS, "nal", share=0.9),
    Rule("F", "the total gain is within a quarter of it in half of the positions",
         "total", "near", 0.25, OURS, "formula", share=0.5),
    Rule("F", "the position part is within a quarter of it in half of the positions",
         "position", "near", 0.25, OURS, "formula", share=0.5),
    Rule("G", "at equal hardness the total gain is at most 1.1",
         "total", "at most", 1.1, TEN, at=AT | {"hardness": 1.0}),
    Rule("G", "at equal hardness the position part is at most 1.1",
         "position", "at most", 1.1, TEN, at=AT | {"hardness": 1.0}),
    Rule("H", "with biases it is 1 within a tenth at the center of the dials",
         "position", "near", 0.1, TEN, "one", AT | {"network": "dense-biases"}),
    Rule("H", "with biases it is 1 within a tenth in four positions of five",
         "position", "near", 0.1, TEN, "one", {"network": "dense-biases"}, share=0.8),
)  # fmt: skip


def judge(rule: Rule, rows: pd.DataFrame) -> tuple[bool, str]:
    """Whether the rule holds in these rows, and what was measured, in words."""
    part = rows[rows["part"] == rule.part]
    if rule.relation == "above":
        here, there = (_at(part, at).set_index("seed")["gain"] for at in (rule.at, rule.than))
        mean, half = mean_ci95((here - there).dropna())
        return mean - half > rule.threshold, (
            f"{here.mean():.2f} against {there.mean():.2f}, difference {mean:+.2f} ± {half:.2f}"
        )
    if rule.relation == "rises":
        dial, values = rule.along
        means = [_at(part, {**rule.at, dial: value})["gain"].mean() for value in values]
        holds = all(b >= a for a, b in pairwise(means))
        return holds, ", ".join(f"{mean:.2f}" for mean in means)
    here = _at(part, rule.at)
    means = here.groupby(DIALS, sort=False)[["gain", "theory"]].mean()
    if rule.relation == "at most":
        (mean,) = means["gain"]
        return mean <= rule.threshold, f"{mean:.2f}"
    if rule.relation == "ranks":
        correlation = means["gain"].rank().corr(means["theory"].rank())
        return correlation >= rule.threshold, f"{correlation:.2f} over {len(means)} positions"
    if rule.relation == "near":
        packing = means.index.get_level_values("packing").to_numpy()
        beside = {"theory": means["theory"], "formula": 1 + packing, "one": 1.0}[rule.quantity]
        off = (means["gain"] / beside - 1).abs()
        good = int((off <= rule.threshold).sum())
        words = f"{good} of {len(off)} positions, median distance {off.median():.2f}"
        return good >= rule.share * len(off), words
    places = _places(rule.quantity, here)
    near = [
        min(abs(row.position - place) for place in places[row.hardness, row.packing, row.m])
        <= rule.threshold
        for row in here.itertuples()
    ]
    return sum(near) >= rule.share * len(near), f"{sum(near)} of {len(near)} networks"


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each rule: claim, says, relation, threshold, source, holds, measured."""
    lines = []
    for rule in RULES:
        holds, measured = judge(rule, rows)
        lines.append(
            {
                "claim": rule.claim,
                "says": rule.says,
                "part": rule.part,
                "relation": rule.relation,
                "threshold": rule.threshold,
                "source": rule.source,
                "holds": bool(holds),
                "measured": measured,
            }
        )
    return pd.DataFrame(lines)


def _at(rows: pd.DataFrame, at: Mapping[str, object]) -> pd.DataFrame:
    """The rows at a position of the dials. Raises InputError if there are none."""
    here = rows
    for name, value in at.items():
        here = here[here[name] == value]
    if here.empty:
        raise InputError(f"No pair of networks was trained at {dict(at)}.")
    return here


def _places(quantity: str, rows: pd.DataFrame) -> dict[tuple[float, float, int], list[float]]:
    """Where the theory has its initializations, by position of the dials."""
    found = {}
    for row in rows.drop_duplicates(DIALS).itertuples():
        env = Place(row.hardness, row.packing, row.m, row.network).setting.environment
        centre = env.centres[0]
        if quantity == "nal":
            initial = [nal_solution(env)]
        else:
            initial = [each.w for each in learned_maml(env, row.m, centre)]
        found[row.hardness, row.packing, row.m] = [w @ centre / (centre @ centre) for w in initial]
    return found
