"""What a pair of networks does on test tasks: four risks, implied positions, tangent kernels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mamlbook.world.network import Network, Weights, adapted, losses, repeated
from mamlbook.world.renderer import Pen, bank
from mamlbook.world.tasks import batch, draws, solutions
from mamlbook.world.training import BANK, Setting

QUERIES = 100
TOGETHER = 40  # tasks adapted at a time
RATES = tuple(2.0 ** (-k / 2) for k in range(-2, 13))  # inner learning rates tried for NAL


@dataclass(frozen=True)
class TaskSet:
    """`tasks` test tasks, half of them hard; images (tasks, QUERIES + m, pixels), queries first.

    With `logistic` the labels are probabilities.
    """

    images: Tensor
    labels: Tensor
    logistic: bool = False


def task_set(setting: Setting, seed: int, tasks: int, stream: str = "test") -> TaskSet:
    """Tasks with glyphs of the test bank ("validate": of the training bank)."""
    pen = setting.recipe.pen
    drawn = draws(seed, stream, 1, tasks, QUERIES + setting.m, pen.dimension, BANK)
    drawn.hard[0] = np.arange(tasks) % 2 == 0  # as many hard tasks as easy ones: less noise
    held = bank(pen, "test" if stream == "test" else "train", BANK)
    env = setting.environment
    logistic = setting.recipe.logistic
    made = batch(env, drawn, solutions(env, drawn), 0, held, logistic=logistic)
    return TaskSet(made.images, made.labels, logistic)


def risks(
    network: Callable[[Weights, Tensor], Tensor],
    functions: Sequence[Weights],
    kernels: Sequence[Weights],
    test: TaskSet,
    rates: Sequence[float],
    readout: int = 0,
) -> np.ndarray:
    """Mean risk after the step with each network's function and each network's kernel.

    A pair (f, k) starts from the output of f and steps with the gradients of k: the network k
    runs with the offset f(x) - k(x), on support and query images alike. Where f is k it is that
    network. Networks have a first axis of one. Returns (functions, kernels).
    """
    m = test.images.shape[1] - QUERIES
    found = np.zeros((len(functions), len(kernels)))
    for images, labels in zip(
        test.images.split(TOGETHER), test.labels.split(TOGETHER), strict=True
    ):
        count = len(images)
        query, support = images.split([QUERIES, m], 1)
        answer, shown = labels.split([QUERIES, m], 1)
        flat = images.reshape(1, -1, images.shape[-1])
        with torch.no_grad():
            outputs = {id(w): network(w, flat).reshape(count, -1) for w in [*functions, *kernels]}
        for j, (kernel, rate) in enumerate(zip(kernels, rates, strict=True)):
            copies = [w.requires_grad_() for w in repeated(kernel, count)]
            for i, function in enumerate(functions):
                offset = outputs[id(function)] - outputs[id(kernel)]
                moved = adapted(
                    network,
                    copies,
                    support,
                    shown,
                    torch.full((count,), float(rate)),
                    readout=readout,
                    offset=offset[:, QUERIES:],
                    logistic=test.logistic,
                )
                with torch.no_grad():
                    out = network(moved, query) + offset[:, :QUERIES]
                    found[i, j] += losses(out, answer, test.logistic).mean(1).sum().item()
    return found / len(test.images)


def risks_by_rate(network: Network, weights: Weights, test: TaskSet) -> np.ndarray:
    """A network's mean risk after a step with each of RATES, (rates,); one gradient serves all."""
    found = np.zeros(len(RATES))
    for images, labels in zip(
        test.images.split(TOGETHER), test.labels.split(TOGETHER), strict=True
    ):
        own = [w.requires_grad_() for w in repeated(weights, len(images))]
        support, shown = images[:, QUERIES:], labels[:, QUERIES:]
        ones = torch.ones(len(images))
        stepped = adapted(network, own, support, shown, ones, logistic=test.logistic)
        with torch.no_grad():
            for i, rate in enumerate(RATES):
                moved = [torch.lerp(w, s, rate) for w, s in zip(own, stepped, strict=True)]
                out = network(moved, images[:, :QUERIES])
                each = losses(out, labels[:, :QUERIES], test.logistic)
                found[i] += each.mean(1).sum().item()
    return found / len(test.images)


@dataclass(frozen=True)
class Implied:
    """The linear function of the latent nearest to an output before adaptation.

    w (d,) and the share R^2 of the output's variance that it explains.
    """

    w: np.ndarray
    r2: float


def implied(network: Network, weights: Weights, pen: Pen, rho: float = 1.0) -> Implied:
    """Least squares of h(sqrt(rho) x) on sqrt(rho) z over the test bank, of one network."""
    held = bank(pen, "test", BANK)
    ink = rho**0.5
    with torch.no_grad():
        out = network(weights, ink * torch.from_numpy(held.images)[None])[0].double().numpy()
    z = ink * held.z.astype(float)
    w, *_ = np.linalg.lstsq(z, out, rcond=None)
    left = out - z @ w
    return Implied(w, float(1 - left @ left / (out @ out)))


def tangent_kernel(network: Network, weights: Weights, pen: Pen, images: int = 4000) -> np.ndarray:
    """The tangent kernel in latent directions, J'J with J = E[grad_theta h(x) z'], (d, d).

    A step with the rate alpha on an ample sample of a task at contrast one moves the implied w by
    -alpha J'J (w - w*): its eigenvalues are the speeds at which the network can learn directions.
    The readout of a code that is z itself has J'J = I.
    """
    held = bank(pen, "test", BANK)
    x = torch.from_numpy(held.images[:images])[None]
    z = torch.from_numpy(held.z[:images])
    moving = [w.detach().requires_grad_() for w in weights]
    out = network(moving, x)[0]
    rows = []
    for direction in range(z.shape[1]):
        mean = (out * z[:, direction]).mean()
        parts = torch.autograd.grad(mean, moving, retain_graph=True)
        rows.append(torch.cat([part.flatten() for part in parts]))
    jacobian = torch.stack(rows).double()
    return (jacobian @ jacobian.T).numpy()
