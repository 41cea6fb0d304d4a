"""The outer step of many runs at once: every (run, task) pair is a group of one batch.

On a GPU the step is captured as a CUDA graph, one for each number of hard tasks where easy and
hard ones have different shapes, and replayed on the indices of the next tasks. Neither waits for
the other from the first step of a block to its last: the tasks of all its steps are on the device
already, and the host, which knows their kinds, only says which are next. On a CPU the same step
runs as it is written.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from mamlbook.fewshot.data.tasks import Episodes, Shape, merge
from mamlbook.fewshot.engine.closed.convolution import Gemm
from mamlbook.fewshot.engine.learners import Learner, outer_gradient
from mamlbook.fewshot.engine.network import Network
from mamlbook.fewshot.engine.optimisers import Optimiser

Drawn = list[tuple[np.ndarray, Episodes, Episodes]]  # of each run: flags, easy, hard


class GroupedStep:
    """The outer steps of R runs with `tasks` tasks each; images: uint8 (all, side, side, c)."""

    def __init__(
        self,
        network: Network,
        learner: Learner,
        optimiser: Optimiser,
        images: torch.Tensor,
        tasks: int,
    ) -> None:
        self.network, self.learner, self.optimiser = network, learner, optimiser
        self.images, self.tasks = images, tasks
        self.captured: dict[tuple, _Captured] = {}

    def block(self, drawn: Drawn, steps: range, history: torch.Tensor) -> None:
        """Update the runs on these steps of the tasks drawn for a block; add to their history
        (R, 2, 3)."""
        flags = np.stack([own for own, *_ in drawn])
        families = [_stack(kind) for kind in zip(*(pair for _, *pair in drawn), strict=True)]
        if families[0].shape == families[1].shape:
            families = [merge(self._to(flags.ravel()), *families)]
        of_steps = flags.reshape(len(drawn), -1, self.tasks)
        for step in steps:
            own = of_steps[:, step]
            kinds = [np.arange(own.size)]  # the places, run by run, of tasks of one shape
            if len(families) == 2:
                kinds = [np.flatnonzero(own == hard) for hard in (False, True)]
            shapes, indices, runs = [], [], []
            for family, places in zip(families, kinds, strict=True):
                if not len(places):
                    continue
                run, task = np.divmod(places, self.tasks)
                if len(families) == 2:
                    runs.append(self._to(run))
                next_ = family[self._to(run * flags.shape[1] + step * self.tasks + task)]
                shapes.append(family.shape)
                indices += [next_.support, next_.query]
            order = np.argsort(np.concatenate(kinds)).reshape(own.shape)
            moved = [self._to(array) for array in (order, own.astype(np.int64))]
            history += self._run(tuple(shapes), len(runs), [*moved, *runs, *indices])

    def _to(self, array: np.ndarray) -> torch.Tensor:
        """On the device of the images, without waiting for it."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.images.device.type == "cuda":
            return tensor.pin_memory().to(self.images.device, non_blocking=True)
        return tensor

    def _run(
        self, shapes: tuple[Shape, ...], gathered: int, tensors: list[torch.Tensor]
    ) -> torch.Tensor:
        def step(*tensors: torch.Tensor) -> torch.Tensor:
            return self._step(shapes, gathered, tensors)

        if self.images.device.type != "cuda":
            return step(*tensors)
        key = (shapes, *(tuple(tensor.shape) for tensor in tensors))
        if key not in self.captured:
            known = next(iter(self.captured.values()), None)
            self.captured[key] = _Captured(step, tensors, self.optimiser, known)
        return self.captured[key](tensors)

    def _step(
        self, shapes: tuple[Shape, ...], gathered: int, tensors: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        order, flags = tensors[:2]
        runs, indices = tensors[2 : 2 + gathered], tensors[2 + gathered :]
        theta, parts = self.optimiser.theta, []
        for index, shape in enumerate(shapes):
            episodes = Episodes(shape, *indices[2 * index : 2 * index + 2])
            weights = theta.index_select(0, runs[index]) if gathered else theta
            parts.append(
                outer_gradient(
                    self.learner, self.network, weights, self.images, episodes, convolution=Gemm
                )
            )
        gradient = torch.cat([part.gradient for part in parts])
        if gathered:  # a gather and a sum, in a fixed order: no atomic additions
            gradient = gradient.index_select(0, order.flatten()).unflatten(0, order.shape).sum(1)
        self.optimiser.update(gradient / self.tasks)
        loss = torch.cat([part.loss for part in parts])[order]
        accuracy = torch.cat([part.accuracy for part in parts])[order]
        kinds = torch.stack((1 - flags, flags), 1).to(theta.dtype)  # runs, 2, tasks
        seen = torch.stack((torch.ones_like(loss), loss, accuracy), 2)
        return (kinds[..., None] * seen[:, None]).sum(2)


class _Captured:
    """A step as a CUDA graph over its own copies of the input tensors.

    It works in the memory of the graph `known`, if there is one: they never run at once, and an
    output is added to the history before the next begins.
    """

    def __init__(
        self,
        step: Callable[..., torch.Tensor],
        tensors: list[torch.Tensor],
        optimiser: Optimiser,
        known: "_Captured | None",
    ) -> None:
        self.inputs = [tensor.clone() for tensor in tensors]
        if known is None:  # warm-up, as the first capture demands; then undone
            before = {name: tensor.clone() for name, tensor in optimiser.state().items()}
            side = _side_stream(torch.cuda.current_device())
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(2):
                    step(*self.inputs)
            torch.cuda.current_stream().wait_stream(side)
            optimiser.restore(before)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=known.graph.pool() if known else None):
            self.output = step(*self.inputs)  # recorded, not run

    def __call__(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        for held, tensor in zip(self.inputs, tensors, strict=True):
            held.copy_(tensor)
        self.graph.replay()
        return self.output


@cache
def _side_stream(card: int) -> torch.cuda.Stream:
    """One for all warm-ups of a GPU: cuBLAS keeps memory for each stream that it has seen."""
    return torch.cuda.Stream(card)


def _stack(each: tuple[Episodes, ...]) -> Episodes:
    """The tasks of all runs, run by run."""
    return Episodes(
        each[0].shape,
        torch.cat([own.support for own in each]),
        torch.cat([own.query for own in each]),
    )
