"""Every algorithm's gradient in float64, against a double backward written out for itself.

The model has its own double backward: a vector of all parameters, its inner gradients and
Hessians by torch.func, and the chain rule by hand.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import grad, hessian

from mamlbook.fewshot.engine import algorithms, learners
from mamlbook.fewshot.engine.algorithms import NetworkLoss
from mamlbook.fewshot.engine.learners import Learner
from mamlbook.fewshot.engine.network import Network
from tests.fewshot.test_gradients import NETWORKS, case, error

RATE = 0.1
SIZES = {"body.weight": (4, 3), "body.bias": (4,), "head.weight": (2, 4), "head.bias": (2,)}


class Small(nn.Module):
    """A user's own module."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(3, 4).double(), nn.Linear(4, 2).double()

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


def flat_loss(vector, examples):
    """The same model's mean cross entropy, of one vector."""
    x, y = examples
    pieces = vector.split([torch.Size(size).numel() for size in SIZES.values()])
    w, b, v, c = (p.view(size) for p, size in zip(pieces, SIZES.values(), strict=True))
    return F.cross_entropy(torch.tanh(x @ w.T + b) @ v.T + c, y)


def flat(weights, prefix=""):
    return torch.cat([weights[prefix + name].flatten() for name in SIZES])


@pytest.fixture(name="given")
def given_fixture():
    """A module's loss and weights, and three tasks."""
    module, generator = Small(), torch.Generator().manual_seed(1)
    tasks = []
    for _ in range(3):
        x = torch.randn(10, 3, generator=generator, dtype=torch.float64)
        y = torch.randint(0, 2, (10,), generator=generator)
        tasks.append(((x[:4], y[:4]), (x[4:], y[4:])))
    weights = {name: w.detach() for name, w in module.named_parameters()}
    return algorithms.loss_of(module, F.cross_entropy), weights, tasks


def by_hand(vector, tasks, mask, steps, second=True):
    """sum over tasks of prod_k (I - alpha H_k M) grad L_query(w_K)."""
    total = torch.zeros_like(vector)
    for support, query in tasks:
        w, curvatures = vector, []
        for _ in range(steps):
            curvatures.append(hessian(flat_loss)(w, support))
            w = w - RATE * mask * grad(flat_loss)(w, support)
        v = grad(flat_loss)(w, query)
        for curvature in reversed(curvatures if second else []):
            v = v - RATE * curvature @ (mask * v)
        total += v
    return total


MASKS = {
    "all": lambda name: True,
    "head": lambda name: name.startswith("head"),
    "body": lambda name: name.startswith("body"),
}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    ("make", "adapted", "second"),
    [
        (algorithms.maml, "all", True),
        (algorithms.first_order_maml, "all", False),
        (algorithms.anil, "head", True),
        (algorithms.boil, "body", True),
    ],
)
def test_gradient_is_that_of_a_double_backward(given, make, adapted, second, steps):
    loss, weights, tasks = given
    found = flat(make(loss, RATE, steps).gradient(weights, tasks))
    mask = flat(
        {name: torch.full(size, float(MASKS[adapted](name))) for name, size in SIZES.items()}
    ).double()
    assert error(found, by_hand(flat(weights), tasks, mask, steps, second)) < 1e-10
    other = by_hand(flat(weights), tasks, mask, steps, not second)
    assert error(found, other) > 1e-3


def test_nal_descends_the_loss_of_both_sets(given):
    loss, weights, tasks = given
    found = flat(algorithms.nal(loss).gradient(weights, tasks))
    true = sum(
        grad(flat_loss)(flat(weights), (torch.cat((a, c)), torch.cat((b, d))))
        for (a, b), (c, d) in tasks
    )
    assert error(found, true) < 1e-10


def test_meta_sgd_learns_its_rates_too(given):
    loss, weights, tasks = given
    both = algorithms.with_rates(weights, RATE)
    generator = torch.Generator().manual_seed(2)
    for name in weights:
        both["rate." + name] += 0.05 * torch.rand(
            weights[name].shape, generator=generator, dtype=torch.float64
        )
    found = algorithms.meta_sgd(loss).gradient(both, tasks)
    rates, w, of_w, of_rates = flat(both, "rate."), flat(weights), 0, 0
    for support, query in tasks:
        slope = grad(flat_loss)(w, support)
        v = grad(flat_loss)(w - rates * slope, query)
        of_w = of_w + v - hessian(flat_loss)(w, support) @ (rates * v)
        of_rates = of_rates - slope * v
    assert error(flat(found), of_w) < 1e-10
    assert error(flat(found, "rate."), of_rates) < 1e-10


def test_adaptation_takes_gradient_steps(given):
    loss, weights, tasks = given
    support, w = tasks[0][0], flat(weights)
    for _ in range(3):
        w = w - RATE * grad(flat_loss)(w, support)
    adapted = algorithms.maml(loss, RATE, steps=3).adapt(weights, support)
    assert error(flat(adapted), w) < 1e-12
    assert not any(each.requires_grad for each in adapted.values())


def test_a_users_module_is_trained(given):
    """What is minimized falls, for MAML further than the untrained network's."""
    loss, weights, tasks = given
    algorithm = algorithms.maml(loss, RATE)

    def risk(weights):
        return sum(loss(algorithm.adapt(weights, s), q).item() for s, q in tasks)

    trained = algorithms.fit(
        algorithm, weights, [tasks] * 60, lambda leaves: torch.optim.Adam(leaves, 0.05)
    )
    assert risk(trained) < 0.8 * risk(weights)


def weights_only(name):
    return not name.endswith((".scale", ".shift"))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("make", "learner"),
    [
        (algorithms.nal, Learner("nal")),
        (algorithms.maml, Learner("maml")),
        (algorithms.first_order_maml, Learner("maml-first")),
        (algorithms.anil, Learner("maml", adapted="head")),
        (algorithms.boil, Learner("maml", adapted="body")),
        (lambda loss: algorithms.maml(loss, steps=3), Learner("maml", inner_steps=3)),
        (
            lambda loss: algorithms.anil(loss, steps=2),
            Learner("maml", adapted="head", inner_steps=2),
        ),
        (
            lambda loss: algorithms.first_order_maml(loss, steps=2),
            Learner("maml-first", inner_steps=2),
        ),
        (
            lambda loss: algorithms.Algorithm(
                loss,
                algorithms.Descent(adapts=weights_only),
                algorithms.after_adaptation,
            ),
            Learner("maml", adapted="weights"),
        ),
    ],
)
def test_both_backends_give_the_same(network, make, learner):
    theta, images, episodes = case(network, 1)
    algorithm = make(NetworkLoss(network))
    assert algorithms.backend(algorithm) == learner
    weights = network.named(theta)
    fast = algorithms.outer_gradient(algorithm, weights, images, episodes)
    tasks = algorithms.tasks_of(images, episodes, theta.dtype)
    slow = algorithm.gradient(weights, tasks)
    assert error(network.vector(fast), network.vector(slow)) < 1e-10
    true = learners.outer_gradient(learner, network, theta, images, episodes).gradient
    assert torch.equal(network.vector(fast), true)


def test_where_no_closed_form_holds_autograd_computes():
    network = Network(28, 1, 5, 6, "strided")
    theta, images, episodes = case(network, 1)
    loss, weights = NetworkLoss(network), network.named(theta)

    def last_block(name):
        return name.startswith("block4")

    inner = algorithms.Descent(adapts=last_block)
    algorithm = algorithms.Algorithm(loss, inner, algorithms.after_adaptation)
    assert algorithms.backend(algorithm) is None
    found = algorithms.outer_gradient(algorithm, weights, images, episodes)
    one_step = algorithms.outer_gradient(algorithms.maml(loss), weights, images, episodes)
    assert error(network.vector(found), network.vector(one_step)) > 1e-3
    assert algorithms.backend(algorithms.maml(algorithms.loss_of(Small(), F.cross_entropy))) is None
