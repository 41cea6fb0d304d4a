"""Figures of the chapter on FS-CIFAR100."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mamlbook.experiments.paper import CHANCE, TABLE2
from mamlbook.figures import fewshot
from mamlbook.figures.style import COLOURS, GREY, subplots


def tasks(easy: dict[str, np.ndarray], hard: dict[str, np.ndarray]) -> Figure:
    """One easy and one hard task. Each: class name -> images, uint8 (shown, side, side, 3).

    All given images of an easy class are a row; of a hard class the first is shown.
    """
    figure, (left, right) = subplots(1, 2, height=3.3)
    lines = [[(image, name) for image in images] for name, images in easy.items()]
    _montage(left, [[line[0], *((image, "") for image, _ in line[1:])] for line in lines])
    first = [(images[0], name) for name, images in hard.items()]
    _montage(right, [first[start : start + 5] for start in range(0, len(first), 5)])
    left.set_title("easy: 2 classes", color=COLOURS["easy"])
    right.set_title("hard: 20 classes", color=COLOURS["hard"])
    return figure


def _montage(axes: Axes, lines: list[list[tuple[np.ndarray, str]]]) -> None:
    """Lines of images, each with its name below."""
    right, below = 6, 12  # white pixels
    side = len(lines[0][0][0])
    margins = ((0, below), (0, right), (0, 0))
    rows = [
        np.concatenate([np.pad(image, margins, constant_values=255) for image, _ in line], 1)
        for line in lines
    ]
    axes.imshow(np.concatenate(rows))
    for row, line in enumerate(lines):
        for column, (_, name) in enumerate(line):
            axes.annotate(
                name.rpartition("/")[2].replace("_", " "),
                (column * (side + right), row * (side + below) + side),
                va="top",
                fontsize=6,
            )
    axes.axis("off")


def table2(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Table 2 beside the paper's."""
    return fewshot.against_paper(rows, TABLE2, "cifar100")


def table2_lineage(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """As `table2`."""
    return table2(rows[rows["algorithm"] != "none"], arrays)


def scarcity(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """MAML's accuracy against p at equal cost, with intervals over seeds."""
    across = "probability of a hard training task, $p$"
    figure, panels = fewshot.easy_and_hard("cifar100", across)
    for hardness, axes in panels.items():
        for split, fill in (("test", COLOURS["maml"]), ("train", "white")):
            own = rows[(rows["hardness"] == hardness) & (rows["split"] == split)].sort_values("p")
            axes.errorbar(
                own["p"], own["accuracy"], yerr=own["accuracy_ci95"],
                fmt=fewshot.MARKS["maml"] + ("-" if split == "test" else ":"),
                color=COLOURS["maml"], markerfacecolor=fill, markersize=4, capsize=2,
                linewidth=1.2, label=f"MAML, {fewshot.SPLITS[split]} classes",
            )  # fmt: skip
        axes.set_xscale("logit")
        axes.set_xticks(own["p"], [f"{p:g}" for p in own["p"]])
        axes.minorticks_off()
    fewshot.legend(figure, panels["easy"], 2)
    return figure


def cifar_rates(rows: pd.DataFrame) -> Figure:
    """The search of C.5, on validation classes."""
    return fewshot.outer_rates(rows, "cifar100", "validation")


def cifar_steps(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Accuracy on hard test tasks against adaptation steps, a panel for each p, with intervals
    over seeds."""
    looks = {
        "maml": ("MAML", COLOURS["maml"], "o-"),
        "maml-first": ("first-order MAML", COLOURS["maml"], "o:"),
        "nal": ("NAL", COLOURS["nal"], "s-"),
        "classifier": ("plain classifier", "#111827", "^-"),
        "none": ("untrained", GREY, "D-"),
    }
    part = rows[(rows["split"] == "test") & (rows["hardness"] == "hard")].fillna({"setting": ""})
    names = [name for name in dict.fromkeys(part["setting"]) if name]
    figure, panels = subplots(1, len(names), height=3.2, sharey=True, squeeze=False)
    for axes, name in zip(panels[0], names, strict=True):
        for algorithm, (label, colour, mark) in looks.items():
            own = part[(part["algorithm"] == algorithm) & part["setting"].isin((name, ""))]
            axes.errorbar(
                own["step"], own["accuracy"], own["accuracy_ci95"], fmt=mark, color=colour,
                markersize=3, linewidth=1.2, label=label,
            )  # fmt: skip
        fewshot.chance(axes, CHANCE["cifar100"]["hard"])
        axes.set_title(fewshot.setting(name))
        axes.set_xlabel("adaptation steps")
    panels[0][0].set_ylabel("accuracy on hard test tasks, %")
    fewshot.legend(figure, panels[0][0], 3)
    return figure


def cifar_controls(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """The controls, those of one kind together, with intervals over seeds."""

    def line(row) -> str:
        steps = f"{row.steps} step{'s' * (row.steps > 1)}"
        if row.control == "untrained":
            return f"untrained, {steps}"
        named = [] if row.control == "NAL by Adam" else [fewshot.ALGORITHMS[row.algorithm]]
        control = [] if row.control == "table 2" else [row.control]
        return ", ".join([*named, *control, fewshot.setting(row.setting), steps])

    order = list(dict.fromkeys(rows["control"]))
    lines = rows.assign(line=[line(row) for row in rows.itertuples()])
    place = lines["control"].map(order.index)
    in_order = lines.assign(place=place).sort_values(["place", "algorithm", "setting", "steps"])
    named = list(dict.fromkeys(in_order["line"]))
    return fewshot.controls(lines, "cifar100", named)
