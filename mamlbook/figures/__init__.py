"""Tidy rows in, a matplotlib Figure out, in one house style."""

from mamlbook.figures import diagnose
from mamlbook.figures.cifar import (
    cifar_controls,
    cifar_rates,
    cifar_steps,
    scarcity,
    table2,
    table2_lineage,
    tasks,
)
from mamlbook.figures.convergence import budget, rates, theorem2, theorem3
from mamlbook.figures.fewshot import live, training_curves
from mamlbook.figures.geography import (
    beyond,
    fig1,
    fig3,
    gain_over_landscapes,
    ratio_against_packing,
    table3,
)
from mamlbook.figures.hardness import (
    fig2,
    fig7,
    gain_map,
    risk_against_samples,
    step_size_trap,
    task_weights,
)
from mamlbook.figures.logistic import fig8, landscapes, one_step, step_sizes
from mamlbook.figures.neuron import fig4, fig5, fig6, gain_over_settings, theorem1
from mamlbook.figures.omniglot import (
    ablation,
    alphabets,
    alphabets_lineage,
    crossed,
    dispersion,
    omniglot_controls,
    omniglot_rates,
    packing,
    table1,
    table1_lineage,
)
from mamlbook.figures.own_tasks import collections, coverage
from mamlbook.figures.sinusoids import fits, live_errors, sinusoids
from mamlbook.figures.style import NAMES, save, use_style
from mamlbook.figures.verdict import verdicts
from mamlbook.figures.world import biases, dials, four_risks, glyphs, positions, world

__all__ = [
    "NAMES",
    "ablation",
    "alphabets",
    "alphabets_lineage",
    "beyond",
    "biases",
    "budget",
    "cifar_controls",
    "cifar_rates",
    "cifar_steps",
    "collections",
    "coverage",
    "crossed",
    "diagnose",
    "dials",
    "dispersion",
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "fig6",
    "fig7",
    "fig8",
    "fits",
    "four_risks",
    "gain_map",
    "gain_over_landscapes",
    "gain_over_settings",
    "glyphs",
    "landscapes",
    "live",
    "live_errors",
    "omniglot_controls",
    "omniglot_rates",
    "one_step",
    "packing",
    "positions",
    "rates",
    "ratio_against_packing",
    "risk_against_samples",
    "save",
    "scarcity",
    "sinusoids",
    "step_size_trap",
    "step_sizes",
    "table1",
    "table1_lineage",
    "table2",
    "table2_lineage",
    "table3",
    "task_weights",
    "tasks",
    "theorem1",
    "theorem2",
    "theorem3",
    "training_curves",
    "use_style",
    "verdicts",
    "world",
]
