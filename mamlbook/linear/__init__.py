"""Multi-task linear regression: environment -> solution -> risk, on NumPy alone."""

from mamlbook.linear.convergence import TrainingLaw, theorem2_bound, training_law
from mamlbook.linear.empirical import (
    draw_data,
    draw_tasks,
    empirical_maml,
    empirical_nal,
    monte_carlo_risk,
    sample_losses,
)
from mamlbook.linear.environment import Environment, easy_and_hard, two_tasks
from mamlbook.linear.moments import P, mean_product
from mamlbook.linear.population import (
    excess_risk,
    hard_range,
    least_squares_risk,
    maml_solution,
    nal_solution,
    noise_risk,
    q_matrix,
)
from mamlbook.linear.sgd import expected_shares, sampled_risk, sgd, sgd_mean
from mamlbook.linear.trained import normal_equations, trained

__all__ = [
    "Environment",
    "P",
    "TrainingLaw",
    "draw_data",
    "draw_tasks",
    "easy_and_hard",
    "empirical_maml",
    "empirical_nal",
    "excess_risk",
    "expected_shares",
    "hard_range",
    "least_squares_risk",
    "maml_solution",
    "mean_product",
    "monte_carlo_risk",
    "nal_solution",
    "noise_risk",
    "normal_equations",
    "q_matrix",
    "sample_losses",
    "sampled_risk",
    "sgd",
    "sgd_mean",
    "theorem2_bound",
    "trained",
    "training_law",
    "two_tasks",
]
