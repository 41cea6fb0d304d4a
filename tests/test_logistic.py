"""Logistic regression: grid sums against quad, finite differences and draws from definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from mamlbook.experiments.logistic import Fig8, fig8, reach, tasks
from mamlbook.logistic import (
    Task,
    adapted_loss,
    curvatures,
    excess_risk,
    gradient,
    loss,
    minima_on_line,
    nal_loss,
    sampled_losses,
    slope,
)

ONE = np.ones(10)
EASY = Task(1.0, -ONE)
SOLVING = 1 / curvatures(EASY)[1]
seeds = st.integers(0, 2**32 - 1)


def gaussian_mean(f):
    return quad(lambda z: f(z) * norm.pdf(z), -12, 12, epsabs=1e-12, epsrel=1e-12, limit=500)[0]


def random_task(rng, d):
    return Task(rng.uniform(0.05, 2), rng.normal(0, 1.5, d))


def tilted(t, q):
    """(t, ..., t) + q u, with u orthogonal to (1, ..., 1) and as long."""
    across = np.zeros(10)
    across[:2] = math.sqrt(5), -math.sqrt(5)
    return t * ONE + q * across


@pytest.mark.parametrize("s", [0.0, 0.1, 1.0, 10.0, 40.0, 100.0])
def test_one_dimensional_means_are_within_their_stated_accuracy(s):
    root = math.sqrt(s)
    bend = gaussian_mean(lambda z: expit(root * z) * expit(-root * z))
    assert abs(slope(s) - bend) < 1e-8
    exact = gaussian_mean(lambda z: np.logaddexp(0, root * z))
    w = np.array([root, 0.0])  # orthogonal to w*: the loss is A(s) alone
    assert abs(loss(Task(1.0, [0.0, 1.0]), w) - exact) < 1e-8


@pytest.mark.parametrize("seed", range(3))
def test_loss_is_the_mean_cross_entropy_of_labelled_points(seed):
    rng = np.random.default_rng(seed)
    task, w = random_task(rng, 4), rng.normal(0, 1.5, 4)
    x = math.sqrt(task.rho) * rng.standard_normal((400_000, 4))
    y = rng.random(len(x)) < expit(x @ task.w_star)
    terms = -np.where(y, np.log(expit(x @ w)), np.log(expit(-x @ w)))
    assert abs(terms.mean() - loss(task, w)) <= 4 * terms.std() / math.sqrt(len(x))


@given(seeds, st.integers(1, 6))
def test_gradient_and_curvatures_are_derivatives(seed, d):
    rng = np.random.default_rng(seed)
    task, w = random_task(rng, d), rng.normal(0, 1.5, d)
    steps = 1e-5 * np.eye(d)
    slopes = (loss(task, w + steps) - loss(task, w - steps)) / 2e-5
    np.testing.assert_allclose(gradient(task, w), slopes, atol=1e-8)
    best = task.w_star
    hessian = (gradient(task, best + steps) - gradient(task, best - steps)) / 2e-5
    along, across = curvatures(task)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(hessian), sorted([along] + [across] * (d - 1)), atol=1e-7
    )
    assert np.abs(gradient(task, best)).max() < 1e-15


@given(seeds)
def test_smoothness_is_a_quarter_of_rho(seed):
    rng = np.random.default_rng(seed)
    task = random_task(rng, 3)
    v, w = rng.normal(0, 2, (2, 3))
    change = np.linalg.norm(gradient(task, v) - gradient(task, w))
    assert change <= task.rho / 4 * np.linalg.norm(v - w)
    tiny = 1e-4 * v / np.linalg.norm(v)  # attained at w = 0
    change = np.linalg.norm(gradient(task, tiny) - gradient(task, 0 * tiny))
    assert change == pytest.approx(task.rho / 4 * 1e-4, rel=1e-5)


@given(seeds, st.integers(1, 6))
def test_one_step_solves_the_task_from_the_sphere_and_from_zero(seed, d):
    rng = np.random.default_rng(seed)
    task = random_task(rng, d)
    alpha = 1 / (task.rho * slope(task.rho * task.w_star @ task.w_star))
    start = rng.standard_normal(d)
    start *= np.linalg.norm(task.w_star) / np.linalg.norm(start)
    for w in (start, np.zeros(d)):
        np.testing.assert_allclose(w - alpha * gradient(task, w), task.w_star, atol=1e-12)


@given(seeds, st.integers(1, 6), st.floats(0.1, 12))
def test_infinite_samples_are_the_full_gradient(seed, d, alpha):
    rng = np.random.default_rng(seed)
    task, w = random_task(rng, d), rng.normal(0, 1.5, (4, d))
    full = loss(task, w - alpha * gradient(task, w))
    np.testing.assert_allclose(adapted_loss(task, w, alpha, math.inf), full, rtol=1e-12)


@given(seeds, st.integers(2, 6), st.floats(0.1, 12), st.integers(20, 500))
@settings(max_examples=15)
def test_only_lengths_and_the_angle_matter(seed, d, alpha, m):
    rng = np.random.default_rng(seed)
    task, w = random_task(rng, d), rng.normal(0, 1.5, d)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    turned = adapted_loss(Task(task.rho, turn @ task.w_star), turn @ w, alpha, m)
    assert turned == pytest.approx(adapted_loss(task, w, alpha, m), rel=1e-10)
    # The line has a cheaper rule of its own: it continues what holds beside it.
    line = rng.uniform(-2, 2) * task.w_star
    beside = line + 1e-8 * w
    assert adapted_loss(task, beside, alpha, m) == pytest.approx(
        adapted_loss(task, line, alpha, m), rel=1e-6
    )


@pytest.mark.parametrize("alpha", [4.0, SOLVING])
@pytest.mark.parametrize(("t", "q"), [(0.3, 0.0), (0.3, 0.4), (1.0, 0.0), (-0.5, 1.0)])
def test_adapted_loss_is_the_mean_of_drawn_steps(alpha, t, q):
    """At m = 500 the expansion's error is far below what 1500 draws can see."""
    for task in (EASY, Task(0.25, ONE)):
        w = tilted(t, q)
        losses = sampled_losses(task, w, alpha, 500, 1500, np.random.default_rng(5))
        error = losses.std() / math.sqrt(losses.size)
        assert abs(adapted_loss(task, w, alpha, 500) - losses.mean()) <= 4 * error


@pytest.mark.parametrize(
    ("d", "m", "t", "q"),
    [
        (10, 10, 0.3, 0.0),
        (10, 10, 1.0, 0.0),
        (10, 40, 0.3, 0.0),
        (10, 40, 0.3, 0.4),
        (3, 60, 1.0, 0.0),
        (2, 200, -0.5, 1.5),  # no other directions: the plane's covariance is all there is
        (1, 200, 1.0, 0.0),
    ],
)
def test_the_expansion_holds_for_few_samples(d, m, t, q):
    """Its stated accuracy: 3% of what sampling adds to the loss."""
    task = Task(1.0, -np.full(d, math.sqrt(10 / d)))
    w = -t * task.w_star
    w[:2] += q * math.sqrt(5) * np.array([1.0, -1.0])[:d]
    losses = sampled_losses(task, w, SOLVING, m, 30_000, np.random.default_rng(6))
    added = losses.mean() - adapted_loss(task, w, SOLVING, math.inf)
    error = losses.std() / math.sqrt(losses.size)
    assert added > 20 * error  # so there is something to be right about
    off = abs(adapted_loss(task, w, SOLVING, m) - losses.mean())
    assert off <= 0.03 * added + 3 * error


def test_minima_on_line_finds_every_valley_and_sorts_them():
    def two_wells(w):
        t = w[..., 0]
        return (t**2 - 1) ** 2 + 0.1 * t

    found = minima_on_line(two_wells, [1.0, 0.0], 2.0)
    exact = np.roots([4, 0, -4, 0.1])
    deep, shallow = exact.min(), exact.max()
    np.testing.assert_allclose([t for t, _ in found], [deep, shallow], atol=1e-6)
    assert found[0][1] < found[1][1]
    with pytest.raises(ValueError, match=r"lies at the end of \|t\| < 1; enlarge"):
        minima_on_line(lambda w: w[..., 0], [1.0], 1.0)


@pytest.mark.parametrize("alpha", [1.0, 4.0, SOLVING])
def test_fig8_holds_the_global_minimisers(alpha):
    """NAL's is the root of the mean gradient; nothing beats MAML's, far out or off the line."""
    chosen = Fig8(alpha=alpha, rho_hard=(0.02, 0.1, 0.6))
    rows = fig8(chosen).set_index(["rho_hard", "algorithm"])
    for rho in chosen.rho_hard:
        env = tasks(chosen, rho)
        root = brentq(lambda t, env=env: sum(gradient(k, t * ONE)[0] for k in env), -1, 1)
        assert rows.loc[(rho, "nal"), "coordinate"] == pytest.approx(root, abs=1e-6)
        best = rows.loc[(rho, "maml")]
        at_best = excess_risk(env, best["coordinate"] * ONE, alpha, 500)
        assert best["excess_risk"] == pytest.approx(float(at_best), rel=1e-12)
        far = 4 * reach(chosen)
        line = np.linspace(-far, far, 1999)[:, None] * ONE
        assert excess_risk(env, line, alpha, 500).min() >= best["excess_risk"]
        for q in (0.05, 0.3, 1.0):
            beside = np.array([tilted(t, q) for t in np.linspace(-1.5, 1.5, 16)])
            assert excess_risk(env, beside, alpha, 500).min() > best["excess_risk"]
        assert best["excess_risk"] <= rows.loc[(rho, "nal"), "excess_risk"]


def test_drawn_steps_prefer_mamls_start():
    """From the definition alone, with common random numbers: neighbours and NAL lose."""
    rows = fig8(Fig8(rho_hard=(0.2,))).set_index("algorithm")["coordinate"]
    env = tasks(Fig8(), 0.2)

    def drawn(t):
        return [
            sampled_losses(task, t * ONE, 4.0, 500, 500, np.random.default_rng(seed))
            for seed, task in enumerate(env)
        ]

    best = drawn(rows["maml"])
    for t in (rows["maml"] - 0.15, rows["maml"] + 0.15, rows["nal"]):
        differences = [other - here for other, here in zip(drawn(t), best, strict=True)]
        error = math.sqrt(sum(x.var() / x.size for x in differences))
        assert sum(x.mean() for x in differences) > 4 * error


def test_the_claims_of_figure_8_hold_for_our_step_and_not_for_alpha_one():
    rho = (0.1, 0.2, 0.5, 0.8)
    table = {
        alpha: fig8(Fig8(alpha=alpha, rho_hard=rho)).pivot(index="rho_hard", columns="algorithm")
        for alpha in (1.0, 4.0)
    }
    for alpha, part in table.items():
        gain = part["excess_risk"]["nal"] / part["excess_risk"]["maml"]
        assert (part["coordinate"]["nal"] < 0).all()
        assert ((part["coordinate"]["maml"] > 0) == (alpha == 4)).all()
        assert gain.max() > 1.7 if alpha == 4 else gain.max() < 1.02


def test_the_minimiser_jumps_where_two_valleys_change_places():
    for rho, hard_side in ((0.024, False), (0.03, True)):
        env = tasks(Fig8(), rho)
        minima = minima_on_line(lambda w, env=env: excess_risk(env, w, 4.0, 500), ONE, 2.0)
        assert len(minima) == 2
        assert (minima[0][0] > 0) == hard_side
        assert (minima[1][0] > 0) != hard_side


@given(st.floats(0.05, 1), st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 1))
def test_nal_is_convex_on_the_line(rho, s, t, share):
    env = tasks(Fig8(), rho)
    between, ends = (
        nal_loss(env, (share * s + (1 - share) * t) * ONE),
        nal_loss(env, np.array([[s], [t]]) * ONE),
    )
    assert between <= share * ends[0] + (1 - share) * ends[1] + 1e-12


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Task(0.0, ONE), "rho must be a positive variance, got 0"),
        (lambda: Task(1.0, [0.0, 0.0]), "other than zero"),
        (lambda: Task(1.0, [math.nan]), "one finite vector"),
        (lambda: Task(1.0, 1.0), "one finite vector"),
        (lambda: adapted_loss(EASY, ONE, 0.0, 5), "alpha must be positive, got 0"),
        (lambda: adapted_loss(EASY, ONE, 1.0, 0), "at least 1"),
        (lambda: sampled_losses(EASY, ONE, 1.0, math.inf, 1, None), "infinitely many samples"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
