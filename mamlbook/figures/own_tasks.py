"""Figures of what a diagnosis is worth: how often its intervals hold the truth."""

import pandas as pd
from matplotlib.figure import Figure

from mamlbook.figures.style import GREY, MAML, NAL, subplots

NOISES = {"normal": (NAL, "o", "-"), "laplace": (MAML, "s", "--"), "student": (GREY, "^", ":")}


def coverage(rows: pd.DataFrame) -> Figure:
    """The share of worlds whose gain the interval holds, over tasks, a panel for each kind."""
    sums = rows.groupby(["world", "noise", "tasks"], sort=False).sum(numeric_only=True)
    share = 100 * sums["covered"] / sums["worlds"]
    kinds = rows["world"].unique()
    figure, grid = subplots(1, len(kinds), height=2.9, sharey=True)
    for letter, axes, kind in zip("abc", grid, kinds, strict=True):
        axes.axhline(95, color=GREY, linewidth=1, linestyle=":")
        for noise, (colour, marker, dashes) in NOISES.items():
            part = share[kind, noise]
            axes.plot(part.index, part, dashes, marker=marker, color=colour, label=noise)
        axes.set_xscale("log", base=2)
        axes.set_xticks(part.index, [f"{count}" for count in part.index])
        axes.set_xlabel("tasks")
        axes.set_title(f"({letter})  {kind}")
    grid[0].set_ylabel("intervals that hold the gain, %")
    grid[0].set_ylim(min(85, share.min() - 1), 100)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, title="noise")
    return figure
