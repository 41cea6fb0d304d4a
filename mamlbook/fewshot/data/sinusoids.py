"""The sinusoids of Finn et al. (2017): regression from few examples, many networks at once.

A task is y = A sin(x - phi), with A uniform on [0.1, 5], phi on [0, pi] and x on [-5, 5]. The
network is 1-40-40-1 with ReLU. Weights have a first axis of networks and examples are (n, networks,
1), one task for each: `algorithms.side_by_side` gives every task a network of its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from mamlbook.fewshot.engine.algorithms import Examples, Task, Weights

AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, math.pi)
INPUTS = (-5.0, 5.0)
LAYERS = (1, 40, 40, 1)


@dataclass(frozen=True)
class Waves:
    """Tasks: amplitudes and phases, both (tasks,)."""

    amplitudes: torch.Tensor
    phases: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """A sin(x - phi) of inputs (n, tasks, 1), in their shape."""
        return self.amplitudes[:, None] * torch.sin(x - self.phases[:, None])

    def examples(self, count: int, generator: torch.Generator) -> Examples:
        """`count` inputs of each task, at random, and their outputs: twice (count, tasks, 1)."""
        shape = (count, len(self.amplitudes), 1)
        x = _uniform(INPUTS, shape, generator, self.amplitudes.dtype)
        return x, self(x)


def draw(tasks: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Waves:
    """So many tasks by the law above."""
    laws = (AMPLITUDES, PHASES)
    return Waves(*(_uniform(law, (tasks,), generator, dtype) for law in laws))


def mean(x: torch.Tensor) -> torch.Tensor:
    """The mean of y over tasks, -(2/pi) E[A] cos x: the best function without adaptation."""
    return -2 / math.pi * sum(AMPLITUDES) / 2 * torch.cos(x)


def batches(
    seeds: Sequence[int], tasks: int, shots: int, queries: int, dtype: torch.dtype = torch.float32
) -> Iterator[list[Task]]:
    """Without end, the batches of outer steps: `tasks` for each seed, side by side.

    A seed's tasks are the same whichever seeds stand beside it. Support and query inputs are
    (shots or queries, seeds * tasks, 1), the tasks of one seed next to each other.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    while True:
        drawn = []
        for generator in generators:
            waves = draw(tasks, generator, dtype)
            support = waves.examples(shots, generator)
            drawn.append((support, waves.examples(queries, generator)))
        yield [(together([one for one, _ in drawn]), together([one for _, one in drawn]))]


def together(sets: Sequence[Examples]) -> Examples:
    """Examples of several sets of tasks, the tasks of one after those of another."""
    return torch.cat([x for x, _ in sets], 1), torch.cat([y for _, y in sets], 1)


def initial(seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> Weights:
    """A network for each seed, every layer uniform within 1/sqrt(its inputs): (networks, in, out)
    and (networks, 1, out)."""
    weights = {}
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for layer, (inputs, outputs) in enumerate(pairwise(LAYERS), 1):
        bound = inputs**-0.5
        for name, rows in (("weights", inputs), ("bias", 1)):
            weights[f"layer{layer}.{name}"] = torch.stack(
                [_uniform((-bound, bound), (rows, outputs), one, dtype) for one in generators]
            )
    return weights


def output(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    """The networks' outputs at inputs (n, networks, 1), in their shape."""
    h = x.transpose(0, 1)
    for layer in range(1, len(LAYERS)):
        if layer > 1:
            h = h.relu()
        h = torch.baddbmm(weights[f"layer{layer}.bias"], h, weights[f"layer{layer}.weights"])
    return h.transpose(0, 1)


def loss(weights: Weights, examples: Examples) -> torch.Tensor:
    """The sum over networks of their mean squared errors, (): each gradient is a network's own."""
    return errors(weights, examples).sum()


def errors(weights: Weights, examples: Examples) -> torch.Tensor:
    """The mean squared error of each network on its examples, (networks,)."""
    x, y = examples
    return (output(weights, x) - y).square().mean((0, 2))


def _uniform(
    law: tuple[float, float], shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
) -> torch.Tensor:
    low, high = law
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=dtype)
