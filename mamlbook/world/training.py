"""NAL and MAML in this world: autograd, exact second order, several seeds stacked in one run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from mamlbook.errors import InputError
from mamlbook.linear import Environment
from mamlbook.world.network import Network, Weights, adapted, losses, repeated
from mamlbook.world.renderer import Bank, Pen, bank
from mamlbook.world.tasks import Batch, Draws, batch, draws, landscape, solutions, together

CLIP = 10.0
BANK = 20_000


@dataclass(frozen=True)
class Recipe:
    """All that is the same for every position of the dials."""

    network: Network = field(default_factory=Network)
    pen: Pen = field(default_factory=Pen)
    logistic: bool = False
    """Whether labels are probabilities and the loss is their divergence, in place of squares."""
    optimizer: str = "adam"
    """"adam" or "sgd" (with momentum 0.9)."""
    rate: float = 3e-3
    """The largest outer learning rate of the one-cycle schedule."""
    readout_rate: float = 1e-2
    """The same where the readout alone is trained."""
    steps: int = 800
    tasks: int = 8
    """Tasks of one outer step."""
    queries: int = 50
    """Query images of a task."""
    body_steps: int = 1500
    """Steps in which the code learns to decode the latent, before any task."""


@dataclass(frozen=True)
class Setting:
    """One position of the dials, and the recipe."""

    hardness: float
    """rho_H/rho_E, with rho_E = 1."""
    packing: float
    """R^2/r_H."""
    m: int
    """Support images of a task, in training as in the test."""
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def environment(self) -> Environment:
        """The landscape in which the theory lives, too."""
        return landscape(self.hardness, self.packing, self.recipe.pen.dimension)


def stacked(many: Sequence[Weights]) -> Weights:
    """Networks with a first axis of one each, as one list with that axis running over them."""
    return [torch.cat(parts) for parts in zip(*many, strict=True)]


@cache
def body(recipe: Recipe, seed: int) -> tuple[Tensor, ...]:
    """A network whose code has learned to decode the latent, E ||code - sqrt(rho) z||^2 / d.

    Images have a contrast sqrt(rho) drawn evenly between 0.2 and 1; the readout stays as it was
    drawn. It depends on nothing that the dials change.
    """
    pen, network = recipe.pen, recipe.network
    held = bank(pen, "train", BANK)
    generator = torch.Generator().manual_seed(seed)
    weights = [w.requires_grad_() for w in network.initial(generator)]
    moving = weights[: -network.readout]
    optimizer = torch.optim.Adam(moving, lr=3e-3)
    schedule = OneCycleLR(optimizer, 5e-3, recipe.body_steps, cycle_momentum=False)
    images, z = torch.from_numpy(held.images), torch.from_numpy(held.z)
    for _ in range(recipe.body_steps):
        some = torch.randint(BANK, (256,), generator=generator)
        ink = 0.2 + 0.8 * torch.rand(256, 1, generator=generator)
        wrong = network.codes(weights, (ink * images[some])[None])[0] - ink * z[some]
        optimizer.zero_grad()
        wrong.pow(2).mean().backward()
        optimizer.step()
        schedule.step()
    return tuple(w.detach() for w in weights)


def train(
    setting: Setting,
    seeds: Sequence[int],
    rates: Tensor | None = None,
    *,
    readout: bool = False,
) -> Weights:
    """Networks of NAL (no inner `rates`) or of MAML with inner learning rates (G,), G seeds.

    NAL minimizes the mean loss, 1/2 (h(x) - y)^2, on the query images as they come, MAML the same
    after the inner step on the support images, through which its gradient passes. With `readout`
    the code stays as `body` left it and the readout alone is trained and adapted.
    """
    recipe = setting.recipe
    initial = stacked([list(body(recipe, seed)) for seed in seeds])
    held, apart = bank(recipe.pen, "train", BANK), 0
    network: Callable[[Weights, Tensor], Tensor] = recipe.network
    if readout:
        fixed, initial = initial[: -recipe.network.readout], initial[-recipe.network.readout :]
        held, apart = _coded(recipe, seeds), BANK
        network = linear
    moving = [w.clone().requires_grad_() for w in initial]
    optimizer = _optimizer(recipe, moving, recipe.readout_rate if readout else recipe.rate)
    peak = optimizer.param_groups[0]["lr"]
    schedule = OneCycleLR(optimizer, peak, recipe.steps, cycle_momentum=False)
    env, d = setting.environment, recipe.pen.dimension
    # NAL needs no support images; its query images are those of MAML with the same seed.
    images = recipe.queries + (0 if rates is None else setting.m)
    each = [draws(seed, "train", recipe.steps, recipe.tasks, images, d, BANK) for seed in seeds]
    drawn = together(each)
    own_bank = np.repeat(np.arange(len(seeds)), recipe.tasks)[:, None] * apart
    drawn = Draws(drawn.hard, drawn.normals, drawn.places + own_bank)
    wanted = solutions(env, drawn)
    for step in range(recipe.steps):
        shown = batch(env, drawn, wanted, step, held, logistic=recipe.logistic)
        loss = outer_loss(network, moving, shown, recipe, rates)
        optimizer.zero_grad()
        loss.backward()
        _clip(moving)
        optimizer.step()
        schedule.step()
    trained = [w.detach() for w in moving]
    return [*fixed, *trained] if readout else trained


def outer_loss(
    network: Callable[[Weights, Tensor], Tensor],
    weights: Weights,
    shown: Batch,
    recipe: Recipe,
    rates: Tensor | None,
) -> Tensor:
    """The sum over networks of the mean query loss of their tasks, before or after a step.

    Images (G * tasks, queries + m, pixels), each network's tasks in a row, the queries first.
    """
    own, queries, logistic = repeated(weights, recipe.tasks), recipe.queries, recipe.logistic
    if rates is not None:
        own = adapted(
            network,
            own,
            shown.images[:, queries:],
            shown.labels[:, queries:],
            rates.repeat_interleave(recipe.tasks),
            create_graph=True,
            logistic=logistic,
        )
    outputs = network(own, shown.images[:, :queries])
    return losses(outputs, shown.labels[:, :queries], logistic).mean(1).sum() / recipe.tasks


def linear(weights: Weights, codes: Tensor) -> Tensor:
    """The readout alone: codes (G, n, code) -> (G, n)."""
    out = codes @ weights[0]
    return (out if len(weights) == 1 else out + weights[1][:, None])[..., 0]


def _coded(recipe: Recipe, seeds: Sequence[int]) -> Bank:
    """A bank for each seed, one after the other, with its codes in the images' place.

    Twice the ink is twice the code, without biases.
    """
    if recipe.network.biases:
        raise InputError("With biases a code is not proportional to the ink; train all layers.")
    held = bank(recipe.pen, "train", BANK)
    images = torch.from_numpy(held.images)[None]
    with torch.no_grad():
        codes = [recipe.network.codes(list(body(recipe, seed)), images)[0] for seed in seeds]
    return Bank(np.tile(held.z, (len(seeds), 1)), torch.cat(codes).numpy())


def _optimizer(recipe: Recipe, moving: Weights, rate: float) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(moving, lr=rate)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(moving, lr=rate, momentum=0.9)
    raise InputError(f"The optimizer is {recipe.optimizer!r}; it must be 'adam' or 'sgd'.")


def _clip(moving: Weights) -> None:
    """Scale each network's own gradient down to the norm CLIP."""
    squares = sum((w.grad.flatten(1).pow(2).sum(1) for w in moving), start=torch.zeros(()))
    scale = (CLIP / squares.sqrt()).clamp(max=1)
    for w in moving:
        w.grad *= scale.reshape(-1, *[1] * (w.ndim - 1))
