"""The displayed formulas of the chapter on convergence, and both theorems in simulation."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mamlbook.experiments import convergence
from mamlbook.linear import (
    Environment,
    P,
    TrainingLaw,
    draw_data,
    draw_tasks,
    empirical_maml,
    empirical_nal,
    excess_risk,
    maml_solution,
    mean_product,
    nal_solution,
    normal_equations,
    theorem2_bound,
    trained,
    training_law,
)
from mamlbook.linear.stream import Data, TaskStream
from tests.linear.environments import environments, random_environment, seeds

steps = st.floats(0.05, 1.0)


def as_data(x, y, w_star):
    """Rows X (T, tau, n, d) and labels as the statistics that `normal_equations` takes."""
    n = x.shape[-2]
    z = y - np.einsum("tjnd,td->tjn", x, w_star)
    x_t = x.swapaxes(-1, -2)
    return Data(x_t / math.sqrt(n), (x_t @ z[..., None])[..., 0] / n)


@given(environments, steps, seeds)
def test_normal_equations_are_41_and_43(env, alpha, seed):
    rng = np.random.default_rng(seed)
    families, w_star = draw_tasks(env, 6, rng)
    inner = draw_data(env, families, w_star, (3, 5), rng)
    outer = draw_data(env, families, w_star, (3, 7), rng)
    pair = [as_data(*part, w_star) for part in (outer, inner)]
    stars = w_star[:, None]
    for (matrix, right), exact in (
        (
            normal_equations(stars, pair[0], pair[1], alpha),
            empirical_maml(*inner, *outer, alpha),
        ),
        (
            normal_equations(stars, pair[0]),
            empirical_nal(*(part.reshape(6, 21, *part.shape[3:]) for part in outer)),
        ),
    ):
        solved = np.linalg.solve(matrix.sum(axis=(0, 1)), right.sum(axis=(0, 1)))
        np.testing.assert_allclose(solved, exact, rtol=1e-5, atol=1e-7)


def test_trained_is_distributed_as_the_solutions_from_rows():
    """Means and covariances, fast against rows, within 5 standard errors; n below and above d."""
    env = random_environment(11, d=3, families=2, noise=0.3)
    count, repeats = 12, 6_000
    for alpha, n1, n2, tau in ((None, 2, None, 1), (0.7, 4, 2, 2)):
        fast = trained(
            env,
            alpha=alpha,
            n1=n1,
            n2=n2,
            tau=tau,
            tasks=count,
            repeats=repeats,
            rng=np.random.default_rng(0),
        )
        rng = np.random.default_rng(1)
        slow = []
        for _ in range(2_000):
            families, w_star = draw_tasks(env, count, rng)
            if alpha is None:
                slow.append(empirical_nal(*draw_data(env, families, w_star, (n1,), rng)))
                continue
            inner = draw_data(env, families, w_star, (tau, n2), rng)
            outer = draw_data(env, families, w_star, (tau, n1), rng)
            slow.append(empirical_maml(*inner, *outer, alpha))
        slow = np.array(slow)
        error = np.sqrt(fast.var(axis=0) / len(fast) + slow.var(axis=0) / len(slow))
        assert np.all(np.abs(fast.mean(axis=0) - slow.mean(axis=0)) <= 5 * error)
        squares = [(w - fast.mean(axis=0)) ** 2 for w in (fast, slow)]
        error = np.sqrt(sum(part.var(axis=0) / len(part) for part in squares))
        assert np.all(np.abs(squares[0].mean(axis=0) - squares[1].mean(axis=0)) <= 5 * error)


@pytest.mark.parametrize("alpha", [None, 0.8])
@pytest.mark.parametrize("still", [False, True])
def test_the_law_is_that_of_one_episode(alpha, still):
    """between, within and both parts of E[Y^2] (cv-rate, cv-within-nal, cv-second, cv-noise).

    `still`: all tasks have one solution, so that label noise is all there is.
    """
    env = random_environment(21, d=3, families=2, noise=0.4)
    if still:
        env = dataclasses.replace(
            env, centres=np.zeros((2, 3)), spreads=np.zeros((2, 3, 3)), noise=1.0
        )
    n1, n2 = 4, None if alpha is None else 6
    law = training_law(env, alpha=alpha, n1=n1, n2=n2)
    metric = np.linalg.inv(law.curvature)
    half = np.linalg.cholesky(metric)
    draws = 200_000
    stream = TaskStream([env], np.random.default_rng(3))
    tasks = stream.tasks((draws, 1, 1))
    pushes, seconds = [], []
    # Two episodes of the same tasks: their product has the part that repeats, and no other.
    for _ in range(2):
        inner = None if alpha is None else stream.data(tasks, n2)
        matrix, right = normal_equations(tasks.w_star, stream.data(tasks, n1), inner, alpha)
        g = (right - (matrix @ law.solution))[:, 0, 0]
        pushes.append(g @ half)
        seconds.append(half.T @ matrix[:, 0, 0] @ half)
    cases = [
        ((pushes[0] * pushes[1]).sum(axis=1), law.between),
        ((pushes[0] ** 2).sum(axis=1), law.between + law.within),
        (np.trace(seconds[0] @ seconds[0], axis1=1, axis2=2), np.trace(law.episode)),
        (np.trace(seconds[0] @ seconds[1], axis1=1, axis2=2), np.trace(law.task)),
    ]
    for drawn, exact in cases:
        error = drawn.std() / math.sqrt(draws)
        assert abs(drawn.mean() - exact) <= 5 * error
        assert error < 0.05 * exact or (still and exact == law.between)
    assert (law.between < 1e-20) == still


@given(environments, st.integers(1, 50))
def test_nal_law_is_the_displayed_formula(env, n):
    """cv-rate and cv-within-nal, family by family; the mean over w* adds its covariance."""
    law = training_law(env, alpha=None, n1=n)
    metric = np.linalg.inv(np.tensordot(env.weights, env.covariances, 1))
    between = within = 0.0
    for p, sigma, centre, spread in zip(
        env.weights, env.covariances, env.centres, env.spreads, strict=True
    ):
        v = centre - nal_solution(env)
        vv = np.outer(v, v) + spread
        push = np.trace(sigma @ metric @ sigma @ vv)
        between += p * push
        trace = np.trace(metric @ sigma)
        within += p / n * (push + (np.trace(sigma @ vv) + env.noise) * trace)
    assert law.between == pytest.approx(between, rel=1e-7)
    assert law.within == pytest.approx(within, rel=1e-7)


@settings(max_examples=10)
@given(environments, steps, st.integers(2, 12), seeds)
def test_mean_product_is_drawn(env, alpha, s, seed):
    """Four steps with a trace, from rows: the longest product that the law needs."""
    rng = np.random.default_rng(seed)
    d, sigma = env.dimension, env.covariances[0]
    a = rng.uniform(-1, 1, (d, d))  # not symmetric: its sides must not be taken for each other
    x = rng.multivariate_normal(np.zeros(d), sigma, (30_000, s), check_valid="ignore")
    p = np.eye(d) - alpha / s * x.swapaxes(1, 2) @ x
    for terms, exact in (
        (
            p @ sigma @ p @ a @ p @ sigma @ p,
            mean_product(sigma, alpha, s, [P, sigma, P, a, P, sigma, P]),
        ),
        (
            np.trace(p @ a @ p @ sigma, axis1=1, axis2=2)[:, None, None] * (p @ sigma @ p),
            mean_product(sigma, alpha, s, [P, sigma, P], trace=[P, a, P, sigma]),
        ),
    ):
        error = terms.std(axis=0) / math.sqrt(len(terms))
        # 7 standard errors: products of eight Gaussian factors have very long tails.
        assert np.all(np.abs(terms.mean(axis=0) - exact) <= 7 * error + 1e-12)


def test_mean_product_of_nothing_but_steps():
    """E[P] = I - alpha Sigma, and E[tr(P) P] = tr(E P) E P + 2 alpha^2/s Sigma^2."""
    sigma, alpha, s = np.diag([0.3, 1.0]), 0.7, 4
    mean = np.eye(2) - alpha * sigma
    np.testing.assert_allclose(mean_product(sigma, alpha, s, [P]), mean, atol=1e-14)
    np.testing.assert_allclose(
        mean_product(sigma, alpha, s, [P], trace=[P]),
        np.trace(mean) * mean + 2 * alpha**2 / s * sigma @ sigma,
        atol=1e-14,
    )


@pytest.mark.parametrize(("alpha", "n1", "n2", "tau"), [(None, 5, None, 1), (0.7, 3, 6, 3)])
@pytest.mark.parametrize("given_tasks", [False, True])
def test_trained_solutions_follow_the_law(alpha, n1, n2, tau, given_tasks):
    """Root mean square distance over 400 runs within 8%, both for drawn and for given tasks."""
    env = random_environment(7, d=3, families=3, noise=0.3)
    env = dataclasses.replace(env, spreads=np.zeros((3, 3, 3)))
    T = 900
    tasks = T
    if given_tasks:
        tasks = np.arange(T) % 3
        env = convergence.given_tasks(env, tasks)
    law = training_law(env, alpha=alpha, n1=n1, n2=n2)
    w = trained(
        env,
        alpha=alpha,
        n1=n1,
        n2=n2,
        tasks=tasks,
        tau=tau,
        repeats=400,
        rng=np.random.default_rng(5),
    )
    away = w - law.solution
    square = np.einsum("ri,ij,rj->r", away, law.curvature, away)
    assert math.sqrt(square.mean()) == pytest.approx(law.rms(T, tau, given_tasks), rel=0.08)
    # The other kind of tasks would be distinguished.
    other = law.rms(T, tau, not given_tasks)
    assert abs(math.sqrt(square.mean()) / other - 1) > 0.1


def test_risk_lost_is_half_the_square():
    """The population objective exceeds its minimum by 1/2 ||w - w*||^2 in the norm of E[H]."""
    env = random_environment(4, d=3, families=2, noise=0.2)
    law = training_law(env, alpha=0.6, n1=3, n2=7)
    away = np.array([0.3, -0.2, 0.5])
    w = law.solution + away
    lost = excess_risk(env, w, 0.6, 7) - excess_risk(env, maml_solution(env, 0.6, 7), 0.6, 7)
    assert lost == pytest.approx(away @ law.curvature @ away / 2)


# Theorem 2 ------------------------------------------------------------------------------------

SMALL = {"n": (100, 800), "T": (12, 60), "repeats": 100, "d": 4, "tasks": 6}


def test_theorem_2_holds():
    rows = convergence.theorem2(convergence.Theorem2(**SMALL))
    assert len(rows) == 4 and rows["holds"].all() and np.isfinite(rows["bound"]).all()
    assert (rows["measured"] > rows["rms"]).all()


def test_each_term_of_theorem_2_bounds_its_part():
    """Data and noise, alone and on the event's own quantile; the tasks' term as n -> infinity."""
    settings = convergence.Theorem2(**SMALL)
    env = convergence.environment(settings)
    part = 0.04 / 3
    terms = theorem2_bound(env, n=200, T=12)
    rng = np.random.default_rng(0)
    quiet = dataclasses.replace(env, noise=0.0)
    families = np.arange(12) % 6
    options = {"alpha": None, "n1": 200, "tasks": families, "repeats": 3_000, "rng": rng}
    data = np.linalg.norm(trained(quiet, **options) - nal_solution(env), axis=1)
    assert np.quantile(data, 1 - part) <= terms["data"]
    still = dataclasses.replace(env, centres=np.zeros_like(env.centres), noise=1.0)
    noise = np.linalg.norm(trained(still, **options), axis=1)
    bound = theorem2_bound(still, n=200, T=12)
    assert bound["data"] == 0 == bound["tasks"]
    # Within a small factor: the noise term is exact but for the smallest eigenvalue.
    assert bound["noise"] / 8 <= np.quantile(noise, 1 - part) <= bound["noise"]
    many = 10**9
    drawn = trained(quiet, alpha=None, n1=many, tasks=12, repeats=3_000, rng=rng)
    task = np.quantile(np.linalg.norm(drawn - nal_solution(env), axis=1), 1 - part)
    assert terms["tasks"] / 20 <= task <= terms["tasks"]


def test_theorem_2_bound_is_the_displayed_formula():
    """cv-theorem2 for two tasks in the plane, written out; V and S by hand."""
    env = Environment(
        weights=[0.25, 0.75],
        covariances=[np.diag([0.5, 1.0]), np.diag([2.0, 1.0])],
        centres=[[3.0, 0.0], [0.0, 0.0]],
        spreads=np.zeros((2, 2, 2)),
        noise=0.09,
    )
    n, T, delta = 400, 7, 0.04
    # w* = (0.25 * 0.5 * 3) / (0.25 * 0.5 + 0.75 * 2) = 3/13 along the first axis.
    u = 0.5 * (3 - 3 / 13), 2 * 3 / 13
    eps = (math.sqrt(2) + math.sqrt(2 * math.log(6 * T / delta))) / math.sqrt(n)
    s = math.log(9 / delta)
    variance = 0.25 * u[0] ** 2 + 0.75 * u[1] ** 2
    found = theorem2_bound(env, n=n, T=T, delta=delta)
    assert found["data"] == pytest.approx(eps * (2 + eps) / (1 - eps) ** 2 * 2 * 3 / 0.5)
    chi = math.sqrt(2) + math.sqrt(2 * math.log(3 / delta))
    assert found["noise"] == pytest.approx(0.3 * chi / ((1 - eps) * math.sqrt(0.5 * n * T)))
    assert found["tasks"] == pytest.approx(
        (math.sqrt(2 * variance * s / T) + 2 * max(u) * s / (3 * T)) / 0.5
    )
    assert theorem2_bound(env, n=20, T=T, delta=delta)["data"] == math.inf


def test_noise_averages_over_all_tasks():
    """Given the inputs, the noise part is N(0, nu^2/(nT) H^-1): its mean square is the trace."""
    env = random_environment(3, d=3, families=2, noise=2.0)
    still = dataclasses.replace(env, centres=np.zeros((2, 3)), spreads=np.zeros((2, 3, 3)))
    n, families = 4_000, np.arange(8) % 2
    w = trained(
        still, alpha=None, n1=n, tasks=families, repeats=4_000, rng=np.random.default_rng(2)
    )
    mean = env.covariances[families].mean(axis=0)
    exact = 2.0 / (n * 8) * np.trace(np.linalg.inv(mean))
    square = (w**2).sum(axis=1)
    assert abs(square.mean() / exact - 1) < 5 * square.std() / square.mean() / math.sqrt(4_000)


def test_singular_values_of_gaussian_matrices():
    """cv-event: all eigenvalues of W within (1 -+ eps)^2 at the stated probability, not 1/2."""
    rng = np.random.default_rng(0)
    n, d, t = 60, 6, 1.5
    values = np.linalg.svd(rng.standard_normal((4_000, n, d)), compute_uv=False) / math.sqrt(n)
    eps = (math.sqrt(d) + t) / math.sqrt(n)
    outside = (values.max(axis=1) > 1 + eps) | (values.min(axis=1) < 1 - eps)
    assert outside.mean() <= 2 * math.exp(-(t**2) / 2)
    narrow = (math.sqrt(d) + t / math.sqrt(n)) / math.sqrt(n)  # t/n in place of t/sqrt(n)
    outside = (values.max(axis=1) > 1 + narrow) | (values.min(axis=1) < 1 - narrow)
    assert outside.mean() > 0.04


def test_52_fails_with_t_over_n():
    """d = 1: for c = 1 to 20 there is an n at which the printed probability is exceeded."""
    for c in (1, 3, 10, 20):
        found = False
        for n in (10**k for k in range(2, 8)):
            delta = 1 / math.sqrt(n) + 0.5 / math.sqrt(n)  # t = sqrt(n)/2
            width = max(c * delta, (c * delta) ** 2)
            beyond = stats.chi2.logsf(n * (1 + width), n)
            found |= beyond > math.log(2) - n / 4
        assert found, c
        # With t/sqrt(n) it is kept, for every constant that is not too small.
        if c >= 3:
            for n in (10**k for k in range(1, 8)):
                for t in (0.5, 1.0, 3.0, math.sqrt(n) / 2, 2 * math.sqrt(n)):
                    delta = (1 + t) / math.sqrt(n)
                    width = max(c * delta, (c * delta) ** 2)
                    above = stats.chi2.sf(n * (1 + width), n)
                    below = stats.chi2.cdf(n * (1 - width), n)
                    assert above + below <= 2 * math.exp(-(t**2))


def test_44_fails_with_its_condition_on_T():
    """A rare task, n -> infinity: (44)'s tasks' terms are exceeded in more than 4% of draws."""
    p, T = 0.05, 2
    variance = p * (1 - p)
    assert variance / 9 < T
    count = np.arange(T + 1)
    error = abs(count / T - p)
    exceeded = stats.binom.pmf(count, T, p)[error > math.sqrt(variance * math.log(200) / T)].sum()
    assert exceeded == pytest.approx(1 - (1 - p) ** 2) and exceeded > 0.04
    # Bernstein with its linear term keeps its promise.
    s = math.log(2 / 0.04)
    bound = math.sqrt(2 * variance * s / T) + 2 * (1 - p) * s / (3 * T)
    assert stats.binom.pmf(count, T, p)[error > bound].sum() <= 0.04


@given(environments)
def test_the_papers_pair_of_variances_bounds_ours(env):
    """sqrt V <= sqrt Var(Sigma w) + LB/beta sqrt Var(Sigma); V alone is free of the origin."""

    def v_of(env):
        pull = np.einsum("kij,kj->ki", env.covariances, env.centres - nal_solution(env))
        return env.weights @ (pull**2).sum(axis=1)

    env = dataclasses.replace(env, spreads=np.zeros_like(env.spreads))
    moved = np.einsum("kij,kj->ki", env.covariances, env.centres)
    var_w = env.weights @ ((moved - env.weights @ moved) ** 2).sum(axis=1)
    off = env.covariances - np.tensordot(env.weights, env.covariances, 1)
    var_s = np.linalg.norm(np.tensordot(env.weights, off @ off, 1), 2)
    reach = np.linalg.norm(nal_solution(env))
    assert math.sqrt(v_of(env)) <= math.sqrt(var_w) + reach * math.sqrt(var_s) + 1e-9
    shifted = dataclasses.replace(env, centres=env.centres + 3.0)
    assert v_of(shifted) == pytest.approx(v_of(env), rel=1e-6, abs=1e-9)


# Theorem 3 ------------------------------------------------------------------------------------


def test_theorem_3_holds():
    settings = convergence.Theorem3(
        **{**SMALL, "n": (2, 40), "T": (60, 240)}, n1=8, n2=40, tau=(1, 3)
    )
    rows = convergence.theorem3(settings)
    assert len(rows) == 16 and rows["holds"].all()
    assert np.isfinite(rows["bound"]).sum() >= 12
    # It would not hold without the 1/sqrt(delta): the root mean square alone is exceeded.
    assert (rows["measured"] > 1.1 * rows["rms"]).all()


def test_averages_of_positive_matrices_are_seldom_small():
    """cv-lower with rank-one Y = x x', heavy above and bounded below."""
    rng = np.random.default_rng(1)
    d, T, runs = 3, 80, 4_000
    x = rng.standard_normal((runs, T, d))
    lowest = np.linalg.eigvalsh(x.swapaxes(1, 2) @ x / T)[:, 0]
    r = d + 2  # E[(x x')^2] = (d + 2) I
    for eta in (0.45, 0.6, 0.7):
        bound = d * math.exp(-T * eta**2 / (2 * r))
        assert (lowest <= 1 - eta).mean() <= bound
    assert bound < 0.1  # so the last check says something


@given(st.floats(0.0, 5.0), st.floats(0.01, 5.0), st.integers(1, 20), st.floats(0.01, 0.5), seeds)
def test_theorem_3_bound_is_the_displayed_formula(between, within, tau, delta, seed):
    rng = np.random.default_rng(seed)
    d, T = 3, 400
    task = np.diag(rng.uniform(1, 1.5, d))
    episode = task + np.diag(rng.uniform(0, 1, d))
    law = TrainingLaw(np.zeros(d), np.eye(d), between, within, task, episode)
    r = np.linalg.norm(episode / tau + task * (1 - 1 / tau), 2)
    eta = math.sqrt(2 * r * math.log(d / (delta / 10)) / T)
    expected = math.sqrt((between + within / tau) / (0.9 * delta * T)) / (1 - eta)
    assert law.bound(T, tau, delta) == pytest.approx(expected)
    assert law.bound(3, tau, delta) == math.inf


# Rates ----------------------------------------------------------------------------------------


def test_slopes_find_the_exponents():
    """On rows made by power laws with known noise, slope and interval are what they should be."""
    value = np.array([1, 10, 100, 1000])
    rms = 3 * value**-0.4
    rows = pd.DataFrame(
        {"algorithm": "nal", "varied": "n", "tasks": "drawn", "value": value, "rms": rms}
    ).assign(rms_ci95=0.1 * rms, law=2 * value**-0.5)
    (found,) = convergence.slopes(rows).itertuples()
    assert found.slope == pytest.approx(-0.4) and found.law == pytest.approx(-0.5)
    # Standard error of a slope: sigma / sqrt(sum (x - mean x)^2).
    x = np.log(value)
    assert found.slope_ci95 == pytest.approx(0.1 / math.sqrt(((x - x.mean()) ** 2).sum()))


def test_rates_cover_the_law():
    settings = convergence.Rates(
        d=4,
        tasks=6,
        n=(8, 64),
        n1_sweep=(8, 64),
        n2_sweep=(40, 160),
        T=(60, 240),
        tau=(1, 4),
        T_fixed=60,
        n1=8,
        n2=40,
        repeats=100,
    )
    rows = convergence.rates(settings)
    off = (rows["rms"] - rows["law"]).abs() / (rows["rms_ci95"] / 1.96)
    assert len(rows) == 24 and off.max() < 5 and (off < 2).mean() > 0.7
    assert rows["theorem2"].notna().sum() == 4
    assert (rows["theorem3"] > rows["law"]).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda env: trained(env, **{**OK, "tasks": 0}),
            "tasks must be a whole .*got 0",
        ),
        (
            lambda env: trained(env, **{**OK, "tau": 0}),
            "tau must be a whole .*got 0",
        ),
        (lambda env: trained(env, **{**OK, "n1": 1, "tasks": 1}), "1 samples cannot determine 2"),
        (lambda env: trained(env, **{**OK, "tasks": np.array([0])}), "must have spread 0"),
        (lambda env: trained(env, **{**OK, "alpha": 0.5}), "must be a whole number.*got nan"),
        (
            lambda env: trained(flat(env), **{**OK, "tasks": np.array([0, 0])}),
            "data leave a direction undetermined",
        ),
        (lambda env: training_law(env, alpha=None, n1=0), "whole number, at least 1 .*got 0"),
        (lambda env: training_law(env, alpha=0.5, n1=5), "whole number, at least 1 .*got None"),
        (lambda env: trained(env, **OK | {"alpha": 0.5, "n2": math.inf}), "n2 must be .*got inf"),
        (lambda env: training_law(env, alpha=None, n1=5).rms(5, tau=-3), "tau must .*got -3"),
        (lambda env: training_law(env, alpha=None, n1=5).rms(0), "T must be a whole .*got 0"),
        (lambda env: training_law(env, alpha=None, n1=5).bound(0), "T must be a whole .*got 0"),
        (lambda env: theorem2_bound(env, n=10, T=0), "T must be a whole number, .*got 0"),
        (lambda env: theorem2_bound(env, n=10, T=5), "assumes bounded task solutions"),
        (
            lambda env: training_law(env, alpha=None, n1=5).bound(5, delta=1.0),
            "probability between 0 and 1, got 1",
        ),
        (
            lambda env: convergence.environment(convergence.Theorem2(tasks=3)),
            "even number, at least 2, got 3",
        ),
    ],
)
def test_bad_arguments_are_refused(call, sentence):
    env = random_environment(1, d=2, families=2, noise=0.1)
    env = dataclasses.replace(env, spreads=np.stack([np.eye(2)] * 2))
    with pytest.raises(ValueError, match=sentence) as caught:
        call(env)
    assert "\n" not in str(caught.value)


def flat(env):
    """The first of two single tasks has its inputs on a line, aslant: singular but for rounding."""
    line = np.array([[0.3, 0.1], [0.1, 1 / 30]])
    return dataclasses.replace(
        env, covariances=np.stack([line, np.eye(2)]), spreads=np.zeros((2, 2, 2))
    )


OK = {
    "alpha": None,
    "n1": 3,
    "n2": math.nan,
    "tasks": 5,
    "repeats": 2,
    "rng": np.random.default_rng(0),
}
