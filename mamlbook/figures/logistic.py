"""Figures on logistic regression, in the chapter on logistic regression."""

import pandas as pd
from matplotlib.figure import Figure

from mamlbook.figures.hardness import fig2
from mamlbook.figures.style import COLOURS, GREY, shades, subplots


def fig8(rows: pd.DataFrame) -> Figure:
    """Figure 8: the panels of Figure 2, for logistic regression. Columns as fig2's."""
    return fig2(rows)


def one_step(rows: pd.DataFrame) -> Figure:
    """Where one full-gradient step on the easy task leads. Columns: alpha, start, end."""
    figure, axes = subplots(height=3.0)
    axes.axhline(-1, color=COLOURS["easy"], linewidth=1, linestyle=":")
    axes.annotate("easy task", (-1.4, -0.97), va="bottom", color=COLOURS["easy"])
    looks = zip("-" * 3 + ":", shades(4), strict=True)
    for (alpha, part), (dashes, colour) in zip(rows.groupby("alpha"), looks, strict=True):
        axes.plot(part["start"], part["end"], dashes, color=colour)
        last = part.iloc[-1]
        axes.annotate(
            rf"$\alpha={alpha:.3g}$",
            (last["start"], last["end"]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    axes.set_xlabel("first coordinate of the initialization")
    axes.set_ylabel("first coordinate after one step")
    return figure


def landscapes(curves: pd.DataFrame, minima: pd.DataFrame, drawn: pd.DataFrame) -> Figure:
    """MAML's objective on the line between the tasks, a panel for each alpha.

    Columns: alpha, rho_hard, t, excess_risk; `minima` holds the lowest point of each curve, `drawn`
    the simulated points with their standard errors in the column `error`.
    """
    sizes = list(dict.fromkeys(curves["alpha"]))
    figure, panels = subplots(1, len(sizes), height=3.3)
    for axes, alpha in zip(panels, sizes, strict=True):
        part = curves[curves["alpha"] == alpha]
        for (rho, curve), colour in zip(part.groupby("rho_hard"), shades(3), strict=True):
            label = rf"$\rho_H={rho:g}$"
            axes.plot(curve["t"], curve["excess_risk"], color=colour, label=label)
        lowest = minima[minima["alpha"] == alpha]
        axes.plot(lowest["t"], lowest["excess_risk"], "o", color=COLOURS["maml"], markersize=6)
        points = drawn[drawn["alpha"] == alpha]
        axes.errorbar(
            points["t"],
            points["excess_risk"],
            yerr=2 * points["error"],
            fmt=".",
            color="#111827",
            markersize=4,
            linewidth=1,
            label="simulated",
        )
        for place, task in ((1, "hard"), (-1, "easy")):
            axes.axvline(place, color=COLOURS[task], linewidth=1, linestyle=":")
            axes.annotate(
                f" {task} ",
                (place, 0.02),
                xycoords=("data", "axes fraction"),
                ha="left" if task == "easy" else "right",
                color=COLOURS[task],
            )
        axes.set_title(rf"$\alpha = {alpha:.3g}$")
        axes.set_xlabel("first coordinate $t$ of the initialization")
        axes.set_ylim(0, 2.2 * lowest["excess_risk"].max())  # the valleys, not the slopes
        axes.legend(fontsize=9, loc="upper center")
    panels[0].set_ylabel("excess risk")
    return figure


def step_sizes(rows: pd.DataFrame) -> Figure:
    """Figure 8 for several inner rates: MAML's coordinate and the gain over NAL.

    Columns: alpha, rho_hard, coordinate, gain.
    """
    figure, (left, right) = subplots(1, 2, height=3.2, sharex=True)
    styles = (GREY, *shades(3), "#111827")
    for (alpha, part), colour in zip(rows.groupby("alpha"), styles, strict=True):
        label = rf"$\alpha={alpha:.3g}$"
        left.plot(part["rho_hard"], part["coordinate"], color=colour)
        right.plot(part["rho_hard"], part["gain"], color=colour, label=label)
    for height, task in ((1, "hard"), (-1, "easy")):
        left.axhline(height, color=COLOURS[task], linewidth=1, linestyle=":")
    left.set_title("(a)  MAML's first coordinate")
    right.set_title("(b)  NAL's excess risk over MAML's")
    right.legend()
    left.set_ylim(-1.1, 1.1)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel(r"$\rho_H$   (easy task: $\rho_E = 1$)")
    return figure
