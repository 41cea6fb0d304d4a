"""One house style: tidy rows in, a matplotlib Figure out.

NAL, MAML, hard and easy keep one colour through the whole book, chosen to stay apart for
colour-blind readers and in grey; lines of a pair also differ in their dashes or markers.
"""

import io
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mamlbook.records import replace

NAL, MAML = "#0072b2", "#d55e00"
HARD, EASY = "#882255", "#2a9d8f"
GREY = "#6b7280"
COLOURS = {"nal": NAL, "maml": MAML, "hard": HARD, "easy": EASY}
NAMES = {"nal": "NAL", "maml": "MAML"}
DASHES = {"nal": "--", "maml": "-"}
MARKERS = {"nal": "s", "maml": "o"}

STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "mathtext.fontset": "dejavusans",
    "svg.hashsalt": "mamlbook",  # the same figure gives the same bytes
}


def use_style() -> None:
    """Set the house style for this process, and crisp SVG without a date in a notebook."""
    mpl.rcParams.update(STYLE)
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    set_matplotlib_formats("svg", metadata={"Date": None})


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, beside its place first; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    replace(path, buffer.getvalue())


def subplots(rows: int = 1, columns: int = 1, height: float = 3.0, **options):
    """A figure 7 inches wide (700 pixels on the page) in the house style, and its axes."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, height))
        return figure, figure.subplots(rows, columns, **options)


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
                f"{task} task",
                (0.99, height),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="top" if height > 0 else "bottom",
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
