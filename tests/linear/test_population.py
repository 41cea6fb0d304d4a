"""Closed forms against Monte Carlo from the definitions, and the paper's scalar formulas."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from mamlbook.linear import (
    easy_and_hard,
    excess_risk,
    hard_range,
    maml_solution,
    monte_carlo_risk,
    nal_solution,
    noise_risk,
    q_matrix,
    two_tasks,
)
from tests.linear.environments import alphas, environments, samples, seeds

rhos = st.floats(0.02, 0.98)


@given(environments, alphas, samples, seeds)
def test_excess_risk_is_definition_2(env, alpha, m, seed):
    """Proposition 1 plus the noise term, at any w, within 4 standard errors of (1) and (2)."""
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 2, env.dimension)
    exact = excess_risk(env, w, alpha, m) + noise_risk(env, alpha, m)
    drawn, error = monte_carlo_risk(env, w, alpha, m, 40_000, rng)
    assert abs(exact - drawn) <= 4 * error


@given(environments, st.floats(0.05, 0.8), st.integers(2, 20), st.integers(2, 4), seeds)
@settings(max_examples=15)
def test_more_steps_are_definition_2_with_more_steps(env, alpha, m, steps, seed):
    """T applied K times, and the noise carried through, against K literal gradient steps."""
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 2, env.dimension)
    exact = excess_risk(env, w, alpha, m, steps) + noise_risk(env, alpha, m, steps)
    drawn, error = monte_carlo_risk(env, w, alpha, m, 40_000, rng, steps)
    assert abs(exact - drawn) <= 4 * error


@given(environments, alphas, st.integers(1, 6))
def test_full_gradient_steps_multiply(env, alpha, steps):
    step = np.eye(env.dimension) - alpha * env.covariances
    power = np.linalg.matrix_power(step, steps)
    np.testing.assert_allclose(
        q_matrix(env.covariances, alpha, math.inf, steps),
        power @ env.covariances @ power,
        rtol=1e-9,
        atol=1e-9,
    )


@given(environments, alphas, samples, seeds)
def test_q_is_the_mean_of_p_sigma_p(env, alpha, s, seed):
    """Lemma 2, entry by entry, from data drawn row by row."""
    rng = np.random.default_rng(seed)
    sigma = env.covariances[0]
    d = env.dimension
    x = rng.multivariate_normal(np.zeros(d), sigma, size=(20_000, s), check_valid="ignore")
    p = np.eye(d) - alpha / s * x.swapaxes(1, 2) @ x
    terms = p @ sigma @ p
    error = terms.std(axis=0) / math.sqrt(len(terms))
    # 5 standard errors: up to 25 entries and 40 examples are looked at.
    assert np.all(np.abs(terms.mean(axis=0) - q_matrix(sigma, alpha, s)) <= 5 * error + 1e-12)


@given(environments, alphas, samples, seeds)
def test_solutions_minimise_what_they_claim(env, alpha, n2, seed):
    """w*_NAL minimises E f_i; w*_MAML minimises the risk with n2 = m: no step improves them."""
    rng = np.random.default_rng(seed)

    def nal_loss(w):
        away = w - env.centres
        return 0.5 * env.weights @ np.einsum("ki,kij,kj->k", away, env.covariances, away)

    for best, loss in (
        (nal_solution(env), nal_loss),
        (maml_solution(env, alpha, n2), lambda w: excess_risk(env, w, alpha, n2)),
    ):
        floor = loss(best)
        for step in rng.normal(0, 1, (20, env.dimension)):
            assert loss(best + step) >= floor
            # First order flat: the difference of opposite steps vanishes.
            rise = loss(best + step) + loss(best - step) - 2 * floor
            assert abs(loss(best + step) - loss(best - step)) <= 1e-9 * (rise + floor)


@given(environments, alphas, samples, samples)
def test_maml_is_never_worse_than_nal_if_trained_as_tested(env, alpha, n2, m):
    best = excess_risk(env, maml_solution(env, alpha, m), alpha, m)
    # n2 different from m can only lose.
    for w in (nal_solution(env), maml_solution(env, alpha, n2)):
        assert best <= excess_risk(env, w, alpha, m) * (1 + 1e-12) + 1e-24


@given(environments, alphas)
def test_infinite_samples_are_the_full_gradient(env, alpha):
    step = np.eye(env.dimension) - alpha * env.covariances
    np.testing.assert_allclose(
        q_matrix(env.covariances, alpha, math.inf), step @ env.covariances @ step, atol=1e-12
    )


def scalar_curvature(rho, alpha, d, m):
    """a_E and a_H as the paper prints them."""
    return rho * (1 - alpha * rho) ** 2 + (d + 1) / m * alpha**2 * rho**3


@given(rhos, st.floats(0.5, 2), alphas, st.integers(1, 12), st.integers(1, 500), seeds)
def test_two_tasks_follow_8_and_9(rho_hard, rho_easy, alpha, d, m, seed):
    """(8) as printed; (9) with the factor ||w1 - w2||^2 / 4 that print leaves out."""
    rng = np.random.default_rng(seed)
    w1, w2 = rng.normal(0, 2, (2, d))
    env = two_tasks(rho_hard, rho_easy, w1, w2)
    a_hard, a_easy = (scalar_curvature(rho, alpha, d, m) for rho in (rho_hard, rho_easy))
    np.testing.assert_allclose(
        q_matrix(env.covariances, alpha, m),
        [a_hard * np.eye(d), a_easy * np.eye(d)],
        rtol=1e-12,
        atol=1e-12,
    )
    nal, maml = nal_solution(env), maml_solution(env, alpha, m)
    np.testing.assert_allclose(nal, (rho_hard * w1 + rho_easy * w2) / (rho_hard + rho_easy))
    np.testing.assert_allclose(maml, (a_hard * w1 + a_easy * w2) / (a_hard + a_easy))
    factor = np.sum((w1 - w2) ** 2) / 4
    assert excess_risk(env, nal, alpha, m) == pytest.approx(
        factor * (a_easy * rho_hard**2 + a_hard * rho_easy**2) / (rho_easy + rho_hard) ** 2
    )
    assert excess_risk(env, maml, alpha, m) == pytest.approx(
        factor * a_easy * a_hard / (a_easy + a_hard)
    )


@given(rhos, st.integers(1, 12), st.integers(1, 500))
def test_the_natural_step_size(rho_hard, d, m):
    """With alpha = 1/rho_easy, a_E = (d+1)/m rho_E and a_H as printed below (8)."""
    rho_easy = 0.8
    q = q_matrix(np.array([rho_hard * np.eye(d), rho_easy * np.eye(d)]), 1 / rho_easy, m)
    x = rho_hard / rho_easy
    assert q[1, 0, 0] == pytest.approx((d + 1) / m * rho_easy)
    assert q[0, 0, 0] == pytest.approx(
        rho_hard * (1 - x) ** 2 + (d + 1) * rho_hard**3 / (m * rho_easy**2)
    )


@given(st.integers(1, 30), st.integers(1, 5000))
def test_hard_range_is_where_the_general_solution_crosses_the_middle(d, m):
    """The closed interval against roots of the general object's MAML solution."""

    def side(x):
        return maml_solution(two_tasks(x, 1, np.ones(d), -np.ones(d)), 1.0, m)[0]

    grid = np.linspace(1e-4, 1 - 1e-4, 150)
    signs = np.array([side(x) > 0 for x in grid])
    found = hard_range(d, m)
    if found is None:
        assert not signs.any()
        return
    low, high = found
    assert np.array_equal(signs, (grid > low) & (grid < high))
    if high - low > 0.01:
        middle = (low + high) / 2
        assert brentq(side, 1e-9, middle) == pytest.approx(low, rel=1e-6)
        assert brentq(side, middle, 1 - 1e-9) == pytest.approx(high, rel=1e-6)


def test_hard_range_ends_at_its_sample_size():
    """The discriminant vanishes at c = (d+1)/m = 2/sqrt(3) - 1."""
    least = 11 / (2 / math.sqrt(3) - 1)
    assert hard_range(10, math.ceil(least)) is not None
    assert hard_range(10, math.floor(least)) is None


def test_easy_and_hard_is_the_mixture_of_section_3_2():
    env = easy_and_hard(0.1, 0.9, 2.0, 0.3, 0.4, d=3, noise=0.01)
    np.testing.assert_array_equal(env.centres, [[2, 2, 2], [0, 0, 0]])
    np.testing.assert_array_equal(env.spreads, [0.3 * np.eye(3), 0.4 * np.eye(3)])
    np.testing.assert_array_equal(env.covariances, [0.1 * np.eye(3), 0.9 * np.eye(3)])
