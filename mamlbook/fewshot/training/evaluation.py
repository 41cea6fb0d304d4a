"""Accuracy after adaptation of a task set, a cell, a table; intervals over tasks and over seeds."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mamlbook.errors import InputError
from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.data.tasks import Episodes, Mixture, labels
from mamlbook.fewshot.engine.closed import passes
from mamlbook.fewshot.engine.closed.blocks import Statistics
from mamlbook.fewshot.engine.learners import Learner, adapt, inputs
from mamlbook.fewshot.engine.network import Network
from mamlbook.fewshot.settings import Cell, Problem, Seeds
from mamlbook.fewshot.training import Trained, single_threaded
from mamlbook.intervals import half_width
from mamlbook.jobs import cores

TABLE = [
    "setting", "algorithm", "split", "hardness", "accuracy", "accuracy_ci95", "seeds",
    "iterations", "device", "configuration",
]  # fmt: skip
KEYS = [
    "configuration", "setting", "algorithm", "optimiser", "outer_rate", "steps", "statistics",
    "split", "hardness", "iterations", "planned", "device",
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
    """Fraction right (T,) of each task's query set after `steps` inner steps from theta (1, size).

    images: uint8 (all, side, side, channels). Batch norm uses the statistics of the task's
    query set together (transductive), or the `statistics` given.
    """
    shape = episodes.shape
    y = labels(shape.ways, shape.queries, theta.device)
    right = []
    for weights, query in _adapted(learner, network, theta, images, episodes, steps):
        logits, _ = passes.forward(
            network, weights, inputs(images, query, theta.dtype), shape.ways,
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
    """Each block's mean and variance, averaged over the query sets of `count` adapted tasks."""
    flags, *pair = mixture.draw(count, (seed,), images.device)
    sums: list[torch.Tensor] = []
    for kind, episodes in enumerate(pair):
        chosen = episodes[torch.from_numpy(np.flatnonzero(flags == kind)).to(images.device)]
        for weights, query in _adapted(learner, network, theta, images, chosen, steps):
            x = inputs(images, query, theta.dtype)
            _, tape = passes.forward(network, weights, x, episodes.shape.ways)
            each = [torch.stack(pair).sum(1) for pair in tape.statistics()]
            sums = [a + b for a, b in zip(sums, each, strict=True)] if sums else each
    means = [(total / count)[:, None] for total in sums]
    return [(mean, variance) for mean, variance in means]


def evaluate(
    cell: Cell,
    theta: torch.Tensor,
    images: ImageSet,
    *,
    statistics: str = "batch",
    iterations: int | None = None,
) -> pd.DataFrame:
    """Rows of one trained cell, theta (1, size): a row for each split and hardness.

    iterations: outer steps taken, by default all that the settings plan. 500 tasks of each split,
    easy or hard with equal probability; accuracy in percent, its 95% half-width over tasks.
    statistics: "batch" (transductive) or "running" (averages over adapted training tasks).
    """
    if statistics not in ("batch", "running"):
        raise InputError(f"statistics is {statistics!r}; choose 'batch' or 'running'.")
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
            if mixture.hard_probability == 1 - kind:  # there are no such tasks
                continue
            chosen = torch.from_numpy(np.flatnonzero(drawn[0] == kind)).to(device)
            right = 100 * accuracies(
                learner, network, theta, flat, drawn[1 + kind][chosen], steps, statistics=kept
            )
            rows.append(
                {
                    "configuration": settings.configuration,
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
                    "optimiser": settings.optimiser,
                    "outer_rate": settings.rate,
                    "iterations": settings.iterations if iterations is None else iterations,
                    "planned": settings.iterations,
                    "device": device.type,
                }
            )
    return pd.DataFrame(rows)


def evaluate_all(
    trained: list[Trained], images: ImageSet, *, statistics: str = "batch", **changes: Any
) -> list[pd.DataFrame]:
    """`evaluate` of each trained cell, several at once on a CPU; `changes`: of its settings,
    such as the adaptation steps."""

    def one(each: Trained) -> pd.DataFrame:
        (cell,) = each.cells
        changed = Cell(dataclasses.replace(cell.settings, **changes), cell.seed)
        theta = each.theta.to(images.images.device)
        return evaluate(changed, theta, images, statistics=statistics, iterations=each.iterations)

    together = 1 if images.images.is_cuda else cores()
    with single_threaded(), ThreadPoolExecutor(together) as team:
        return list(tqdm(team.map(one, trained), total=len(trained), unit="evaluation"))


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """The table's rows of many cells' rows: mean over seeds, its 95% half-width over seeds.

    The half-width over tasks, in a column of its own, is that of the mean over all seeds' tasks.
    """
    table = rows.groupby(KEYS, sort=False, as_index=False).agg(
        accuracy=("accuracy", "mean"),
        accuracy_ci95=("accuracy", half_width),
        accuracy_ci95_tasks=("accuracy_ci95", lambda own: np.sqrt((own**2).sum()) / len(own)),
        seeds=("seed", "nunique"),
    )
    more = [name for name in KEYS if name not in TABLE]
    return in_single_precision(table[[*TABLE, "accuracy_ci95_tasks", *more]])


def in_single_precision(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with accuracies and losses in single precision, in which networks compute them; a
    record is a third smaller without digits that mean nothing."""
    measured = [name for name in rows if name.startswith(("accuracy", "loss"))]
    return rows.astype(dict.fromkeys(measured, np.float32))


def by_seed(rows: pd.DataFrame) -> np.ndarray:
    """(table rows, seeds): the accuracies behind each row of `summarise`."""
    return np.stack([own.to_numpy() for _, own in rows.groupby(KEYS, sort=False)["accuracy"]])


def descent(
    learner: Learner,
    network: Network,
    theta: torch.Tensor,
    images: torch.Tensor,
    episodes: Episodes,
    steps: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and accuracy (T, steps + 1) of each task's query set after 0, 1, ... inner steps."""
    shape = episodes.shape
    y = labels(shape.ways, shape.queries, theta.device)
    histories = []
    for piece in _pieces(episodes, theta.is_cuda):
        weights, history = theta.expand(len(piece.support), -1), []
        for step in range(steps + 1):
            if step:
                weights = adapt(learner, network, weights, images, piece, 1)
            x = inputs(images, piece.query, theta.dtype)
            logits, tape = passes.forward(network, weights, x, shape.ways)
            history.append(torch.stack(passes.cross_entropy(tape, logits, y), 1))
        histories.append(torch.stack(history, 2))
    loss, accuracy = torch.cat(histories).unbind(1)
    return loss, accuracy


def by_group(
    cell: Cell, theta: torch.Tensor, images: ImageSet, count: int = 100, steps: int = 1
) -> pd.DataFrame:
    """Rows (group, hardness, step, loss, accuracy in percent and their ci95, tasks): the course
    of adaptation on hard training tasks of one group (alphabet) at a time, which is how C.4 tells
    the hard ones, and on easy tasks, whose group is "distinct"."""
    settings, seeds = cell.settings, Seeds.of(cell.seed)
    mixture = settings.problem(images, seeds.split).evaluation["train"]
    flat, rows = images.images.flatten(0, 1), []
    kinds = {}
    for group in mixture.hard.groups:
        family = dataclasses.replace(mixture.hard, groups=(group,))
        kinds[images.groups[group[0]]] = ("hard", family)
    kinds["distinct"] = ("easy", mixture.easy)
    for place, (name, (hardness, family)) in enumerate(kinds.items()):
        _, _, drawn = dataclasses.replace(mixture, hard=family, hard_probability=1.0).draw(
            count, (seeds.evaluation, place), flat.device
        )
        loss, accuracy = descent(settings.learner, settings.network, theta, flat, drawn, steps)
        for step in range(steps + 1):
            row = {"group": name, "hardness": hardness, "step": step}
            for what, values in (("loss", loss), ("accuracy", 100 * accuracy)):
                row[what] = values[:, step].mean().item()
                row[f"{what}_ci95"] = half_width(values[:, step].cpu().numpy())
            rows.append({**row, "tasks": count})
    return in_single_precision(pd.DataFrame(rows))


def _adapted(learner, network, theta, images, episodes, steps):
    """Adapted parameters and query indices, task by task on a CPU, 100 at once on a GPU."""
    for piece in _pieces(episodes, theta.is_cuda):
        adapted = adapt(learner, network, theta, images, piece, steps)
        parts = 1 if theta.is_cuda else len(adapted)
        yield from zip(adapted.chunk(parts), piece.query.chunk(parts), strict=True)


def _pieces(episodes: Episodes, large: bool) -> Iterator[Episodes]:
    """As many tasks at once as suit a GPU's memory or, 50 images together, a CPU's cache."""
    together = 100 if large else max(1, 50 // episodes.support.shape[1])
    for start in range(0, len(episodes.support), together):
        yield episodes[start : start + together]


def by_steps(trained: Trained, images: ImageSet, count: int, steps: int) -> pd.DataFrame:
    """Rows (split, hardness, step, accuracy in percent, seed) of a cell: the mean accuracy on the
    queries of `count` easy and as many hard tasks of each split after 0, 1, ... inner steps."""
    (cell,) = trained.cells
    settings, seeds = cell.settings, Seeds.of(cell.seed)
    flat, rows = images.images.flatten(0, 1), []
    theta = trained.theta.to(flat.device)
    for place, (split, mixture) in enumerate(
        settings.problem(images, seeds.split).evaluation.items()
    ):
        for kind, hardness in enumerate(("easy", "hard")):
            only = dataclasses.replace(mixture, hard_probability=float(kind))
            _, *pair = only.draw(count, (seeds.evaluation, place), flat.device)
            drawn = pair[kind]
            _, accuracy = descent(settings.learner, settings.network, theta, flat, drawn, steps)
            for step, mean in enumerate(100 * accuracy.mean(0)):
                row = {"split": split, "hardness": hardness, "step": step}
                rows.append({**row, "accuracy": mean.item(), "seed": cell.seed})
    return in_single_precision(pd.DataFrame(rows))


def distance_moved(trained: Trained) -> dict[str, Any]:
    """How far training has moved a cell's parameters: Euclidean distance from the initialization,
    beside the settings that tell cells of a search apart."""
    (cell,) = trained.cells
    settings = cell.settings
    before = settings.network.initial(Seeds.of(cell.seed).initialisation)
    moved = (trained.theta.cpu() - before).norm().item()
    row = {name: getattr(settings, name) for name in ("configuration", "algorithm", "optimiser")}
    row |= {"setting": settings.name, "outer_rate": settings.rate, "seed": cell.seed}
    return {**row, "distance": moved}
