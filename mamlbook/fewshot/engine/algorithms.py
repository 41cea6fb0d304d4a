"""An algorithm is a loss, an inner and an outer loop: each by plain autograd, for any model.

Parameters are a dictionary of tensors by name; a set of examples is (inputs, labels); a task is a
support set and a query set. With

    loss(weights, examples) -> (),      the mean loss of a set,
    inner(loss, weights, support) -> weights,   adaptation to a task,
    outer(loss, inner, weights, support, query) -> (),  what the outer loop minimizes,

MAML's outer loss is loss(inner(loss, weights, support), query), NAL's that of both sets together.
For a network and a loss of one's own:

    loss = loss_of(module, F.cross_entropy)
    weights = fit(maml(loss), dict(module.named_parameters()), batches)
    adapted = maml(loss).adapt(weights, support)

`backend` says by what an algorithm's gradient is computed: the closed forms of `learners` where
they hold (the package's own network with NAL, MAML, ANIL or BOIL), else autograd.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import nn

from mamlbook.fewshot.data.tasks import Episodes, labels
from mamlbook.fewshot.engine import learners
from mamlbook.fewshot.engine.learners import Adapted, Learner, Outcome
from mamlbook.fewshot.engine.network import BLOCKS, EPSILON, Network

Weights = dict[str, torch.Tensor]
Examples = tuple[torch.Tensor, torch.Tensor]
Task = tuple[Examples, Examples]
Loss = Callable[[Weights, Examples], torch.Tensor]
Optimiser = Callable[[list[torch.Tensor]], torch.optim.Optimizer]
RATE = "rate."  # before the name of a parameter: its learned inner rate


class Inner(Protocol):
    """Adaptation to a support set, differentiable in the weights it starts from."""

    def __call__(self, loss: Loss, weights: Weights, support: Examples) -> Weights: ...


class Outer(Protocol):
    """The loss of a task, ()."""

    def __call__(
        self, loss: Loss, inner: Inner, weights: Weights, support: Examples, query: Examples
    ) -> torch.Tensor: ...


@dataclass(frozen=True)
class Algorithm:
    """What is minimized over the weights: the mean over tasks of `outer`."""

    loss: Loss
    inner: Inner
    outer: Outer

    def gradient(self, weights: Weights, tasks: Iterable[Task]) -> Weights:
        """The gradient in the weights of the sum of the tasks' outer losses."""
        leaves = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
        total = {name: torch.zeros_like(w) for name, w in weights.items()}
        for support, query in tasks:
            value = self.outer(self.loss, self.inner, leaves, support, query)
            slopes = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
            for name, slope in zip(leaves, slopes, strict=True):
                total[name] += slope
        return total

    def adapt(self, weights: Weights, support: Examples) -> Weights:
        """The weights after the inner loop on a support set; no graph leads back."""
        leaves = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
        adapted = self.inner(self.loss, leaves, support)
        return {name: w.detach() for name, w in adapted.items()}


@dataclass(frozen=True)
class Descent:
    """`steps` gradient steps w <- w - rate grad L(w) of the parameters that `adapts` names.

    first_order: do not differentiate through the gradients.
    """

    rate: float = 0.1
    steps: int = 1
    adapts: Callable[[str], bool] = lambda name: True
    first_order: bool = False

    def __call__(self, loss: Loss, weights: Weights, support: Examples) -> Weights:
        for _ in range(self.steps):
            moving = {name: w for name, w in weights.items() if self.adapts(name)}
            slopes = _slopes(loss(weights, support), moving, not self.first_order)
            moved = {name: w - self.rate * slopes[name] for name, w in moving.items()}
            weights = {**weights, **moved}
        return weights


def learned_rates(loss: Loss, weights: Weights, support: Examples) -> Weights:
    """One step with a rate for every single parameter: w <- w - rate * grad L(w) by element."""
    moving = {name: w for name, w in weights.items() if not name.startswith(RATE)}
    slopes = _slopes(loss(moving, support), moving, True)
    return {name: w - weights[RATE + name] * slopes[name] for name, w in moving.items()}


def with_rates(weights: Weights, rate: float) -> Weights:
    """The weights, and beside each the rates that Meta-SGD learns, all `rate` at first."""
    rates = {RATE + name: torch.full_like(w, rate) for name, w in weights.items()}
    return {**weights, **rates}


def after_adaptation(
    loss: Loss, inner: Inner, weights: Weights, support: Examples, query: Examples
) -> torch.Tensor:
    """The query loss of the adapted weights."""
    return loss(inner(loss, weights, support), query)


def all_examples(
    loss: Loss, inner: Inner, weights: Weights, support: Examples, query: Examples
) -> torch.Tensor:
    """The loss on support and query examples together, without adaptation."""
    inputs, labels = (torch.cat(pair) for pair in zip(support, query, strict=True))
    return loss(weights, (inputs, labels))


def side_by_side(algorithm: Algorithm) -> Algorithm:
    """The same algorithm on many tasks in one graph.

    Weights are those of several networks, (networks, ...) each; examples (n, networks * tasks, ...)
    hold, along their second axis, the tasks of the first network, then those of the second. The
    algorithm's loss is the sum over networks of their losses. Every task gets a copy of its
    network's weights; the outer loss is the sum over networks of the mean over their tasks.
    """
    return Algorithm(algorithm.loss, algorithm.inner, _SideBySide(algorithm.outer))


def nal(loss: Loss, rate: float = 0.1, steps: int = 1) -> Algorithm:
    """No adaptive learning; rate and steps are those of `adapt`."""
    return Algorithm(loss, Descent(rate, steps), all_examples)


def maml(loss: Loss, rate: float = 0.1, steps: int = 1) -> Algorithm:
    """MAML with exact second derivatives and `steps` inner steps (Finn et al., 2017)."""
    return Algorithm(loss, Descent(rate, steps), after_adaptation)


def first_order_maml(loss: Loss, rate: float = 0.1, steps: int = 1) -> Algorithm:
    """MAML that takes the inner gradients for constants."""
    return Algorithm(loss, Descent(rate, steps, first_order=True), after_adaptation)


def anil(loss: Loss, rate: float = 0.1, steps: int = 1, head: str = "head") -> Algorithm:
    """Only the head adapts (Raghu et al., 2020): the parameters whose names begin with `head`."""
    return Algorithm(loss, Descent(rate, steps, _Within(head)), after_adaptation)


def boil(loss: Loss, rate: float = 0.1, steps: int = 1, head: str = "head") -> Algorithm:
    """All but the head adapt (Oh et al., 2021)."""
    return Algorithm(loss, Descent(rate, steps, _Without(head)), after_adaptation)


def meta_sgd(loss: Loss) -> Algorithm:
    """MAML that learns a rate for each parameter too (Li et al., 2017): of `with_rates`."""
    return Algorithm(loss, learned_rates, after_adaptation)


def loss_of(
    module: nn.Module, criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> Loss:
    """criterion(module(inputs), labels) as a function of the module's parameters.

    Give batch norm `track_running_stats=False`: running statistics would be updated by every
    inner step.
    """

    def loss(weights: Weights, examples: Examples) -> torch.Tensor:
        inputs, labels = examples
        return criterion(torch.func.functional_call(module, weights, (inputs,)), labels)

    return loss


def fit(
    algorithm: Algorithm,
    weights: Weights,
    batches: Iterable[list[Task]],
    optimiser: Optimiser = lambda leaves: torch.optim.Adam(leaves, 1e-3),
) -> Weights:
    """The weights after an outer step, by the mean gradient, on each batch of tasks."""
    return deque(history(algorithm, weights, batches, optimiser), maxlen=1)[0]


def history(
    algorithm: Algorithm, weights: Weights, batches: Iterable[list[Task]], optimiser: Optimiser
) -> Iterator[Weights]:
    """The weights at first and after each outer step of `fit`: the same tensors, changed in place
    by the next."""
    leaves = {name: w.detach().clone() for name, w in weights.items()}
    stepper = optimiser(list(leaves.values()))
    yield leaves
    for tasks in batches:
        for name, slope in algorithm.gradient(leaves, tasks).items():
            leaves[name].grad = slope / len(tasks)
        stepper.step()
        yield leaves


@dataclass(frozen=True)
class NetworkLoss:
    """Cross entropy of the package's network by plain operations; weights as `Network.named`."""

    network: Network

    def __call__(self, weights: Weights, examples: Examples) -> torch.Tensor:
        """images (n, side, side, channels) in [0, 1], labels (n,) of which each class has one."""
        images, labels = examples
        return F.cross_entropy(self.logits(weights, images, int(labels.max()) + 1), labels)

    def logits(self, weights: Weights, images: torch.Tensor, ways: int) -> torch.Tensor:
        """(n, ways), one operation of the textbook after another."""
        network = self.network
        x = network.standardized(images).permute(0, 3, 1, 2)
        for block in range(1, BLOCKS + 1):
            kernel = weights[f"block{block}.weights"].unflatten(1, (3, 3, -1)).permute(0, 3, 1, 2)
            z = F.conv2d(x, kernel, stride=network.stride, padding=1)
            mean = z.mean((0, 2, 3), keepdim=True)
            variance = ((z - mean) ** 2).mean((0, 2, 3), keepdim=True)
            h = (z - mean) / torch.sqrt(variance + EPSILON)
            scale, shift = weights[f"block{block}.scale"], weights[f"block{block}.shift"]
            x = F.leaky_relu(h * scale[:, None, None] + shift[:, None, None], network.slope)
            if network.downsampling == "pooled":
                x = F.max_pool2d(x, 2)
        strided = network.downsampling == "strided"
        features = x.mean((2, 3)) if strided else x.permute(0, 2, 3, 1).flatten(1)
        return features @ weights["head.weights"][:ways].T + weights["head.bias"][:ways]


def backend(algorithm: Algorithm) -> Learner | None:
    """The closed form that computes this algorithm's gradient, or None: autograd must."""
    inner, outer = algorithm.inner, algorithm.outer
    if not isinstance(algorithm.loss, NetworkLoss) or not isinstance(inner, Descent):
        return None
    if outer is all_examples:
        return Learner("nal", inner.rate)
    if outer is not after_adaptation:
        return None
    name: Literal["maml", "maml-first"] = "maml-first" if inner.first_order else "maml"
    moved = [inner.adapts(part) for part in algorithm.loss.network.names]
    for adapted in get_args(Adapted):
        learner = Learner(name, inner.rate, adapted, inner.steps)
        if moved == [learner.adapts(part) for part in algorithm.loss.network.names]:
            return learner
    return None


def outer_gradient(
    algorithm: Algorithm,
    weights: Weights,
    images: torch.Tensor,
    episodes: Episodes,
) -> Weights:
    """The gradient summed over tasks given as places in uint8 images, by the `backend`."""
    learner = backend(algorithm)
    if learner is None:
        dtype = next(iter(weights.values())).dtype
        return algorithm.gradient(weights, tasks_of(images, episodes, dtype))
    assert isinstance(algorithm.loss, NetworkLoss)  # or there would be no learner
    network = algorithm.loss.network
    found: Outcome = learners.outer_gradient(
        learner, network, network.vector(weights), images, episodes
    )
    return network.named(found.gradient)


def tasks_of(images: torch.Tensor, episodes: Episodes, dtype: torch.dtype) -> list[Task]:
    """The tasks as tensors: images (n, side, side, channels) in [0, 1] and labels (n,)."""
    shape, sets = episodes.shape, []
    for indices, count in ((episodes.support, shape.shots), (episodes.query, shape.queries)):
        y = labels(shape.ways, count, indices.device)
        sets.append([(each, y) for each in learners.inputs(images, indices, dtype)])
    return list(zip(*sets, strict=True))


@dataclass(frozen=True)
class _SideBySide:
    outer: Outer

    def __call__(
        self, loss: Loss, inner: Inner, weights: Weights, support: Examples, query: Examples
    ) -> torch.Tensor:
        networks = len(next(iter(weights.values())))
        tasks = support[0].shape[1] // networks
        own = {name: w.repeat_interleave(tasks, 0) for name, w in weights.items()}
        return self.outer(loss, inner, own, support, query) / tasks


@dataclass(frozen=True)
class _Within:
    head: str

    def __call__(self, name: str) -> bool:
        return name.startswith(self.head)


@dataclass(frozen=True)
class _Without:
    head: str

    def __call__(self, name: str) -> bool:
        return not name.startswith(self.head)


def _slopes(value: torch.Tensor, moving: Weights, second: bool) -> Weights:
    found = torch.autograd.grad(
        value, list(moving.values()), create_graph=second, materialize_grads=True
    )
    return dict(zip(moving, found, strict=True))
