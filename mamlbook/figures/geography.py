"""Figures of the chapter on task geography."""

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from mamlbook.figures.style import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    NAMES,
    SIZES,
    shades,
    subplots,
)

GAINS = [1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100]


def fig1(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Figure 1: task solutions (first two coordinates), initializations and risks, by panel."""
    panels = list(dict.fromkeys(rows["panel"]))
    figure, grid = subplots(2, 2, height=6.4, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=True):
        part = rows[rows["panel"] == panel].set_index("algorithm")
        for kind in ("easy", "hard"):
            cloud = arrays[f"{panel}_{kind}"]
            axes.plot(cloud[:, 0], cloud[:, 1], ".", color=COLOURS[kind], alpha=0.45, label=kind)
        for algorithm in ("nal", "maml"):
            at = part.loc[algorithm, "coordinate"]
            axes.plot(
                at,
                at,
                MARKERS[algorithm],
                color=COLOURS[algorithm],
                markeredgecolor="white",
                markersize=SIZES[algorithm],
                label=NAMES[algorithm],
            )
        risks = part["excess_risk"]
        first = part.iloc[0]
        axes.set_title(
            rf"({panel})  $\rho_H/\rho_E={first['rho_hard'] / first['rho_easy']:.2g}$, "
            rf"$R={first['R']:g}$, $r_H={first['r_hard']:g}$"
        )
        axes.annotate(
            f"risk: NAL {risks['nal']:.2f}, MAML {risks['maml']:.2f}\n"
            f"ratio {risks['nal'] / risks['maml']:.2f}",
            (0.03, 0.97),
            xycoords="axes fraction",
            va="top",
        )
    axes.set_xlim(-3.2, 6.2)
    axes.set_ylim(-3.2, 6.2)
    for axes in grid[-1]:
        axes.set_xlabel("first coordinate")
    for axes in grid[:, 0]:
        axes.set_ylabel("second coordinate")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    labels = [f"{name} tasks" if name in ("easy", "hard") else name for name in labels]
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def fig3(rows: pd.DataFrame) -> Figure:
    """Figure 3: risks as R grows, theory (lines) and empirical solutions (points), and ratios."""
    figure, grid = subplots(2, 2, height=5.0, sharex=True)
    letters = iter("abcd")
    for (left, right), (_, part) in zip(grid, rows.groupby("panel"), strict=True):
        first = part.iloc[0]
        packed = rf"$R^2/r_H={first['R'] ** 2 / first['r_hard']:g}$"
        ratios = {}
        for (algorithm, source), curve in part.groupby(["algorithm", "source"]):
            ratios[algorithm, source] = curve["excess_risk"].to_numpy()
            colour = COLOURS[algorithm]
            if source == "theory":
                left.plot(
                    curve["R"], curve["excess_risk"], color=colour, linestyle=DASHES[algorithm]
                )
            else:
                left.errorbar(
                    curve["R"],
                    curve["excess_risk"],
                    yerr=curve["excess_risk_ci95"],
                    fmt=MARKERS[algorithm],
                    color=colour,
                    markersize=4,
                    capsize=2,
                    label=NAMES[algorithm],
                )
        left.set_title(f"({next(letters)})  excess risks, {packed}")
        right.set_title(f"({next(letters)})  NAL's over MAML's, {packed}")
        radii = curve["R"]
        right.plot(radii, ratios["nal", "theory"] / ratios["maml", "theory"], color="#111827")
        right.plot(
            radii,
            ratios["nal", "empirical"] / ratios["maml", "empirical"],
            "D",
            color="#111827",
            markersize=4,
        )
        claimed = 1 + first["R"] ** 2 / first["r_hard"]
        right.axhline(claimed, color=GREY, linestyle=":")
        right.annotate(
            f"(P12): {claimed:g}",
            (0.98, claimed),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            color=GREY,
        )
        right.set_ylim(0.9, claimed * 1.15)
        left.set_ylim(bottom=0)
    for axes in grid[-1]:
        axes.set_xlabel("$R$")
    grid[0, 0].legend()
    return figure


def table3(rows: pd.DataFrame) -> Figure:
    """Table 3 as a picture: where up-weighted NAL and MAML stand, and their test errors."""
    figure, axes = subplots(height=2.6)
    for algorithm, part in rows.groupby("algorithm", sort=False):
        axes.errorbar(
            part["coordinate"],
            part["test_error"],
            xerr=part["coordinate_sd"],
            yerr=part["test_error_sd"],
            fmt=MARKERS[algorithm],
            color=COLOURS[algorithm],
            capsize=2,
            label=NAMES[algorithm],
        )
        if algorithm == "nal":
            for _, row in part.iterrows():
                axes.annotate(
                    rf"$\zeta={row['zeta']:g}$",
                    (row["coordinate"], row["test_error"]),
                    xytext=(6, 6),
                    textcoords="offset points",
                    color=COLOURS["nal"],
                )
    axes.set_xlim(0, 2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("average coordinate   (easy tasks at 0, hard tasks at 2)")
    axes.set_ylabel("test error")
    axes.legend(loc="lower left")
    return figure


def ratio_against_packing(rows: pd.DataFrame) -> Figure:
    """The exact ratio of risks under the paper's 1 + R^2/r_H. Columns: m, packing, gain, refined.

    `refined` is 1 + (rho_E/(rho_E + rho_H))^2 R^2/r_H, the limit of many samples.
    """
    figure, axes = subplots(height=3.4)
    colours = shades(rows["m"].nunique())
    for colour, (m, part) in zip(colours, rows.groupby("m"), strict=True):
        axes.plot(part["packing"], part["gain"], color=colour)
        last = part.iloc[-1]
        axes.annotate(
            "full gradient" if np.isinf(m) else f"$m={m:g}$",
            (last["packing"], last["gain"]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    axes.plot(part["packing"], 1 + part["packing"], ":", color="#111827")
    axes.plot(part["packing"], part["refined"], "--", color=GREY)
    axes.annotate(
        "(P12)", (3, 4), xytext=(-4, 6), textcoords="offset points", ha="right", color="#111827"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(right=rows["packing"].max() * 5)
    axes.set_xlabel("$R^2/r_H$")
    axes.set_ylabel("NAL's excess risk over MAML's")
    return figure


def gain_over_landscapes(rows: pd.DataFrame, least: float) -> Figure:
    """The map of the gain. Columns: x, packing, gain. `least` = d/m of the paper's condition."""
    grid = rows.pivot(index="packing", columns="x", values="gain")
    x, packing = np.meshgrid(grid.columns, grid.index)
    figure, axes = subplots(height=4.0)
    filled = axes.contourf(
        x, packing, grid, GAINS, cmap="Oranges", norm=BoundaryNorm(GAINS, 256), extend="max"
    )
    axes.contour(x, packing, grid, GAINS[1:], colors="white", linewidths=0.5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(False)
    figure.colorbar(filled, ax=axes, label="NAL's excess risk over MAML's", ticks=GAINS)
    left = grid.columns.to_numpy()
    for factor, dashes in ((1, ":"), (5, "--")):
        inside = left[left * (1 - left) ** 2 >= factor * least]
        if inside.size:
            for edge in (inside[0], inside[-1]):
                axes.axvline(edge, color="#111827", linestyle=dashes, linewidth=1)
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_xlabel(r"hardness ratio $\rho_H/\rho_E$")
    axes.set_ylabel("$R^2/r_H$")
    return figure


BEYOND = {
    "steps": ("more inner steps", r"$\rho_H/\rho_E$"),
    "alpha": ("other step sizes", r"$\alpha\,\rho_E$"),
    "n2": (r"training with $n_2$, testing with $m$", "$n_2$"),
    "directions": ("hard in some directions only", "hard directions, of 10"),
}


def beyond(rows: pd.DataFrame) -> Figure:
    """The gain under other settings. Columns: panel (a key of BEYOND), label, at (x axis), gain."""
    figure, grid = subplots(2, 2, height=5.6)
    for letter, axes, (panel, (title, xlabel)) in zip(
        "abcd", grid.flat, BEYOND.items(), strict=True
    ):
        part = rows[rows["panel"] == panel]
        colours = shades(part["label"].nunique())
        for colour, (label, curve) in zip(colours, part.groupby("label", sort=False), strict=True):
            axes.plot(curve["at"], curve["gain"], color=colour, label=label)
        axes.axhline(1, color=GREY, linewidth=0.8)
        axes.set_title(f"({letter})  {title}")
        axes.set_xlabel(xlabel)
        axes.legend(fontsize=9)
        if panel in ("n2", "steps"):
            axes.set_xscale("log")
    for axes in grid[:, 0]:
        axes.set_ylabel("NAL's risk over MAML's")
    return figure
