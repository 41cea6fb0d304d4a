"""The picture of the verdict's page."""

import pandas as pd
from matplotlib.figure import Figure

from mamlbook.figures.style import GREY, subplots

MARKS = {  # verdict -> marker and how it is filled, distinguishable without color
    "reproduced": {"marker": "o", "fillstyle": "full"},
    "partly": {"marker": "o", "fillstyle": "left", "markerfacecoloralt": "white"},
    "not": {"marker": "o", "fillstyle": "none"},
    "untestable": {"marker": "x"},
}

NAMES = {
    "reproduced": "reproduced",
    "partly": "in part",
    "not": "not reproduced",
    "untestable": "untestable",
}


def verdicts(table: pd.DataFrame, pages: dict[str, str]) -> Figure:
    """A mark for each claim in a line for each page, gray where it rests on a short run.

    pages: page -> its name, from above.
    """
    figure, axes = subplots(height=0.75 + 0.34 * len(pages))
    for line, page in enumerate(pages):
        own = table[table["page"] == page]
        own = own.sort_values("verdict", key=lambda each: each.map(list(MARKS).index))
        for place, row in enumerate(own.itertuples()):
            colour = GREY if row.preview else "#111827"
            axes.plot(place, line, color=colour, markersize=11, **MARKS[row.verdict])
    for name, how in MARKS.items():
        axes.plot([], [], linestyle="", color="#111827", markersize=9, label=NAMES[name], **how)
    axes.plot([], [], linestyle="", color=GREY, marker="o", markersize=9, label="short run")
    axes.set_yticks(range(len(pages)), list(pages.values()))
    axes.set_ylim(len(pages) - 0.5, -0.5)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(left=False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
