"""Tidy rows in, a matplotlib Figure out, in one house style."""

from mamlbook.figures.hardness import (
    fig2,
    fig7,
    gain_map,
    risk_against_samples,
    step_size_trap,
    task_weights,
)
from mamlbook.figures.logistic import fig8, landscapes, one_step, step_sizes
from mamlbook.figures.style import save, use_style

__all__ = [
    "fig2",
    "fig7",
    "fig8",
    "gain_map",
    "landscapes",
    "one_step",
    "risk_against_samples",
    "save",
    "step_size_trap",
    "step_sizes",
    "task_weights",
    "use_style",
]
