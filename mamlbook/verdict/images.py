"""The claims of Section 5 and of Appendices C.4 and C.5."""

from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from mamlbook.experiments.paper import CHANCE, TABLE1, TABLE2, beside
from mamlbook.intervals import mean_ci95, signed
from mamlbook.records import seed_accuracies
from mamlbook.verdict.claims import Judged, Rule, claims, judged, record, rows, verdict

CLAIMS, claim = claims()
OPTIMISERS = {"adam": "Adam", "sgd": "SGD"}
FIVE = [10.0**power for power in range(-6, -1)]  # the outer rates of C.4 and C.5
TASKS = {"train": "training", "test": "test"}
KEYS = ["setting", "algorithm", "split", "hardness"]


@cache
def seeds(item: str) -> dict[tuple[str, ...], np.ndarray]:
    """The accuracies by seed of each cell of a table."""
    return seed_accuracies(record(item))


def gain(item: str, setting: str, split: str, hardness: str, nal: str) -> np.ndarray:
    """MAML's accuracy minus NAL's, by seed."""
    cells = seeds(item)
    return cells[setting, "maml", split, hardness] - cells[setting, nal, split, hardness]


def said(values: np.ndarray) -> str:
    return signed(*mean_ci95(values))


def lower(values: np.ndarray) -> float:
    """The lower end of the 95% interval."""
    mean, half = mean_ci95(values)
    return mean - half


def farthest(values: np.ndarray) -> float:
    """The distance from 0 of the end of the 95% interval that is farther from it."""
    mean, half = mean_ci95(values)
    return abs(mean) + half


def within_setting(setting: str) -> str:
    """in Large, in Small, or at p = 0.99 in TeX."""
    return f"at ${setting}$" if "=" in setting else f"in {setting.capitalize()}"


def agreement(item: str, paper: pd.DataFrame) -> Judged:
    """How many cells agree with the paper's, by the rule of `paper.beside`."""
    both = beside(rows(item), paper)
    apart = (both["accuracy"] - both["paper"]).abs()
    apart_in = {
        Rule(f"All four cells of {algorithm.upper()} {within_setting(setting)} agree.", "<=", 0): (
            ~own
        ).sum()
        for (setting, algorithm), own in both.groupby(["setting", "algorithm"], sort=False)[
            "agrees"
        ]
    }
    return judged(
        f"Of {len(both)} cells, {both['agrees'].sum()} agree with the paper's; the median "
        f"difference is {apart.median():.1f} points.",
        apart_in,
    )


@claim("Tables 1 and 4", "The accuracies on Omniglot.", "omniglot", "table1")
def table1() -> Judged:
    return agreement("table1", TABLE1)


@claim(
    "C.4",
    "Sanskrit and Bengali are among the ten alphabets on which MAML is least accurate.",
    "omniglot",
    "alphabets",
)
def hard_alphabets(item: str = "alphabets") -> Judged:
    found = rows(item)
    after = found[(found["network"] == "trained") & (found["step"] == 1)]
    hard = after[after["hardness"] == "hard"].groupby("group")["accuracy"].mean()
    rank = hard.rank()
    return judged(
        f"Counted from the lowest accuracy, Sanskrit has rank {rank['Sanskrit']:.0f} and Bengali "
        f"rank {rank['Bengali']:.0f} of {len(rank)}.",
        {
            Rule(f"{name} is among the {{}}.", "<=", 10): rank[name]
            for name in ("Sanskrit", "Bengali")
        },
        "both in the ten",
    )


@claim("Section 5", "Characters of one alphabet are harder to distinguish.", "omniglot", "table1")
def harder(item: str = "table1") -> Judged:
    found = rows(item)
    found = found[found["algorithm"] != "none"].pivot_table(
        index=["setting", "algorithm", "split"], columns="hardness", values="accuracy"
    )
    less = found["easy"] - found["hard"]
    return judged(
        f"The accuracy is lower on hard than on easy tasks in {(less > 0).sum()} of {len(less)} "
        f"lines of the table; easy minus hard is {less.min():.1f} to {less.max():.1f} points.",
        {
            Rule(f"It is lower in every line, on {name} alphabets.", ">", 0): own.min()
            for name, own in (
                ("training", less.xs("train", level="split")),
                ("test", less.xs("test", level="split")),
            )
        },
    )


@claim(
    "Section 5",
    "MAML improves significantly from Large to Small, where the hard tasks are meant to be more "
    "closely packed.",
    "omniglot",
    "table1",
)
def packed(item: str = "table1") -> Judged:
    cells = seeds(item)
    more = {
        split: cells["small", "maml", split, "hard"] - cells["large", "maml", split, "hard"]
        for split in ("train", "test")
    }
    paper = TABLE1.set_index(KEYS)["accuracy"]
    theirs = [
        paper["small", "maml", split, "hard"] - paper["large", "maml", split, "hard"]
        for split in more
    ]
    return judged(
        f"From Large to Small, MAML's accuracy on hard tasks changes by {said(more['train'])} "
        f"points on training and by {said(more['test'])} on test alphabets.",
        {
            Rule(f"The 95% interval lies above {{}} on {TASKS[split]} alphabets.", ">", 0): (
                lower(values)
            )
            for split, values in more.items()
        },
        "{:+.1f} and {:+.1f}".format(*theirs),
    )


@cache
def arms() -> dict[tuple[str, str], np.ndarray]:
    """MAML's accuracy minus NAL's on hard tasks by permutation, for each arm and test."""
    cells = seeds("packing")
    return {
        (arm, split): cells[arm, "maml", split, "hard"] - cells[arm, "nal-1", split, "hard"]
        for arm in ("wide", "few", "close")
        for split in ("test", "test-5")
    }


@claim("Section 5", "The packing of the hard tasks causes this improvement.", "omniglot", "packing")
def packing_itself() -> Judged:
    gains = arms()
    packed, met, tested = (
        {split: gains["close", split] - gains["few", split] for split in ("test", "test-5")},
        {split: gains["few", split] - gains["wide", split] for split in ("test", "test-5")},
        gains["wide", "test"] - gains["wide", "test-5"],
    )
    return judged(
        "MAML's gain on one unseen hard alphabet changes by "
        f"{said(packed['test'])} points if training uses one alphabet instead of as many "
        f"characters of five, by {said(met['test'])} if it uses few characters instead of many, "
        f"and by {said(tested)} if the test is on one alphabet instead of five "
        f"({len(tested)} permutations of the hard alphabets).",
        {
            Rule(
                "Training on one alphabet instead of five raises the gain on one unseen alphabet.",
                ">",
                0,
            ): lower(packed["test"]),
            Rule("It raises the gain on five unseen alphabets.", ">", 0): lower(packed["test-5"]),
        },
    )


@claim("Section 5", "NAL does not change substantially.", "omniglot", "table1")
def nal_stays(item: str = "table1") -> Judged:
    cells = seeds(item)
    change = {
        (name, split): cells["small", name, split, "hard"] - cells["large", name, split, "hard"]
        for name in ("nal-1", "nal-10")
        if ("small", name, "train", "hard") in cells
        for split in ("train", "test")
    }
    most = max(change.values(), key=lambda values: abs(values.mean()))
    return judged(
        f"From Large to Small, NAL's accuracy on hard tasks changes by {said(most)} points where "
        "it changes most.",
        {
            Rule(
                f"{name.upper()} changes by less than {{}} points on {TASKS[split]} alphabets "
                "(95% interval).",
                "<",
                5,
            ): farthest(values)
            for (name, split), values in change.items()
        },
        "+4.5 at most",
    )


@claim(
    "Section 5",
    "MAML's gain over NAL increases from Large to Small because $r_H$ is smaller in Small.",
    "omniglot",
    "table1",
)
def gain_and_spread(item: str = "table1") -> Judged:
    """The two halves of one sentence, with the evidence of each."""
    gains, spreads = relative_gain(item), dispersion()
    return judged(
        f"{gains.measured} {spreads.measured}", {**gains.found, **spreads.found}, gains.paper
    )


def relative_gain(item: str = "table1") -> Judged:
    """Whether the gain on hard tasks is larger in Small."""
    growth = {
        split: gain(item, "small", split, "hard", "nal-1")
        - gain(item, "large", split, "hard", "nal-1")
        for split in ("train", "test")
    }
    return judged(
        f"From Large to Small the gain on hard tasks changes by {said(growth['train'])} points on "
        f"training and by {said(growth['test'])} on test alphabets (Table 1).",
        {
            Rule(f"The gain is larger in Small on {TASKS[split]} alphabets.", ">", 0): (
                lower(values)
            )
            for split, values in growth.items()
        },
        "-1.4 and +13.6",
    )


def dispersion() -> Judged:
    """Whether the hard tasks' adapted weights are less spread in Small."""
    found = rows("dispersion")
    found = found[(found["part"] == "features") & (found["network"] == "trained")]
    spread = found.pivot_table(index=["split", "seed"], columns="setting", values="r_hard")
    less = {
        split: (own["large"] - own["small"]).to_numpy() for split, own in spread.groupby("split")
    }
    mean = spread.groupby("split").mean()
    settings = record("dispersion").provenance["settings"]
    return judged(
        "The spread $r_H$ of the hard tasks' weights, adapted from one network of "
        f"{settings['until'] or settings['iterations']:,} outer steps, is "
        + " and ".join(
            f"{own['large']:.2f} in Large and {own['small']:.2f} in Small on {TASKS[split]} classes"
            for split, own in mean.iterrows()
        )
        + ".",
        {
            Rule(f"$r_H$ is smaller in Small on {TASKS[split]} classes.", ">", 0): lower(values)
            for split, values in less.items()
        },
    )


def searched(item: str, algorithm: str, rate: float) -> Judged:
    """Whether a rate is the best of the paper's five in the search on validation classes, up to an
    interval over tasks, for each network and optimizer that was searched."""
    found = rows(item)
    own = found[(found["algorithm"] == algorithm) & (found["split"] == "validation")]
    found_in, words = {}, []
    for (configuration, optimiser), part in own.groupby(["configuration", "optimiser"]):
        score = part.groupby("outer_rate").agg(
            accuracy=("accuracy", "mean"),
            half=("accuracy_ci95_tasks", lambda each: np.sqrt((each**2).sum()) / len(each)),
        )
        five = score[np.isin(score.index, FIVE)]
        best, paper = five.loc[five["accuracy"].idxmax()], score.loc[rate]
        behind = best["accuracy"] - paper["accuracy"]
        beyond = score["accuracy"].idxmax()
        still = f" ({power(beyond)}, not of the five, is better still)"
        name = f"by {OPTIMISERS[optimiser]} on the network of `{configuration}`"
        rule = Rule(f"{power(rate)} is the best, or within its interval, {name}.", "<=", 0)
        found_in[rule] = behind - np.hypot(best["half"], paper["half"])
        words.append(
            f"{power(best.name)} {name}"
            + (f", {behind:.1f} points better than {power(rate)}" if behind else "")
            + (still if beyond != best.name else "")
        )
    return judged(f"The best of the five is {'; '.join(words)}.", found_in, power(rate))


def power(rate: float) -> str:
    """A power of ten in TeX."""
    return f"$10^{{{round(np.log10(rate))}}}$"


@claim("Tables 2 and 5", "The accuracies on FS-CIFAR100.", "cifar", "table2")
def table2() -> Judged:
    return agreement("table2", TABLE2)


@claim(
    "Section 5", "The largest gains of MAML in Table 2 are on the hard tasks.", "cifar", "table2"
)
def gains_on_hard() -> Judged:
    found, words = {}, []
    for setting in ("p=0.99", "p=0.5"):
        for split in ("train", "test"):
            hard, easy = (gain("table2", setting, split, kind, "nal") for kind in ("hard", "easy"))
            where = f"at ${setting}$ on {TASKS[split]} classes"
            found[Rule(f"The gain is larger on hard tasks {where}.", ">", 0)] = lower(hard - easy)
            words.append(f"{hard.mean():.1f} and {easy.mean():.1f} {where}")
    return judged(
        f"The gains on hard and on easy tasks are {'; '.join(words)}.",
        found,
        "40.2 and 14.7; 12.2 and 9.8; 31.6 and 11.7; 9.3 and 7.8",
    )


@claim(
    "Section 5",
    "The improvement on the hard tasks disappears when these are scarce ($p=0.01$).",
    "cifar",
    "table2",
)
def gains_disappear() -> Judged:
    common, scarce = (
        {split: gain("table2", setting, split, "hard", "nal").mean() for split in ("train", "test")}
        for setting in ("p=0.99", "p=0.01")
    )
    return judged(
        "The gain changes "
        + " and ".join(
            f"from {common[split]:+.1f} points at $p=0.99$ to {scarce[split]:+.1f} at $p=0.01$ on "
            f"{TASKS[split]} classes"
            for split in common
        )
        + ". NAL adapts by five steps here and MAML by one, as in the paper.",
        {
            Rule(
                f"There is a gain at $p=0.99$ on {TASKS[split]} classes, and less than {{}} of it "
                "remains.",
                "<",
                1 / 3,
            ): scarce[split] / common[split] if common[split] > 0 else np.inf
            for split in common
        },
        "from +40.2 to +8.1; from +12.2 to +3.6",
    )


@claim("Section 5", "Many classes with few shots are harder.", "cifar", "table2")
def harder_shapes() -> Judged:
    found = rows("table2")
    room = {kind: 1 - level / 100 for kind, level in CHANCE["cifar100"].items()}
    share = 1 - (1 - found["accuracy"] / 100) / found["hardness"].map(room)
    line = found.assign(share=100 * share).pivot_table(
        index=["setting", "algorithm", "split"], columns="hardness", values="share"
    )
    less = line["easy"] - line["hard"]
    return judged(
        "As a share of the room above chance, the accuracy on hard tasks is "
        f"{less.min():.0f} to {less.max():.0f} percentage points lower than on easy ones.",
        {Rule("It is lower in every line of Table 2.", ">", 0): less.min()},
    )


@claim("Section 5", "Hard tasks should be oversampled in training.", "cifar", "scarcity")
def oversampling() -> Judged:
    cells = seed_accuracies(record("scarcity"), ["p", "split", "hardness"])
    at = {
        kind: {p: own for (p, *rest), own in cells.items() if rest == ["test", kind]}
        for kind in ("easy", "hard")
    }
    few = min(at["hard"])
    best = max(at["hard"], key=lambda p: at["hard"][p].mean())
    hard, easy = (at[kind][best] - at[kind][few] for kind in ("hard", "easy"))
    return judged(
        f"At equal cost, $p={best:g}$ instead of ${few:g}$ changes MAML's accuracy by {said(hard)} "
        f"points on hard test tasks and by {said(easy)} on easy ones.",
        {
            Rule("The accuracy on hard tasks rises.", ">", 0): lower(hard),
            Rule("The accuracy on easy tasks does not fall.", ">=", 0): -lower(-easy),
        },
    )


for where, page, item, nal in (
    ("C.4", "omniglot", "omniglot_rates", "nal-1"),
    ("C.5", "cifar", "cifar_rates", "nal"),
):
    for name, algorithm, rate in (("MAML", "maml", 1e-3), ("NAL", nal, 1e-6)):
        judge: Any = partial(searched, item, algorithm, rate)
        judge.__name__ = f"{item}_{algorithm}"
        claim(where, f"Of five outer rates, {power(rate)} is the best for {name}.", page, item)(
            judge
        )


CONCLUSIONS = {
    ("not", "not"): "fails in both",
    ("reproduced", "reproduced"): "holds in both",
    ("not", "reproduced"): "holds in `lineage` alone",
    ("reproduced", "not"): "holds in `strided` alone",
}


def concluded(strided: str, lineage: str) -> str:
    """What two verdicts on one claim allow one to say: something only where both are whole."""
    return CONCLUSIONS.get((strided, lineage), "not decided")


def by_configuration() -> pd.DataFrame:
    """Rows (name, claim, strided, lineage, conclusion, measured): each claim that rests on a table
    of Omniglot alone, judged by the same rules in two configurations; `measured` in `lineage`."""
    says = {each.name: each.says for each in CLAIMS}
    lines = []
    for judge in (hard_alphabets, harder, packed, nal_stays, gain_and_spread):
        (table,) = judge.__defaults__
        strided, lineage = judge(table), judge(f"{table}_lineage")
        both = verdict(strided), verdict(lineage)
        lines.append(
            {
                "name": judge.__name__, "claim": says[judge.__name__],
                "strided": both[0], "lineage": both[1],
                "conclusion": concluded(*both), "measured": lineage.measured,
            }
        )  # fmt: skip
    return pd.DataFrame(lines)
