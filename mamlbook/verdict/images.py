"""The claims of Section 5 and of Appendices C.4 and C.5."""

from functools import cache, partial

import numpy as np
import pandas as pd

from mamlbook.experiments.paper import TABLE1, TABLE2, beside
from mamlbook.figures.fewshot import CHANCE
from mamlbook.intervals import mean_ci95
from mamlbook.records import seed_accuracies
from mamlbook.verdict.claims import Judged, claims, record, rows

CLAIMS, claim = claims()
OPTIMISERS = {"adam": "Adam", "sgd": "SGD"}
KEYS = ["setting", "algorithm", "split", "hardness"]


@cache
def seeds(item: str) -> dict[tuple[str, ...], np.ndarray]:
    """The accuracies by seed of each cell of a table."""
    return seed_accuracies(record(item))


def gain(item: str, setting: str, split: str, hardness: str, nal: str) -> np.ndarray:
    """MAML's accuracy less NAL's, by seed."""
    cells = seeds(item)
    return cells[setting, "maml", split, hardness] - cells[setting, nal, split, hardness]


def said(values: np.ndarray) -> str:
    return "{:+.1f} ± {:.1f}".format(*mean_ci95(values))


def above(values: np.ndarray, floor: float = 0.0) -> bool:
    """Whether the 95 % interval lies above `floor`."""
    mean, half = mean_ci95(values)
    return mean - half > floor


def within(values: np.ndarray, limit: float) -> bool:
    """Whether the 95 % interval lies between -limit and limit."""
    mean, half = mean_ci95(values)
    return abs(mean) + half < limit


def agreement(item: str, paper: pd.DataFrame) -> Judged:
    """How many cells agree with the paper's, by the rule of `paper.beside`."""
    both = beside(rows(item), paper)
    apart = (both["accuracy"] - both["paper"]).abs()
    settings = record(item).provenance["settings"]
    checks = {
        f"{' '.join(line)}: all four cells agree": bool(own.all())
        for line, own in both.groupby(["setting", "algorithm"], sort=False)["agrees"]
    }
    return Judged(
        f"{both['agrees'].sum()} of {len(both)} cells agree; median distance "
        f"{apart.median():.1f} points ({settings['iterations']:,} iterations, "
        f"{settings['seeds']} seeds, {settings['device']})",
        "24 cells",
        checks,
    )


@claim("Tables 1 and 4", "The accuracies on Omniglot", "omniglot", "table1")
def table1() -> Judged:
    return agreement("table1", TABLE1)


@claim("C.4", "The ten alphabets on which MAML is least accurate, "
       "Sanskrit and Bengali among them", "omniglot", "alphabets")  # fmt: skip
def hard_alphabets() -> Judged:
    found = rows("alphabets")
    after = found[(found["network"] == "trained") & (found["step"] == 1)]
    hard = after[after["hardness"] == "hard"].groupby("group")["accuracy"].mean()
    rank = hard.rank()
    return Judged(
        f"Sanskrit has rank {rank['Sanskrit']:.0f}, Bengali {rank['Bengali']:.0f} of {len(rank)}",
        "both in the ten",
        {f"{name} is": rank[name] <= 10 for name in ("Sanskrit", "Bengali")},
    )


@claim("Section 5", "Characters of one alphabet are harder to distinguish", "omniglot", "table1")
def harder() -> Judged:
    found = rows("table1").pivot_table(
        index=["setting", "algorithm", "split"], columns="hardness", values="accuracy"
    )
    less = found["easy"] - found["hard"]
    return Judged(
        f"lower in {(less > 0).sum()} of {len(less)} lines, by {less.min():.1f} to "
        f"{less.max():.1f} points",
        checks={
            f"in every line of {name} alphabets": bool((own > 0).all())
            for name, own in (
                ("training", less.xs("train", level="split")),
                ("test", less.xs("test", level="split")),
            )
        },
    )


@claim(
    "Section 5",
    "MAML improves significantly with more closely packed hard tasks",
    "omniglot",
    "table1",
)
def packed() -> Judged:
    cells = seeds("table1")
    more = {
        split: cells["small", "maml", split, "hard"] - cells["large", "maml", split, "hard"]
        for split in ("train", "test")
    }
    paper = TABLE1.set_index(KEYS)["accuracy"]
    theirs = [
        paper["small", "maml", split, "hard"] - paper["large", "maml", split, "hard"]
        for split in more
    ]
    return Judged(
        f"{said(more['train'])} points on training, {said(more['test'])} on test tasks",
        "{:+.1f} and {:+.1f}".format(*theirs),
        {f"on {split} tasks": above(values) for split, values in more.items()},
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


@claim("Section 5", "... and it is the packing that does it", "omniglot", "packing")
def packing_itself() -> Judged:
    gains = arms()
    packed, met, tested = (
        {split: gains["close", split] - gains["few", split] for split in ("test", "test-5")},
        {split: gains["few", split] - gains["wide", split] for split in ("test", "test-5")},
        gains["wide", "test"] - gains["wide", "test-5"],
    )
    return Judged(
        "the gain on one unseen hard alphabet changes by "
        f"{said(packed['test'])} points if training meets one alphabet instead of as many "
        f"characters of five, by {said(met['test'])} if it meets few characters instead of many, "
        f"and by {said(tested)} if the test is on one alphabet instead of five "
        f"({len(tested)} permutations of the hard alphabets)",
        checks={
            "one alphabet instead of five raises the gain on one": above(packed["test"]),
            "and on five": above(packed["test-5"]),
        },
    )


@claim("Section 5", "NAL does not change substantially", "omniglot", "table1")
def nal_stays() -> Judged:
    cells = seeds("table1")
    change = {
        (name, split): cells["small", name, split, "hard"] - cells["large", name, split, "hard"]
        for name in ("nal-1", "nal-10")
        for split in ("train", "test")
    }
    most = max(change.values(), key=lambda values: abs(values.mean()))
    return Judged(
        f"at most {said(most)} points on hard tasks",
        "+4.5 at most",
        {
            f"by less than five points ({name}, {split})": within(values, 5)
            for (name, split), values in change.items()
        },
    )


@claim("Section 5", "MAML's gain over NAL increases with smaller r_H", "omniglot", "table1")
def relative_gain() -> Judged:
    growth = {
        split: gain("table1", "small", split, "hard", "nal-1")
        - gain("table1", "large", split, "hard", "nal-1")
        for split in ("train", "test")
    }
    return Judged(
        f"the gain on hard tasks grows by {said(growth['train'])} (training) and "
        f"{said(growth['test'])} (test) points",
        "-1.4 and +13.6",
        {f"on {split} tasks": above(values) for split, values in growth.items()},
    )


@claim("Section 5", "Small has the smaller r_H", "omniglot", "dispersion")
def dispersion() -> Judged:
    found = rows("dispersion")
    found = found[(found["part"] == "features") & (found["network"] == "trained")]
    spread = found.pivot_table(index=["split", "seed"], columns="setting", values="r_hard")
    less = {
        split: (own["large"] - own["small"]).to_numpy() for split, own in spread.groupby("split")
    }
    mean = spread.groupby("split").mean()
    return Judged(
        "spread of hard tasks' weights, adapted from one network, Large and Small: "
        + ", ".join(
            f"{own['large']:.2f} and {own['small']:.2f} ({split})" for split, own in mean.iterrows()
        ),
        checks={f"smaller on {split} classes": above(values) for split, values in less.items()},
    )


def searched(item: str, algorithm: str, rate: float) -> Judged:
    """Whether a rate is the best of the search on validation classes, up to an interval over
    tasks, for each network and optimizer that was searched."""
    found = rows(item)
    own = found[(found["algorithm"] == algorithm) & (found["split"] == "validation")]
    checks, words = {}, []
    for (configuration, optimiser), part in own.groupby(["configuration", "optimiser"]):
        score = part.groupby("outer_rate").agg(
            accuracy=("accuracy", "mean"),
            half=("accuracy_ci95_tasks", lambda each: np.sqrt((each**2).sum()) / len(each)),
        )
        best, paper = score.loc[score["accuracy"].idxmax()], score.loc[rate]
        behind = best["accuracy"] - paper["accuracy"]
        name = f"{OPTIMISERS[optimiser]}, network of {configuration}"
        checks[f"the paper's rate is the best, or as good, by {name}"] = bool(
            behind <= np.hypot(best["half"], paper["half"])
        )
        words.append(f"{best.name:.0e} by {name}, {behind:.1f} points ahead")
    settings = record(item).provenance["settings"]
    return Judged(
        f"best: {'; '.join(words)} ({settings['iterations']:,} steps, "
        f"{settings['filters']} filters, {settings['seeds']} seeds)",
        f"{rate:.0e}",
        checks,
    )


@claim("Tables 2 and 5", "The accuracies on FS-CIFAR100", "cifar", "table2")
def table2() -> Judged:
    return agreement("table2", TABLE2)


@claim("Section 5", "The largest gains of MAML in Table 2 are on the hard tasks", "cifar", "table2")
def gains_on_hard() -> Judged:
    checks, words = {}, []
    for setting in ("p=0.99", "p=0.5"):
        for split in ("train", "test"):
            hard, easy = (gain("table2", setting, split, kind, "nal") for kind in ("hard", "easy"))
            checks[f"{setting}, {split}"] = above(hard - easy)
            words.append(
                f"{hard.mean():.1f} on hard, {easy.mean():.1f} on easy ({setting}, {split})"
            )
    return Judged("; ".join(words), "40.2, 14.7; 12.2, 9.8; 31.6, 11.7; 9.3, 7.8", checks)


@claim(
    "Section 5", "... and disappear there when hard tasks are scarce (p = 0.01)", "cifar", "table2"
)
def gains_disappear() -> Judged:
    common, scarce = (
        {split: gain("table2", setting, split, "hard", "nal").mean() for split in ("train", "test")}
        for setting in ("p=0.99", "p=0.01")
    )
    return Judged(
        "; ".join(
            f"{common[split]:+.1f} points at p = 0.99 become {scarce[split]:+.1f} ({name})"
            for split, name in (("train", "training"), ("test", "test"))
        ),
        "+40.2 become +8.1; +12.2 become +3.6",
        {
            f"less than a third is left on {split} tasks": scarce[split] < common[split] / 3
            and common[split] > 0
            for split in common
        },
    )


@claim("Section 5", "Many classes with few shots are harder", "cifar", "table2")
def harder_shapes() -> Judged:
    found = rows("table2")
    room = {kind: 1 - level / 100 for kind, level in CHANCE["cifar100"].items()}
    share = 1 - (1 - found["accuracy"] / 100) / found["hardness"].map(room)
    line = found.assign(share=100 * share).pivot_table(
        index=["setting", "algorithm", "split"], columns="hardness", values="share"
    )
    less = line["easy"] - line["hard"]
    return Judged(
        "of what there is above chance, hard tasks get "
        f"{less.min():.0f} to {less.max():.0f} points less",
        checks={"in every line of the table": bool((less > 0).all())},
    )


@claim("Section 5", "This supports oversampling hard tasks in training", "cifar", "scarcity")
def oversampling() -> Judged:
    cells = seed_accuracies(record("scarcity"), ["p", "split", "hardness"])
    at = {
        kind: {p: own for (p, *rest), own in cells.items() if rest == ["test", kind]}
        for kind in ("easy", "hard")
    }
    few = min(at["hard"])
    best = max(at["hard"], key=lambda p: at["hard"][p].mean())
    hard, easy = (at[kind][best] - at[kind][few] for kind in ("hard", "easy"))
    return Judged(
        f"at equal cost p = {best:g} instead of {few:g} gives {said(hard)} points on hard test "
        f"tasks and {said(easy)} on easy ones",
        checks={
            "hard tasks gain by it": above(hard),
            "easy tasks lose nothing": not above(-easy),
        },
    )


for where, page, item, nal in (
    ("C.4", "omniglot", "omniglot_rates", "nal-1"),
    ("C.5", "cifar", "cifar_rates", "nal"),
):
    for says, algorithm, rate in (
        ("Of five outer rates 1e-3 is MAML's best", "maml", 1e-3),
        ("... and 1e-6 NAL's", nal, 1e-6),
    ):
        claim(where, says, page, item)(partial(searched, item, algorithm, rate))
