"""The house style of every figure.

NAL, MAML, hard and easy keep one color through the whole book, chosen to stay apart for
color-blind readers and in gray; lines of a pair also differ in their dashes or markers.
"""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from mamlbook.records import write_atomic

NAL, MAML = "#0072b2", "#d55e00"
HARD, EASY = "#882255", "#2a9d8f"
GREY = "#6b7280"
COLOURS = {"nal": NAL, "maml": MAML, "hard": HARD, "easy": EASY}
NAMES = {"nal": "NAL", "maml": "MAML"}
DASHES = {"nal": "--", "maml": "-"}
MARKERS = {"nal": "s", "maml": "o"}
SIZES = {"nal": 11, "maml": 7}  # where both are at one place, both are seen

STYLE: dict[str, Any] = {
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

HOUSE: list[str | dict[str, Any]] = ["default", STYLE]


def use_style() -> None:
    """Set the house style for this process, and crisp SVG without a date in a notebook.

    It stands on matplotlib's own defaults: what a reader's matplotlibrc says changes no figure.
    """
    mpl.style.use(HOUSE)
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    set_matplotlib_formats("svg", metadata={"Date": None})


def house():
    """A context in which figures have the house style and nothing of a reader's matplotlibrc."""
    return mpl.style.context(HOUSE)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, beside its place first; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with house():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_atomic(path, buffer.getvalue())


def shades(count: int, cmap: str = "Oranges") -> list[str]:
    """`count` colors of one hue from pale to strong, each with a contrast of 3 or more to white."""
    return [mpl.colors.to_hex(mpl.colormaps[cmap](at)) for at in np.linspace(0.65, 1.0, count)]


def subplots(rows: int = 1, columns: int = 1, height: float = 3.0, **options):
    """A figure 7 inches wide (700 pixels on the page) in the house style, and its axes."""
    with house():
        figure = Figure(figsize=(7.0, height))
        return figure, figure.subplots(rows, columns, **options)
