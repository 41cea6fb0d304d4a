"""The outer step of many runs at once: every (run, task) pair is a group of one batch.

On a GPU the step is captured as a CUDA graph, one for each number of hard tasks where easy and
hard ones have different shapes, and replayed on the indices of the next tasks. Nothing in it
waits for the host. On a CPU the same step runs as it is written.
"""

from collections.abc import Callable

import numpy as np
import torch

from mamlbook.fewshot.convolution import Gemm
from mamlbook.fewshot.learners import Learner, outer_gradient
from mamlbook.fewshot.network import Network
from mamlbook.fewshot.optimisers import Optimiser
from mamlbook.fewshot.tasks import Episodes, Shape, merge

Tasks = list[tuple[np.ndarray, Episodes, Episodes]]  # of each run: flags, easy, hard


class GroupedStep:
    """One outer step of R runs with `tasks` tasks each; images: uint8 (all, side, side, c)."""

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

    def __call__(self, tasks: Tasks, course: torch.Tensor) -> None:
        """Update the runs on their tasks, and add to their course (R, 2, 3)."""
        flags = np.stack([each[0] for each in tasks])
        _, easy, hard = tasks[0]
        alike = easy.shape == hard.shape
        if alike:
            batches = [merge(*each) for each in tasks]
            shapes = (easy.shape,)
            indices = [_stack(batches)]
            runs, order = [], np.arange(flags.size).reshape(flags.shape)
        else:
            shapes, indices, runs, places = self._sorted(tasks, flags)
            order = np.argsort(np.concatenate(places)).reshape(flags.shape)
        device = self.images.device
        moved = [_to(array, device) for array in (order, flags.astype(np.int64), *runs)]
        tensors = [*moved, *(tensor for pair in indices for tensor in pair)]
        seen = self._run(shapes, len(runs), tensors)
        course += seen

    def _sorted(self, tasks: Tasks, flags: np.ndarray):
        """The pairs of each shape together: shapes, indices, their runs, and their places."""
        shapes, indices, runs, places = [], [], [], []
        for kind in (False, True):
            chosen = [np.flatnonzero(row == kind) for row in flags]
            run = np.repeat(np.arange(len(flags)), [len(each) for each in chosen])
            if not len(run):
                continue
            batches = [
                each[1 + kind][_to(which, self.images.device)]
                for each, which in zip(tasks, chosen, strict=True)
            ]
            shapes.append(batches[0].shape)
            indices.append(_stack(batches))
            runs.append(run)
            places.append(run * self.tasks + np.concatenate(chosen))
        return tuple(shapes), indices, runs, places

    def _run(self, shapes: tuple[Shape, ...], gathered: int, tensors: list[torch.Tensor]):
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
    output is added to the course before the next begins.
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
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(2):
                    step(*self.inputs)
            torch.cuda.current_stream().wait_stream(side)
            optimiser.restore(before)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=known and known.graph.pool()):
            self.output = step(*self.inputs)  # recorded, not run

    def __call__(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        for held, tensor in zip(self.inputs, tensors, strict=True):
            held.copy_(tensor)
        self.graph.replay()
        return self.output


def _stack(batches: list[Episodes]) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.cat([each.support for each in batches]),
        torch.cat([each.target for each in batches]),
    )


def _to(array: np.ndarray, device: torch.device) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
