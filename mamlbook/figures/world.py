"""Pictures of the world with dials: glyphs, gains against the theory, four risks, positions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mamlbook.figures.style import COLOURS, GREY, MARKERS, NAMES, subplots

DARK = "#111827"
PARTS = {"total": "total gain", "position": "position part", "kernel": "kernel part"}
DIALS = {
    "hardness": r"hardness ratio $\rho_H/\rho_E$",
    "packing": r"packing $R^2/r_H$",
    "m": "support images $m$",
}


def world(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Gains of every pair without biases against their theory, a panel for each part."""
    figure, grid = subplots(2, 2, height=6.0)
    names = {"readout": "readout alone", **PARTS}
    dense = rows[rows["network"] == "dense"]
    for letter, axes, (part, name) in zip("abcd", grid.flat, names.items(), strict=True):
        own = dense[dense["part"] == part]
        ends = [0.9, 1.05 * max(own["gain"].max(), own["theory"].max())]
        axes.plot(ends, ends, color=GREY, linewidth=1)
        axes.plot(own["theory"], own["gain"], "o", color=DARK, alpha=0.35, markersize=3.5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_ticks(axes)
        axes.set_title(f"({letter})  {name}")
    for axes in grid[-1]:
        axes.set_xlabel("theory")
    for axes in grid[:, 0]:
        axes.set_ylabel("networks")
    return figure


def plain_ticks(axes, which: Sequence[str] = ("x", "y")) -> None:
    """On a logarithmic axis: 1, 2, 5 and their tens, or tens alone if it is long, written out."""
    for name in which:
        axis = getattr(axes, f"{name}axis")
        low, high = sorted(getattr(axes, f"get_{name}lim")())
        steps = (1, 2, 5) if high < 60 * low else (1,)
        ticks = [k * 10.0**e for e in range(-2, 4) for k in steps]
        kept = [tick for tick in ticks if low <= tick <= high]
        axis.set_ticks(kept, [f"{tick:g}" for tick in kept])
        axis.set_ticks([], minor=True)


def glyphs(pictures: np.ndarray, contrasts: Sequence[float]) -> Figure:
    """A strip of glyphs for every contrast. pictures (contrasts, glyphs, side, side)."""
    figure, grid = subplots(len(pictures), pictures.shape[1], height=0.75 * len(pictures))
    for row, contrast, strip in zip(grid, contrasts, pictures, strict=True):
        for axes, picture in zip(row, strip, strict=True):
            axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
        row[0].set_ylabel(rf"$\rho={contrast:g}$", rotation=0, ha="right", va="center")
    return figure


def dials(
    rows: pd.DataFrame, theory: pd.DataFrame, parts: Sequence[str], height: float = 3.0
) -> Figure:
    """Seeds (dots), means and theory (line) as each dial is turned away from the center.

    rows: dial, at, part, seed, gain. theory: dial, at, part, gain. One row of panels a part.
    """
    figure, grid = subplots(len(parts), 3, height=height, sharey="row", squeeze=False)
    names = {"readout": "gain of the readout", **PARTS}
    for line, part in zip(grid, parts, strict=True):
        for axes, dial in zip(line, DIALS, strict=True):
            own = rows[(rows["dial"] == dial) & (rows["part"] == part)]
            curve = theory[(theory["dial"] == dial) & (theory["part"] == part)]
            axes.plot(curve["at"], curve["gain"], color=GREY, label="theory")
            axes.plot(own["at"], own["gain"], ".", color=COLOURS["maml"], alpha=0.6, label="seeds")
            means = own.groupby("at")["gain"].mean()
            axes.plot(means.index, means, "_", color=DARK, markersize=12, label="mean")
            axes.axhline(1, color=GREY, linewidth=0.8)
            axes.set_xscale("log")
            plain_ticks(axes, "x")
            if part == parts[-1]:
                axes.set_xlabel(DIALS[dial])
        line[0].set_ylabel(names[part])
    grid[0, 0].legend(fontsize=9)
    return figure


def four_risks(risks: np.ndarray, speeds: np.ndarray) -> Figure:
    """The 2 x 2 of risks and the kernels' speeds. risks (seeds, function, kernel), speeds
    (seeds, 2, d), NAL first in both."""
    figure, (left, right) = subplots(1, 2, height=3.0, width_ratios=(1, 1.2))
    mean = risks.mean(0)
    left.imshow(mean, cmap="Oranges", vmin=0, vmax=1.6 * mean.max())
    for i in range(2):
        for j in range(2):
            low, high = risks[:, i, j].min(), risks[:, i, j].max()
            left.text(j, i, f"{mean[i, j]:.4f}\n({low:.4f} to {high:.4f})", ha="center",
                      va="center", fontsize=8)  # fmt: skip
    for set_ticks in (left.set_xticks, left.set_yticks):
        set_ticks([0, 1], [NAMES["nal"], NAMES["maml"]])
    left.set_xlabel("kernel of")
    left.set_ylabel("function of")
    left.set_title("(a)  risk after the step")
    left.grid(False)
    order = np.sort(speeds, axis=2)[:, :, ::-1]
    at = np.arange(order.shape[2])
    for k, name in enumerate(("nal", "maml")):
        right.bar(at + 0.4 * k - 0.2, order[:, k].mean(0), 0.38, color=COLOURS[name],
                  label=NAMES[name])  # fmt: skip
        for seed in order[:, k]:
            right.plot(at + 0.4 * k - 0.2, seed, ".", color=DARK, markersize=3)
    right.axhline(1, color=GREY, linewidth=0.8)
    right.set_xticks(at, [str(i + 1) for i in at])
    right.set_xlabel("latent direction, by speed")
    right.set_title("(b)  speed of one step on an easy task")
    right.legend()
    return figure


def positions(networks: pd.DataFrame, minima: pd.DataFrame, dial: str) -> Figure:
    """Implied positions (marks) over a dial, and where the theory has its minima.

    networks: at, algorithm, position. minima: at, algorithm, position, lowest.
    """
    figure, axes = subplots(height=3.4)
    for lowest, style in ((True, 10), (False, 5)):
        own = minima[minima["lowest"] == lowest]
        for name in ("nal", "maml"):
            part = own[own["algorithm"] == name]
            label = f"theory, {NAMES[name]}" if lowest else None
            axes.plot(part["at"], part["position"], ".", color=COLOURS[name], markersize=style / 2,
                      alpha=0.7 if lowest else 0.5, label=label)  # fmt: skip
    for name in ("nal", "maml"):
        part = networks[networks["algorithm"] == name]
        axes.plot(part["at"], part["position"], MARKERS[name], color=COLOURS[name],
                  markeredgecolor="white", markersize=7, label=NAMES[name])  # fmt: skip
    for at, text, kind in ((0, "easy center", "easy"), (1, "hard center", "hard")):
        axes.axhline(at, color=COLOURS[kind], linewidth=0.8)
        axes.annotate(text, (1, at), xycoords=("axes fraction", "data"), va="center",
                      xytext=(4, 0), textcoords="offset points", color=COLOURS[kind])  # fmt: skip
    axes.set_xscale("log")
    plain_ticks(axes, "x")
    axes.set_ylim(-0.15, 1.15)
    axes.set_xlabel(DIALS[dial])
    axes.set_ylabel("position")
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def biases(plain: pd.DataFrame, biased: pd.DataFrame) -> Figure:
    """The position part without biases and with them, over hardness and over packing.

    Both: dial, at, gain, a row a seed.
    """
    figure, grid = subplots(1, 2, height=2.8, sharey=True)
    for axes, dial in zip(grid, ("hardness", "packing"), strict=True):
        for rows, colour, mark, name in (
            (plain, COLOURS["maml"], "o", "without biases"),
            (biased, DARK, "x", "with biases"),
        ):
            own = rows[rows["dial"] == dial]
            axes.plot(own["at"], own["gain"], mark, color=colour, markersize=4, alpha=0.7,
                      label=name)  # fmt: skip
        axes.axhline(1, color=GREY, linewidth=0.8)
        axes.set_xscale("log")
        plain_ticks(axes, "x")
        axes.set_xlabel(DIALS[dial])
    grid[0].set_ylabel("position part")
    grid[0].legend(fontsize=9)
    return figure
