"""Accuracy after adaptation of a task set, a cell, a table; intervals over tasks and over seeds."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from scipy import stats
from tqdm import tqdm

from mamlbook.fewshot import passes
from mamlbook.fewshot.blocks import Statistics
from mamlbook.fewshot.images import ImageSet
from mamlbook.fewshot.learners import Learner, adapt, inputs
from mamlbook.fewshot.network import Network
from mamlbook.fewshot.settings import Cell, Problem, Seeds
from mamlbook.fewshot.tasks import Episodes, Mixture, labels
from mamlbook.fewshot.training import Trained, cores, single_threaded

TABLE = [
    "setting", "algorithm", "split", "hardness", "accuracy", "accuracy_ci95", "seeds",
    "iterations", "device",
]  # fmt: skip


def accuracies(
    learner: Learner,
    network: Network,
    theta: torch.Tensor,
    images: torch.Tensor,
    episodes: Episodes,
    steps: int,
    *,
    statistics: Statistics | None = None,
) -> torch.Tensor:
    """Fraction right (T,) of each task's targets after `steps` inner steps from theta (1, size).

    images: uint8 (all, side, side, channels). Batch norm uses the statistics of the task's
    targets together (transductive), or the `statistics` given.
    """
    shape = episodes.shape
    y = labels(shape.ways, shape.targets, theta.device)
    right = []
    for weights, target in _adapted(learner, network, theta, images, episodes, steps):
        logits, _ = passes.forward(
            network, weights, inputs(images, target, theta.dtype), shape.ways,
            statistics=statistics,
        )  # fmt: skip
        right.append((logits.argmax(2) == y).to(theta.dtype).mean(1))
    return torch.cat(right) if right else torch.empty(0)


def running_statistics(
    learner: Learner,
    network: Network,
    theta: torch.Tensor,
    images: torch.Tensor,
    mixture: Mixture,
    steps: int,
    seed: int,
    count: int = 100,
) -> Statistics:
    """Each block's mean and variance, averaged over the targets of `count` adapted tasks."""
    flags, *pair = mixture.draw(count, (seed,), images.device)
    sums: list[torch.Tensor] = []
    for kind, episodes in enumerate(pair):
        chosen = episodes[torch.from_numpy(np.flatnonzero(flags == kind)).to(images.device)]
        for weights, target in _adapted(learner, network, theta, images, chosen, steps):
            x = inputs(images, target, theta.dtype)
            _, tape = passes.forward(network, weights, x, episodes.shape.ways)
            each = [torch.stack(pair).sum(1) for pair in tape.statistics()]
            sums = [a + b for a, b in zip(sums, each, strict=True)] if sums else each
    return [tuple((total / count)[:, None].unbind(0)) for total in sums]


def evaluate(
    cell: Cell, theta: torch.Tensor, images: ImageSet, *, statistics: str = "batch"
) -> pd.DataFrame:
    """Rows of one trained cell, theta (1, size): a row for each split and hardness.

    500 tasks of each split, easy or hard with equal probability; accuracy in percent, its 95 %
    half-width over tasks. statistics: "batch" (transductive) or "running" (averages over
    adapted training tasks).
    """
    if statistics not in ("batch", "running"):
        raise ValueError(f"statistics is {statistics!r}; choose 'batch' or 'running'.")
    settings, seeds = cell.settings, Seeds.of(cell.seed)
    network, learner, steps = settings.network, settings.learner, settings.adaptation_steps
    problem: Problem = settings.problem(images, seeds.split)
    flat, device = images.images.flatten(0, 1), images.images.device
    kept = None
    if statistics == "running":
        mixture = problem.evaluation["train"]
        kept = running_statistics(learner, network, theta, flat, mixture, steps, seeds.tasks)
    rows = []
    for place, (split, mixture) in enumerate(problem.evaluation.items()):
        drawn = mixture.draw(settings.evaluation_tasks, (seeds.evaluation, place), device)
        for kind, hardness in enumerate(("easy", "hard")):
            chosen = torch.from_numpy(np.flatnonzero(drawn[0] == kind)).to(device)
            right = 100 * accuracies(
                learner, network, theta, flat, drawn[1 + kind][chosen], steps, statistics=kept
            )
            rows.append(
                {
                    "setting": settings.name,
                    "algorithm": settings.algorithm,
                    "split": split,
                    "hardness": hardness,
                    "accuracy": right.mean().item(),
                    "accuracy_ci95": half_width(right.cpu().numpy()),
                    "tasks": len(right),
                    "seed": cell.seed,
                    "steps": steps,
                    "statistics": statistics,
                    "iterations": settings.iterations,
                    "device": device.type,
                }
            )
    return pd.DataFrame(rows)


def evaluate_all(
    trained: list[Trained], images: ImageSet, *, statistics: str = "batch", **changes: int
) -> list[pd.DataFrame]:
    """`evaluate` of each trained cell, several at once on a CPU; `changes`: of its settings,
    such as the adaptation steps."""

    def one(each: Trained) -> pd.DataFrame:
        (cell,) = each.cells
        changed = Cell(dataclasses.replace(cell.settings, **changes), cell.seed)
        return evaluate(changed, each.theta, images, statistics=statistics)

    together = 1 if images.images.is_cuda else cores()
    with single_threaded(), ThreadPoolExecutor(together) as team:
        return list(tqdm(team.map(one, trained), total=len(trained), unit="evaluation"))


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """The table's rows of many cells' rows: mean over seeds, its 95 % half-width over seeds.

    The half-width over tasks, in a column of its own, is that of the mean over all seeds' tasks.
    """
    keys = ["setting", "algorithm", "split", "hardness", "iterations", "device"]
    table = rows.groupby(keys, sort=False, as_index=False).agg(
        accuracy=("accuracy", "mean"),
        accuracy_ci95=("accuracy", half_width),
        accuracy_ci95_tasks=("accuracy_ci95", lambda own: np.sqrt((own**2).sum()) / len(own)),
        seeds=("seed", "nunique"),
    )
    return table[[*TABLE, "accuracy_ci95_tasks"]]


def half_width(values: np.ndarray | pd.Series) -> float:
    """Half-width of Student's 95 % interval for the mean; NaN for fewer than two values."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float("nan")
    deviation = values.std(ddof=1) / np.sqrt(len(values))
    return float(stats.t.ppf(0.975, len(values) - 1) * deviation)


def by_group(cell: Cell, theta: torch.Tensor, images: ImageSet, count: int = 100) -> pd.DataFrame:
    """Rows (group, accuracy in percent, accuracy_ci95, tasks), lowest accuracy first: hard
    training tasks of one group (alphabet) at a time, which is how C.4 tells the hard ones."""
    settings, seeds = cell.settings, Seeds.of(cell.seed)
    mixture = settings.problem(images, seeds.split).evaluation["train"]
    flat, rows = images.images.flatten(0, 1), []
    for place, group in enumerate(mixture.hard.groups):
        family = type(mixture.hard)(mixture.hard.shape, (group,), False, mixture.hard.examples)
        _, _, hard = Mixture(mixture.easy, family, 1.0, mixture.total).draw(
            count, (seeds.evaluation, place), flat.device
        )
        right = 100 * accuracies(
            settings.learner, settings.network, theta, flat, hard, settings.adaptation_steps
        )
        rows.append(
            {
                "group": images.groups[group[0]],
                "accuracy": right.mean().item(),
                "accuracy_ci95": half_width(right.cpu().numpy()),
                "tasks": count,
            }
        )
    return pd.DataFrame(rows).sort_values("accuracy", ignore_index=True)


def _adapted(learner, network, theta, images, episodes, steps):
    """Adapted parameters and target indices, task by task on a CPU, 100 at once on a GPU."""
    together = 100 if theta.is_cuda else 10
    for start in range(0, len(episodes.support), together):
        piece = episodes[start : start + together]
        adapted = adapt(learner, network, theta, images, piece, steps)
        parts = 1 if theta.is_cuda else len(adapted)
        yield from zip(adapted.chunk(parts), piece.target.chunk(parts), strict=True)
