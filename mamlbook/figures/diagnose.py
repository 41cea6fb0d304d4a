"""Figures of a diagnosis: the plane of tasks, the map over m and alpha, both initializations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mamlbook.figures.style import COLOURS, GREY, MARKERS, NAMES, STYLE, subplots

if TYPE_CHECKING:
    from mamlbook.diagnose import Diagnosis

HELPED, HURT = COLOURS["maml"], COLOURS["nal"]
ALT = {
    "tasks": "Each disc is a task: the loss it had before adapting, which share of it adapting "
    "from NAL leaves, and by its area how much MAML changes; filled where MAML helps, open where "
    "it hurts.",
    "gains": "The gain of one step over the rows to adapt on and the inner learning rate; hatched "
    "where the rows at hand are exceeded or a step is unstable on some task.",
    "plane": "Both initializations and the tasks' own solutions along the two directions in which "
    "the loss left after adapting is most curved.",
}


def style():
    """The house style, for a `with` statement."""
    return mpl.rc_context(STYLE)


def tasks(diagnosis: Diagnosis) -> Figure:
    """The plane of tasks: loss before adapting, share of it left, what MAML changes."""
    rows = diagnosis.rows
    figure, axes = subplots(height=3.6)
    change = (rows["loss_nal"] - rows["loss_maml"]).abs()
    area = 12 + 400 * change / max(change.max(), 1e-300)
    for helped, label in ((True, "MAML helps"), (False, "MAML hurts")):
        part = rows["helped"] == helped
        axes.scatter(
            rows["distance"][part],
            rows["share_left"][part],
            s=area[part],
            color=HELPED if helped else "none",
            edgecolor=HELPED if helped else HURT,
            alpha=0.65,
            label=f"{label} ({part.sum()})",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(lambda *_: "")
    axes.axhline(1, color=GREY, linewidth=1, linestyle=":")
    axes.set_xlabel("loss before adapting, in units of the target's variance")
    axes.set_ylabel("share left after adapting")
    handles = [
        Line2D(
            [],
            [],
            marker="o",
            linestyle="",
            color=HELPED,
            label=f"MAML helps ({rows['helped'].sum()})",
        ),
        Line2D(
            [],
            [],
            marker="o",
            linestyle="",
            markerfacecolor="none",
            color=HURT,
            label=f"MAML hurts ({(~rows['helped']).sum()})",
        ),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def gains(diagnosis: Diagnosis) -> Figure:
    """The gain of one step over m and alpha; hatched where extrapolated or unstable."""
    rows = diagnosis.gains
    table = rows.pivot(index="alpha", columns="m", values="gain")
    doubt = rows.assign(doubt=rows["extrapolated"] | rows["unstable"] | rows["gain"].isna())
    doubt = doubt.pivot(index="alpha", columns="m", values="doubt").to_numpy()
    figure, axes = subplots(height=3.4)
    m, alpha = _edges(table.columns.to_numpy(float)), _edges(table.index.to_numpy(float))
    shown = np.clip(table.to_numpy(), 0.5, 2)
    drawn = axes.pcolormesh(m, alpha, shown, cmap="PuOr_r", norm=LogNorm(0.5, 2), rasterized=False)
    for i, j in np.argwhere(doubt):
        axes.add_patch(
            mpl.patches.Rectangle(
                (m[j], alpha[i]),
                m[j + 1] - m[j],
                alpha[i + 1] - alpha[i],
                fill=False,
                hatch="///",
                edgecolor=GREY,
                linewidth=0,
            )
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(lambda *_: "")
    axes.axvline(diagnosis.settings.support, color="#111827", linewidth=1, linestyle=":")
    axes.set_xlabel("rows to adapt on, $m$   (dotted: the support asked for)")
    axes.set_ylabel(r"inner learning rate, $\alpha$")
    bar = figure.colorbar(
        drawn, ax=axes, label="gain of MAML over NAL", ticks=[0.5, 0.8, 1, 1.25, 2]
    )
    bar.ax.set_yticklabels(["≤ 0.5", "0.8", "1", "1.25", "≥ 2"])
    bar.ax.minorticks_off()
    return figure


def plane(diagnosis: Diagnosis) -> Figure:
    """Both initializations among the tasks' own solutions, in loss units."""
    rows = diagnosis.plane
    figure, axes = subplots(height=3.6)
    own = rows[rows["kind"] == "task"]
    axes.scatter(own["x"], own["y"], s=14, color=GREY, alpha=0.5, label="tasks")
    for name in ("nal", "maml"):
        at = rows[rows["kind"] == name]
        axes.scatter(
            at["x"],
            at["y"],
            s=80,
            marker=MARKERS[name],
            color=COLOURS[name],
            edgecolor="white",
            label=NAMES[name],
            zorder=3,
        )
    axes.set_xlabel("first principal axis")
    axes.set_ylabel("second principal axis")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _edges(centres: np.ndarray) -> np.ndarray:
    """The edges of cells around points on a logarithmic axis."""
    logs = np.log(centres)
    inner = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - inner[0]], inner, [2 * logs[-1] - inner[-1]]]))
