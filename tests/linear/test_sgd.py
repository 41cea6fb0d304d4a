"""SGD and its fast data: the same distribution as steps on rows, and the mean it must have."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from mamlbook.linear import (
    draw_data,
    draw_tasks,
    excess_risk,
    expected_shares,
    maml_solution,
    nal_solution,
    noise_risk,
    sampled_risk,
    sgd,
    sgd_mean,
)
from mamlbook.linear.stream import TaskStream, wishart_root
from tests.linear.environments import random_environment, seeds


@pytest.mark.parametrize("n", [2, 4, 5, 60])
def test_wishart_root_has_the_moments_of_a_gram_matrix(n):
    """E[W] = n I and E[W^2] = n(n + d + 1) I, below and above n = d."""
    d, draws = 4, 40_000
    root = wishart_root(n, (draws,), d, np.random.default_rng(n))
    w = root @ root.swapaxes(1, 2)
    square = w @ w
    for terms, mean in ((w, n * np.eye(d)), (square, n * (n + d + 1) * np.eye(d))):
        error = terms.std(axis=0) / np.sqrt(draws)
        assert np.all(np.abs(terms.mean(axis=0) - mean) <= 5 * error)


@pytest.mark.parametrize("n", [1, 3, 60])
def test_a_gradient_has_the_moments_of_one_on_rows(n):
    """E g = Sigma v and E g g' = Sigma v v' Sigma + (Sigma v v' Sigma + s^2 Sigma)/n, by family."""
    env = random_environment(3, d=3, families=2, noise=0.4)
    stream = TaskStream([env], np.random.default_rng(n))
    tasks = stream.tasks((1, 1, 100_000))
    away = np.array([1.0, -0.5, 2.0])
    drawn = stream.gradient(tasks, np.broadcast_to(away, tasks.w_star.shape), n)
    for family, sigma in enumerate(env.covariances):
        g = drawn[tasks.family == family]
        mean = sigma @ away
        spread = (np.outer(mean, mean) + (away @ mean + env.noise) * sigma) / n
        for terms, exact in (
            (g, mean),
            (g[:, :, None] * g[:, None, :], np.outer(mean, mean) + spread),
        ):
            error = terms.std(axis=0) / np.sqrt(len(terms))
            assert np.all(np.abs(terms.mean(axis=0) - exact) <= 5 * error)


@pytest.mark.parametrize("n", [1, 3])
def test_a_gradient_has_the_law_of_one_on_rows(n):
    """Whatever the moments: its parts, projections and length, by Kolmogorov and Smirnov."""
    env = random_environment(3, d=3, families=2, noise=0.4)
    stream = TaskStream([env], np.random.default_rng(n))
    tasks = stream.tasks((1, 1, 30_000))
    away = np.array([1.0, -0.5, 2.0])
    drawn = stream.gradient(tasks, np.broadcast_to(away, tasks.w_star.shape), n)[0, 0]
    w_star, rng = tasks.w_star[0, 0], np.random.default_rng(n + 10)
    x, y = draw_data(env, tasks.family[0, 0], w_star, (n,), rng)
    residual = np.einsum("tnd,td->tn", x, w_star + away) - y
    on_rows = np.einsum("tnd,tn->td", x, residual) / n
    for projection in (*np.eye(3), away, np.array([1.0, 2.0, 0.0])):  # the last across `away`
        assert ks_2samp(drawn @ projection, on_rows @ projection).pvalue > 1e-3
    lengths = (np.linalg.norm(g, axis=1) for g in (drawn, on_rows))
    assert ks_2samp(*lengths).pvalue > 1e-3


def test_at_the_solution_without_noise_there_is_no_gradient():
    env = random_environment(3, d=3, families=2, noise=0.0)
    stream = TaskStream([env], np.random.default_rng(0))
    tasks = stream.tasks((2, 1, 5))
    assert not stream.gradient(tasks, np.zeros_like(tasks.w_star), 4).any()


def step_on_rows(env, w, alpha, n1, n2, rate, rng):
    """One SGD step, from data drawn row by row and the gradient by central differences."""
    families, w_star = draw_tasks(env, 1, rng)
    (a,), (b,) = draw_data(env, families, w_star, (n2,), rng)
    (u,), (v,) = draw_data(env, families, w_star, (n1,), rng)
    if alpha is None:
        u, v = np.concatenate([a, u]), np.concatenate([b, v])

    def loss(w):
        adapted = w if alpha is None else w - alpha * a.T @ (a @ w - b) / n2
        return 0.5 * np.mean((u @ adapted - v) ** 2)

    slope = [(loss(w + e) - loss(w - e)) / 2 for e in np.eye(w.size)]  # exact: loss is quadratic
    return w - rate * np.array(slope)


@pytest.mark.parametrize("alpha", [None, 0.8])
@pytest.mark.parametrize("n2", [2, 6])
def test_two_steps_are_distributed_as_steps_on_rows(alpha, n2):
    """Means and covariances of the iterate after two steps, each within 5 standard errors."""
    env = random_environment(11, d=3, families=2, noise=0.3)
    options = {"alpha": alpha, "n1": 4, "n2": n2, "rate": 0.2}
    fast = sgd([env], **options, iterations=2, repeats=40_000, rng=np.random.default_rng(0))[0]
    rng = np.random.default_rng(1)
    slow = np.zeros((3_000, 3))
    for i in range(len(slow)):
        for _ in range(2):
            slow[i] = step_on_rows(env, slow[i], **options, rng=rng)
    for power in (lambda w: w, lambda w: w[:, :, None] * w[:, None, :]):
        a, b = power(fast), power(slow)
        error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
        assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) <= 5 * error)


@given(seeds, st.sampled_from([None, 0.6]), st.integers(2, 12), st.integers(1, 60))
@settings(max_examples=15)
def test_mean_of_sgd(seed, alpha, n2, iterations):
    """The bias of a finite run, in closed form, within 5 standard errors of 4,000 runs."""
    env = random_environment(seed, d=3, families=2, noise=0.1)
    runs = sgd(
        [env],
        alpha=alpha,
        n1=5,
        n2=n2,
        rate=0.1,
        iterations=iterations,
        repeats=4_000,
        rng=np.random.default_rng(seed),
    )[0]
    exact = sgd_mean(env, alpha=alpha, n2=n2, rate=0.1, iterations=iterations)
    error = runs.std(axis=0) / np.sqrt(len(runs))
    assert np.all(np.abs(runs.mean(axis=0) - exact) <= 5 * error)


def test_emphasis_moves_the_mean_as_expected_shares_say():
    """5,000 runs on batches of 4 against the closed form, within 5 standard errors."""
    env = random_environment(8, d=2, families=2, noise=0.1)
    emphasis, batch = (5.0, 1.0), 4
    run = {"alpha": None, "n1": 3, "n2": 3, "rate": 0.2, "iterations": 40, "repeats": 5_000}
    w = sgd([env], **run, batch=batch, emphasis=emphasis, rng=np.random.default_rng(0))[0]
    leaned = replace(env, weights=expected_shares(env, emphasis, batch))
    exact = sgd_mean(leaned, alpha=None, n2=3, rate=0.2, iterations=40)
    error = w.std(axis=0) / np.sqrt(len(w))
    assert np.all(np.abs(w.mean(axis=0) - exact) <= 5 * error)
    even = sgd_mean(env, alpha=None, n2=3, rate=0.2, iterations=40)
    assert np.all(np.abs(exact - even) > 20 * error)  # the test can tell


@given(seeds, st.floats(0.1, 20), st.integers(1, 6))
def test_expected_shares(seed, zeta, batch):
    """Against drawn batches; even emphasis gives the weights back."""
    env = random_environment(seed, d=1, families=3, noise=0)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(batch, env.weights, size=20_000)
    emphasis = np.array([zeta, 1.0, 2.0])
    drawn = counts * emphasis / (counts @ emphasis)[:, None]
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    exact = expected_shares(env, emphasis, batch)
    assert np.all(np.abs(drawn.mean(axis=0) - exact) <= 5 * error)
    np.testing.assert_allclose(expected_shares(env, [3, 3, 3], batch), env.weights)


def test_sgd_goes_to_the_population_solutions():
    env = random_environment(2, d=3, families=2, noise=0.01)
    for alpha, goal in ((None, nal_solution(env)), (0.7, maml_solution(env, 0.7, 9))):
        long = sgd_mean(env, alpha=alpha, n2=9, rate=0.2, iterations=100_000)
        np.testing.assert_allclose(long, goal, atol=1e-9)


def test_sampled_risk_is_the_closed_form():
    envs = [random_environment(s, d=3, families=2, noise=0.4) for s in (1, 2)]
    w = np.random.default_rng(0).normal(size=(2, 50, 3))
    rng = np.random.default_rng(1)
    drawn = sampled_risk(envs, w, alpha=0.8, m=6, draws=4_000, rng=rng)
    exact = np.array(
        [
            [excess_risk(env, v, 0.8, 6) + noise_risk(env, 0.8, 6) for v in row]
            for env, row in zip(envs, w, strict=True)
        ]
    )
    off = (drawn / exact - 1).mean(axis=1)
    assert np.all(np.abs(off) < 0.01)


def test_seeds_and_settings_matter():
    envs = [random_environment(s, d=2, families=2, noise=0.1) for s in (1, 2)]
    run = {"alpha": 0.5, "n1": 3, "n2": 3, "rate": 0.1, "iterations": 30, "repeats": 4}
    first, again, other = (sgd(envs, **run, rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (2, 4, 2)
    assert not np.any(first == other)
