"""What the tables of Section 5 share: cells trained to checkpoints, then evaluated."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mamlbook.errors import check_count
from mamlbook.fewshot import training
from mamlbook.fewshot.data import images
from mamlbook.fewshot.settings import Cell, Configuration, Settings
from mamlbook.fewshot.training import Trained, evaluation
from mamlbook.fewshot.training.cells import train_cells
from mamlbook.intervals import mean_ci95
from mamlbook.jobs import site
from mamlbook.records import Record, seed_accuracies


@dataclass(frozen=True)
class Budget:
    """How long the networks are trained, how often, and where.

    A run that was cut goes on from its checkpoints, in the folder `cells` of the results, when the
    command is given again. All tables share it: what one has trained, another finds.
    """

    iterations: int
    """Outer steps of each training."""
    seeds: int = 5
    """Trainings of each cell."""
    device: str = "cpu"
    """"cpu", "cuda", or one GPU of several, such as "cuda:1"."""
    workers: int = 1
    """Processes that train at once on a CPU."""
    filters: int = 64
    """Filters of each convolution."""
    evaluation_tasks: int = 500
    """Tasks of each split at evaluation."""
    configuration: Configuration = "strided"
    """What is chosen where the paper leaves a choice: text, lineage or strided."""
    until: int | None = None
    """Stop each training at this outer step; the same command without it goes on from there."""

    def __post_init__(self) -> None:
        for name in ("iterations", "seeds", "workers", "filters", "evaluation_tasks", "until"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))


def cells(variants: Iterable[Settings], budget: Budget) -> list[Cell]:
    """Every variant for every seed, seed by seed, with the budget's settings."""
    of = {name: getattr(budget, name) for name in ("iterations", "filters", "evaluation_tasks")}
    variants = [replace(settings, **of) for settings in variants]
    return [Cell(settings, seed) for seed in range(budget.seeds) for settings in variants]


def train(variants: Iterable[Settings], budget: Budget, apart: str = "") -> list[Trained]:
    """The cells, trained or found trained, in the folder that all share or in one `apart`."""
    todo = cells(variants, budget)
    folder = site().out / "cells" / apart
    return train_cells(
        todo, folder, device=budget.device, until=budget.until, workers=budget.workers
    )


def evaluated(
    trained: list[Trained], budget: Budget, *, statistics: str = "batch", **changes: Any
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The rows of a table, and beside them each row's accuracy by seed, (rows, seeds)."""
    dataset = images.load(trained[0].cells[0].settings.data, budget.device)
    rows = evaluation.evaluate_all(trained, dataset, statistics=statistics, **changes)
    for one, own in zip(trained, rows, strict=True):
        own["train_seconds"] = one.seconds
    every = pd.concat(rows, ignore_index=True)
    table = evaluation.summarise(every)
    seconds = every.groupby(evaluation.KEYS, sort=False).train_seconds.sum()
    table["train_seconds"] = seconds.round(3).to_numpy()
    return table, {"accuracy": evaluation.by_seed(every)}


def with_untrained(
    trained: list[Trained], budget: Budget, algorithm: str
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """As `evaluated`, with the distance that training moved the weights and the histories; then the
    untrained networks on the same tasks, adapted as `algorithm` is (algorithm "none")."""
    rows, arrays = evaluated(trained, budget)
    moved = pd.DataFrame([evaluation.distance_moved(one) for one in trained])
    keys = ["setting", "algorithm"]
    rows = rows.merge(moved.groupby(keys, as_index=False).distance.mean(), on=keys)
    own = [one.cells[0] for one in trained if one.cells[0].settings.algorithm == algorithm]
    bare, own_arrays = evaluated([training.untrained(cell) for cell in own], budget)
    rows = pd.concat([rows, bare.assign(algorithm="none", distance=0.0)], ignore_index=True)
    accuracy = np.concatenate([arrays["accuracy"], own_arrays["accuracy"]])
    return rows, {"accuracy": accuracy, "course": histories(trained, budget)}


def effect_of_training(record: Record, algorithm: str) -> pd.DataFrame:
    """What training by `algorithm` adds to an untrained network (algorithm "none") that is adapted
    in the same way to the same tasks.

    A row for each setting, split and hardness, which index it: the mean accuracies `untrained` and
    `trained`, in percent, and `difference`, paired by seed, with its 95% half-width `half`.
    Raises InputError if the record has one seed, which gives no interval.
    """
    at = seed_accuracies(record)
    lines = {}
    for setting, name, split, hardness in at:
        if name == algorithm:
            after, before = (at[setting, each, split, hardness] for each in (name, "none"))
            both = {"untrained": before.mean(), "trained": after.mean()}
            difference, half = mean_ci95(after - before)
            lines[setting, split, hardness] = {**both, "difference": difference, "half": half}
    table = pd.DataFrame(lines).T
    return table.rename_axis(["setting", "split", "hardness"])


def histories(trained: list[Trained], budget: Budget) -> np.ndarray:
    """Training accuracy in percent, (variants, seeds, iterations / 25, easy and hard)."""
    curve = np.concatenate([one.history.numpy(force=True) for one in trained])
    with np.errstate(invalid="ignore"):  # no task of a kind was drawn
        accuracy = 100 * curve[..., 2] / curve[..., 0]
    return accuracy.reshape(budget.seeds, -1, *accuracy.shape[1:]).swapaxes(0, 1).astype(np.float32)
