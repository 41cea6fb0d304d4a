import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamlbook import figures
from mamlbook.experiments.neuron import (
    SYMMETRIC,
    Fig4,
    Fig5,
    Fig6,
    Finite,
    Sweep,
    expected_step,
    fig4,
    fig5,
    fig6,
    finite,
    minimisers,
    objectives,
    sweep,
    task_losses,
    two_groups,
)
from mamlbook.landscape import lowest, smoothness, square
from mamlbook.neuron import (
    ACTIVATIONS,
    Adapted,
    Mean,
    Points,
    Task,
    gauss_hermite,
    population,
    sample,
)

SMOOTH = ("softplus", "sigmoid", "tanh")
OPTIMUM = (0.7, -1.1)
AT = np.array([[0.9, 0.4], [-0.3, 1.2], [1.5, -0.2]])


def difference(function, w, step=1e-5):
    """Central differences along both axes, the derivative's index last."""
    parts = [(function(w + e) - function(w - e)) / (2 * step) for e in step * np.eye(2)]
    return np.stack(parts, -1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("variance", [1.0, 0.3])
def test_population_derivatives_are_those_of_the_loss(activation, variance):
    f = population(Task(OPTIMUM, variance), activation)
    np.testing.assert_allclose(f.gradient(AT), difference(f.loss, AT), atol=1e-9)
    np.testing.assert_allclose(f.hessian(AT), difference(f.gradient, AT), atol=1e-9)


@pytest.mark.parametrize("activation", SMOOTH)
def test_sample_derivatives_are_those_of_the_loss(activation):
    f = sample(Task(OPTIMUM, 0.5), activation, 17, np.random.default_rng(3))
    np.testing.assert_allclose(f.gradient(AT), difference(f.loss, AT), atol=1e-9)
    np.testing.assert_allclose(f.hessian(AT), difference(f.gradient, AT), atol=1e-9)


def test_relu_sample_gradient_between_its_kinks():
    f = sample(Task(OPTIMUM), "relu", 17, np.random.default_rng(3))
    np.testing.assert_allclose(f.gradient(AT), difference(f.loss, AT), atol=1e-9)
    np.testing.assert_allclose(f.hessian(AT), difference(f.gradient, AT), atol=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_population_loss_is_the_mean_over_samples(activation):
    task = Task(OPTIMUM, 0.5)
    rng = np.random.default_rng(5)
    drawn = np.array([sample(task, activation, 2000, rng).loss(AT) for _ in range(200)])
    error = drawn.std(0, ddof=1) / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(0) - population(task, activation).loss(AT)) < 4 * error)


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize(("r", "accuracy"), [(1, 1e-13), (2, 1e-7), (3, 2e-5), (4, 2e-4)])
def test_quadrature_is_as_accurate_as_it_says(activation, r, accuracy):
    angle = np.linspace(0, 2 * np.pi, 60)
    w = r * np.stack([np.cos(angle), np.sin(angle)], -1)
    task = Task((r * np.cos(0.3), r * np.sin(0.3)))
    coarse, fine = population(task, activation), population(task, activation, order=160)
    assert np.abs(coarse.loss(w) - fine.loss(w)).max() < accuracy


def test_gauss_hermite_integrates_polynomials():
    x, p = gauss_hermite(12, 3)
    assert p.sum() == pytest.approx(1, abs=1e-14)
    # up to the nodes dropped for a weight below 1e-16, where x^8 is below 10^6
    np.testing.assert_allclose(p @ x**4, 3, rtol=1e-9)
    np.testing.assert_allclose(p @ (x[:, 0] ** 2 * x[:, 1] ** 6), 15, rtol=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_adapted_gradient_is_that_of_the_adapted_loss(activation):
    task = Task(OPTIMUM, 0.5)
    f = population(task, activation)
    for inner in (f, sample(task, activation, 9, np.random.default_rng(1))):
        adapted = Adapted(inner, f, 1.7)
        np.testing.assert_allclose(adapted.gradient(AT), difference(adapted.loss, AT), atol=1e-9)
    np.testing.assert_array_equal(Adapted(f, f, 0.0).loss(AT), f.loss(AT))


@given(
    turn=st.floats(0, 2 * np.pi),
    mirrored=st.booleans(),
    alpha=st.floats(0, 3),
    activation=st.sampled_from([*ACTIVATIONS]),
)
@settings(max_examples=30, deadline=None)
def test_turning_the_optimum_turns_the_landscape(turn, mirrored, alpha, activation):
    # This is why only arrangements that are symmetric about the origin share minimisers exactly.
    Q = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if mirrored:
        Q[:, 1] *= -1
    f, turned = (
        population(Task(tuple(v), 0.7), activation, order=80)
        for v in (np.array(OPTIMUM), Q @ OPTIMUM)
    )
    np.testing.assert_allclose(
        Adapted(turned, turned, alpha).loss(AT @ Q.T), Adapted(f, f, alpha).loss(AT), atol=1e-6
    )


@given(x=st.floats(-3, 3), y=st.floats(-3, 3), s=st.floats(0.1, 1))
@settings(max_examples=30, deadline=None)
def test_one_step_of_softplus_from_the_origin_solves_any_task_at_alpha_4_over_s(x, y, s):
    f = population(Task((x, y), s), "softplus", order=80)
    np.testing.assert_allclose(Adapted(f, f, 4 / s).step(np.zeros(2)), (x, y), atol=1e-4)


def test_relu_curves_by_half_the_variance_along_w_and_never_more():
    f = population(Task(OPTIMUM, 0.6), "relu")
    for w, H in zip(AT, f.hessian(AT), strict=True):
        np.testing.assert_allclose(H @ w, 0.3 * w, atol=1e-14)
        assert np.linalg.eigvalsh(H)[-1] == pytest.approx(0.3)
    np.testing.assert_array_equal(f.gradient(np.zeros((1, 2))), np.zeros((1, 2)))


def test_gauss_newton_part_is_shared_so_equal_tasks_differ_by_residuals_alone():
    w = np.array(OPTIMUM)
    own = population(Task(OPTIMUM), "softplus")
    x, p = gauss_hermite(40, 2)
    _, slope = ACTIVATIONS["softplus"](x @ w, 1)
    np.testing.assert_allclose(own.hessian(w), (x * (p * slope**2)[:, None]).T @ x, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Task((1.0, np.nan)), "optimum"),
        (lambda: Task((1.0, 2.0), 0.0), "variance"),
        (lambda: population(Task((1.0, 2.0)), "softmax"), "softmax"),
        (lambda: sample(Task((1.0, 2.0)), "tanh", 0, np.random.default_rng()), "m = 0"),
        (lambda: Adapted(None, None, -1.0), "alpha"),
    ],
)
def test_bad_input_is_refused_by_name(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_stochastic_inner_steps_add_the_variance_of_the_gradient():
    # To first order in 1/m, E f(w - alpha g_m) = f(w - alpha g) + alpha^2/(2m) tr(H Cov).
    tasks, alpha, m = [Task(OPTIMUM, 0.5)], 1.5, 400
    f = population(tasks[0], "softplus")
    w = AT[0]
    x, p = gauss_hermite(40, 2)
    at_x = Points(np.sqrt(0.5) * x, np.zeros(len(x)), p, "softplus")
    softplus = ACTIVATIONS["softplus"]
    value, slope = softplus(at_x.x @ w, 1)
    each = ((value - softplus(at_x.x @ OPTIMUM, 0)[0]) * slope)[:, None] * at_x.x
    cov = (each * p[:, None]).T @ each - np.outer(p @ each, p @ each)
    after = w - alpha * f.gradient(w)
    predicted = f.loss(after) + alpha**2 / (2 * m) * np.trace(f.hessian(after) @ cov)
    drawn = expected_step(tasks, "softplus", alpha, m, 4000, np.random.default_rng(2))
    # the term linear in the noise has mean zero and is taken out, to see the quadratic one
    slope_after = f.gradient(after)
    losses = np.array([one.loss(w) - slope_after @ (one.step(w) - after) for one in drawn.losses])
    error = losses.std(ddof=1) / np.sqrt(len(losses))
    assert predicted - f.loss(after) > 20 * error  # the term is well visible
    assert abs(losses.mean() - predicted) < 4 * error


def test_mirrored_nodes_give_what_each_node_gives():
    f = population(Task((1.0, 2.0), 0.5), "softplus")
    turned = np.roll(np.arange(len(f.x)), 1)  # the same nodes, of which none mirrors its opposite
    each = Points(f.x[turned], f.y[turned], f.p[turned], "softplus")
    assert f._mirrored and not each._mirrored
    w = square(4.0, 9)
    for name in ("loss", "gradient", "hessian"):
        np.testing.assert_allclose(getattr(f, name)(w), getattr(each, name)(w), atol=1e-13)


def test_landscape_of_four_tasks_takes_under_five_seconds():
    losses = task_losses(Fig4().environments()["cd"], "softplus")
    grid = square(4.0, 200)
    start = time.process_time()
    objectives(losses, 1.8)["maml"].loss(grid)
    assert time.process_time() - start < 5


def distance(row, optimum):
    return np.hypot(row.w1 - optimum[0], row.w2 - optimum[1])


def test_figure_4_equal_hardness_and_one_hard_task():
    a, b, c, d = minimisers(Fig4()).itertuples()
    hard = Fig4().positions[-1]
    side = Fig4().positions[-1][0] - Fig4().positions[0][0]
    assert distance(b, (a.w1, a.w2)) < 0.15 * side and a.maml_loss < 1.02 * b.maml_loss
    assert distance(d, hard) < 0.5 * distance(c, hard) and c.maml_loss > 1.4 * d.maml_loss
    losses = task_losses(Fig4().environments()["cd"], "softplus")
    assert Fig4().alpha < 1 / smoothness(losses, Fig4().half_width)


def test_figure_4_about_the_origin_coincides_exactly_until_symmetry_breaks():
    near = minimisers(Fig4(positions=SYMMETRIC))
    np.testing.assert_allclose(near.loc[near.panel.isin(["a", "b"]), ["w1", "w2"]], 0, atol=1e-9)
    far = minimisers(Fig4(positions=tuple((2 * x, 2 * y) for x, y in SYMMETRIC)))
    assert (far.panel == "a").sum() == 4  # NAL has four minimisers, a quarter turn apart
    np.testing.assert_allclose(far.loc[far.panel == "b", ["w1", "w2"]], 0, atol=1e-9)


def test_minimisers_are_not_undercut_by_the_landscape():
    for make, chosen in ((fig4, Fig4(points=80)), (fig6, Fig6(points=80))):
        rows, surfaces = make(chosen)
        for row in rows.itertuples():
            panels = "ab" if row.panel in "ab" else "cd"
            value = row.nal_loss if row.algorithm == "nal" else row.maml_loss
            assert value <= surfaces[f"{row.algorithm}_{panels}"].min()


def test_minimisers_are_stationary_where_the_landscape_is_flat_too():
    losses = task_losses(Fig4().environments()["ab"], "softplus")
    for alpha in (1.8, 2.2, 2.4, 3.0):
        objective = objectives(losses, alpha)["maml"]
        fine, coarse = lowest(objective, 4.0), lowest(objective, 4.0, points=31)
        assert np.abs(objective.gradient(fine)).max() < 1e-9
        np.testing.assert_allclose(coarse, fine, atol=1e-6)


def test_figure_5_splits_the_losses_of_figure_4():
    rows, surfaces = fig5(Fig5(points=30))
    means = rows.groupby("algorithm")[["nal_loss", "maml_loss"]].mean()
    whole = minimisers(Fig4()).set_index("panel").loc[["b", "a"], ["nal_loss", "maml_loss"]]
    np.testing.assert_allclose(means, whole, rtol=1e-12)
    assert [name for name in surfaces if name.startswith("task_")] == [
        f"task_{i}" for i in range(1, 5)
    ]


def test_figure_6_needs_distance_between_the_centres():
    a, b, c, d = minimisers(Fig6()).itertuples()
    assert distance(b, (a.w1, a.w2)) < 0.12 and a.maml_loss < 1.05 * b.maml_loss
    assert distance(d, (c.w1, c.w2)) > 0.4 and c.maml_loss > 1.4 * d.maml_loss
    losses = task_losses(Fig6().environments()["cd"], "sigmoid")
    assert Fig6().alpha < 1 / smoothness(losses, Fig6().half_width)


def test_two_groups_have_the_centres_and_variances_asked_for():
    tasks = two_groups(R=2.0, r_hard=0.05, r_easy=0.5, hard_variance=0.4)
    for variance, centre, r in ((1.0, -1.0, 0.5), (0.4, 1.0, 0.05)):
        optima = np.array([task.optimum for task in tasks if task.variance == variance])
        np.testing.assert_allclose(optima.mean(0), centre)
        np.testing.assert_allclose(np.cov(optima.T, bias=True), r * np.eye(2), atol=1e-12)


def test_sweep_agrees_with_the_figure_and_marks_what_has_no_minimum():
    rows = sweep(Sweep(alpha=(0.2, 1.8), hard_variance=(0.5,)))
    expected = minimisers(Fig4()).set_index("panel").loc[["c", "d"], ["w1", "w2", "maml_loss"]]
    np.testing.assert_allclose(
        rows.loc[rows.alpha == 1.8, ["w1", "w2", "maml_loss"]], expected, atol=1e-8
    )
    assert rows.gain.iloc[0] < 1.01 < 1.4 < rows.gain.iloc[-1]
    gone = sweep(Sweep(base=Fig4(half_width=1.6), alpha=(2.0,), hard_variance=(0.5,)))
    assert gone.w1.isna().tolist() == [False, True]


def test_samples_scatter_about_the_population_and_follow_their_seed():
    tiny = Finite(draws=1, repeats=1, tau=2, n2=60, test_draws=1)
    assert finite(tiny).equals(finite(tiny))
    assert not finite(tiny).equals(finite(replace(tiny, seed=1)))
    rows = finite(Finite(draws=4, repeats=2, tau=5, n2=60))
    assert set(rows.source) == {"population", "expectation", "sample"}
    nal = rows[(rows.source == "sample") & (rows.algorithm == "nal") & (rows.panel == "ab")]
    centre = rows[(rows.source == "population") & (rows.algorithm == "nal")].iloc[0]
    assert np.all(distance(nal, (centre.w1, centre.w2)) < 0.5)
    assert nal.w1.nunique() == 2
    # steps on 60 samples cost more than full ones, by the variance of the gradient
    exact = rows[rows.source == "population"]
    assert (exact.test_loss > 1.01 * exact.maml_loss).all()
    assert (exact.test_loss < 3 * exact.maml_loss).all()


def test_mean_of_one_loss_is_that_loss():
    f = population(Task(OPTIMUM), "tanh")
    np.testing.assert_array_equal(Mean([f]).gradient(AT), f.gradient(AT))


def test_no_line_is_drawn_between_minima_far_apart():
    """Just above 1/L a minimum runs away and comes back elsewhere; between there may be none."""
    rows = pd.DataFrame(
        {
            "alpha": [1.0, 1.5, 2.0, 2.5] * 2,
            "alpha_L": [0.5, 0.75, 1.0, 1.25] * 2,
            "hard_variance": 1.0,
            "algorithm": ["nal"] * 4 + ["maml"] * 4,
            "distance": [0.7] * 4 + [0.7, 0.6, 1.7, np.nan],
            "gain": [1.0] * 4 + [1.0, 1.1, 1.5, np.nan],
        }
    )
    figure = figures.gain_over_settings(rows, rows.assign(hard_variance=rows["alpha"], alpha=1.0))
    line = figure.axes[2].lines[0]
    assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False, True]
    assert line.get_marker() == "."  # a minimum by itself is seen
