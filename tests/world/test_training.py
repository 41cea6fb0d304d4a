"""Training: the exact gradient of MAML, seeds that do not mix, and the readout's known optimum."""

import numpy as np
import pytest
import torch

from mamlbook.linear import maml_solution, nal_solution
from mamlbook.world.evaluation import implied
from mamlbook.world.network import Network
from mamlbook.world.renderer import Pen, bank
from mamlbook.world.tasks import STEEPNESS, Batch, batch, draws, landscape, solutions
from mamlbook.world.training import Recipe, Setting, body, outer_loss, train

SHORT = Recipe(steps=20, body_steps=30)


@pytest.mark.parametrize("network", [Network(), Network("convolutional", True)])
@pytest.mark.parametrize("rates", [None, torch.tensor([0.2, 0.05], dtype=torch.float64)])
@pytest.mark.parametrize("logistic", [False, True])
def test_the_outer_gradient_is_the_derivative_of_the_outer_loss(network, rates, logistic):
    generator = torch.Generator().manual_seed(1)
    weights = [
        torch.cat([a, b]).double().requires_grad_()
        for a, b in zip(network.initial(generator), network.initial(generator), strict=True)
    ]
    x = torch.randn(4, 9, 256, generator=generator).double()
    y = torch.randn(4, 9, generator=generator).double()
    y = torch.sigmoid(y) if logistic else y
    recipe = Recipe(network, logistic=logistic, queries=5, tasks=2)

    def loss(shift):
        moved = [w + s for w, s in zip(weights, shift, strict=True)]
        return outer_loss(network, moved, Batch(x, y), recipe, rates)

    towards = [torch.randn(w.shape, generator=generator).double() for w in weights]
    gradients = torch.autograd.grad(loss([0 * t for t in towards]), weights)
    analytic = sum((g * t).sum() for g, t in zip(gradients, towards, strict=True)).item()
    h = 1e-8  # a longer way crosses kinks of the ReLUs, where the inner gradient jumps
    up, down = (loss([sign * h * t for t in towards]).item() for sign in (1, -1))
    assert analytic == pytest.approx((up - down) / (2 * h), rel=1e-5)


def test_stacked_seeds_train_as_if_alone():
    setting = Setting(0.25, 10.0, 5, SHORT)
    both = train(setting, [3, 4], torch.tensor([0.1, 0.1]))
    for i, seed in enumerate((3, 4)):
        single = train(setting, [seed], torch.tensor([0.1]))
        assert all(torch.allclose(a[i], b[0], atol=1e-5) for a, b in zip(both, single, strict=True))
    assert not torch.allclose(both[0][0], both[0][1])


def test_nal_is_the_same_whatever_the_number_of_support_images():
    few, many = (train(Setting(0.25, 10.0, m, SHORT), [3]) for m in (5, 50))
    assert all(torch.equal(a, b) for a, b in zip(few, many, strict=True))
    few, many = (draws(3, "train", 4, 2, 50 + m, 6, 1000).places for m in (0, 30))
    assert np.array_equal(few, many[..., :50])


def test_the_readout_learns_the_solutions_of_section_3():
    recipe = Recipe(body_steps=400)
    setting = Setting(0.25, 10.0, 20, recipe)
    env, u = setting.environment, np.full(6, 6**-0.5)
    for rates, solution in (
        (None, nal_solution(env)),
        (torch.ones(2), maml_solution(env, 1.0, 20)),
    ):
        weights = train(setting, [0, 1], rates, readout=True)
        found = [
            implied(recipe.network, [w[i : i + 1] for w in weights], recipe.pen).w @ u
            for i in range(2)
        ]
        assert np.mean(found) == pytest.approx(solution @ u, abs=0.06)


def test_the_body_decodes_and_stays_where_the_readout_alone_is_trained():
    recipe = Recipe(body_steps=400)
    held = bank(Pen(), "test")
    weights = list(body(recipe, 0))
    codes = recipe.network.codes(weights, torch.from_numpy(held.images[:2000])[None])[0].numpy()
    assert ((codes - held.z[:2000]) ** 2).mean() < 0.15  # of a variance of 1
    trained = train(Setting(0.25, 10.0, 5, recipe), [0], readout=True)
    assert all(torch.equal(a, b) for a, b in zip(trained[:-1], weights[:-1], strict=True))


def test_a_task_has_the_ink_of_its_hardness_and_the_labels_of_its_solution():
    env, held = landscape(0.25, 2.0), bank(Pen(), "train")
    analytic = draws(5, "train", 3, 8, 11, 6, len(held.z))
    w = solutions(env, analytic)
    made = batch(env, analytic, w, 2, held)
    for t in range(8):
        rho = 0.25 if analytic.hard[2, t] else 1.0
        places = analytic.places[2, t]
        assert np.allclose(made.images[t], rho**0.5 * held.images[places], atol=1e-6)
        assert np.allclose(made.labels[t], rho**0.5 * held.z[places] @ w[2, t], atol=1e-5)

    chances = batch(env, analytic, w, 2, held, logistic=True).labels
    assert np.allclose(torch.logit(chances), STEEPNESS * made.labels, atol=1e-2)


def test_tasks_are_scattered_as_the_environment_says():
    env = landscape(0.25, 2.0)
    analytic = draws(1, "test", 200, 100, 1, 6, 10)
    w = solutions(env, analytic)
    for k, kind in enumerate((analytic.hard, ~analytic.hard)):
        assert np.allclose(w[kind].mean(0), env.centres[k], atol=0.02)
        assert np.allclose(np.cov(w[kind].T), env.spreads[k], atol=0.01)
    assert np.linalg.norm(env.centres[0]) == pytest.approx(1)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ValueError, match="must be 'adam' or 'sgd'"):
        train(Setting(0.25, 10.0, 5, Recipe(optimizer="lion", body_steps=1)), [0])
    with pytest.raises(ValueError, match="not proportional to the ink"):
        train(Setting(0.25, 10.0, 5, Recipe(Network(biases=True), body_steps=1)), [0], readout=True)
