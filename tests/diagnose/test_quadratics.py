"""The loss after gradient steps: exact means over splits, and what they say beyond the rows."""

from itertools import combinations

import numpy as np
import pytest

from mamlbook.diagnose import methods, quadratics
from mamlbook.diagnose.solutions import leave_one_out, solve
from mamlbook.linear import q_matrix
from tests.diagnose.tables import confounded, stacked


def adapted_loss(w, support, query, adapted, alpha, steps=1):
    """By gradient descent on the support, row by row: nothing of the formulas."""
    for _ in range(steps):
        residual = support[:, :-1] @ w - support[:, -1]
        w = w - alpha * adapted * (support[:, :-1].T @ residual) / len(support)
    return np.mean((query[:, :-1] @ w - query[:, -1]) ** 2)


@pytest.mark.parametrize("adapt", ["all", "intercept"])
@pytest.mark.parametrize("m", [1, 2, 4])
def test_one_step_is_the_mean_over_every_split(adapt, m):
    z = np.random.default_rng(3).normal(size=(7, 4))
    z[:, 0] = 1
    adapted = methods.mask(3, adapt)
    made = quadratics.moments([z], adapted).quadratic(0.3, m)[0]
    for w in np.random.default_rng(4).normal(size=(3, 3)):
        every = [
            adapted_loss(w, z[list(s)], np.delete(z, s, axis=0), adapted[:-1], 0.3)
            for s in combinations(range(7), m)
        ]
        assert quadratics.loss(made, w) == pytest.approx(np.mean(every), rel=1e-11)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_steps_on_the_same_rows_are_gradient_descent(steps):
    z = np.random.default_rng(5).normal(size=(12, 4))
    adapted, m = methods.mask(3, "all"), 5
    support, query = quadratics.split_moments([z], m)
    made = quadratics.steps_quadratic(support, query, adapted, 0.2, steps)[0]
    w = np.array([0.3, -1.0, 0.5])
    every = [
        adapted_loss(w, z[mask], z[~mask], adapted[:-1], 0.2, steps)
        for mask in quadratics.splits(12, m, 1)
    ]
    assert quadratics.loss(made, w) == pytest.approx(np.mean(every), rel=1e-11)


def test_splits_have_m_different_rows_and_use_all_alike():
    masks = quadratics.splits(13, 4, seed=9)
    assert masks.shape == (quadratics.SPLITS, 13) and (masks.sum(1) == 4).all()
    used = masks.sum(0)
    assert used.max() - used.min() <= 1


def test_small_tasks_say_what_many_rows_would():
    """A + B/m from tasks of 12 rows, against gradient steps on 30 new rows of each task."""
    rng, alpha, m, d = np.random.default_rng(6), 0.4, 30, 2
    adapted, w = np.append(np.ones(d), 0), np.array([0.5, -0.5])
    predicted, direct = [], []
    for _ in range(1500):
        truth, scale = rng.normal(size=d), rng.uniform(0.5, 1.5)

        def draw(n, truth=truth, scale=scale):
            x = scale * rng.uniform(-1.5, 1.5, size=(n, d))
            return np.column_stack([x, x @ truth + 0.5 * rng.laplace(size=n)])

        made = quadratics.moments([draw(12)], adapted).quadratic(alpha, m)[0]
        predicted.append(quadratics.loss(made, w))
        direct.append(adapted_loss(w, draw(m), draw(200), np.ones(d), alpha))
    difference = np.array(predicted) - np.array(direct)
    error = difference.std() / np.sqrt(len(difference))
    assert abs(difference.mean()) < 3 * error
    assert error < 0.03 * np.mean(direct)


def test_a_gaussian_task_has_the_papers_curvature():
    rng = np.random.default_rng(7)
    covariance = np.diag([0.3, 1.0])
    x = rng.normal(size=(40000, 2)) @ np.sqrt(covariance)
    z = np.column_stack([x, x @ [1.0, 2.0]])
    made = quadratics.moments([z], np.array([1.0, 1.0, 0.0])).quadratic(0.7, 12)[0]
    assert made[:2, :2] == pytest.approx(q_matrix(covariance, 0.7, 12), abs=0.02)


def test_leaving_a_task_out_by_subtraction_is_refitting():
    tasks = stacked(confounded(25))
    made = quadratics.moments(tasks, methods.mask(3, "all")).quadratic(0.2, 5)
    quick = leave_one_out(made)
    for i in range(len(tasks)):
        again = solve(np.delete(made, i, axis=0).sum(0))
        assert quick[i] == pytest.approx(again, rel=1e-10, abs=1e-12)
