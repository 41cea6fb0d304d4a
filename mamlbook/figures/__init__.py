"""Tidy rows in, a matplotlib Figure out, in one house style."""

from mamlbook.figures.convergence import budget, rates, theorem2, theorem3
from mamlbook.figures.hardness import (
    fig2,
    fig7,
    gain_map,
    risk_against_samples,
    step_size_trap,
    task_weights,
)
from mamlbook.figures.style import NAMES, save, use_style

__all__ = [
    "NAMES",
    "budget",
    "fig2",
    "fig7",
    "gain_map",
    "rates",
    "risk_against_samples",
    "save",
    "step_size_trap",
    "task_weights",
    "theorem2",
    "theorem3",
    "use_style",
]
