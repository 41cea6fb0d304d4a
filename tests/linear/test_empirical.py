"""Solutions from finite samples against the printed formulas and their own objectives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbook.linear import (
    draw_data,
    draw_tasks,
    empirical_maml,
    empirical_nal,
    maml_solution,
    nal_solution,
)
from tests.linear.environments import environments, random_environment, seeds


def episodes(env, rng, tasks=6, tau=3, n1=7, n2=5):
    families, w_star = draw_tasks(env, tasks, rng)
    inner = draw_data(env, families, w_star, (tau, n2), rng)
    outer = draw_data(env, families, w_star, (tau, n1), rng)
    return w_star, inner, outer


def refused(left, solver, *data) -> bool:
    """Whether the normal matrix is singular, as where every drawn task is of one singular family;
    the solver must then say so instead of choosing a solution."""
    if np.linalg.matrix_rank(left, hermitian=True) == len(left):
        return False
    with pytest.raises(ValueError, match=r"determine only \d of \d directions"):
        solver(*data)
    return True


@given(environments, seeds)
def test_nal_solves_41(env, seed):
    rng = np.random.default_rng(seed)
    families, w_star = draw_tasks(env, 6, rng)
    x, y = draw_data(env, families, w_star, (9,), rng)
    z = y - np.einsum("tnd,td->tn", x, w_star)
    gram = x.swapaxes(1, 2) @ x
    if refused(gram.sum(axis=0), empirical_nal, x, y):
        return
    right = np.einsum("tij,tj->i", gram, w_star) + np.einsum("tnd,tn->d", x, z)
    np.testing.assert_allclose(
        empirical_nal(x, y), np.linalg.solve(gram.sum(axis=0), right), rtol=1e-6, atol=1e-8
    )


@given(environments, st.floats(0.05, 1.0), seeds)
def test_maml_solves_43(env, alpha, seed):
    """(43) with the signs as printed there; (42) has the sign of the inner noise wrong."""
    rng = np.random.default_rng(seed)
    w_star, (x_in, y_in), (x_out, y_out) = episodes(env, rng)
    n2 = x_in.shape[2]
    left, right = 0, 0
    for t, star in enumerate(w_star):
        for j in range(x_in.shape[1]):
            a, b = x_in[t, j], x_out[t, j]
            p = np.eye(env.dimension) - alpha / n2 * a.T @ a
            q = p @ b.T @ b @ p
            z_in, z_out = y_in[t, j] - a @ star, y_out[t, j] - b @ star
            left = left + q
            right = right + q @ star + p @ b.T @ z_out - alpha / n2 * p @ b.T @ b @ a.T @ z_in
    if refused(left, empirical_maml, x_in, y_in, x_out, y_out, alpha):
        return
    np.testing.assert_allclose(
        empirical_maml(x_in, y_in, x_out, y_out, alpha),
        np.linalg.solve(left, right),
        rtol=1e-5,
        atol=1e-7,
    )


@given(environments, st.floats(0.05, 1.0), seeds)
def test_maml_is_stationary_for_its_objective(env, alpha, seed):
    """Central differences of (4), each inner step taken by its gradient, vanish at the solution."""
    rng = np.random.default_rng(seed)
    _, (x_in, y_in), (x_out, y_out) = episodes(env, rng)

    step = np.eye(env.dimension) - alpha / x_in.shape[2] * x_in.swapaxes(2, 3) @ x_in
    design = (x_out @ step).reshape(-1, env.dimension)
    if refused(design.T @ design, empirical_maml, x_in, y_in, x_out, y_out, alpha):
        return

    def objective(w):
        total = 0.0
        for a, b, u, v in zip(
            *(part.reshape(-1, *part.shape[2:]) for part in (x_in, y_in, x_out, y_out)),
            strict=True,
        ):
            adapted = w - alpha * a.T @ (a @ w - b) / len(b)
            total += 0.5 * np.mean((u @ adapted - v) ** 2)
        return total / y_out.shape[0] / y_out.shape[1]

    w = empirical_maml(x_in, y_in, x_out, y_out, alpha)
    for direction in np.eye(env.dimension):
        up, down = objective(w + direction), objective(w - direction)
        curvature = up + down - 2 * objective(w)
        assert abs(up - down) <= 1e-6 * curvature + 1e-9


def test_many_samples_lead_to_the_population_solutions():
    """With 40 times the data the distance to (5) shrinks by about sqrt(40)."""
    env = random_environment(3, d=3, families=2, noise=0.1)
    rng = np.random.default_rng(0)

    def distances(tasks):
        families, w_star = draw_tasks(env, tasks, rng)
        x, y = draw_data(env, families, w_star, (20,), rng)
        inner = draw_data(env, families, w_star, (2, 8), rng)
        outer = draw_data(env, families, w_star, (2, 8), rng)
        return (
            np.linalg.norm(empirical_nal(x, y) - nal_solution(env)),
            np.linalg.norm(empirical_maml(*inner, *outer, 0.7) - maml_solution(env, 0.7, 8)),
        )

    few = np.mean([distances(250) for _ in range(20)], axis=0)
    many = np.mean([distances(10_000) for _ in range(20)], axis=0)
    np.testing.assert_allclose(few / many, np.sqrt(40), rtol=0.4)


def test_too_few_samples_are_refused():
    env = random_environment(0, d=4, families=1, noise=0)
    families, w_star = draw_tasks(env, 1, np.random.default_rng(0))
    x, y = draw_data(env, families, w_star, (3,), np.random.default_rng(0))
    with pytest.raises(ValueError, match="3 samples determine only 3 of 4 directions"):
        empirical_nal(x, y)
    with pytest.raises(ValueError, match="do not belong together"):
        empirical_nal(x, y[:, :2])


def test_drawn_tasks_and_data_have_the_moments_of_the_environment():
    env = random_environment(5, d=2, families=3, noise=0.5)
    rng = np.random.default_rng(1)
    families, w_star = draw_tasks(env, 200_000, rng)
    for k in range(3):
        ours = w_star[families == k]
        assert len(ours) / 200_000 == pytest.approx(env.weights[k], abs=0.005)
        np.testing.assert_allclose(ours.mean(axis=0), env.centres[k], atol=0.02)
        np.testing.assert_allclose(np.cov(ours.T), env.spreads[k], atol=0.02)
        x, y = draw_data(env, np.array([k]), env.centres[k][None], (100_000,), rng)
        np.testing.assert_allclose(x[0].T @ x[0] / 100_000, env.covariances[k], atol=0.03)
        assert np.var(y[0] - x[0] @ env.centres[k]) == pytest.approx(0.5, rel=0.02)
