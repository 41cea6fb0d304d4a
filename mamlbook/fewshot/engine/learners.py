"""MAML and NAL: the gradients of their outer loops, and adaptation to a task.

A task's loss on its support and query examples is L_s and L_q, means of cross entropies. NAL
minimizes the mean over tasks of the loss on all its examples; MAML that of L_q(w'), where
w' = w - alpha grad L_s(w). MAML's gradient is (I - alpha H_s(w)) grad L_q(w'): one pass over the
support sets at the shared w, a first-order pass over the query sets at each task's w', and one
Hessian-vector product on the support sets, summed over tasks. Without H_s it is first-order MAML.
Where the inner loop adapts only some of the parameters, those that the diagonal matrix M selects,
w' = w - alpha M grad L_s(w) and MAML's gradient is (I - alpha H_s(w) M) grad L_q(w'). After K inner
steps w_0 = w, ..., w_K it is (I - alpha H_s(w_0) M) ... (I - alpha H_s(w_K-1) M) grad L_q(w_K).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from mamlbook.errors import InputError
from mamlbook.fewshot.data.tasks import Episodes, labels
from mamlbook.fewshot.engine.closed import curvature, passes
from mamlbook.fewshot.engine.closed.blocks import expand
from mamlbook.fewshot.engine.closed.convolution import Convolution, Gemm, suited
from mamlbook.fewshot.engine.network import Network

Adapted = Literal["all", "weights", "head", "body"]


@dataclass(frozen=True)
class Learner:
    """algorithm: "maml" (exact), "maml-first" (without second derivatives) or "nal";
    inner_rate: alpha, the step of a task's adaptation; adapted: "all" parameters, the "weights" of
    convolutions and head without the scales and shifts of batch norm, the "head" alone (ANIL), or
    the "body", all but the head (BOIL); inner_steps: K, of MAML's training."""

    algorithm: Literal["maml", "maml-first", "nal"]
    inner_rate: float = 0.1
    adapted: Adapted = "all"
    inner_steps: int = 1

    def __post_init__(self) -> None:
        if self.algorithm not in ("maml", "maml-first", "nal"):
            raise InputError(
                f"algorithm is {self.algorithm!r}; choose 'maml', 'maml-first' or 'nal'."
            )
        if not 0 < self.inner_rate < float("inf"):
            raise InputError(
                f"The inner rate is {self.inner_rate}; it must be positive and finite."
            )
        if self.adapted not in get_args(Adapted):
            raise InputError(
                f"adapted is {self.adapted!r}; choose 'all', 'weights', 'head' or 'body'."
            )
        if self.inner_steps < 1:
            raise InputError(f"inner_steps is {self.inner_steps}; it must be at least 1.")

    def adapts(self, name: str) -> bool:
        """Whether the inner loop moves the parameters of this name (`Network.names`)."""
        if self.adapted == "weights":
            return not name.endswith((".scale", ".shift"))
        return self.adapted == "all" or name.startswith("head") == (self.adapted == "head")

    def step(self, network: Network, gradient: torch.Tensor) -> torch.Tensor:
        """M gradient (G, size), in place: what an inner step subtracts alpha times of."""
        if self.adapted != "all":
            for name, part in zip(network.names, network.parts(gradient), strict=True):
                if not self.adapts(name):
                    part.zero_()
        return gradient


def inputs(images: torch.Tensor, indices: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Images (G, n, side, side, channels) in [0, 1], of uint8 (all, ...) and indices (G, n)."""
    chosen = images.index_select(0, indices.flatten()).to(dtype).div_(255)
    return chosen.view(*indices.shape, *images.shape[1:])


@dataclass(frozen=True)
class Outcome:
    """gradient (W, size): summed over the tasks of a set of parameters; loss, accuracy (G,)."""

    gradient: torch.Tensor
    loss: torch.Tensor
    accuracy: torch.Tensor


@torch.inference_mode()
def outer_gradient(
    learner: Learner,
    network: Network,
    theta: torch.Tensor,
    images: torch.Tensor,
    episodes: Episodes,
    *,
    convolution: Convolution | None = None,
) -> Outcome:
    """The outer gradient for theta (W, size) on G tasks, G / W consecutive ones for each set.

    images: uint8 (all, side, side, channels). Loss and accuracy are the query sets' after
    adaptation for MAML, those of all examples for NAL. Without autograd's bookkeeping, a
    twentieth of a step's time on a CPU.
    """
    shape, sets, how = episodes.shape, len(theta), {"convolution": convolution}
    support_labels, query_labels = (
        labels(shape.ways, count, theta.device) for count in (shape.shots, shape.queries)
    )
    if learner.algorithm == "nal":
        both = torch.cat((episodes.support, episodes.query), 1)
        x = inputs(images, both, theta.dtype)
        loss, accuracy, tape = _losses(
            network, theta, x, torch.cat((support_labels, query_labels)), shape, **how
        )
        gradient = passes.backward(network, theta, tape, sets, **how)
        return Outcome(gradient, loss, accuracy)

    exact = learner.algorithm == "maml"
    x = inputs(images, episodes.support, theta.dtype)
    adapted, walks = theta, []
    for _ in range(learner.inner_steps):
        _, _, tape = _losses(network, adapted, x, support_labels, shape, tangents=exact, **how)
        step = learner.step(network, passes.backward(network, adapted, tape, len(x), **how))
        walks.append((adapted, tape))
        adapted = expand(adapted, len(x)).sub(step, alpha=learner.inner_rate)

    # A task at a time stays in a CPU's cache; the batched product takes all of them at once.
    parts = 1 if (convolution or suited(theta.device)) is Gemm else len(x)
    loss, accuracy, slopes = [], [], []
    queries = inputs(images, episodes.query, theta.dtype)
    for weights, y in zip(adapted.chunk(parts), queries.chunk(parts), strict=True):
        loss_, accuracy_, walked = _losses(network, weights, y, query_labels, shape, **how)
        slopes.append(passes.backward(network, weights, walked, len(weights), **how))
        loss.append(loss_)
        accuracy.append(accuracy_)
    slope = torch.cat(slopes)
    if not exact:
        return Outcome(_by_set(slope, sets), torch.cat(loss), torch.cat(accuracy))
    for weights, tape in reversed(walks):
        into = slope.clone() if len(weights) == len(x) else _by_set(slope, sets)
        direction = learner.step(network, slope)
        curved = curvature.hessian_vector_product(
            network, weights, tape, direction, len(weights), **how
        )
        slope = into.sub_(curved, alpha=learner.inner_rate)
    return Outcome(slope, torch.cat(loss), torch.cat(accuracy))


@torch.inference_mode()
def adapt(
    learner: Learner,
    network: Network,
    theta: torch.Tensor,
    images: torch.Tensor,
    episodes: Episodes,
    steps: int,
) -> torch.Tensor:
    """(G, size): the parameters after `steps` inner steps on each of G support sets."""
    shape = episodes.shape
    x = inputs(images, episodes.support, theta.dtype)
    for _ in range(steps):
        y = labels(shape.ways, shape.shots, theta.device)
        _, _, tape = _losses(network, theta, x, y, shape)
        step = learner.step(network, passes.backward(network, theta, tape, len(x)))
        theta = expand(theta, len(x)).sub(step, alpha=learner.inner_rate)
    return theta.expand(len(x), -1)


def parallel_gradients(
    gradient: Callable[[torch.Tensor, Episodes], Outcome],
    theta: torch.Tensor,
    batches: list[Episodes],
    team: Executor,
) -> list[Outcome]:
    """The outer gradient of each batch of tasks for theta (1, size), by the threads of `team`.

    The pieces do not depend on the number of threads, and each runs on one: the results are
    the same bits whatever the team.
    """
    pieces = [piece for batch in batches for piece in _pieces(batch)]
    return list(team.map(lambda piece: gradient(theta, piece), pieces))


def _pieces(batch: Episodes) -> Iterator[Episodes]:
    """Tasks that share their pass over the support sets: about 20 images' worth, but no more
    than half of the tasks, so that two threads have work."""
    size = max(1, min(20 // batch.support.shape[1], len(batch.support) // 2))
    for start in range(0, len(batch.support), size):
        yield batch[start : start + size]


def _by_set(slope: torch.Tensor, sets: int) -> torch.Tensor:
    """(sets, size): the sum over the tasks of each set of slope (G, size)."""
    return slope.unflatten(0, (sets, -1)).sum(1)


def _losses(network, theta, x, y, shape, *, tangents=False, convolution=None):
    logits, tape = passes.forward(
        network, theta, x, shape.ways, tangents=tangents, convolution=convolution
    )
    return *passes.cross_entropy(tape, logits, y), tape
