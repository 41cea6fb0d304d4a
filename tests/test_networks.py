import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.functional import hessian
from torch.func import grad

from mamlbook.errors import ComputationError
from mamlbook.experiments.networks import Theorem1, theorem1
from mamlbook.landscape import minima
from mamlbook.networks import (
    geometry,
    gradient,
    maml_objective,
    nal_objective,
    network_loss,
    printed_bound,
    quadratic,
    region_constant,
    spectrum,
    square_bound,
    stationary_point,
    step_spectrum,
)
from mamlbook.neuron import ACTIVATIONS, Adapted, Mean, Task, population

OPTIMUM = (0.7, -1.1)
W = np.array([0.9, 0.4])


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def matrix(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_neuron_by_autograd_is_the_one_by_hand(activation):
    truth = torch.tensor(OPTIMUM, dtype=torch.float64)[:, None]
    f = network_loss(truth, activation, 0.5, order=40)
    by_hand = population(Task(OPTIMUM, 0.5), activation)
    w = torch.from_numpy(W)
    np.testing.assert_allclose(f(w), by_hand.loss(W), rtol=1e-12)
    np.testing.assert_allclose(gradient(f, w), by_hand.gradient(W), atol=1e-13)
    np.testing.assert_allclose(hessian(f, w), by_hand.hessian(W), atol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_loss_is_the_mean_over_samples(activation):
    d, M, variance = 3, 2, 0.6
    truth, at = matrix(d, M, seed=1), matrix(d, M, seed=2)
    x = np.sqrt(variance) * np.random.default_rng(3).standard_normal((1_000_000, d))
    guess, label = (ACTIVATIONS[activation](x @ w.numpy(), 0)[0].sum(1) for w in (at, truth))
    each = 0.5 * (guess - label) ** 2
    error = each.std() / np.sqrt(len(each))
    f = network_loss(truth, activation, variance)
    assert abs(f(at.flatten()).item() - each.mean()) < 4 * error


def test_maml_stationary_point_is_the_one_that_the_grid_finds():
    tasks = [Task((1.0, 0.2), 0.5), Task((0.3, 0.9), 1.0)]
    losses = [population(task, "softplus", 40) for task in tasks]
    [expected], _ = minima(Mean([Adapted(f, f, 1.0) for f in losses]), 3.0)
    f1, f2 = (
        network_loss(
            torch.tensor(t.optimum, dtype=torch.float64)[:, None], "softplus", t.variance, 40
        )
        for t in tasks
    )
    found = stationary_point(maml_objective(f1, f2, 1.0), torch.zeros(2, dtype=torch.float64))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def random_quadratic(rng, low, high, d=4):
    turn = np.linalg.qr(rng.standard_normal((d, d))).Q
    H = turn @ np.diag(rng.uniform(low, high, d)) @ turn.T
    return H, rng.standard_normal(d)


@given(seed=st.integers(0, 10**6), fraction=st.floats(0.05, 0.95))
@settings(max_examples=25, deadline=None)
def test_quadratics_obey_the_square_form_at_the_closed_form_solution(seed, fraction):
    rng = np.random.default_rng(seed)
    (H1, v1), (H2, v2) = random_quadratic(rng, 0.1, 0.8), random_quadratic(rng, 0.3, 1.0)
    alpha = fraction / max(np.linalg.eigvalsh(H)[-1] for H in (H1, H2))
    Q1, Q2 = (H @ np.linalg.matrix_power(np.eye(4) - alpha * H, 2) for H in (H1, H2))
    expected = np.linalg.solve(Q1 + Q2, Q1 @ v1 + Q2 @ v2)
    f1, f2 = (quadratic(*map(torch.from_numpy, pair)) for pair in ((H1, v1), (H2, v2)))
    w = stationary_point(maml_objective(f1, f2, alpha), torch.zeros(4, dtype=torch.float64))
    np.testing.assert_allclose(w, expected, atol=1e-7)
    assert torch.linalg.norm(gradient(maml_objective(f1, f2, alpha), w)) < 1e-10
    measured = (torch.linalg.norm(grad(f1)(w)) / torch.linalg.norm(grad(f2)(w))).item()
    beta_2, L_1 = np.linalg.eigvalsh(H2)[0], np.linalg.eigvalsh(H1)[-1]
    assert measured <= square_bound(alpha, beta_2, L_1) * (1 + 1e-7)


@given(h1=st.floats(0.1, 1), h2=st.floats(0.1, 1), fraction=st.floats(0.1, 0.9))
@settings(max_examples=25, deadline=None)
def test_isotropic_quadratics_meet_the_square_form_and_break_the_printed_one(h1, h2, fraction):
    alpha = fraction / max(h1, h2)
    eye, ones = torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    f1, f2 = quadratic(h1 * eye, ones), quadratic(h2 * eye, -ones)
    w = stationary_point(maml_objective(f1, f2, alpha), torch.zeros(2, dtype=torch.float64))
    measured = (torch.linalg.norm(grad(f1)(w)) / torch.linalg.norm(grad(f2)(w))).item()
    assert measured == pytest.approx(square_bound(alpha, h2, h1), rel=1e-6)
    assert measured > printed_bound(alpha, h2, h1)


def test_the_mean_hessian_of_a_step_carries_the_gradient_across_it():
    f = network_loss(matrix(3, 2, seed=1), "softplus", order=12)
    w, alpha = matrix(6, seed=2), 1.0
    step_beta, step_L = step_spectrum(f, w, alpha)
    before, after = grad(f)(w), grad(f)(w - alpha * grad(f)(w))
    # grad(after) = (I - alpha G) grad(before), so the change is alpha G grad(before)
    rayleigh = ((before - after) @ before / (alpha * before @ before)).item()
    assert step_beta <= rayleigh <= step_L
    beta, L = spectrum(f, w)
    assert step_beta <= beta <= L <= step_L
    # five nodes are as good as sixteen, here where the segment bends less than its start
    sixteen = step_spectrum(f, w, alpha, nodes=16)
    np.testing.assert_allclose((step_beta, step_L), sixteen, atol=1e-6)
    assert step_beta < beta - 1e-3


def test_nal_has_equal_gradient_norms():
    f1, f2 = network_loss(matrix(2, 1), "tanh", 0.3), network_loss(matrix(2, 1, seed=1), "tanh")
    w = stationary_point(nal_objective(f1, f2), torch.full((2,), 0.1, dtype=torch.float64))
    np.testing.assert_allclose(grad(f1)(w), -grad(f2)(w), atol=1e-9)


def test_geometry_reads_the_singular_values():
    truth = torch.diag(torch.tensor([4.0, 1.0, 2.0], dtype=torch.float64))
    outcome = geometry(truth)
    np.testing.assert_allclose(outcome.singular_values, [4, 2, 1])
    assert (outcome.kappa, outcome.lambda_) == pytest.approx((4, 8))
    assert outcome.radius() == pytest.approx(1 / (8 * 16 * 9))
    assert outcome.radius(c1=2, c=1) == pytest.approx(2 / (4 * 8 * 16 * 9))
    w = truth + 0.5 * torch.eye(3, dtype=torch.float64)
    assert region_constant(w.flatten(), truth) == pytest.approx(0.5 * 8 * 16 * 9)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: network_loss(matrix(2), "tanh"), "matrix"),
        (lambda: network_loss(matrix(2, 1).float(), "tanh"), "float64"),
        (lambda: network_loss(matrix(2, 1), "softmax"), "softmax"),
        (lambda: network_loss(matrix(2, 1), "tanh", variance=-1.0), "-1.0"),
        (lambda: geometry(matrix(2, 3)), "M = 3"),
        (lambda: geometry(torch.ones(2, 2, dtype=torch.float64)), "independent"),
    ],
)
def test_bad_input_is_refused_by_name(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_function_without_a_stationary_point_is_told():
    with pytest.raises(ComputationError, match="gradient norm"):
        stationary_point(lambda w: (w + 0.1 * w.sin()).sum(), torch.zeros(1, dtype=torch.float64))


@pytest.fixture(scope="module")
def rows():
    return theorem1(
        Theorem1(networks=(("softplus", 1), ("relu", 1), ("tanh", 2)), spreads=(0.2,), seed=4)
    )


def test_theorem1_has_a_row_for_each_case_and_follows_its_seed(rows):
    assert len(rows) == (2 * 5 + 3 * 3) * 3
    assert (
        not rows[["model", "activation", "M", "variance_1", "repeat", "alpha"]].duplicated().any()
    )
    small = Theorem1(networks=(("softplus", 1),), spreads=(0.2,), eigenvalues=(), fractions=(0.5,))
    assert theorem1(small).equals(theorem1(small))


def test_nal_prefers_no_task_and_the_exact_form_always_holds(rows):
    np.testing.assert_allclose(rows.nal_measured, 1, atol=1e-7)
    applies = rows[rows.exact_applies]
    assert len(applies) > 0.8 * len(rows)
    assert applies.exact_holds.all()


def test_the_printed_bound_fails_where_the_square_form_holds(rows):
    lemma = rows[rows.applies & rows.condition]
    assert lemma.square_holds.all()
    assert 0.1 < lemma.holds.mean() < 0.9


def test_equal_variances_never_meet_the_condition_for_one_relu_neuron(rows):
    relu = rows[(rows.activation == "relu") & (rows.variance_1 == 1.0)]
    np.testing.assert_allclose(relu.L_1, 0.5)
    assert len(relu) == 3 and not relu.condition.any()
