"""Multi-task linear regression: environment -> solution -> risk, on NumPy alone."""

from mamlbook.linear.empirical import (
    draw_data,
    draw_tasks,
    empirical_maml,
    empirical_nal,
    monte_carlo_risk,
    sample_losses,
)
from mamlbook.linear.environment import Environment, easy_and_hard, two_tasks
from mamlbook.linear.population import (
    excess_risk,
    hard_range,
    maml_solution,
    nal_solution,
    noise_risk,
    q_matrix,
)
from mamlbook.linear.training import expected_shares, sampled_risk, sgd, sgd_mean, trained

__all__ = [
    "Environment",
    "draw_data",
    "draw_tasks",
    "easy_and_hard",
    "empirical_maml",
    "empirical_nal",
    "excess_risk",
    "expected_shares",
    "hard_range",
    "maml_solution",
    "monte_carlo_risk",
    "nal_solution",
    "noise_risk",
    "q_matrix",
    "sample_losses",
    "sampled_risk",
    "sgd",
    "sgd_mean",
    "trained",
    "two_tasks",
]
