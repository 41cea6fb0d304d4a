"""Figures of the chapter on FS-CIFAR100."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mamlbook.figures.style import COLOURS, DASHES, GREY, MARKERS, NAMES, subplots

CHANCE = {"easy": 50, "hard": 5}
KINDS = {"easy": "easy, 2-way", "hard": "hard, 20-way"}


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


def table2(
    rows: pd.DataFrame,
    arrays: dict[str, np.ndarray] | None = None,
    paper: pd.DataFrame | None = None,
) -> Figure:
    """Table 2: a panel for each split and hardness, a pair of columns for each p.

    Filled: `rows`, hollow: `paper`; both with their 95 % intervals over seeds.
    """
    figure, grid = subplots(2, 2, height=5.0, sharex=True)
    names = list(dict.fromkeys(rows["setting"]))
    for line, hardness in zip(grid, ("easy", "hard"), strict=True):
        top = max(
            float(t["accuracy"][t["hardness"] == hardness].max()) for t in _given(rows, paper)
        )
        for axes, split in zip(line, ("train", "test"), strict=True):
            for source, table in enumerate(_given(rows, paper)):
                part = table[(table["split"] == split) & (table["hardness"] == hardness)]
                for shift, algorithm in ((-0.12, "nal"), (0.12, "maml")):
                    own = part[part["algorithm"] == algorithm].set_index("setting").loc[names]
                    axes.errorbar(
                        np.arange(len(names)) + shift + 0.1 * source,
                        own["accuracy"],
                        yerr=own["accuracy_ci95"],
                        fmt=MARKERS[algorithm],
                        color=COLOURS[algorithm],
                        markerfacecolor="white" if source else COLOURS[algorithm],
                        markersize=5,
                        capsize=2,
                        linewidth=1,
                    )
            _chance(axes, hardness)
            axes.set_title(f"{KINDS[hardness]}, {_split(split)} classes")
            axes.set_ylim(CHANCE[hardness] * 0.8 if hardness == "easy" else 0, 1.08 * top)
            axes.set_xticks(range(len(names)), [name.replace("p=", "$p$ = ") for name in names])
        line[0].set_ylabel("accuracy, %")
    handles, labels = [], []
    for source, told in enumerate(("here", "the paper")[: len(_given(rows, paper))]):
        for name in ("nal", "maml"):
            handles += grid[0][0].plot(
                [],
                [],
                MARKERS[name],
                color=COLOURS[name],
                markerfacecolor="white" if source else COLOURS[name],
            )
            labels.append(f"{NAMES[name]}, {told}")
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def training_curves(rows: pd.DataFrame, arrays: dict[str, np.ndarray], window: int = 4) -> Figure:
    """Accuracy on the training tasks as training goes on, a panel for each hardness.

    rows: Table 2's; arrays["course"]: (variants, seeds, blocks of 25 iterations, easy and hard).
    The mean over seeds and over `window` blocks.
    """
    variants = rows.drop_duplicates(["setting", "algorithm"]).reset_index(drop=True)
    figure, line = subplots(1, 2, height=3.0)
    for kind, (axes, hardness) in enumerate(zip(line, ("easy", "hard"), strict=True)):
        for algorithm in ("nal", "maml"):
            for place, (row, own) in enumerate(
                variants[variants["algorithm"] == algorithm].iterrows()
            ):
                course = arrays["course"][row, :, :, kind]
                blocks = range(0, course.shape[1], window)
                means = [_mean(course[:, start : start + window]) for start in blocks]
                ends = [25 * min(start + window, course.shape[1]) for start in blocks]
                axes.plot(
                    ends,
                    means,
                    DASHES[algorithm],
                    color=COLOURS[algorithm],
                    alpha=(1.0, 0.65, 0.35)[place % 3],
                    marker=".",
                    label=f"{NAMES[algorithm]}, {own['setting'].replace('p=', '$p$ = ')}",
                )
        _chance(axes, hardness)
        axes.set_title(KINDS[hardness])
        axes.set_xlabel("outer step")
    line[0].set_ylabel("training accuracy, %")
    figure.legend(*line[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def scarcity(rows: pd.DataFrame, arrays: dict[str, np.ndarray] | None = None) -> Figure:
    """Accuracy against p: in the upper panels with equal iterations, in the lower at equal cost."""
    figure, grid = subplots(2, 2, height=5.4)
    for line, (equal, told) in zip(
        grid,
        (("iterations", "equal iterations"), ("images", "equal images")),
        strict=True,
    ):
        part = rows[rows["equal"] == equal]
        for axes, hardness in zip(line, ("easy", "hard"), strict=True):
            for (algorithm, split), own in part[part["hardness"] == hardness].groupby(
                ["algorithm", "split"], sort=False
            ):
                own = own.sort_values("p")
                axes.errorbar(
                    own["p"],
                    own["accuracy"],
                    yerr=own["accuracy_ci95"],
                    fmt=MARKERS[algorithm] + ("-" if split == "test" else ":"),
                    color=COLOURS[algorithm],
                    markerfacecolor=COLOURS[algorithm] if split == "test" else "white",
                    markersize=4,
                    capsize=2,
                    linewidth=1.2,
                    label=f"{NAMES[algorithm]}, {_split(split)} classes",
                )
            _chance(axes, hardness)
            axes.set_xscale("logit")
            shown = sorted(set(part["p"]))
            axes.set_xticks(shown, [f"{p:g}" for p in shown])
            axes.minorticks_off()
            axes.set_title(f"{told}: {KINDS[hardness]}")
        line[0].set_ylabel("accuracy, %")
    for axes in grid[1]:
        axes.set_xlabel("probability of a hard training task, $p$")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def cifar_rates(rows: pd.DataFrame) -> Figure:
    """Accuracy on training classes against the outer rate, a line for each optimiser."""
    figure, line = subplots(1, 2, height=2.8)
    for axes, hardness in zip(line, ("easy", "hard"), strict=True):
        part = rows[(rows["split"] == "train") & (rows["hardness"] == hardness)]
        for (algorithm, optimiser), own in part.groupby(["algorithm", "optimiser"], sort=False):
            axes.plot(
                own["outer_rate"],
                own["accuracy"],
                "-" if optimiser == "adam" else ":",
                marker=MARKERS[algorithm],
                markersize=4,
                color=COLOURS[algorithm],
                label=f"{NAMES[algorithm]}, {'Adam' if optimiser == 'adam' else 'SGD'}",
            )
        _chance(axes, hardness)
        axes.set_xscale("log")
        axes.set_title(KINDS[hardness])
        axes.set_xlabel("outer learning rate")
    line[0].set_ylabel("accuracy, %")
    figure.legend(*line[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def cifar_controls(rows: pd.DataFrame) -> Figure:
    """A line for each control and number of adaptation steps; test filled, training hollow."""
    keys = ["control", "algorithm", "setting", "steps"]
    lines = rows[keys].drop_duplicates().sort_values(keys[1:], ignore_index=True)
    order = list(dict.fromkeys(rows["control"]))
    lines = lines.sort_values(
        "control", kind="stable", ignore_index=True, key=lambda own: own.map(order.index)
    )
    figure, panels = subplots(1, 2, height=0.8 + 0.2 * len(lines), sharey=True)
    for axes, hardness in zip(panels, ("easy", "hard"), strict=True):
        for split in ("train", "test"):
            part = rows[(rows["hardness"] == hardness) & (rows["split"] == split)]
            own = lines.merge(part, on=keys)
            for algorithm, some in own.groupby("algorithm"):
                colour = COLOURS.get(algorithm, GREY)
                axes.errorbar(
                    some["accuracy"],
                    [_place(lines, row) for row in some[keys].itertuples(index=False)],
                    xerr=some["accuracy_ci95_tasks"],
                    fmt=MARKERS.get(algorithm, "D"),
                    color=colour,
                    markerfacecolor=colour if split == "test" else "white",
                    markersize=4,
                    linewidth=1,
                )
        axes.axvline(CHANCE[hardness], color=GREY, linestyle=":", linewidth=1)
        axes.set_title(KINDS[hardness])
        axes.set_xlabel("accuracy, %")
    panels[0].set_yticks(
        range(len(lines)),
        [
            ", ".join(
                [
                    *(
                        []
                        if row.control in ("untrained", "NAL by Adam")
                        else [NAMES[row.algorithm]]
                    ),
                    *([] if row.control == "table 2" else [row.control]),
                    *([] if row.control == "untrained" else [row.setting.replace("p=", "$p$ = ")]),
                    f"{row.steps} step{'s' * (row.steps > 1)}",
                ]
            )
            for row in lines.itertuples()
        ],
        fontsize=8,
    )
    panels[0].invert_yaxis()
    return figure


def live(rows: pd.DataFrame) -> Figure:
    """The course of a live training, and at its right edge the accuracy on new tasks."""
    figure, line = subplots(1, 2, height=2.8)
    for axes, hardness in zip(line, ("easy", "hard"), strict=True):
        part = rows[rows["hardness"] == hardness]
        for algorithm, own in part.groupby("algorithm", sort=False):
            course = own[own["split"] == "course"]
            axes.plot(
                course["iteration"],
                course["accuracy"],
                DASHES[algorithm],
                color=COLOURS[algorithm],
                label=f"{NAMES[algorithm]}, training tasks",
            )
            test = own[own["split"] == "test"]
            axes.plot(
                1.06 * test["iteration"],
                test["accuracy"],
                MARKERS[algorithm],
                color=COLOURS[algorithm],
                label=f"{NAMES[algorithm]}, new classes, adapted",
            )
        _chance(axes, hardness)
        axes.set_title(KINDS[hardness])
        axes.set_xlabel("outer step")
    line[0].set_ylabel("accuracy, %")
    figure.legend(*line[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _given(*tables: pd.DataFrame | None) -> list[pd.DataFrame]:
    return [table for table in tables if table is not None]


def _split(split: str) -> str:
    return "training" if split == "train" else "test"


def _chance(axes: Axes, hardness: str) -> None:
    axes.axhline(CHANCE[hardness], color=GREY, linestyle=":", linewidth=1)
    axes.annotate(
        "chance",
        (0.995, CHANCE[hardness]),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        fontsize=8,
        color=GREY,
    )


def _mean(values: np.ndarray) -> float:
    """The mean of what is a number; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _place(lines: pd.DataFrame, key: tuple) -> int:
    return lines.index[(lines == list(key)).all(axis=1)][0]
