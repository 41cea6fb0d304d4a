"""One position of the dials: train its pairs of networks, measure them, keep what was measured."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from mamlbook import records
from mamlbook.errors import InputError
from mamlbook.world.evaluation import (
    RATES,
    TaskSet,
    implied,
    risks,
    risks_by_rate,
    tangent_kernel,
    task_set,
)
from mamlbook.world.network import Weights
from mamlbook.world.tasks import STEEPNESS
from mamlbook.world.training import Setting, body, linear, train

VALIDATION = 100  # tasks of each seed on which the inner learning rate is chosen


@dataclass(frozen=True)
class Measured:
    """What n pairs of networks did; NAL first in every axis of two.

    seeds (n,); risks (n, 2, 2) by function and kernel; positions (n, 2) along the hard centre in
    units of its distance; r2 (n, 2); rates (n,); speeds (n, 2, d), the eigenvalues of rate times
    tangent kernel; lines (n, 2, 2), that matrix along the hard centre and, on average, across;
    contrast (n, 2, 2), positions implied by easy and by hard images; readout (n, 3), the risks of
    NAL and MAML and MAML's position where the readout alone is trained, or None; seconds (n,), the
    time a pair took in total.
    """

    seeds: np.ndarray
    risks: np.ndarray
    positions: np.ndarray
    r2: np.ndarray
    rates: np.ndarray
    speeds: np.ndarray
    lines: np.ndarray
    contrast: np.ndarray
    seconds: np.ndarray
    readout: np.ndarray | None


def measure(
    setting: Setting, seeds: Sequence[int], tasks: int, rate: float | None = None
) -> Measured:
    """Train a pair for every seed, all seeds at once, and measure each on its test tasks.

    The inner learning rate is NAL's best on validation tasks, over all seeds, unless it is given;
    MAML takes the same. With the readout alone it is 1/rho_E = 1, as in Section 3.
    """
    begun = time.perf_counter()
    nal, maml, rate = pair(setting, seeds, rate)
    tests = [task_set(setting, seed, tasks) for seed in seeds]
    recipe, env = setting.recipe, setting.environment
    network = recipe.network
    centre = env.centres[0]
    length = np.linalg.norm(centre)
    u = centre / length
    contrasts = (1.0, setting.hardness)
    unit = length * (STEEPNESS if recipe.logistic else 1.0)  # of an output along the hard centre
    found: dict[str, list] = {name: [] for name in ("risks", "positions", "r2", "speeds")}
    found |= {"lines": [], "contrast": []}
    for i, test in enumerate(tests):
        both = [one(nal, i), one(maml, i)]
        found["risks"].append(risks(network, both, both, test, [rate, rate]))
        seen = [[implied(network, w, recipe.pen, rho) for rho in contrasts] for w in both]
        # Without biases both contrasts imply the same; with them, half of the tasks show each.
        found["positions"].append([np.mean([s.w @ u for s in own]) / unit for own in seen])
        found["r2"].append([np.mean([s.r2 for s in own]) for own in seen])
        found["contrast"].append([[s.w @ u / unit for s in own] for own in seen])
        kernels = [rate * tangent_kernel(network, w, recipe.pen) for w in both]
        found["speeds"].append([np.linalg.eigvalsh(k) for k in kernels])
        found["lines"].append(
            [(u @ k @ u, (np.trace(k) - u @ k @ u) / (len(u) - 1)) for k in kernels]
        )
    arrays = {name: np.array(values) for name, values in found.items()}
    alone = not (network.biases or recipe.logistic)
    readout = _readout(setting, seeds, tasks) if alone else None
    return Measured(
        seeds=np.array(list(seeds)),
        rates=np.full(len(tests), rate),
        readout=readout,
        seconds=np.full(len(tests), (time.perf_counter() - begun) / len(tests)),
        **arrays,
    )


def pair(
    setting: Setting, seeds: Sequence[int], rate: float | None = None
) -> tuple[Weights, Weights, float]:
    """The networks of NAL and of MAML, stacked by seed, and the inner learning rate of both."""
    nal = _average(setting, seeds)
    if rate is None:
        totals = sum(
            risks_by_rate(
                setting.recipe.network,
                one(nal, i),
                task_set(setting, seed, VALIDATION, "validate"),
            )
            for i, seed in enumerate(seeds)
        )
        rate = RATES[int(np.nanargmin(totals))]
    return nal, train(setting, seeds, torch.full((len(seeds),), rate)), rate


def _average(setting: Setting, seeds: Sequence[int], readout: bool = False) -> Weights:
    """NAL's networks. They take no inner step, so every m has the same: trained once."""
    return _averages(replace(setting, m=0), tuple(seeds), readout)


@cache
def _averages(setting: Setting, seeds: tuple[int, ...], readout: bool) -> Weights:
    return train(setting, seeds, readout=readout)


def one(weights: Weights, i: int) -> Weights:
    """Network i of a stack, with a first axis of one."""
    return [w[i : i + 1] for w in weights]


def _readout(setting: Setting, seeds: Sequence[int], tasks: int) -> np.ndarray:
    """Risks of NAL and MAML and MAML's position, (n, 3): the readout alone, on its codes."""
    recipe, centre = setting.recipe, setting.environment.centres[0]
    rates = torch.ones(len(seeds))
    nal = _average(setting, seeds, readout=True)
    maml = train(setting, seeds, rates, readout=True)
    found = []
    for i, seed in enumerate(seeds):
        test = task_set(setting, seed, tasks)
        with torch.no_grad():
            codes = recipe.network.codes(list(body(recipe, seed)), test.images.flatten(0, 1)[None])
        coded = TaskSet(codes.reshape(*test.images.shape[:2], -1), test.labels)
        last = recipe.network.readout
        each = [one(w, i)[-last:] for w in (nal, maml)]
        loss = [risks(linear, [w], [w], coded, [1.0])[0, 0] for w in each]
        fitted = implied(recipe.network, one(maml, i), recipe.pen)
        found.append([*loss, fitted.w @ centre / (centre @ centre)])
    return np.array(found)


def save(measured: Measured, path: Path, setting: Setting) -> None:
    """Write a cell, with its setting, beside its place first."""
    arrays = {f.name: getattr(measured, f.name) for f in fields(measured)}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    buffer = BytesIO()
    np.savez(buffer, setting=np.array(_told(setting)), **arrays)
    records.write_atomic(path, buffer.getvalue())


def load(path: Path, setting: Setting) -> Measured:
    """Read a cell. Raises InputError if it was measured with another setting."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if str(arrays.pop("setting")) != _told(setting):
        raise InputError(f"{path} was measured with other settings; delete it or its folder.")
    return Measured(**{"readout": None} | arrays)


def _told(setting: Setting) -> str:
    return json.dumps(asdict(setting), sort_keys=True)
