"""Every gradient that ships, in float64, against double backward and finite differences."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mamlbook.fewshot.data import tasks
from mamlbook.fewshot.engine import learners
from mamlbook.fewshot.engine.closed import curvature, folding, passes
from mamlbook.fewshot.engine.closed.convolution import Direct, Gemm
from mamlbook.fewshot.engine.network import Network
from tests.fewshot import reference
from tests.fewshot.devices import GPU

ALGORITHMS = ("maml", "maml-first", "nal")
NETWORKS = [
    Network(28, 1, 5, 6, "strided"),
    Network(28, 1, 5, 6, "pooled"),
    Network(32, 3, 5, 6, "strided", "leaky"),
    Network(32, 3, 5, 6, "pooled"),
    Network(28, 1, 5, 6, "pooled", "leaky", "normal", (0.4,), (0.3,)),
]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


def case(network: Network, sets: int, device: str = "cpu", count: int = 3):
    """theta (sets, size) away from its start, images, and `count` tasks for each set."""
    generator = torch.Generator().manual_seed(7)
    theta = torch.cat([network.initial(seed) for seed in range(sets)]).double()
    theta += 0.2 * torch.randn(theta.shape, generator=generator, dtype=theta.dtype)
    size = (12 * 8, network.side, network.side, network.channels)
    images = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
    family = tasks.Family(
        tasks.Shape(3, 2, 4), (tuple(range(12)),), False, torch.arange(8).expand(12, 8)
    )
    episodes = family.draw(sets * count, generator, 8)
    episodes = tasks.Episodes(
        episodes.shape, episodes.support.to(device), episodes.query.to(device)
    )
    return theta.to(device), images.to(device), episodes


def expected(algorithm, network, theta, images, episodes, adapted="all"):
    """The outer gradient (size,) summed over tasks, by (double) backward, one at a time."""
    shape, total = episodes.shape, 0
    y_s, y_t = tasks.labels(3, shape.shots), tasks.labels(3, shape.queries)
    theta = theta.clone().requires_grad_()
    for support, query in zip(episodes.support, episodes.query, strict=True):
        x_s, x_t = (
            learners.inputs(images, each[None], theta.dtype)[0] for each in (support, query)
        )
        if algorithm == "nal":
            loss = reference.loss(network, theta, torch.cat((x_s, x_t)), torch.cat((y_s, y_t)))
        else:
            loss = reference.maml_loss(
                network, theta, x_s, y_s, x_t, y_t, 0.1,
                first=algorithm == "maml-first", frozen=adapted == "weights",
            )  # fmt: skip
        total = total + torch.autograd.grad(loss, theta)[0]
    return total


def error(found: torch.Tensor, true: torch.Tensor) -> float:
    return ((found.cpu() - true.cpu()).norm() / true.norm()).item()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("convolution", [Direct, Gemm])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("network", NETWORKS)
def test_outer_gradient_is_that_of_double_backward(network, algorithm, convolution, device):
    theta, images, episodes = case(network, 2, device)
    found = learners.outer_gradient(
        learners.Learner(algorithm), network, theta, images, episodes, convolution=convolution
    )
    for row in range(2):
        true = expected(
            algorithm, network, theta[row].cpu(), images.cpu(),
            tasks.Episodes(
                episodes.shape,
                episodes.support[3 * row : 3 * row + 3].cpu(),
                episodes.query[3 * row : 3 * row + 3].cpu(),
            ),
        )  # fmt: skip
        assert error(found.gradient[row], true) < 1e-10


@pytest.mark.parametrize("algorithm", ["maml", "maml-first"])
@pytest.mark.parametrize("network", NETWORKS)
def test_scales_and_shifts_may_stay_out_of_the_inner_loop(network, algorithm):
    theta, images, episodes = case(network, 1)
    learner = learners.Learner(algorithm, adapted="weights")
    found = learners.outer_gradient(learner, network, theta, images, episodes).gradient[0]
    assert error(found, expected(algorithm, network, theta[0], images, episodes, "weights")) < 1e-10
    assert error(found, expected(algorithm, network, theta[0], images, episodes)) > 1e-4
    moved = learners.adapt(learner, network, theta, images, episodes, 1) - theta
    for index, part in enumerate(network.parts(moved)):
        assert (part.abs().sum() == 0) == (index < 12 and index % 3 > 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("network", NETWORKS)
def test_threads_share_out_the_same_gradient(network, algorithm):
    theta, images, episodes = case(network, 1)

    def gradient(theta, episodes):
        return learners.outer_gradient(
            learners.Learner(algorithm), network, theta, images, episodes
        )

    with ThreadPoolExecutor(2) as team:
        outcomes = learners.parallel_gradients(gradient, theta, [episodes], team)
    found = sum(each.gradient[0] for each in outcomes)
    assert error(found, expected(algorithm, network, theta[0], images, episodes)) < 1e-10


@pytest.mark.parametrize("convolution", [Direct, Gemm])
@pytest.mark.parametrize("algorithm", ["maml", "nal"])
@pytest.mark.parametrize("network", NETWORKS)
def test_outer_gradient_is_the_slope_of_the_outer_loss(network, algorithm, convolution):
    theta, images, episodes = case(network, 1)
    learner = learners.Learner(algorithm)

    def at(theta):
        return learners.outer_gradient(
            learner, network, theta, images, episodes, convolution=convolution
        )

    gradient = at(theta).gradient
    generator = torch.Generator().manual_seed(1)
    step = 1e-6
    for _ in range(3):
        along = torch.randn(theta.shape, generator=generator, dtype=theta.dtype)
        along /= along.norm()
        high, low = (at(theta + sign * step * along).loss.sum() for sign in (1, -1))
        slope = (high - low) / (2 * step)
        assert abs(slope - (gradient * along).sum()) < 1e-6 * gradient.norm()


@pytest.mark.parametrize("network", NETWORKS)
def test_second_derivatives_matter(network):
    """First-order MAML is another gradient: the checks above can tell them apart."""
    theta, images, episodes = case(network, 1)
    exact, first = (expected(name, network, theta[0], images, episodes) for name in ALGORITHMS[:2])
    assert error(first, exact) > 1e-3


def test_hessian_is_symmetric():
    network = NETWORKS[0]
    theta, images, episodes = case(network, 1, count=1)
    x = learners.inputs(images, episodes.support, theta.dtype)
    logits, tape = passes.forward(network, theta, x, 3, tangents=True)
    passes.cross_entropy(tape, logits, tasks.labels(3, 2))
    passes.backward(network, theta, tape, 1)
    u, v = torch.randn(2, 1, network.size, dtype=theta.dtype)
    h_u, h_v = (curvature.hessian_vector_product(network, theta, tape, each, 1) for each in (u, v))
    torch.testing.assert_close((u * h_v).sum(), (v * h_u).sum(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 3])
def test_adaptation_takes_gradient_steps(steps):
    network = NETWORKS[0]
    theta, images, episodes = case(network, 1)
    adapted = learners.adapt(learners.Learner("maml", 0.1), network, theta, images, episodes, steps)
    labels = tasks.labels(3, 2)
    for row, support in enumerate(episodes.support):
        x = learners.inputs(images, support[None], theta.dtype)[0]
        own = theta[0]
        for _ in range(steps):
            own = own.detach().requires_grad_()
            loss = reference.loss(network, own, x, labels)
            own = own - 0.1 * torch.autograd.grad(loss, own)[0]
        assert error(adapted[row], own.detach()) < 1e-10


def test_float32_is_near_float64():
    network = Network(28, 1, 5)
    theta, images, episodes = case(network, 1)
    learner = learners.Learner("maml")
    true = learners.outer_gradient(learner, network, theta, images, episodes).gradient
    found = learners.outer_gradient(learner, network, theta.float(), images, episodes).gradient
    assert error(found.double(), true) < 1e-3


def test_folding_loses_no_digits_over_many_patches():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 27, 40_000, generator=generator)
    centred, weights = x - x.mean(2, keepdim=True), torch.randn(1, 8, 27, generator=generator)
    found, true = (
        folding.Fold.of(c, w, torch.ones(1, 8).to(c), 40)
        for c, w in ((centred, weights), (centred.double(), weights.double()))
    )
    assert error(found.covariance, true.covariance) < 1e-7
    assert error(found.s, true.s) < 1e-6


def test_tasks_do_not_see_each_other():
    """A task's loss and gradient are the same alone and in company (batch norm by task)."""
    network = NETWORKS[0]
    theta, images, episodes = case(network, 1)
    learner = learners.Learner("maml")
    company = learners.outer_gradient(learner, network, theta, images, episodes)
    for row in range(3):
        alone = learners.outer_gradient(
            learner, network, theta, images, episodes[row : row + 1], convolution=Gemm
        )
        torch.testing.assert_close(alone.loss[0], company.loss[row], rtol=1e-12, atol=0)


def test_unused_outputs_of_the_head_get_no_gradient():
    network = NETWORKS[0]
    theta, images, episodes = case(network, 1)
    found = learners.outer_gradient(
        learners.Learner("maml"), network, theta, images, episodes
    ).gradient
    head, bias = network.parts(found)[-2:]
    assert not head[:, 3:].any() and not bias[:, 3:].any() and head[:, :3].any()


def test_too_many_ways_are_refused():
    network = NETWORKS[0]
    with pytest.raises(ValueError, match="too few for 6 ways; give at most 5 classes"):
        passes.forward(network, network.initial(0), torch.zeros(1, 6, 28, 28, 1), 6)
