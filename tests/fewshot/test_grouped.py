"""The grouped step as a CUDA graph demands it, checked without a GPU on tensors without data.

Reading such a "meta" tensor back to the host, a shape that depends on its values, or a host's
tensor among them raises an error, as capture would.
"""

import dataclasses
from itertools import pairwise

import pytest
import torch

from mamlbook.fewshot import training
from mamlbook.fewshot.data.tasks import Shape
from mamlbook.fewshot.engine.grouped import GroupedStep
from mamlbook.fewshot.engine.learners import Learner
from mamlbook.fewshot.engine.network import Network
from mamlbook.fewshot.engine.optimisers import Optimiser
from mamlbook.fewshot.settings import Cell
from tests.fewshot.test_training import MIXED, SMALL

RUNS, TASKS = 2, 3
# Of each table: tasks of one shape, and of two.
CASES = [
    ("characters", dataclasses.replace(SMALL, algorithm=algorithm, optimiser=optimiser))
    for algorithm, optimiser in (("maml", "adam"), ("maml", "sgd"), ("nal-10", "sgd"))
] + [
    ("pictures", dataclasses.replace(MIXED, algorithm=algorithm, iterations=30))
    for algorithm in ("maml", "nal")
]


def step(network: Network, algorithm: str, optimiser: str, shapes: tuple[Shape, ...]):
    """What is captured, on tensors without data; its output."""

    def indices(*size: int) -> torch.Tensor:
        return torch.zeros(size, dtype=torch.int64, device="meta")

    theta = torch.zeros(RUNS, network.size, device="meta")
    images = torch.zeros(
        9, network.side, network.side, network.channels, dtype=torch.uint8, device="meta"
    )
    rates = torch.ones(RUNS, 1, device="meta")
    grouped = GroupedStep(
        network, Learner(algorithm), Optimiser(optimiser, theta, rates), images, TASKS
    )
    tensors, counts = [indices(RUNS, TASKS), indices(RUNS, TASKS)], (RUNS * TASKS,)
    if len(shapes) == 2:  # of the six tasks two are easy
        counts = (2, 4)
        tensors += [indices(count) for count in counts]
    for count, shape in zip(counts, shapes, strict=True):
        tensors += [indices(count, shape.ways * each) for each in (shape.shots, shape.queries)]
    return grouped._step(shapes, 2 * (len(shapes) - 1), tuple(tensors))


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("algorithm", ["maml", "nal"])
@pytest.mark.parametrize("downsampling", ["strided", "pooled"])
@pytest.mark.parametrize("shapes", [(Shape(3, 1, 2),), (Shape(2, 3, 2), Shape(5, 1, 2))])
def test_the_step_reads_nothing_back(shapes, downsampling, algorithm, optimiser):
    seen = step(Network(28, 1, 5, 4, downsampling), algorithm, optimiser, shapes)
    assert seen.is_meta and seen.shape == (RUNS, 2, 3)


def test_a_read_back_would_be_seen():
    seen = step(Network(28, 1, 5, 4), "maml", "sgd", (Shape(3, 1, 2),))
    for read in (torch.Tensor.item, torch.Tensor.nonzero, torch.Tensor.cpu, bool):
        with pytest.raises(RuntimeError, match="meta"):
            read(seen.sum())
    with pytest.raises(RuntimeError, match="device"):
        seen + torch.ones(3)


def group(settings):
    return [Cell(settings, 0), Cell(dataclasses.replace(settings, outer_rate=1e-2), 1)]


def drawn(run: training._Run) -> list:
    return [
        problem.training.draw(
            training.BLOCK * run.settings.tasks, (seeds.tasks, 0), run.images.device
        )
        for problem, seeds in zip(run.problems, run.seeds, strict=True)
    ]


@pytest.mark.parametrize(("images", "settings"), CASES)
def test_a_block_may_be_cut_anywhere(images, settings, request):
    """What a checkpoint relies on: the steps of a block are the same, one call or many."""
    ends = []
    for cuts in ((0, 4), (0, 1, 3, 4)):
        run = training._Run(group(settings), request.getfixturevalue(images), True)
        course = torch.zeros(2, 2, 3)
        for start, stop in pairwise(cuts):
            run.step.block(drawn(run), range(start, stop), course)
        ends.append((run.optimiser.theta, course))
    assert torch.equal(ends[0][0], ends[1][0]) and torch.equal(ends[0][1], ends[1][1])
    assert (course[:, :, 0].sum(1) == 4 * settings.tasks).all()
