"""Figures beside a diagnosis: how often its intervals hold the truth, and many tables at once."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mamlbook.diagnose.evidence import THRESHOLD
from mamlbook.figures.style import GREY, MAML, NAL, subplots

LIMITS = (0.6, 4.0)  # of the gains shown
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


def collections(rows: pd.DataFrame) -> Figure:
    """The gain on every collection with its interval, for each choice of what adapts."""
    names = {"all": "(a)  all parameters adapt", "intercept": "(b)  the intercept adapts"}
    order = rows.groupby(["package", "item"])["gain"].max().sort_values().index
    places = {place: at for at, place in enumerate(order)}
    supports = sorted(rows["support"].unique())
    figure, grid = subplots(1, len(names), height=8.0, sharey=True)
    for axes, (adapt, name) in zip(grid, names.items(), strict=True):
        part = rows[rows["adapt"] == adapt]
        axes.axvline(1, color=GREY, linewidth=1)
        axes.axvline(THRESHOLD, color=GREY, linewidth=1, linestyle=":")
        for row in part.itertuples():
            pays = row.kind.startswith("pays")
            few = row.support == supports[0]
            y = places[row.package, row.item] + (0.18 if few else -0.18)
            colour = MAML if pays else GREY
            ends = np.clip([row.low, row.high], *LIMITS)
            axes.plot(ends, [y, y], color=colour, linewidth=1.4, alpha=0.9 if pays else 0.5)
            axes.plot(
                np.clip(row.gain, *LIMITS),
                y,
                "o",
                color=colour,
                markersize=4,
                markerfacecolor="white" if few else colour,
            )
        axes.set_xscale("log")
        axes.set_xlim(*LIMITS)
        ticks = [0.7, 1, 1.5, 2, 3]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("gain of MAML over NAL")
        axes.set_title(name)
    grid[0].set_yticks(range(len(order)), [item for _, item in order], fontsize=9)
    grid[0].set_ylim(-0.7, len(order) - 0.3)
    for axes in grid:
        axes.grid(False, axis="y")
    return figure
