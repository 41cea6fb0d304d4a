"""Section 5 and C.4: Tables 1 and 4, the choice of the hard alphabets, and what the paper leaves
open about them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mamlbook.errors import InputError
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
from mamlbook.fewshot.settings import Configuration, Omniglot, OmniglotAlgorithm, Setting
from mamlbook.fewshot.training import Trained, evaluation, geometry
from mamlbook.fewshot.training.classifier import Classifier, fit

SETTINGS: tuple[Setting, ...] = ("large", "small")
ADAM: dict[str, Any] = {"optimiser": "adam", "outer_rate": 1e-3}
NAL: dict[str, Any] = {"optimiser": "sgd", "outer_rate": 1e-6}
SHORT: dict[str, Any] = {
    "filters": 16, "tasks": 4, "targets": 5, "iterations": 200, "evaluation_tasks": 100,
}  # fmt: skip
PRESETS = {
    "preview": Preset(
        (
            Omniglot(**ADAM | {"outer_rate": 3e-3}, **SHORT),
            Omniglot(algorithm="nal-1", **NAL, **SHORT),
        )
    ),
    "full": Preset((Omniglot(**ADAM), Omniglot(algorithm="nal-1", **NAL)), 500, "cuda"),
}


@dataclass(frozen=True)
class Alphabets(Budget):
    """MAML on tasks of all 50 alphabets, and by alphabet the course of adaptation (C.4)."""

    iterations: int = 20_000
    seeds: int = 1
    tasks: int = 500
    """Evaluation tasks of each alphabet."""
    steps: int = 3
    """Inner steps whose losses are kept; the choice is made by the accuracy after one."""


@dataclass(frozen=True)
class AlphabetsLineage(Alphabets):
    """The same procedure in the configuration that the authors most probably ran, `lineage`."""

    configuration: Configuration = "lineage"
    tasks: int = 100
    """Evaluation tasks of each alphabet."""
    steps: int = 1
    """Inner steps whose losses are kept."""


@dataclass(frozen=True)
class Table1(Budget):
    """Tables 1 and 4: MAML, NAL-1 and NAL-10 where the hard tasks are spread wide and close.

    All are trained at the outer rates that the paper prints, 1e-3 for MAML and 1e-6 for NAL; the
    configuration says by which optimiser and on which network.
    """

    iterations: int = 20_000
    algorithms: tuple[OmniglotAlgorithm, ...] = ("maml", "nal-1", "nal-10")
    """Which of maml, nal-1 and nal-10."""


@dataclass(frozen=True)
class Table1Lineage(Table1):
    """Table 1 in the configuration that the authors most probably ran, `lineage`."""

    seeds: int = 3
    configuration: Configuration = "lineage"
    algorithms: tuple[OmniglotAlgorithm, ...] = ("maml", "nal-1")


@dataclass(frozen=True)
class Crossed(Budget):
    """Table 1's MAML, each network on the other setting's tasks: is it the training or the tasks
    that differ between Large and Small?"""

    iterations: int = 20_000


@dataclass(frozen=True)
class Controls(Budget):
    """The questions that Table 1 leaves open: is NAL trained at all, with its best rate, with more
    steps, as it is done in practice; which optimiser; which statistics of batch norm."""

    iterations: int = 20_000
    sgd_rate: float = 1e-2
    """SGD's best rate in `omniglot_rates`, for MAML as for NAL."""
    batches: int = 2000
    """Batches of the classifier."""


@dataclass(frozen=True)
class Dispersion(Budget):
    """Distances of adapted parameters, a measured stand-in for r_H, r_E and R.

    Large's tasks and Small's are adapted from the same network: the spread of adapted weights
    grows with the network's own scale, and two networks have two.
    """

    iterations: int = 20_000
    tasks: int = 100
    """Easy tasks, and as many hard ones, of each split."""
    steps: int = 10
    """Inner steps that stand in for a task's optimum."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tasks < 2:
            raise InputError(f"tasks is {self.tasks}; a spread needs at least 2.")


def alphabets(settings: Alphabets) -> pd.DataFrame:
    """Rows: network (untrained, trained), group, hardness, step, loss, accuracy, with ci95."""
    all_tasks = Omniglot(setting="all", configuration=settings.configuration, optimiser="adam")
    trained = train([all_tasks], settings)
    untrained = [training.untrained(one.cells[0]) for one in trained]
    dataset = images.load(all_tasks.data, settings.device)
    networks = {"untrained": untrained, "trained": trained}
    tables = []
    for name, group in networks.items():
        for one in group:
            theta = one.theta.to(settings.device)
            rows = evaluation.by_group(one.cells[0], theta, dataset, settings.tasks, settings.steps)
            tables.append(rows.assign(network=name, seed=one.cells[0].seed))
    return pd.concat(tables, ignore_index=True)


alphabets_lineage = alphabets


def variants(settings: Table1 = Table1()) -> list[Omniglot]:
    """The cells of Table 1, for each seed."""
    return [
        Omniglot(setting=name, algorithm=algorithm, configuration=settings.configuration)
        for algorithm in settings.algorithms
        for name in SETTINGS
    ]


def table1(settings: Table1) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """A row for each variant, split and hardness; the accuracies by seed; the histories."""
    trained = train(variants(settings), settings)
    rows, arrays = evaluated(trained, settings)
    return rows, {**arrays, "course": histories(trained, settings)}


def table1_lineage(settings: Table1Lineage) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """As `table1`, with the distance that training moved the weights, and with the untrained
    networks on the same tasks, adapted as NAL-1 is (algorithm "none")."""
    return with_untrained(train(variants(settings), settings), settings, "nal-1")


def crossed(settings: Crossed) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of Table 1's columns, `setting` the one whose tasks are met, `trained_in` the other;
    beside them each row's accuracy by seed."""
    trained = train([Omniglot(setting=name, **ADAM) for name in SETTINGS], settings)
    tables, accuracies = [], []
    for name, other in zip(SETTINGS, reversed(SETTINGS), strict=True):
        own = [one for one in trained if one.cells[0].settings.name == name]
        rows, arrays = evaluated(own, settings, setting=other)
        tables.append(rows.assign(trained_in=name))
        accuracies.append(arrays["accuracy"])
    return pd.concat(tables, ignore_index=True), {"accuracy": np.concatenate(accuracies)}


def omniglot_controls(settings: Controls) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of Table 1's columns, with `control`; beside them each row's accuracy by seed.

    The algorithm of an untrained network is the one as which it is adapted.
    """
    tables, accuracies = [], []
    labels = {
        "untrained": {"optimiser": "none", "outer_rate": 0.0, "planned": 0},
        "classifier": {
            "algorithm": "classifier",
            "optimiser": "adam",
            "outer_rate": Classifier().rate,
            "planned": settings.batches,
        },
    }

    def add(control: str, trained: list[Trained], **how) -> None:
        rows, arrays = evaluated(trained, settings, **how)
        tables.append(rows.assign(control=control, **labels.get(control, {})))
        accuracies.append(arrays["accuracy"])

    def both(**more) -> list[Omniglot]:
        return [Omniglot(setting=name, **more) for name in SETTINGS]

    for algorithm in ("nal-1", "nal-10"):
        initial = cells(both(algorithm=algorithm), settings)
        add("untrained", [training.untrained(cell) for cell in initial])
    add("the paper's rate", train(both(algorithm="nal-1", **NAL), settings))
    by_sgd: dict[str, Any] = {"optimiser": "sgd", "outer_rate": settings.sgd_rate}
    at_best = train(both(algorithm="nal-1", **by_sgd), settings)
    for steps in (1, 5, 10):
        add("best rate", at_best, steps=steps)
    dataset = images.load("omniglot", settings.device)
    classifier = Classifier(settings.batches)
    fitted = [fit(classifier, cell, dataset) for cell in cells(both(algorithm="nal-1"), settings)]
    for steps in (1, 10):
        add("classifier", fitted, steps=steps)
    add("SGD", train(both(**by_sgd), settings))
    adam = train(both(**ADAM), settings)
    for statistics in ("batch", "running"):
        add("Adam", adam, statistics=statistics)
    return pd.concat(tables, ignore_index=True), {"accuracy": np.concatenate(accuracies)}


def dispersion(settings: Dispersion) -> pd.DataFrame:
    """Rows (setting, seed, split, part, R, r_easy, r_hard, network): tasks of Large and of Small,
    adapted from one initialization, MAML's in Large ("trained") or none at all ("untrained")."""
    large = Omniglot(setting="large", configuration=settings.configuration)
    trained = train([large], settings)
    dataset = images.load(large.data, settings.device)
    return pd.concat(
        [
            geometry.dispersion(one, name, dataset, settings.tasks, settings.steps).assign(
                network=network
            )
            for network, many in (
                ("trained", trained),
                ("untrained", [training.untrained(one.cells[0]) for one in trained]),
            )
            for one in many
            for name in SETTINGS
        ],
        ignore_index=True,
    )
