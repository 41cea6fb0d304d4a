"""Numbers as the paper prints them, to stand beside ours."""

import pandas as pd

TABLE3 = pd.DataFrame(
    [
        ("nal", 1.0, 0.18, 0.02, 0.78, 0.11),
        ("nal", 2.0, 0.33, 0.02, 0.64, 0.08),
        ("nal", 5.0, 0.61, 0.03, 0.51, 0.04),
        ("nal", 10.0, 0.87, 0.03, 0.39, 0.05),
        ("maml", 1.0, 1.58, 0.01, 0.26, 0.10),
    ],
    columns=["algorithm", "zeta", "coordinate", "coordinate_sd", "test_error", "test_error_sd"],
)

# Accuracy of a guess, in percent: 5-way tasks; 2-way easy and 20-way hard ones.
CHANCE = {"omniglot": {"easy": 20, "hard": 20}, "cifar100": {"easy": 50, "hard": 5}}

_COLUMNS = ["setting", "algorithm", "split", "hardness", "accuracy", "accuracy_ci95"]


def _accuracies(lines: dict[tuple[str, str], tuple[tuple[float, float], ...]]) -> pd.DataFrame:
    """A row for each cell: a line's four are the easy and hard training and test tasks."""
    kinds = [(split, hardness) for split in ("train", "test") for hardness in ("easy", "hard")]
    return pd.DataFrame(
        [
            (*line, *kind, *cell)
            for line, cells in lines.items()
            for kind, cell in zip(kinds, cells, strict=True)
        ],
        columns=_COLUMNS,
    )


# Table 4 is Table 1, and Table 5 is Table 2, with 95% intervals.
TABLE1 = _accuracies(
    {
        ("large", "maml"): ((99.2, 0.2), (96.0, 0.6), (98.0, 0.2), (81.2, 0.3)),
        ("large", "nal-1"): ((69.4, 0.4), (41.5, 0.3), (57.8, 0.4), (45.2, 0.8)),
        ("large", "nal-10"): ((70.0, 0.8), (45.3, 0.9), (67.2, 0.3), (47.9, 0.7)),
        ("small", "maml"): ((99.2, 0.5), (99.1, 0.2), (98.1, 0.3), (95.4, 0.3)),
        ("small", "nal-1"): ((69.2, 0.5), (46.0, 0.6), (55.8, 0.5), (45.8, 1.0)),
        ("small", "nal-10"): ((70.2, 0.6), (44.0, 0.8), (67.8, 0.8), (48.9, 0.8)),
    }
)
TABLE2 = _accuracies(
    {
        ("p=0.99", "nal"): ((78.2, 0.4), (9.9, 1.0), (74.8, 0.4), (9.5, 0.6)),
        ("p=0.99", "maml"): ((92.9, 0.3), (50.1, 1.0), (84.6, 0.4), (21.7, 0.3)),
        ("p=0.5", "nal"): ((81.9, 0.3), (9.5, 1.0), (76.5, 0.4), (8.6, 0.3)),
        ("p=0.5", "maml"): ((93.6, 0.5), (41.1, 0.3), (84.3, 0.6), (17.9, 0.4)),
        ("p=0.01", "nal"): ((82.4, 1.4), (7.6, 0.2), (76.9, 0.9), (8.2, 0.4)),
        ("p=0.01", "maml"): ((94.0, 1.2), (15.7, 0.3), (85.0, 0.2), (11.8, 0.3)),
    }
)


def beside(ours: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Our rows with the paper's accuracy, its half-width, and whether the two agree.

    They agree if they differ by no more than a 95% interval of the difference,
    sqrt(ci95^2 + ci95^2); a row without an interval agrees with nothing.
    """
    keys = ["setting", "algorithm", "split", "hardness"]
    named = paper.rename(columns={"accuracy": "paper", "accuracy_ci95": "paper_ci95"})
    both = ours.merge(named, on=keys, how="left", validate="one_to_one")
    allowed = (both["accuracy_ci95"] ** 2 + both["paper_ci95"] ** 2) ** 0.5
    return both.assign(agrees=(both["accuracy"] - both["paper"]).abs() <= allowed)
