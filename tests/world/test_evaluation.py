"""Four risks, implied positions and tangent kernels, each against another way to them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mamlbook.linear import direction_rates, excess_risk, preconditioned_risk
from mamlbook.world.evaluation import (
    QUERIES,
    RATES,
    TaskSet,
    implied,
    risks,
    risks_by_rate,
    tangent_kernel,
    task_set,
)
from mamlbook.world.network import Network, losses
from mamlbook.world.renderer import Pen, bank
from mamlbook.world.tasks import draws, landscape, solutions
from mamlbook.world.training import Recipe, Setting, linear

SETTING = Setting(0.25, 10.0, 8, Recipe(steps=1, body_steps=1))


def networks(count):
    network, generator = Network(), torch.Generator().manual_seed(2)
    return network, [[3 * w for w in network.initial(generator)] for _ in range(count)]


def test_the_four_risks_are_those_of_networks_taken_one_by_one():
    network, both = networks(2)
    tasks, rates = task_set(SETTING, 0, 6), [0.05, 0.02]
    found = risks(network, both, both, tasks, rates)
    for i, function in enumerate(both):
        for j, kernel in enumerate(both):
            losses = []
            for x, y in zip(tasks.images, tasks.labels, strict=True):
                with torch.no_grad():
                    offset = (network(function, x[None]) - network(kernel, x[None]))[0]
                own = [w.clone().requires_grad_() for w in kernel]
                out = network(own, x[None, QUERIES:])[0] + offset[QUERIES:]
                (0.5 * (out - y[QUERIES:]).square().mean()).backward()
                moved = [(w - rates[j] * w.grad).detach() for w in own]
                out = network(moved, x[None, :QUERIES])[0] + offset[:QUERIES]
                losses.append(0.5 * (out - y[:QUERIES]).square().mean().item())
            assert found[i, j] == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_readouts_risk_is_proposition_1():
    """With codes that are the latents themselves, whatever their number of support images."""
    rng, env, m = np.random.default_rng(3), landscape(0.25, 3.0), 12
    drawn = draws(9, "test", 1, 4000, 1, 6, 10)
    w = solutions(env, drawn)[0]
    rho = np.where(drawn.hard[0], 0.25, 1.0)
    z = rng.standard_normal((4000, QUERIES + m, 6)) * np.sqrt(rho)[:, None, None]
    labels = np.einsum("tnd,td->tn", z, w)
    tasks = TaskSet(torch.from_numpy(z), torch.from_numpy(labels))
    start = 0.4 * env.centres[0]
    weights = [torch.from_numpy(start)[None, :, None]]
    found = risks(linear, [weights], [weights], tasks, [0.7])[0, 0]
    assert found == pytest.approx(excess_risk(env, start, 0.7, m), rel=0.03)


@pytest.mark.parametrize("logistic", [False, True])
def test_one_gradient_gives_the_risk_at_every_rate(logistic):
    network, (weights,) = networks(1)
    recipe = replace(SETTING.recipe, logistic=logistic)
    tasks = task_set(replace(SETTING, recipe=recipe), 1, 10, "validate")
    each = [risks(network, [weights], [weights], tasks, [rate])[0, 0] for rate in RATES]
    assert np.allclose(risks_by_rate(network, weights, tasks), each, rtol=1e-4)


def test_the_loss_of_probabilities_is_their_divergence():
    y = torch.rand(5, generator=torch.Generator().manual_seed(1)).double()
    h = torch.linspace(-3, 3, 5).double()
    pair = (torch.distributions.Bernoulli(probs=p) for p in (y, torch.sigmoid(h)))
    drawn = torch.distributions.kl_divergence(*pair)
    assert torch.allclose(losses(h, y, logistic=True), drawn)
    assert losses(torch.logit(y), y, logistic=True).abs().max() < 1e-12


def test_half_of_the_test_tasks_are_hard_and_show_less_ink():
    tasks = task_set(SETTING, 2, 40)
    ink = tasks.images.square().mean((1, 2)).numpy()
    assert ink[::2].mean() / ink[1::2].mean() == pytest.approx(0.25, abs=0.02)


class Decoder:
    """A network that is linear in what it sees: outputs of least squares on the images."""

    def __call__(self, weights, images):
        return (images @ weights[0])[..., 0]


def test_a_linear_output_implies_its_own_weights():
    held = bank(Pen(), "test")
    to_z, *_ = np.linalg.lstsq(held.images, held.z, rcond=None)
    w = np.array([1.0, -2.0, 0.5, 0.0, 0.3, 1.5])
    weights = [torch.from_numpy((to_z @ w)[None, :, None].astype(np.float32))]
    drawn = implied(Decoder(), weights, Pen(), rho=0.25)
    out = held.images @ (to_z @ w)
    assert np.allclose(drawn.w, np.linalg.solve(held.z.T @ held.z, held.z.T @ out), atol=1e-3)
    left = out - held.z @ drawn.w
    assert drawn.r2 == pytest.approx(1 - left @ left / (out @ out), abs=1e-4)
    assert 0.1 < drawn.r2 < 0.99


def test_the_tangent_kernel_tells_how_far_one_step_moves_the_implied_solution():
    network, (weights,) = networks(1)
    kernel, count = tangent_kernel(network, weights, Pen()), 4000
    held = bank(Pen(), "test")
    x, z = torch.from_numpy(held.images[:count])[None], torch.from_numpy(held.z[:count])
    rate, towards = 1e-5, torch.tensor([1.0, 0.0, -2.0, 0.5, 0.0, 1.0])
    own = [w.clone().requires_grad_() for w in weights]
    # A loss whose gradient is minus the mean of (gradient of h) <towards, z>.
    (-(network(own, x)[0] * (z @ towards)).mean()).backward()
    with torch.no_grad():
        moved = network([w - rate * w.grad for w in own], x)[0] - network(own, x)[0]
    change = (moved.double() @ z.double() / count).numpy()
    assert np.allclose(change, rate * kernel @ towards.numpy(), rtol=0.02, atol=2e-6)


def test_rates_by_direction_are_what_a_linear_network_with_such_a_kernel_does():
    """h = <w, z> with weights v, w = B v: its tangent kernel is BB', the theory's rates."""
    env, m, rng = landscape(0.25, 3.0), 12, np.random.default_rng(4)
    rates = direction_rates(env.centres[0], 0.9, 0.5)
    root = np.linalg.cholesky(rates)
    drawn = draws(11, "test", 1, 4000, 1, 6, 10)
    w = solutions(env, drawn)[0]
    rho = np.where(drawn.hard[0], 0.25, 1.0)
    z = rng.standard_normal((4000, QUERIES + m, 6)) * np.sqrt(rho)[:, None, None]
    tasks = TaskSet(torch.from_numpy(z @ root), torch.from_numpy(np.einsum("tnd,td->tn", z, w)))
    start = 0.6 * env.centres[0]
    weights = [torch.from_numpy(np.linalg.solve(root, start))[None, :, None]]
    found = risks(linear, [weights], [weights], tasks, [1.0])[0, 0]
    assert found == pytest.approx(preconditioned_risk(env, start, rates, m), rel=0.03)
