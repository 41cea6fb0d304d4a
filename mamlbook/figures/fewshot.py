"""What the figures of the Omniglot and the CIFAR chapter share.

An algorithm keeps its colour and mark, NAL-1 and NAL-10 with NAL's; a dotted line is chance.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mamlbook.experiments.paper import CHANCE
from mamlbook.figures.style import COLOURS, GREY, subplots

ALGORITHMS = {
    "nal": "NAL", "nal-1": "NAL-1", "nal-10": "NAL-10", "maml": "MAML", "classifier": "classifier",
}  # fmt: skip
MARKS = {"nal": "s", "nal-1": "s", "nal-10": "v", "maml": "o", "classifier": "^", "none": "D"}
KINDS = ("easy", "hard")
SPLITS = {"train": "training", "test": "test"}


def colour(algorithm: str) -> str:
    """NAL's or MAML's, gray for an untrained network."""
    return COLOURS.get(algorithm.partition("-")[0], GREY)


def setting(name: str) -> str:
    """A setting in words: Large, or $p$ = 0.5."""
    return name.replace("p=", "$p$ = ") if "=" in name else name.capitalize()


def chance(axes: Axes, level: float) -> None:
    """The accuracy of guessing, dotted."""
    axes.axhline(level, color=GREY, linestyle=":", linewidth=1)
    axes.annotate(
        "chance", (1, level), xycoords=("axes fraction", "data"), va="center",
        xytext=(3, 0), textcoords="offset points", fontsize=9, color=GREY,
    )  # fmt: skip


def easy_and_hard(data: str, across: str, height: float = 3.0) -> tuple[Figure, dict[str, Axes]]:
    """A panel of accuracies for easy and one for hard tasks, with chance; across: the x-axis."""
    figure, line = subplots(1, 2, height=height)
    for axes, hardness in zip(line, KINDS, strict=True):
        chance(axes, CHANCE[data][hardness])
        axes.set_title(f"{hardness} tasks")
        axes.set_xlabel(across)
    line[0].set_ylabel("accuracy, %")
    return figure, dict(zip(KINDS, line, strict=True))


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """The lines of `axes`, above all panels."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=columns)


def against_paper(rows: pd.DataFrame, paper: pd.DataFrame, data: str) -> Figure:
    """Accuracies with their 95% intervals over seeds, ours filled and the paper's hollow.

    A panel for each split and hardness, in it a group for each setting.
    """
    figure, grid = subplots(2, 2, height=5.0, sharex=True, sharey="row")
    names, algorithms = (list(dict.fromkeys(paper[key])) for key in ("setting", "algorithm"))
    for line, hardness in zip(grid, KINDS, strict=True):
        for axes, split in zip(line, SPLITS, strict=True):
            for source, table in (("here", rows), ("the paper", paper)):
                part = table[(table["split"] == split) & (table["hardness"] == hardness)]
                for place, algorithm in enumerate(algorithms):
                    own = part[part["algorithm"] == algorithm].set_index("setting")
                    shift = 0.24 * (place - (len(algorithms) - 1) / 2)
                    axes.errorbar(
                        np.arange(len(names)) + shift + (0.05 if source == "here" else -0.05),
                        own["accuracy"].reindex(names), own["accuracy_ci95"].reindex(names),
                        fmt=MARKS[algorithm], color=colour(algorithm), markersize=5, capsize=2,
                        markerfacecolor=colour(algorithm) if source == "here" else "white",
                        linewidth=1, label=f"{ALGORITHMS[algorithm]}, {source}",
                    )  # fmt: skip
            chance(axes, CHANCE[data][hardness])
            axes.set_title(f"{hardness} tasks, {SPLITS[split]} classes")
            axes.set_xticks(range(len(names)), [setting(name) for name in names])
            axes.set_xlim(-0.5, len(names) - 0.5)
        line[0].set_ylabel("accuracy, %")
    legend(figure, grid[0][0], len(algorithms))
    return figure


def training_curves(rows: pd.DataFrame, course: np.ndarray, data: str, window: int = 4) -> Figure:
    """Accuracy on the training tasks as training goes on, a mean over seeds and `window` blocks.

    rows: a table's; course: (variants, seeds, blocks of 25 iterations, easy and hard).
    """
    variants = rows.drop_duplicates(["setting", "algorithm"])[["setting", "algorithm"]]
    names = list(dict.fromkeys(variants["setting"]))
    figure, panels = easy_and_hard(data, "outer step")
    for kind, axes in enumerate(panels.values()):
        for own, each in zip(course[..., kind], variants.itertuples(), strict=True):
            starts = range(0, own.shape[1], window)
            axes.plot(
                [25 * min(start + window, own.shape[1]) for start in starts],
                [_mean(own[:, start : start + window]) for start in starts],
                ("-", "--", ":")[names.index(each.setting)], color=colour(each.algorithm),
                alpha=0.45 if each.algorithm == "nal-10" else 1.0, linewidth=1.4,
                label=f"{ALGORITHMS[each.algorithm]}, {setting(each.setting)}",
            )  # fmt: skip
    legend(figure, panels["easy"], 3)
    return figure


def outer_rates(rows: pd.DataFrame, data: str, split: str) -> Figure:
    """Accuracy on the classes of a split against the outer rate, with 95% intervals over tasks."""
    figure, panels = easy_and_hard(data, "outer learning rate")
    for hardness, axes in panels.items():
        part = rows[(rows["split"] == split) & (rows["hardness"] == hardness)]
        for (algorithm, optimiser), own in part.groupby(["algorithm", "optimiser"], sort=False):
            own = own.sort_values("outer_rate")
            axes.errorbar(
                own["outer_rate"], own["accuracy"], own["accuracy_ci95_tasks"],
                fmt=MARKS[algorithm] + ("-" if optimiser == "adam" else ":"), markersize=4,
                color=colour(algorithm), alpha=0.5 if algorithm == "nal-10" else 1.0, linewidth=1.4,
                label=f"{ALGORITHMS[algorithm]}, {'Adam' if optimiser == 'adam' else 'SGD'}",
            )  # fmt: skip
        axes.set_xscale("log")
    legend(figure, panels["easy"], 4)
    return figure


def live(rows: pd.DataFrame, data: str) -> Figure:
    """The course of a live training, and at its right edge the accuracy on new tasks."""
    figure, panels = easy_and_hard(data, "outer step", 2.8)
    for hardness, axes in panels.items():
        part = rows[rows["hardness"] == hardness]
        for algorithm, own in part.groupby("algorithm", sort=False):
            course = own[own["split"] == "course"]
            axes.plot(
                course["iteration"], course["accuracy"], "-" if algorithm == "maml" else "--",
                color=colour(algorithm), label=f"{ALGORITHMS[algorithm]}, training tasks",
            )  # fmt: skip
            test = own[own["split"] == "test"]
            axes.plot(
                1.06 * test["iteration"], test["accuracy"], MARKS[algorithm],
                color=colour(algorithm), label=f"{ALGORITHMS[algorithm]}, new classes, adapted",
            )  # fmt: skip
    legend(figure, panels["easy"], 2)
    return figure


def controls(rows: pd.DataFrame, data: str, named: list[str]) -> Figure:
    """A line for each control: accuracies on easy and hard tasks with their intervals over seeds,
    test filled, training hollow.

    rows: besides a table's columns `line`, its name. named: the lines from above.
    """
    figure, panels = subplots(1, 2, height=0.9 + 0.22 * len(named), sharey=True)
    for axes, hardness in zip(panels, KINDS, strict=True):
        for split in SPLITS:
            part = rows[(rows["hardness"] == hardness) & (rows["split"] == split)]
            for algorithm, own in part.groupby("algorithm"):
                axes.errorbar(
                    own["accuracy"], own["line"].map(named.index), xerr=own["accuracy_ci95"],
                    fmt=MARKS[algorithm], color=colour(algorithm), markersize=4, linewidth=1,
                    markerfacecolor=colour(algorithm) if split == "test" else "white",
                )  # fmt: skip
        axes.axvline(CHANCE[data][hardness], color=GREY, linestyle=":", linewidth=1)
        axes.set_title(f"{hardness} tasks")
        axes.set_xlabel("accuracy, %")
    panels[0].set_yticks(range(len(named)), named, fontsize=9)
    panels[0].invert_yaxis()
    return figure


def _mean(values: np.ndarray) -> float:
    """The mean of what is a number; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
