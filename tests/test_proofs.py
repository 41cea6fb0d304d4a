"""The displayed formulas of the chapter of proofs: by sympy, by quadrature, by simulation."""

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import root

from mamlbook.linear import (
    P,
    easy_and_hard,
    excess_risk,
    maml_solution,
    mean_product,
    monte_carlo_risk,
    nal_solution,
    noise_risk,
    q_matrix,
)
from mamlbook.linear.convergence import gram_square
from tests.linear.environments import alphas, environments, random_environment, samples, seeds

# Corollaries 1 and 2 --------------------------------------------------------------------------

a_h, a_e, p_h, p_e, r_h, r_e, R, d = sp.symbols("a_H a_E rho_H rho_E r_H r_E R d", positive=True)
# (10) and (11), copied from the paper.
NAL_10 = (
    d
    / (4 * (p_e + p_h) ** 2)
    * (
        (a_e * p_e**2 + 2 * a_e * p_e * p_h) * r_e
        + a_e * p_h**2 * (r_e + R**2)
        + (a_h * p_h**2 + 2 * a_h * p_e * p_h) * r_h
        + a_h * p_e**2 * (r_h + R**2)
    )
)
MAML_11 = (
    d
    / (4 * (a_e + a_h) ** 2)
    * (
        (a_e**3 + 2 * a_e**2 * a_h) * r_e
        + (a_h**3 + 2 * a_e * a_h**2) * r_h
        + a_e * a_h**2 * (r_e + R**2)
        + a_e**2 * a_h * (r_h + R**2)
    )
)


def same(left, right):
    return sp.simplify(left - right) == 0


def test_corollary_1_in_its_short_form():
    """pf-cor1 equals (10) and (11); pf-gap is their difference; pf-along gives both."""
    common = a_h * r_h + a_e * r_e
    assert same(NAL_10, d / 4 * (common + (a_h * p_e**2 + a_e * p_h**2) / (p_e + p_h) ** 2 * R**2))
    assert same(MAML_11, d / 4 * (common + a_e * a_h / (a_e + a_h) * R**2))
    assert same(
        NAL_10 - MAML_11,
        d / 4 * R**2 * (a_e + a_h) * (p_e / (p_e + p_h) - a_e / (a_e + a_h)) ** 2,
    )
    y = sp.Symbol("y")
    along = d / 4 * (a_h * (y**2 * R**2 + r_h) + a_e * ((1 - y) ** 2 * R**2 + r_e))
    assert same(along.subs(y, p_e / (p_e + p_h)), NAL_10)
    assert same(along.subs(y, a_e / (a_e + a_h)), MAML_11)


def test_the_printed_last_display_of_a2_is_not_10():
    """Prefactor 1/(4(a_E + a_H)^2), and no r_E in the last term."""
    printed = (
        a_h * p_h**2 * r_h
        + a_h * p_e**2 * (r_h + R**2)
        + 2 * a_h * p_h * p_e * r_h
        + a_e * p_h**2 * (r_e + R**2)
        + a_e * p_e**2 * r_e
        + 2 * a_e * p_h * p_e
    )
    assert not same(d * printed / (4 * (a_e + a_h) ** 2), NAL_10)
    assert not same(d * printed / (4 * (p_e + p_h) ** 2), NAL_10)
    mended = printed - 2 * a_e * p_h * p_e * (1 - r_e)
    assert same(d * mended / (4 * (p_e + p_h) ** 2), NAL_10)


def ratio(x, e, r_easy, r_hard, distance):
    """pf-ratio."""
    y = 1 / (1 + x)
    share = ((1 + e) * y - e) ** 2 / (1 + e)
    below = 1 + e * r_easy / r_hard + e / (1 + e) * distance**2 / r_hard
    return 1 + distance**2 / r_hard * share / below


def test_corollary_2_exactly():
    """pf-ratio is (10) over (11), and its limit as e -> 0 has the factor 1/(1 + x)^2."""
    exact = ratio(p_h / p_e, a_e / a_h, r_e, r_h, R)
    assert same(exact, NAL_10 / MAML_11)
    limit = exact.subs(a_e, 0)  # continuous there
    assert same(limit, 1 + R**2 / r_h / (1 + p_h / p_e) ** 2)


ratios = st.floats(0.01, 0.99)
spreads = st.floats(1e-3, 10)


@given(ratios, st.integers(1, 20), st.integers(1, 5000), spreads, spreads, st.floats(0, 5))
def test_corollary_2_is_the_environment_and_keeps_its_bounds(x, dim, m, r_easy, r_hard, distance):
    env = easy_and_hard(0.8 * x, 0.8, distance, r_hard, r_easy, dim)
    alpha = 1 / 0.8
    found = excess_risk(env, nal_solution(env), alpha, m) / excess_risk(
        env, maml_solution(env, alpha, m), alpha, m
    )
    c = (dim + 1) / m
    e = c / (x * (1 - x) ** 2 + c * x**3)
    assert found == pytest.approx(ratio(x, e, r_easy, r_hard, distance), rel=1e-9)
    y = 1 / (1 + x)
    assert found <= (y**2 + e * (1 - y) ** 2) * (1 + e) / e * (1 + 1e-9)
    if e <= 1:
        assert found <= (1 + distance**2 / r_hard) * (1 + 1e-9)


def test_the_cap_is_reached_without_spread_and_the_upper_bound_needs_its_condition():
    x, m, dim = 0.2, 500, 10
    env = easy_and_hard(x, 1.0, 2.0, 0.0, 0.0, dim)
    found = excess_risk(env, nal_solution(env), 1.0, m) / excess_risk(
        env, maml_solution(env, 1.0, m), 1.0, m
    )
    c = (dim + 1) / m
    e = c / (x * (1 - x) ** 2 + c * x**3)
    y = 1 / (1 + x)
    assert found == pytest.approx((y**2 + e * (1 - y) ** 2) * (1 + e) / e)
    assert ratio(0.01, 1000.0, 1e-9, 1.0, 0.1) < 1.01  # e > 1 is allowed for, and caps the gain


# Lemma 2 and Proposition 1 --------------------------------------------------------------------


@given(environments, samples, seeds)
def test_gram_square_is_isserlis(env, s, seed):
    """pf-gram against the sum over pairings, with P = I - S at alpha = 1."""
    a = np.random.default_rng(seed).normal(size=(env.dimension, env.dimension))
    a = a + a.T
    sigma = env.covariances
    # S A S = A - P A - A P + P A P for S = I - P.
    means = [mean_product(sigma, 1.0, s, word) for word in ([P, a], [a, P], [P, a, P])]
    np.testing.assert_allclose(
        gram_square(sigma, a, s), a - means[0] - means[1] + means[2], atol=1e-9 * np.abs(a).max()
    )


@settings(max_examples=20)
@given(environments, samples, seeds)
def test_gram_square_is_drawn(env, s, seed):
    rng = np.random.default_rng(seed)
    d = env.dimension
    a = rng.normal(size=(d, d))
    a = a + a.T
    x = rng.multivariate_normal(np.zeros(d), env.covariances[0], (20_000, s), check_valid="ignore")
    gram = x.swapaxes(1, 2) @ x / s
    terms = gram @ a @ gram
    error = terms.std(axis=0) / math.sqrt(len(terms))
    gap = np.abs(terms.mean(axis=0) - gram_square(env.covariances[0], a, s))
    # 6 standard errors: 25 entries, 20 examples, and the fourth moments have long tails.
    assert np.all(gap <= 6 * error + 1e-12)


@given(environments, alphas, samples)
def test_p_sigma_p_is_q(env, alpha, s):
    sigma = env.covariances
    np.testing.assert_allclose(
        mean_product(sigma, alpha, s, [P, sigma, P]), q_matrix(sigma, alpha, s), atol=1e-10
    )


@given(environments, alphas, samples, samples)
def test_proposition_1_in_its_printed_form(env, alpha, n2, m):
    """pf-prop1, with means over i' inside the norm, equals excess_risk at both solutions.

    For Gaussian w* inside a family, the mean over i is its centre's term plus tr(Q C).
    """
    p = env.weights
    q = q_matrix(env.covariances, alpha, m)
    for weights, w in (
        (env.covariances, nal_solution(env)),
        (q_matrix(env.covariances, alpha, n2), maml_solution(env, alpha, n2)),
    ):
        total = 0.0
        average = np.tensordot(p, weights, 1)
        for k in range(p.size):
            pull = sum(p[j] * weights[j] @ (env.centres[j] - env.centres[k]) for j in range(p.size))
            v = np.linalg.solve(average, pull)
            total += p[k] / 2 * (v @ q[k] @ v + np.trace(q[k] @ env.spreads[k]))
        assert excess_risk(env, w, alpha, m) == pytest.approx(total, rel=1e-6, abs=1e-12)


def test_16_counts_the_noise_twice():
    """With noise, (6) alone is far outside the sampled risk, and pf-excess inside."""
    env = random_environment(8, d=4, families=2, noise=1.0)
    w = nal_solution(env)
    drawn, error = monte_carlo_risk(env, w, 1.0, 3, 100_000, np.random.default_rng(0))
    printed = excess_risk(env, w, 1.0, 3)
    assert abs(printed + noise_risk(env, 1.0, 3) - drawn) < 4 * error
    assert abs(printed - drawn) > 10 * error


@given(environments, alphas, samples)
def test_maml_has_one_solution_at_finite_samples(env, alpha, s):
    """E[Q] is at least alpha^2/s E[tr(Sigma^2) Sigma], which is positive definite."""
    q = np.tensordot(env.weights, q_matrix(env.covariances, alpha, s), 1)
    traces = np.einsum("kij,kji->k", env.covariances, env.covariances)
    low = alpha**2 / s * np.tensordot(env.weights * traces, env.covariances, 1)
    assert np.linalg.eigvalsh(low)[0] > 0
    assert np.linalg.eigvalsh(q - low)[0] >= -1e-12


def test_a_full_gradient_step_can_leave_the_start_free():
    q = q_matrix(np.diag([0.5, 1.0]), 1.0, math.inf)
    assert np.linalg.matrix_rank(q) == 1


# Lemma 1 --------------------------------------------------------------------------------------


class Task:
    """f(w) = sum_k b_k log cosh(<u_k, w> - t_k) + h/2 |w|^2: strongly convex, not quadratic."""

    def __init__(self, rng, h, b):
        self.u, self.t = rng.normal(size=(3, 2)), rng.normal(size=3)
        self.h, self.b = h, b * rng.uniform(0.5, 1, 3)

    def gradient(self, w):
        return self.u.T @ (self.b * np.tanh(self.u @ w - self.t)) + self.h * w

    def hessian(self, w):
        curve = self.b / np.cosh(self.u @ w - self.t) ** 2
        return self.u.T * curve @ self.u + self.h * np.eye(2)

    def along(self, w, alpha, nodes=40):
        """The mean Hessian of the inner step, and the extreme eigenvalues at its nodes."""
        t, weight = np.polynomial.legendre.leggauss(nodes)
        points = [w - (1 + s) / 2 * alpha * self.gradient(w) for s in (-1.0, *t, 1.0)]
        curves = [self.hessian(point) for point in points]
        values = np.linalg.eigvalsh(curves)
        mean = np.tensordot(weight / 2, curves[1:-1], 1)
        return mean, values.min(), values.max()


@settings(max_examples=50)
@given(seeds, st.floats(0.05, 0.95), st.floats(0.02, 0.3), st.floats(0.1, 1.0))
def test_lemma_1_without_remainder(seed, part, hard, bend):
    """pf-balance and pf-norms at stationary points of two tasks that are not quadratic."""
    rng = np.random.default_rng(seed)
    one, two = Task(rng, hard, 0.3 * bend), Task(rng, 1.0, bend)
    alpha = part / max(
        np.linalg.eigvalsh(task.u.T * task.b @ task.u)[-1] + task.h for task in (one, two)
    )

    def slope(w):
        return sum(
            (np.eye(2) - alpha * f.hessian(w)) @ f.gradient(w - alpha * f.gradient(w))
            for f in (one, two)
        )

    found = root(slope, np.zeros(2), tol=1e-13)
    assume(found.success and np.linalg.norm(slope(found.x)) < 1e-10)
    w = found.x
    eye = np.eye(2)
    sides, bounds = [], []
    for task in (one, two):
        mean, low, high = task.along(w, alpha)
        sides.append((eye - alpha * task.hessian(w)) @ (eye - alpha * mean) @ task.gradient(w))
        bounds.append((low, high))
    np.testing.assert_allclose(sides[0], -sides[1], atol=1e-8)
    (_, largest), (least, _) = bounds
    factor = ((1 - alpha * least) / (1 - alpha * largest)) ** 2
    norms = [np.linalg.norm(task.gradient(w)) for task in (one, two)]
    assert norms[0] <= factor * norms[1] * (1 + 1e-6) + 1e-9


def test_lemma_1_is_sharp_and_its_printed_factor_too_small():
    """Two quadratics h/2 (w - c)^2: equality in pf-norms; (29) fails, and can be negative."""
    h1, h2, alpha = 0.2, 1.0, 0.8
    weight = np.array([h * (1 - alpha * h) ** 2 for h in (h1, h2)])
    w = weight @ [1.0, -1.0] / weight.sum()
    gradients = abs(h1 * (w - 1)), abs(h2 * (w + 1))
    exact = ((1 - alpha * h2) / (1 - alpha * h1)) ** 2
    printed = (1 - 2 * alpha * h2) / (1 - alpha * h1) ** 2
    assert gradients[0] == pytest.approx(exact * gradients[1], rel=1e-12)
    assert printed < 0 < exact


def test_the_exponent_of_theorem_1_is_zero():
    """sigma'(z) <= a |z|^c near 0 needs c = 0 for all four activations: sigma' >= 1/4 there."""
    z = np.geomspace(1e-12, 1e-3, 50)
    slopes = {
        "relu": np.ones_like(z),
        "softplus": 1 / (1 + np.exp(-z)),
        "sigmoid": np.exp(-z) / (1 + np.exp(-z)) ** 2,
        "tanh": 1 / np.cosh(z) ** 2,
    }
    for slope in slopes.values():
        assert slope.min() > 0.249
        for c in (0.1, 0.5, 1.0):
            growth = (slope / z**c)[0] / (slope / z**c)[-1]
            assert growth > 0.5 * (z[-1] / z[0]) ** c  # without bound as z -> 0
