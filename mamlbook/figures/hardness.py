"""Figures of the chapter on hardness discrepancy."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mamlbook.figures.style import COLOURS, DASHES, MARKERS, NAMES, shades, subplots


def fig2(rows: pd.DataFrame) -> Figure:
    """Figure 2: a row of panels for each m, coordinates left, excess risks right."""
    return _hardness_panels(rows, _lines)


def fig7(rows: pd.DataFrame, theory: pd.DataFrame | None = None) -> Figure:
    """Figure 7: means and 95% intervals of SGD, over the curves of `theory` (rows like fig2's)."""

    def draw(axes: Axes, part: pd.DataFrame, column: str, algorithm: str) -> None:
        m = part["m"].iloc[0]
        if theory is not None:
            curve = theory[(theory["m"] == m) & (theory["algorithm"] == algorithm)]
            _lines(axes, curve, column, algorithm)
        axes.errorbar(
            part["rho_hard"],
            part[column],
            yerr=part[f"{column}_ci95"],
            fmt=MARKERS[algorithm],
            color=COLOURS[algorithm],
            markersize=4,
            capsize=2,
            linewidth=1,
        )

    return _hardness_panels(rows, draw)


def _hardness_panels(rows: pd.DataFrame, draw) -> Figure:
    sizes = list(dict.fromkeys(rows["m"]))
    figure, grid = subplots(len(sizes), 2, height=2.5 * len(sizes), squeeze=False, sharex=True)
    letters = iter("abcdefgh")
    for (left, right), m in zip(grid, sizes, strict=True):
        for axes, column, title in (
            (left, "coordinate", "first coordinate"),
            (right, "excess_risk", "excess risk"),
        ):
            for algorithm in ("nal", "maml"):
                part = rows[(rows["m"] == m) & (rows["algorithm"] == algorithm)]
                draw(axes, part, column, algorithm)
            axes.set_title(f"({next(letters)})  {title},  $m = {m}$")
        left.set_ylim(-1.15, 1.15)
        for height, task in ((1, "hard"), (-1, "easy")):
            left.axhline(height, color=COLOURS[task], linewidth=1, linestyle=":")
            left.annotate(
                f"{task}\ntask",
                (1, height),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                color=COLOURS[task],
            )
        right.set_ylim(bottom=0)
    for axes in grid[-1]:
        axes.set_xlabel(r"$\rho_H$   (easy task: $\rho_E = 1$)")
    handles = [
        figure.axes[0].plot(
            [], [], color=COLOURS[name], linestyle=DASHES[name], marker=MARKERS[name], markersize=4
        )[0]
        for name in ("nal", "maml")
    ]
    figure.legend(handles, [NAMES["nal"], NAMES["maml"]], loc="outside upper center", ncols=2)
    return figure


def _lines(axes: Axes, part: pd.DataFrame, column: str, algorithm: str) -> None:
    axes.plot(part["rho_hard"], part[column], color=COLOURS[algorithm], linestyle=DASHES[algorithm])


TOP = 0.55  # of the weights that are shown


def task_weights(rows: pd.DataFrame) -> Figure:
    """The weight of a task in each solution, against its variance rho. Columns: rho, m, weight.

    m = 0 stands for NAL, whose weight is rho itself; m = inf for a full-gradient step.
    """
    figure, axes = subplots(height=3.0)
    strong_first = iter(shades(3)[::-1])
    for m, part in sorted(rows.groupby("m"), key=lambda group: -group[0] if group[0] else 0):
        name = "nal" if m == 0 else "maml"
        samples = "full gradient" if m == np.inf else f"$m={m:g}$"
        label = r"NAL: $\rho$" if m == 0 else f"MAML, {samples}"
        colour = COLOURS["nal"] if m == 0 else next(strong_first)
        axes.plot(
            part["rho"],
            part["weight"],
            color=colour,
            linestyle=DASHES[name],
        )
        last = part[part["weight"] < TOP].iloc[-1]
        axes.annotate(
            label,
            (last["rho"], last["weight"]),
            xytext=(4, 0),
            textcoords="offset points",
            va="bottom" if m == np.inf else "top" if m == 0 else "center",
            color=colour,
        )
    axes.set_xlim(0, 1.42)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_ylim(0, TOP)
    axes.set_xlabel(r"variance of the task's data, $\rho$   ($\alpha = 1$)")
    axes.set_ylabel("weight of the task")
    return figure


def risk_against_samples(rows: pd.DataFrame) -> Figure:
    """Excess risk against m: drawn from the definition, and by the formula with and without noise.

    Columns: m, source (monte carlo, definition (P2), equations (P6) and (P7)), excess_risk, error.
    """
    figure, axes = subplots(height=3.0)
    for source, part in rows.groupby("source", sort=False):
        if source == "monte carlo":
            axes.errorbar(
                part["m"],
                part["excess_risk"],
                yerr=part["error"],
                fmt=MARKERS["nal"],
                color=COLOURS["nal"],
                markersize=4,
                capsize=2,
                label="NAL, simulated from definition (P2), ± 2 standard errors",
            )
        else:
            dashes = "-" if "definition" in source else ":"
            axes.plot(part["m"], part["excess_risk"], dashes, color="#111827", label=source)
    axes.set_xscale("log")
    axes.set_xlabel("samples in the adaptation step, $m$")
    axes.set_ylabel("excess risk")
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def gain_map(rows: pd.DataFrame, edges: pd.DataFrame) -> Figure:
    """NAL's excess risk over MAML's, and where MAML is nearer the hard task.

    Columns: m, x (rho_H/rho_E), gain on a grid; m, low, high for the region's edges.
    """
    grid = rows.pivot(index="x", columns="m", values="gain")
    m, x = np.meshgrid(grid.columns, grid.index)
    figure, axes = subplots(height=3.4)
    axes.fill_between(edges["m"], edges["low"], edges["high"], color="#fbe3d3", linewidth=0)
    lines = axes.contour(
        m, x, grid, [1.1, 1.5, 2, 5, 10, 20, 50], colors=COLOURS["maml"], linewidths=1
    )
    axes.clabel(lines, fmt="%g×", fontsize=9)
    axes.set_xscale("log")
    axes.grid(False)
    axes.set_xlabel("samples in the adaptation step, $m$   ($d = 10$)")
    axes.set_ylabel(r"$\rho_H / \rho_E$")
    return figure


def step_size_trap(rows: pd.DataFrame) -> Figure:
    """Figure 2 under two readings of the loss. Columns: loss, rho_hard, algorithm, coordinate."""
    figure, (left, right) = subplots(1, 2, height=2.8, sharey=True)
    for axes, (loss, part) in zip((left, right), rows.groupby("loss", sort=False), strict=True):
        for algorithm, curve in part.groupby("algorithm", sort=False):
            axes.plot(
                curve["rho_hard"],
                curve["coordinate"],
                color=COLOURS[algorithm],
                linestyle=DASHES[algorithm],
                label=NAMES[algorithm],
            )
        for height, task in ((1, "hard"), (-1, "easy")):
            axes.axhline(height, color=COLOURS[task], linewidth=1, linestyle=":")
        axes.set_title(loss)
        axes.set_xlabel(r"$\rho_H$")
    left.set_ylabel("first coordinate")
    right.legend(loc="upper left", bbox_to_anchor=(0, 0.9))
    left.set_ylim(-1.15, 1.15)
    return figure
