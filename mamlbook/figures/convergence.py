"""Figures of the chapter on convergence."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mamlbook.figures.style import COLOURS, GREY, MARKERS, NAMES, subplots

VARIED = {
    "n": "samples of each task, $n$",
    "n1": "outer samples, $n_1$",
    "n2": "inner samples, $n_2$",
    "tau": r"episodes of each task, $\tau$",
    "T": "tasks, $T$",
}
INK = "#111827"


def theorem2(rows: pd.DataFrame) -> Figure:
    """The measured quantile of NAL's distance and the bound of Theorem 2, a panel for each T."""
    sizes = list(dict.fromkeys(rows["T"]))
    figure, grid = subplots(1, len(sizes), height=2.9, sharey=True, squeeze=False)
    for axes, T in zip(grid[0], sizes, strict=True):
        part = rows[rows["T"] == T]
        axes.loglog(part["n"], part["bound"], ":", color=INK, label="bound of Theorem 2")
        axes.loglog(
            part["n"], part["measured"], MARKERS["nal"], color=COLOURS["nal"], label="measured"
        )
        axes.set_title(f"$T = {T}$")
        axes.set_xlabel(VARIED["n"])
    grid[0][0].set_ylabel("distance of NAL's solution")
    handles = grid[0][0].get_lines()
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def theorem3(rows: pd.DataFrame) -> Figure:
    """The measured quantile of every case on a line with its bound, both logarithmic."""
    figure, axes = subplots(height=0.8 + 0.24 * len(rows))
    heights = np.arange(len(rows))[::-1]
    for height, row in zip(heights, rows.itertuples(), strict=True):
        colour = COLOURS[row.algorithm]
        axes.plot([row.measured, row.bound], [height] * 2, color="#d1d5db", linewidth=1)
        axes.plot(row.measured, height, MARKERS[row.algorithm], color=colour)
        axes.plot(row.bound, height, "|", color=INK, markersize=10)
    samples = [
        f"$n={row.n1}$" if row.algorithm == "nal" else rf"$\tau={row.tau}$"
        for row in rows.itertuples()
    ]
    axes.set_yticks(
        heights,
        [
            f"{NAMES[row.algorithm]}, $T={row.T}$, {extra}, tasks {row.tasks}"
            for row, extra in zip(rows.itertuples(), samples, strict=True)
        ],
    )
    axes.set_xscale("log")
    axes.set_xlabel("distance to $\\mathbf{w}^*$: measured (marks), bound (bars)")
    return figure


def rates(rows: pd.DataFrame) -> Figure:
    """Rows of one algorithm: a panel for each quantity varied, tasks drawn and given.

    Points with 95% intervals, the exact law (lines) and the bounds of Theorems 2 and 3 (dotted).
    """
    varied = list(dict.fromkeys(rows["varied"]))
    figure, grid = subplots(
        len(varied) // 2, 2, height=0.4 + 2.9 * (len(varied) // 2), squeeze=False, sharey=True
    )
    for axes, name in zip(grid.flat, varied, strict=True):
        for tasks, part in rows[rows["varied"] == name].groupby("tasks", sort=False):
            _law_and_points(axes, part, filled=tasks == "drawn")
        axes.set_xlabel(VARIED[name])
        axes.set_xscale("log")
        axes.set_yscale("log")
        if name in ("T", "tau"):
            values = sorted(set(rows.loc[rows["varied"] == name, "value"]))
            axes.set_xticks(values, map(str, values))
            axes.minorticks_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("distance to $\\mathbf{w}^*$")
    algorithm = rows["algorithm"].iloc[0]
    style: dict[str, Any] = {
        "color": COLOURS[algorithm],
        "marker": MARKERS[algorithm],
        "markersize": 5,
    }
    handles = [
        Line2D([], [], label=f"{NAMES[algorithm]}, tasks drawn again", **style),
        Line2D(
            [],
            [],
            label=f"{NAMES[algorithm]}, tasks given",
            linestyle="--",
            markerfacecolor="white",
            **style,
        ),
        Line2D([], [], color=GREY, linestyle=":", label="Theorem 3's bound"),
    ]
    if rows["theorem2"].notna().any():
        handles.append(Line2D([], [], color=INK, linestyle="-.", label="Theorem 2's bound"))
    figure.legend(handles=handles, loc="outside upper center", ncols=2 if len(handles) == 4 else 3)
    return figure


def _law_and_points(axes: Axes, part: pd.DataFrame, filled: bool) -> None:
    algorithm = part["algorithm"].iloc[0]
    colour = COLOURS[algorithm]
    axes.plot(part["value"], part["law"], "-" if filled else "--", color=colour, linewidth=1.2)
    axes.errorbar(
        part["value"],
        part["rms"],
        yerr=part["rms_ci95"],
        fmt=MARKERS[algorithm],
        color=colour,
        markerfacecolor=colour if filled else "white",
        markersize=5,
        capsize=2,
        linewidth=1,
    )
    if filled:
        seen = part[np.isfinite(part["theorem3"])]
        axes.plot(seen["value"], seen["theorem3"], ":", color=GREY)
        seen = part[np.isfinite(part["theorem2"])]
        axes.plot(seen["value"], seen["theorem2"], "-.", color=INK, linewidth=1.2)


def budget(rows: pd.DataFrame, goals: pd.DataFrame) -> Figure:
    """Clouds of trained solutions, a panel for each plan of one budget, around the goals.

    Rows: T, n, algorithm, along, across; goals: algorithm, along, across.
    """
    plans = list(dict.fromkeys(zip(rows["T"], rows["n"], strict=True)))
    figure, grid = subplots(len(plans), 1, height=4.6, sharex=True, sharey=True)
    for axes, (T, n) in zip(grid, plans, strict=True):
        for algorithm, part in rows[rows["T"] == T].groupby("algorithm", sort=False):
            axes.plot(
                part["along"],
                part["across"],
                MARKERS[algorithm],
                color=COLOURS[algorithm],
                markersize=3.5,
                alpha=0.35,
                markeredgewidth=0,
            )
        axes.plot(goals["along"], goals["across"], "+", color=INK, markersize=10)
        axes.set_title(f"{T} tasks, {n:,} samples of each")
    grid[-1].set_xlabel(
        r"easy tasks  $\longleftarrow$  mean coordinate  $\longrightarrow$  hard tasks"
    )
    handles = [
        Line2D([], [], linestyle="", color=COLOURS[name], marker=MARKERS[name], label=NAMES[name])
        for name in ("nal", "maml")
    ]
    handles.append(
        Line2D([], [], linestyle="", color=INK, marker="+", markersize=10, label="population")
    )
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure
