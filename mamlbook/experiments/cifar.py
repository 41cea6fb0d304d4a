"""Section 5 and C.5: Tables 2 and 5, hard tasks made scarce, and the controls that they need."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mamlbook.experiments.cells import (
    Budget,
    cells,
    evaluated,
    histories,
    train,
    with_untrained,
)
from mamlbook.experiments.live import Preset
from mamlbook.fewshot import training
from mamlbook.fewshot.data import images
from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.settings import Cell, Cifar, CifarAlgorithm, Configuration, Seeds
from mamlbook.fewshot.training import Trained
from mamlbook.fewshot.training.classifier import Classifier, fit
from mamlbook.fewshot.training.evaluation import by_steps, in_single_precision
from mamlbook.intervals import half_width

P = (0.99, 0.5, 0.01)
MAML: dict[str, Any] = {"algorithm": "maml", "optimiser": "adam", "outer_rate": 1e-3}
NAL: dict[str, Any] = {"algorithm": "nal", "optimiser": "sgd", "outer_rate": 1e-6}
GRID = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
SHORT: dict[str, Any] = {
    "filters": 16,
    "targets": 3,
    "iterations": 50,
    "inner_rate": 0.3,
    "evaluation_tasks": 20,
}
PRESETS = {
    "preview": Preset(
        (
            Cifar(**{**MAML, "outer_rate": 3e-3}, **SHORT),
            Cifar(**NAL, **SHORT),
        )
    ),
    "full": Preset((Cifar(**MAML), Cifar(**NAL)), every=250, device="cuda"),
}


@dataclass(frozen=True)
class Table2(Budget):
    """Tables 2 and 5: MAML and NAL where hard tasks are common, as common as easy ones, scarce.

    Both are trained at the outer rates that the paper prints, 1e-3 for MAML and 1e-6 for NAL; the
    configuration says by which optimiser and on which network.
    """

    iterations: int = 10_000
    p: tuple[float, ...] = P
    """Probabilities of a hard training task."""


@dataclass(frozen=True)
class Table2Lineage(Table2):
    """Table 2 in the configuration that the authors most probably ran, `lineage`."""

    seeds: int = 3
    configuration: Configuration = "lineage"
    p: tuple[float, ...] = (0.99, 0.5)
    """Probabilities of a hard training task."""


@dataclass(frozen=True)
class Rates(Budget):
    """The search for the outer rate at p = 0.5: the same grid for MAML and for NAL, by SGD and by
    Adam, judged on classes held out of training. The networks are narrower than Table 2's."""

    iterations: int = 200
    seeds: int = 1
    filters: int = 32
    evaluation_tasks: int = 100
    configuration: Configuration = "text"
    grid: tuple[float, ...] = GRID
    """Outer rates."""


@dataclass(frozen=True)
class Steps(Budget):
    """Accuracy against the number of adaptation steps, at every p and the same budget for all:
    MAML, first-order MAML, NAL, a plain classifier of all training classes, no training.

    On the network of `text`; all are trained by Adam.
    """

    iterations: int = 500
    seeds: int = 3
    filters: int = 32
    configuration: Configuration = "text"
    p: tuple[float, ...] = P
    """Probabilities of a hard training task."""
    nal_rate: float = 1e-5
    """NAL's outer rate by Adam, the best of its search."""
    tasks: int = 40
    """Easy tasks, and as many hard ones, of each split."""
    steps: int = 10
    """Adaptation steps, from 0."""


@dataclass(frozen=True)
class Scarcity(Budget):
    """MAML's accuracy against p at equal cost, in images: fewer hard tasks buy more outer steps."""

    iterations: int = 10_000
    """Outer steps at p = 0.5; the others may use as many images as these do."""
    p: tuple[float, ...] = (0.01, 0.1, 0.3, 0.6, 0.99)
    """Probabilities of a hard training task."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for p in self.p:
            Cifar(p=p)  # refuses what is no probability


@dataclass(frozen=True)
class Controls(Budget):
    """What Table 2 leaves open: does training help NAL at all; is the gain MAML's or that of the
    number of adaptation steps; NAL trained in earnest; the shots of the paper's body; the batch."""

    iterations: int = 10_000
    nal_rate: float = 1e-3
    """Adam's rate for the NAL trained in earnest."""
    batch_iterations: int = 20_000
    """Outer steps of 8 tasks, where C.5 says that as well as 10,000 of 2."""


def variants(settings: Table2 = Table2()) -> list[Cifar]:
    """The cells of Table 2, for each seed."""
    return [
        Cifar(p=p, algorithm=algorithm, configuration=settings.configuration)
        for p in settings.p
        for algorithm in ("nal", "maml")
    ]


def table2(settings: Table2) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """A row for each variant, split and hardness; the accuracies by seed; the histories."""
    trained = train(variants(settings), settings)
    rows, arrays = evaluated(trained, settings)
    return rows, {**arrays, "course": histories(trained, settings)}


def table2_lineage(settings: Table2Lineage) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """As `table2`, with the distance that training moved the weights, and with the untrained
    networks on the same tasks, adapted as NAL is (algorithm "none")."""
    return with_untrained(train(variants(settings), settings), settings, "nal")


def cifar_rates(settings: Rates) -> pd.DataFrame:
    """A row for each algorithm, optimiser, rate, split and hardness."""
    grid = [
        Cifar(
            configuration=settings.configuration, algorithm=algorithm, optimiser=optimiser,
            outer_rate=rate, validation=True, schedule="constant",
        )
        for algorithm in ("maml", "nal")
        for optimiser in ("adam", "sgd")
        for rate in settings.grid
    ]  # fmt: skip
    return evaluated(train(grid, settings), settings)[0]


def cifar_steps(settings: Steps) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows (setting, algorithm, split, hardness, step, iterations, accuracy in percent,
    accuracy_ci95 over seeds, seeds, train_seconds of all seeds), and beside them each row's
    accuracy by seed; `setting` is empty where training has no p."""
    dataset = images.load("cifar100", settings.device)
    how: dict[str, Any] = {"configuration": settings.configuration, "optimiser": "adam"}
    rates: dict[CifarAlgorithm, float] = {
        "maml": 1e-3,
        "maml-first": 1e-3,
        "nal": settings.nal_rate,
    }
    adapting = [
        Cifar(p=p, algorithm=algorithm, outer_rate=rate, **how)
        for p in settings.p
        for algorithm, rate in rates.items()
    ]
    networks: list[tuple[Trained, str, str]] = [
        (one, one.cells[0].settings.algorithm, one.cells[0].settings.name)
        for one in train(adapting, settings)
    ]
    for cell in cells([Cifar(**how)], settings):
        classifier = fit(Classifier(settings.iterations), cell, dataset)
        networks += [(classifier, "classifier", ""), (training.untrained(cell), "none", "")]
    every = pd.concat(
        by_steps(one, dataset, settings.tasks, settings.steps).assign(
            algorithm=algorithm,
            setting=name,
            iterations=one.iterations,
            train_seconds=one.seconds,
        )
        for one, algorithm, name in networks
    )
    keys = ["setting", "algorithm", "split", "hardness", "step", "iterations"]
    groups = every.groupby(keys, sort=False)
    rows = groups.agg(
        accuracy=("accuracy", "mean"),
        accuracy_ci95=("accuracy", half_width),
        seeds=("seed", "nunique"),
        train_seconds=("train_seconds", lambda own: round(own.sum(), 3)),
    ).reset_index()
    by_seed = np.stack([own.to_numpy() for _, own in groups["accuracy"]])
    return in_single_precision(rows), {"accuracy": by_seed}


def images_of_a_step(settings: Cifar) -> float:
    """The mean number of images in an outer step of MAML: its tasks' support and query sets."""
    easy = 2 * (settings.easy_shots + settings.targets)
    hard = 20 * (settings.hard_shots + settings.targets)
    return settings.tasks * ((1 - settings.p) * easy + settings.p * hard)


def scarcity(settings: Scarcity) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of Table 2's columns, with p and the images of a training; accuracies by seed."""
    trained = []
    cost = settings.iterations * images_of_a_step(Cifar(p=0.5))
    for p in settings.p:
        one = Cifar(p=p, **MAML)
        steps = max(1, round(cost / images_of_a_step(one)))
        # Apart: Table 2 has cells with these names and other lengths.
        trained += train([one], replace(settings, iterations=steps), apart="scarcity")
    rows, arrays = evaluated(trained, settings)
    rows["p"] = rows["setting"].str.removeprefix("p=").astype(float)
    rows["images"] = [
        row.iterations * images_of_a_step(Cifar(p=row.p)) for row in rows.itertuples()
    ]
    return rows, arrays


def cifar_controls(settings: Controls) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of Table 2's columns, with `control`; beside them each row's accuracy by seed."""
    tables, accuracies = [], []

    def add(control: str, trained: list[Trained], **how: Any) -> None:
        rows, arrays = evaluated(trained, settings, **how)
        tables.append(rows.assign(control=control))
        accuracies.append(arrays["accuracy"])

    initial = cells([Cifar()], settings)
    pair = train([Cifar(**how) for how in (NAL, MAML)], settings)
    learning: dict[str, Any] = {
        "algorithm": "nal",
        "optimiser": "adam",
        "outer_rate": settings.nal_rate,
    }
    practised = train([Cifar(**learning)], settings)
    for steps in (1, 5):
        add("untrained", [training.untrained(cell) for cell in initial], steps=steps)
        add("table 2", pair, steps=steps)
        add("NAL by Adam", practised, steps=steps)
    body: dict[str, Any] = {"easy_shots": 10, "hard_shots": 1}
    add("shots of the body", train([Cifar(**body, **how) for how in (NAL, MAML)], settings))
    larger = replace(settings, iterations=settings.batch_iterations)
    add("8 tasks a step", train([Cifar(tasks=8, **MAML)], larger))
    rows = pd.concat(tables, ignore_index=True)
    rows.loc[rows.control == "untrained", ["algorithm", "iterations"]] = ["none", 0]
    return rows, {"accuracy": np.concatenate(accuracies)}


def example_tasks(dataset: ImageSet, shown: int, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """One easy and one hard training task: class name -> its first `shown` support images."""
    cell = Cell(Cifar(), seed)
    mixture = cell.settings.problem(dataset, Seeds.of(seed).split).training
    _, *pair = mixture.draw(1, (Seeds.of(seed).tasks,), "cpu")
    flat, total = dataset.images.flatten(0, 1), dataset.images.shape[1]
    tasks = {}
    for name, episodes in zip(("easy", "hard"), pair, strict=True):
        places = episodes.support[0].unflatten(0, (episodes.shape.ways, -1))
        tasks[name] = {
            dataset.classes[own[0] // total]: flat[own[:shown]].numpy() for own in places
        }
    return tasks
