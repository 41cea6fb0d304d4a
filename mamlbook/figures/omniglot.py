"""Figures of the chapter on Omniglot."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mamlbook.figures.style import COLOURS, GREY, subplots

ALGORITHMS = {"maml": "MAML", "nal-1": "NAL-1", "nal-10": "NAL-10", "nal": "NAL"}


def colour(algorithm: str) -> str:
    """MAML's colour or NAL's."""
    return COLOURS["maml" if algorithm.startswith("maml") else "nal"]


def alphabets(rows: pd.DataFrame, chosen: tuple[str, ...]) -> Figure:
    """Accuracy after one step of the trained network, alphabet by alphabet; losses step by step.

    chosen: the hard alphabets.
    """
    hard = rows[rows["hardness"] == "hard"]
    after = hard[(hard["network"] == "trained") & (hard["step"] == 1)].sort_values("accuracy")
    figure, (left, right) = subplots(
        1, 2, height=7.2, gridspec_kw={"width_ratios": [1.35, 1]}, layout="constrained"
    )
    heights = np.arange(len(after))[::-1]
    colours = [COLOURS["hard"] if group in chosen else GREY for group in after["group"]]
    left.barh(heights, after["accuracy"], 0.62, color=colours, alpha=0.85)
    left.errorbar(
        after["accuracy"], heights, xerr=after["accuracy_ci95"], fmt="none", color="#111827", lw=0.8
    )
    left.set_yticks(heights, [name.replace("_", " ") for name in after["group"]], fontsize=6.5)
    left.set_ylim(-0.7, len(after) - 0.3)
    left.set_xlim(after["accuracy"].min() - 8, 100)
    left.set_xlabel("accuracy after one step, %")
    left.set_title("Tasks within one alphabet")
    left.grid(axis="y", visible=False)
    for name, style in (("untrained", ":"), ("trained", "-")):
        part = rows[rows["network"] == name]
        groups = {
            "hard": part[part["group"].isin(chosen)],
            "other": part[(part["hardness"] == "hard") & ~part["group"].isin(chosen)],
            "easy": part[part["hardness"] == "easy"],
        }
        told = {"hard": "the ten hard alphabets", "other": "the other forty", "easy": "easy tasks"}
        for kind, own in groups.items():
            course = own.groupby("step")["loss"].mean()
            right.plot(
                course.index, course, f"o{style}", markersize=4, color=COLOURS.get(kind, GREY),
                label=f"{told[kind]}, {name}",
            )  # fmt: skip
    right.set_yscale("log")
    right.set_xticks(sorted(rows["step"].unique()))
    right.set_xlabel("inner steps")
    right.set_title("Loss on the targets")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def against_paper(rows: pd.DataFrame, paper: pd.DataFrame, chance: Mapping[str, float]) -> Figure:
    """Each cell's accuracy and interval, the paper's as an open mark: a panel for each setting.

    chance: hardness -> accuracy of guessing, in percent.
    """
    settings = list(dict.fromkeys(paper["setting"]))
    cells = [(s, h) for s in ("train", "test") for h in ("easy", "hard")]
    figure, grid = subplots(1, len(settings), height=3.1, sharey=True, squeeze=False)
    names = list(dict.fromkeys(rows["algorithm"]))
    for axes, setting in zip(grid[0], settings, strict=True):
        for place, name in enumerate(names):
            shift = 0.24 * (place - (len(names) - 1) / 2)
            mark = "o^v"[place]
            for source, table in (("ours", rows), ("the paper's", paper)):
                own = table[(table["setting"] == setting) & (table["algorithm"] == name)]
                own = own.set_index(["split", "hardness"]).loc[cells]
                axes.errorbar(
                    np.arange(4) + shift + (0.06 if source == "ours" else -0.06),
                    own["accuracy"], own["accuracy_ci95"], fmt=mark, color=colour(name),
                    markerfacecolor=colour(name) if source == "ours" else "white",
                    markersize=5, elinewidth=1, alpha=0.55 if name == "nal-10" else 1,
                    label=f"{ALGORITHMS[name]}, {source}",
                )  # fmt: skip
        for at, (_, hardness) in enumerate(cells):
            axes.hlines(chance[hardness], at - 0.4, at + 0.4, color=GREY, linestyle=":", lw=1)
        axes.set_xticks(np.arange(4), [f"{hardness}\n{split}" for split, hardness in cells])
        axes.set_title(setting.capitalize() if "=" not in setting else f"${setting}$")
        axes.grid(axis="x", visible=False)
    grid[0][0].set_ylabel("accuracy, %")
    grid[0][0].set_ylim(0, 102)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(names))
    return figure


def table1(rows: pd.DataFrame, arrays: Mapping[str, np.ndarray]) -> Figure:
    """Table 1 beside the paper's."""
    from mamlbook.experiments.paper import TABLE1

    return against_paper(rows, TABLE1, {"easy": 20, "hard": 20})


def courses(course: np.ndarray, names: list[str], block: int = 25) -> Figure:
    """Accuracy on the tasks of training as it goes on: (variants, seeds, blocks, easy and hard).

    Each point is the mean of eight blocks of `block` iterations; bands span the seeds.
    """
    figure, grid = subplots(1, 2, height=2.8, sharey=True)
    whole = course.shape[2] // 8 * 8
    smooth = course[:, :, :whole].reshape(*course.shape[:2], -1, 8, 2)
    with np.errstate(invalid="ignore"):
        smooth = np.nanmean(smooth, 3)
    at = (np.arange(smooth.shape[2]) + 0.5) * 8 * block
    for kind, axes in enumerate(grid):
        for own, name in zip(smooth[..., kind], names, strict=True):
            setting, algorithm = name.rsplit(" ", 1)
            style = "-" if setting != "small" else "--"
            tint = colour(algorithm)
            alpha = 0.5 if algorithm == "nal-10" else 1
            axes.plot(
                at, own.mean(0), style, color=tint, alpha=alpha, lw=1.4,
                label=f"{ALGORITHMS[algorithm]}, {setting}",
            )  # fmt: skip
            axes.fill_between(at, own.min(0), own.max(0), color=tint, alpha=0.15, linewidth=0)
        axes.set_title(f"{('Easy', 'Hard')[kind]} training tasks")
        axes.set_xlabel("outer iterations")
    grid[0].set_ylabel("accuracy, %")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def outer_rates(rows: pd.DataFrame) -> Figure:
    """Accuracy on training classes against the outer rate, a line for each algorithm."""
    figure, grid = subplots(1, 2, height=2.8, sharey=True)
    for axes, hardness in zip(grid, ("easy", "hard"), strict=True):
        part = rows[(rows["split"] == "train") & (rows["hardness"] == hardness)]
        for (algorithm, optimiser), own in part.groupby(["algorithm", "optimiser"], sort=False):
            own = own.sort_values("outer_rate")
            axes.errorbar(
                own["outer_rate"], own["accuracy"], own["accuracy_ci95_tasks"],
                fmt="^v"[algorithm == "nal-10"] if algorithm.startswith("nal") else "o",
                linestyle="-" if optimiser == "adam" else "--", color=colour(algorithm),
                alpha=0.5 if algorithm == "nal-10" else 1, markersize=4, elinewidth=1,
                label=f"{ALGORITHMS[algorithm]}, {'Adam' if optimiser == 'adam' else 'SGD'}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_title(f"{hardness.capitalize()} tasks")
        axes.set_xlabel("outer learning rate")
    grid[0].set_ylabel("accuracy, %")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def omniglot_rates(rows: pd.DataFrame) -> Figure:
    """The search of C.4."""
    return outer_rates(rows)


def omniglot_controls(rows: pd.DataFrame) -> Figure:
    """Every control's accuracy on hard and easy test tasks, with intervals over seeds."""
    part = rows[rows["split"] == "test"]
    keys = ["control", "setting", "algorithm", "steps", "statistics"]
    lines = part.drop_duplicates(keys)[keys].reset_index(drop=True)
    figure, axes = subplots(height=0.9 + 0.26 * len(lines))
    for hardness, shift in (("easy", 0.12), ("hard", -0.12)):
        own = part[part["hardness"] == hardness].set_index(keys).loc[lines.apply(tuple, axis=1)]
        axes.errorbar(
            own["accuracy"], len(lines) - 1 - np.arange(len(lines)) + shift,
            xerr=own["accuracy_ci95"], fmt="o", markersize=4, elinewidth=1,
            color=COLOURS[hardness], label=f"{hardness} tasks",
        )  # fmt: skip
    words = [
        f"{row.control}: {ALGORITHMS[row.algorithm]}, {row.setting}, {row.steps} "
        f"step{'s' if row.steps > 1 else ''}{', running' if row.statistics == 'running' else ''}"
        for row in lines.itertuples()
    ]
    axes.set_yticks(len(lines) - 1 - np.arange(len(lines)), words, fontsize=8)
    axes.set_xlabel("accuracy on test classes, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def dispersion(rows: pd.DataFrame) -> Figure:
    """r_H / R and r_E / R in both settings, a mark for each seed, by split."""
    figure, grid = subplots(1, 2, height=2.6, sharey=True)
    part = rows[rows["part"] == "features"]
    for axes, split in zip(grid, ("train", "test"), strict=True):
        for at, setting in enumerate(("large", "small")):
            own = part[(part["setting"] == setting) & (part["split"] == split)]
            for kind, shift in (("easy", -0.1), ("hard", 0.1)):
                ratio = own[f"r_{kind}"] / own["R"]
                axes.plot([at + shift] * len(ratio), ratio, "o", color=COLOURS[kind], alpha=0.6)
                axes.plot(at + shift, ratio.mean(), "_", color=COLOURS[kind], markersize=18)
        axes.set_xticks([0, 1], ["Large", "Small"])
        axes.set_xlim(-0.5, 1.5)
        axes.set_title(f"{split.capitalize()} classes")
        axes.grid(axis="x", visible=False)
    grid[0].set_ylabel("spread / distance of the means")
    return figure
