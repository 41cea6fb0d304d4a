"""Figures of the chapter on the two-layer network."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.path import Path

from mamlbook.figures.style import COLOURS, GREY, MARKERS, NAMES, SIZES, shades, subplots

INK = "#111827"
MARGIN = 1.5  # shown around the tasks' optima
BANDS = 14  # of a landscape, parted by contours

Arrays = dict[str, np.ndarray]


def fig4(rows: pd.DataFrame, arrays: Arrays) -> Figure:
    """Figures 4 and 6: NAL's landscape left, MAML's right, a row for each environment."""
    figure, grid = subplots(2, 2, height=7.2, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, "abcd", strict=True):
        panels, algorithm = ("ab" if panel in "ab" else "cd"), ("nal" if panel in "ac" else "maml")
        _surface(axes, arrays, f"{algorithm}_{panels}", panels)
        here = rows[rows["panel"].isin(list(panels))]
        _minimisers(axes, here)
        losses = here.drop_duplicates("algorithm").set_index("algorithm")[f"{algorithm}_loss"]
        axes.set_title(f"({panel})  {'NAL loss' if algorithm == 'nal' else 'MAML loss'}")
        axes.annotate(
            "\n".join(f"at {NAMES[name]}: {losses[name]:.4f}" for name in ("nal", "maml")),
            (0.03, 0.97),
            xycoords="axes fraction",
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
        )
    _plane(figure, grid, ("easy", "hard"))
    return figure


fig6 = fig4


def fig5(rows: pd.DataFrame, arrays: Arrays) -> Figure:
    """Figure 5: the loss of each task, with the minimizers of NAL and MAML."""
    figure, grid = subplots(2, 2, height=7.2, sharex=True, sharey=True)
    for task, (axes, panel) in enumerate(zip(grid.flat, "abcd", strict=True), 1):
        _surface(axes, arrays, f"task_{task}", "ab", only=task - 1)
        _minimisers(axes, rows[rows["panel"] == panel])
        axes.set_title(f"({panel})  $f_{task}$")
    _plane(figure, grid, ("easy",))
    return figure


def _surface(axes: Axes, arrays: Arrays, name: str, panels: str, only: int | None = None) -> None:
    """One landscape around the figure's tasks, pale where it is low, with its own tasks' optima."""
    optima, variances = arrays[f"optima_{panels}"], arrays[f"variances_{panels}"]
    everywhere = np.concatenate([a for key, a in arrays.items() if key.startswith("optima_")])
    axis = arrays["axis"]
    edges = []
    for low, high in zip(everywhere.min(0) - MARGIN, everywhere.max(0) + MARGIN, strict=True):
        inside = np.flatnonzero((axis >= low) & (axis <= high))
        edges.append(slice(inside[0], inside[-1] + 1))
    values = arrays[name][tuple(edges)].T
    w1, w2 = axis[edges[0]], axis[edges[1]]
    norm = PowerNorm(0.5, vmin=values.min(), vmax=values.max())
    half = 0.5 * (axis[1] - axis[0])
    axes.imshow(
        values,
        extent=(w1[0] - half, w1[-1] + half, w2[0] - half, w2[-1] + half),
        origin="lower",
        cmap="Greys",
        norm=norm,
        alpha=0.6,
        interpolation="none",  # stored with one pixel a grid point
    )
    levels = norm.inverse(np.linspace(0, 1, BANDS + 1)[1:-1])
    contours = axes.contour(w1, w2, values, levels, colors=INK, linewidths=0.5, alpha=0.6)
    for path in contours.get_paths():
        # A ring is drawn as closed if its ends agree to the last bit, which any rounding decides.
        path.codes = np.where(path.codes == Path.CLOSEPOLY, Path.LINETO, path.codes)
    for index, (optimum, variance) in enumerate(zip(optima, variances, strict=True)):
        if only in (None, index):
            kind = "hard" if variance < variances.max() else "easy"
            axes.plot(*optimum, "*", markersize=13, color=COLOURS[kind], markeredgecolor="white")
    axes.set_xlim(w1[0], w1[-1])
    axes.set_ylim(w2[0], w2[-1])


def _minimisers(axes: Axes, rows: pd.DataFrame) -> None:
    for algorithm, part in rows.groupby("algorithm", sort=False):
        axes.plot(
            part["w1"],
            part["w2"],
            MARKERS[algorithm],
            color=COLOURS[algorithm],
            markeredgecolor="white",
            markersize=SIZES[algorithm],
        )


def _plane(figure: Figure, grid: np.ndarray, kinds: tuple[str, ...]) -> None:
    for axes in grid.flat:
        axes.set_aspect("equal")
        axes.grid(False)
    for axes in grid[-1]:
        axes.set_xlabel("$w_1$")
    for axes in grid[:, 0]:
        axes.set_ylabel("$w_2$")
    style = {"linestyle": "none", "markeredgecolor": "white", "markersize": 10}
    handles = [
        grid[0, 0].plot([], [], marker=MARKERS.get(name, "*"), color=COLOURS[name], **style)[0]
        for name in ("nal", "maml", *kinds)
    ]
    names = ["NAL", "MAML", *(f"{kind} task" for kind in kinds)]
    figure.legend(handles, names, loc="outside upper center", ncols=4)


def gain_over_settings(over_alpha: pd.DataFrame, over_variance: pd.DataFrame) -> Figure:
    """How gain and minimizer move. Both are rows of mamlbook.experiments.neuron.sweep.

    Left `over_alpha`, a curve for each hard variance; right `over_variance`, one for each alpha.
    """
    figure, grid = subplots(2, 2, height=5.6, sharey="row")
    _fan(grid[:, 0], over_alpha, "hard_variance", "alpha", "hard variance {:g}", "Purples")
    _fan(grid[:, 1], over_variance, "alpha", "hard_variance", r"$\alpha={:g}$", "Oranges")
    nal = over_variance[over_variance["algorithm"] == "nal"].drop_duplicates("hard_variance")
    grid[1, 1].plot(nal["hard_variance"], nal["distance"], "--", color=COLOURS["nal"])
    grid[1, 1].annotate(
        "NAL",
        (nal["hard_variance"].min(), nal["distance"].max()),
        xytext=(0, 4),
        textcoords="offset points",
        color=COLOURS["nal"],
    )
    edge = (over_alpha["alpha"] / over_alpha["alpha_L"]).mean()
    for axes in grid[:, 0]:
        axes.axvline(edge, color=GREY, linestyle=":")
        axes.set_xlabel(r"inner learning rate $\alpha$   (dotted: $1/L$)")
    for axes in grid[:, 1]:
        axes.set_xlabel("variance of the hard task's inputs")
    for axes, letter in zip(grid.flat, "abcd", strict=True):
        axes.set_title(
            f"({letter})  "
            + ("gain of MAML over NAL" if letter in "ab" else "MAML's distance to the hard task")
        )
    grid[0, 0].set_yscale("log")
    grid[0, 0].set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    grid[0, 0].set_ylabel("MAML loss, NAL's over MAML's")
    grid[1, 0].set_ylim(bottom=0)
    grid[1, 0].set_ylabel(r"$\|w-w_4^*\|$")
    return figure


JUMP = 0.5  # of the distance between neighboring points of a curve


def _fan(column: np.ndarray, rows: pd.DataFrame, by: str, x: str, label: str, cmap: str) -> None:
    maml = rows[rows["algorithm"] == "maml"]
    colours = shades(maml[by].nunique(), cmap)
    for colour, (value, part) in zip(colours, maml.groupby(by), strict=True):
        for axes, y in zip(column, ("gain", "distance"), strict=True):
            # Between two minima far apart there may be none: no line is drawn there.
            jumps = np.flatnonzero(part["distance"].diff().abs() > JUMP)
            line = [np.insert(part[name].to_numpy(), jumps, np.nan) for name in (x, y)]
            axes.plot(*line, ".-", color=colour, markersize=4, label=label.format(value))
    column[0].legend(fontsize=9)


BOUNDS = {"bound": "printed, without $O(\\alpha^2)$", "square": "square form"}


def theorem1(rows: pd.DataFrame) -> Figure:
    """Theorem 1: measured ratios of gradient norms against the printed bound and the square form.

    Only cases that meet Lemma 1's hypotheses; a bound below the axis (negative) stands at its edge.
    """
    part = rows[rows["applies"]]
    least = 0.5 * part["measured"].min()
    figure, panels = subplots(1, 2, height=3.7, sharex=True, sharey=True)
    colours = shades(part["fraction"].nunique())
    kinds = {"quadratics": "s", "one neuron": "o", "2 or 3 neurons": "^"}
    for axes, (letter, (column, title)) in zip(
        panels, zip("ab", BOUNDS.items(), strict=True), strict=True
    ):
        for colour, (fraction, cases) in zip(colours, part.groupby("fraction"), strict=True):
            for M, (name, marker) in zip((0, 1, 2), kinds.items(), strict=True):
                chosen = cases[cases["M"].clip(upper=2) == M]
                axes.plot(
                    chosen[column].clip(lower=least),
                    chosen["measured"],
                    marker,
                    color=colour,
                    markeredgecolor=INK,
                    markeredgewidth=0.4,
                    markersize=5,
                    label=rf"$\alpha={fraction:g}/L$" if name == "one neuron" else None,
                )
        axes.set_title(f"({letter})  {title}")
        axes.set_xlabel("bound on the ratio")
        axes.axvline(1, color=GREY, linestyle=":")
    panels[0].set_xscale("log")
    panels[0].set_yscale("log")
    limits = (least, 1.5 * part["square"].max())
    for axes in panels:
        axes.plot(limits, limits, color=INK, linewidth=1)
        axes.fill_between(limits, limits, limits[1] * 10, color=GREY, alpha=0.12, linewidth=0)
    panels[0].set_ylim(least, 2 * part["measured"].max())
    panels[0].set_ylabel(r"measured $\|\nabla f_1\|/\|\nabla f_2\|$")
    panels[0].annotate("bound broken", (0.06, 0.95), xycoords="axes fraction", va="top", color=INK)
    panels[0].legend(fontsize=9, loc="lower right")
    handles = [
        panels[1].plot([], [], marker, color="white", markeredgecolor=INK, markersize=5)[0]
        for marker in kinds.values()
    ]
    panels[1].legend(handles, list(kinds), fontsize=9, loc="lower right")
    return figure
