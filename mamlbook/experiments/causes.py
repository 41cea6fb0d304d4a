"""What decides Table 1: the outer rate of each method, the parts of a configuration, packing.

Short trainings, on narrow networks, compared with each other: each is the work of a minute.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mamlbook.experiments.cells import Budget, evaluated, train
from mamlbook.fewshot.settings import ARMS, Configuration, Omniglot, OmniglotAlgorithm
from mamlbook.fewshot.training.evaluation import distance_moved

GRID = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
# Of `lineage`, one part at a time as the other configurations have it, or as others have it.
PARTS: dict[str, dict[str, Any]] = {
    "lineage": {},
    "strided convolutions": {"downsampling": "strided"},
    "ReLU": {"activation": "relu"},
    "SGD": {"optimiser": "sgd"},
    "constant rate": {"schedule": "constant"},
    "no rotations": {"rotations": False},
    "batch norm adapted": {"adapted": "all"},
    "greys, ink 255": {"conversion": "grey"},
    "head of zeros": {"head": "zeros"},
    "head from N(0, 1)": {"head": "normal"},
    "all of strided": {"configuration": "strided", "optimiser": "adam"},
}


@dataclass(frozen=True)
class Short(Budget):
    """A budget of minutes."""

    iterations: int = 200
    seeds: int = 3
    filters: int = 32
    evaluation_tasks: int = 400
    tasks: int = 4
    """Tasks of an outer step."""


@dataclass(frozen=True)
class Rates(Short):
    """The search for the outer rate: the same grid for MAML and for NAL, by SGD and by Adam, on
    the network of `lineage` and on that of `text`, judged on classes held out of training."""

    seeds: int = 2
    grid: tuple[float, ...] = GRID
    """Outer rates."""


@dataclass(frozen=True)
class Ablation(Short):
    """Table 1's Large setting in `lineage`, with one part at a time as it might have been."""

    nal_rate: float = 1e-4
    """NAL's outer rate by Adam: within a point of the best of the search at this length."""
    sgd_rate: float = 1e-1
    """SGD's outer rate, the best of the search for MAML."""


@dataclass(frozen=True)
class Packing(Short):
    """Three arms that differ in one thing each: five hard training alphabets; as many characters
    of five as one has; one. A seed permutes the ten hard alphabets, and all arms meet the same
    test tasks: of one hard alphabet and of five."""

    seeds: int = 10
    configuration: Configuration = "lineage"
    nal_rate: float = 1e-4
    """NAL's outer rate by Adam: within a point of the best of the search at this length."""


def omniglot_rates(settings: Rates) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """A row for each configuration, algorithm, optimiser, rate, split and hardness; beside them
    the accuracy by seed, and the distance that training moved the weights."""
    grid = [
        Omniglot(
            configuration=configuration, algorithm=algorithm, optimiser=optimiser,
            outer_rate=rate, validation=True, schedule="constant", tasks=settings.tasks,
        )
        for configuration in ("lineage", "text")
        for algorithm in ("maml", "nal-1")
        for optimiser in ("adam", "sgd")
        for rate in settings.grid
    ]  # fmt: skip
    trained = train(grid, settings)
    rows, arrays = evaluated(trained, settings)
    moved = pd.DataFrame([distance_moved(one) for one in trained])
    keys = ["configuration", "algorithm", "optimiser", "outer_rate"]
    return rows.merge(moved.groupby(keys, as_index=False).distance.mean(), on=keys), arrays


def ablation(settings: Ablation) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of Table 1's columns, with `part`; beside them each row's accuracy by seed."""
    tables, accuracies = [], []
    for part, changes in PARTS.items():
        rates: dict[OmniglotAlgorithm, float] = {"maml": 1e-3, "nal-1": settings.nal_rate}
        pair = [
            Omniglot(
                **{"configuration": "lineage", **changes},
                algorithm=algorithm,
                outer_rate=settings.sgd_rate if part == "SGD" else rate,
                tasks=settings.tasks,
            )
            for algorithm, rate in rates.items()
        ]
        rows, arrays = evaluated(train(pair, settings), settings)
        tables.append(rows.assign(part=part))
        accuracies.append(arrays["accuracy"])
    return pd.concat(tables, ignore_index=True), {"accuracy": np.concatenate(accuracies)}


def packing(settings: Packing) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of Table 1's columns, `setting` an arm and `split` "test" (one hard alphabet) or
    "test-5"; beside them each row's accuracy by seed."""
    rates: dict[OmniglotAlgorithm, float] = {"maml": 1e-3, "nal-1": settings.nal_rate}
    arms = [
        Omniglot(
            configuration=settings.configuration, setting=arm, algorithm=algorithm,
            outer_rate=rate, tasks=settings.tasks,
        )
        for algorithm, rate in rates.items()
        for arm in ARMS
    ]  # fmt: skip
    return evaluated(train(arms, settings), settings)
