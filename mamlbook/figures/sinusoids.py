"""Pictures of the sinusoids: the search for rates, errors against steps, and fitted curves."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mamlbook.figures.style import COLOURS, DASHES, GREY, MARKERS, NAMES, subplots
from mamlbook.intervals import half_width

STEPS = {0: ":", 1: "--", 10: "-"}  # those of the arrays' curves


def sinusoids(rows: pd.DataFrame, arrays: dict[str, np.ndarray] | None = None) -> Figure:
    """(a) Test error against gradient steps, means of seeds and their 95% intervals; (b) the
    validation error after the last step against the outer rate."""
    figure, (left, right) = subplots(1, 2, height=3.3, width_ratios=(1.5, 1))
    test = rows[rows["split"] == "test"]
    for (name, rate), own in test.groupby(["algorithm", "inner_rate"], sort=False):
        tuned = name != "none" and rate != test.loc[test["algorithm"] == "none", "inner_rate"].max()
        errors = own.groupby("step")["error"]
        left.errorbar(
            errors.mean().index + 0.1 * tuned,
            errors.mean(),
            errors.agg(half_width),
            fmt=DASHES.get(name, ":"),
            marker=MARKERS.get(name, "D"),
            markersize=4.5,
            markerfacecolor="white" if tuned else None,
            color=COLOURS.get(name, GREY),
            label=NAMES.get(name, "not trained") + (f", inner rate {rate:g}" if tuned else ""),
        )
    left.set_yscale("log")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    left.set_yticks([], minor=True)
    left.set_xlabel("gradient steps on the support set")
    left.set_ylabel("mean squared error")
    left.set_title("(a)  test tasks")
    fixed = test["inner_rate"][test["algorithm"] == "none"].max()
    search = rows[(rows["split"] == "validation") & (rows["inner_rate"] == fixed)]
    search = search[search["step"] == search["step"].max()]
    for name, own in search.groupby("algorithm", sort=False):
        errors = own[np.isfinite(own["error"])].groupby("outer_rate")["error"].mean()
        right.plot(errors.index, errors, DASHES[name], marker=MARKERS[name], color=COLOURS[name])
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    right.set_yticks([], minor=True)
    right.set_xlabel("outer learning rate")
    right.set_title("(b)  validation tasks, last step")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def fits(arrays: dict[str, np.ndarray]) -> Figure:
    """Two tasks, a column each, fitted by NAL's network and by MAML's, a row each."""
    x, curves = arrays["x"], arrays["curves"]
    figure, grid = subplots(2, 2, height=4.8, sharex=True, sharey="col")
    for line, name, own in zip(grid, ("nal", "maml"), curves, strict=True):
        line[0].set_ylabel(f"{NAMES[name]}\n$y$")
        for task, axes in enumerate(line):
            axes.plot(x, arrays["truth"][task], color=GREY, linewidth=4, alpha=0.35, label="task")
            for (step, dashes), curve in zip(STEPS.items(), own[task], strict=True):
                said = f"after {step} step" + "s" * (step != 1)
                axes.plot(x, curve, dashes, color=COLOURS[name], label=said if step else "before")
            axes.plot(
                arrays["support_x"][task], arrays["support_y"][task], "^", color="#111827",
                markersize=5, label="support set",
            )  # fmt: skip
    for axes in grid[-1]:
        axes.set_xlabel("$x$")
    handles, labels = grid[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5)
    return figure


def live_errors(rows: pd.DataFrame) -> Figure:
    """Validation errors of a training against gradient steps, before it and at its end."""
    figure, axes = subplots(height=2.8)
    for (name, iteration), own in rows.groupby(["algorithm", "iteration"], sort=False):
        last = iteration == rows["iteration"].max()
        if iteration and not last:
            continue
        label = f"{NAMES[name]}, {iteration:,} iterations" if last else "not trained"
        axes.plot(
            own["step"], own["error"], DASHES[name] if last else ":",
            marker=MARKERS[name] if last else "D", markersize=4.5,
            color=COLOURS[name] if last else GREY,
            label=label if last or name == "nal" else None,
        )  # fmt: skip
    axes.set_xlabel("gradient steps on the support set")
    axes.set_ylabel("mean squared error")
    axes.set_ylim(0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure
