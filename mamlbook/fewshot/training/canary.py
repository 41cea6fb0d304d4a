"""A canary of what made a record: one outer gradient, in float64, computed again in seconds.

A training takes hours and cannot be repeated to check its record. What every training consists of
can: the loss and the outer gradient of fixed episodes at fixed parameters. Made-up images serve,
so that no data are needed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mamlbook.fewshot.data.tasks import Episodes, Shape
from mamlbook.fewshot.engine.learners import outer_gradient
from mamlbook.fewshot.settings import Cifar, Omniglot, Settings

TASKS, QUERIES = 2, 2
RELATIVE = 1e-9  # float64's rounding, as another order of summation leaves it


def canary(data: str, settings: Mapping[str, Any], rows: pd.DataFrame, commit: str) -> dict:
    """What is kept in a record: the commit that the values were computed at, the hash of the code
    that trained, and by configuration and algorithm the values of `measured`."""
    return {
        "commit": commit,
        "code": code_hash(),
        "values": {name: measured(each) for name, each in trained(data, settings, rows)},
    }


def trained(
    data: str, settings: Mapping[str, Any], rows: pd.DataFrame
) -> Iterable[tuple[str, Settings]]:
    """A name and the settings of each configuration and algorithm in a record's rows; where they
    have no such column, the one of its settings, or "strided" and MAML."""
    kind = Omniglot if data == "omniglot" else Cifar
    named = pd.DataFrame({"configuration": settings.get("configuration", "strided")}, rows.index)
    named["algorithm"] = "maml"
    named.update(rows[[name for name in named if name in rows]])
    for configuration, algorithm in named.drop_duplicates().itertuples(index=False):
        if algorithm.startswith(("maml", "nal")):  # not a classifier, nor no training
            filters = settings.get("filters", 64)
            yield (
                f"{configuration} {algorithm}",
                kind(configuration=configuration, algorithm=algorithm, filters=filters),
            )


def measured(settings: Settings) -> dict[str, float]:
    """The mean loss of two tasks, the norm of their outer gradient, and its component along a
    random direction of norm 1."""
    network, rng = settings.network, np.random.default_rng(0)
    ways = network.outputs
    count = TASKS * ways * (1 + QUERIES)
    pixels = rng.integers(0, 256, (count, network.side, network.side, network.channels))
    where = torch.arange(count).reshape(TASKS, ways * (1 + QUERIES))
    episodes = Episodes(Shape(ways, 1, QUERIES), where[:, :ways], where[:, ways:])
    theta = torch.from_numpy(0.3 * rng.standard_normal((1, network.size)))
    direction = rng.standard_normal(network.size)
    images = torch.from_numpy(pixels.astype(np.uint8))
    found = outer_gradient(settings.learner, network, theta, images, episodes)
    gradient = found.gradient[0].numpy()
    return {
        "loss": float(found.loss.mean()),
        "norm": float(np.linalg.norm(gradient)),
        "along": float(gradient @ direction / np.linalg.norm(direction)),
    }


def difference(stored: Mapping[str, Any], fresh: Mapping[str, Any]) -> str | None:
    """Where the values of two canaries differ, in words; None if they agree."""
    if list(stored) != list(fresh):
        return f"its canary is of {', '.join(stored)}, now of {', '.join(fresh)}"
    for case, values in stored.items():
        now = fresh[case]
        for name in ("loss", "norm", "along"):
            # The component may be small beside the norm, which is what rounding goes with.
            scale = now["loss"] if name == "loss" else now["norm"]
            if not abs(values[name] - now[name]) <= RELATIVE * abs(scale):
                return f"the canary's {name} of {case} is {values[name]}, now {now[name]}"
    return None


def code_hash(folder: Path = Path(__file__).parents[1]) -> str:
    """SHA-256 of the modules that train, all but those of `models`, by place and name."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder)
        if place.parts[0] != "models":
            digest.update(place.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
