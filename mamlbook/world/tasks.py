"""Tasks of an environment seen through the renderer: which glyphs, how much ink, which labels.

All draws are made from seeds alone and in standard units, the same for every environment: two
methods, or two settings of the dials, with the same seed meet the same glyphs and the same luck.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mamlbook.linear import Environment, easy_and_hard
from mamlbook.world.renderer import SPAWN, Bank

STEEPNESS = 4.0
"""How steeply a probability rises with <w*, z>, where labels are probabilities."""
STREAMS = ("train", "validate", "test", "body")


def landscape(hardness: float, packing: float, d: int = 6, spread: float = 0.1) -> Environment:
    """Section 3.2 with rho_E = 1, rho_H = `hardness`, R^2/r_H = `packing`, r_E = `spread` R^2.

    The hard center (R, ..., R) has length one.
    """
    R = d**-0.5
    return easy_and_hard(hardness, 1.0, R, R**2 / packing, spread * R**2, d)


@dataclass(frozen=True)
class Draws:
    """What chance decides of B batches of T tasks: hard (B, T), the solutions' standard normals
    (B, T, d), and the places of the m support and n query glyphs in the bank (B, T, m + n)."""

    hard: np.ndarray
    normals: np.ndarray
    places: np.ndarray


def draws(
    seed: int, stream: str, batches: int, tasks: int, images: int, d: int, size: int
) -> Draws:
    """Draws of `tasks` tasks a batch; of `images` glyphs each, out of a bank of `size`.

    The first glyphs of a task are the same however many `images` it has.
    """
    key = (1, seed, STREAMS.index(stream))
    rng = np.random.default_rng(np.random.SeedSequence(SPAWN, spawn_key=key))
    return Draws(
        rng.random((batches, tasks)) < 0.5,
        rng.standard_normal((batches, tasks, d)),
        np.moveaxis(rng.integers(0, size, (images, batches, tasks)), 0, -1).copy(),
    )


def together(many: Sequence[Draws]) -> Draws:
    """Draws of as many batches each, with the tasks of all in a row."""
    return Draws(
        *(
            np.concatenate([getattr(one, name) for one in many], 1)
            for name in ("hard", "normals", "places")
        )
    )


def solutions(env: Environment, drawn: Draws) -> np.ndarray:
    """The tasks' solutions w* = mu_k + C_k^(1/2) normal, (B, T, d); family 0 is the hard one."""
    family = np.where(drawn.hard, 0, 1)
    roots = np.sqrt(np.diagonal(env.spreads, axis1=1, axis2=2))  # the spreads are r I
    return env.centres[family] + roots[family] * drawn.normals


@dataclass(frozen=True)
class Batch:
    """Images (T, n, pixels) and labels (T, n) of T tasks."""

    images: Tensor
    labels: Tensor


def batch(
    env: Environment,
    drawn: Draws,
    w: np.ndarray,
    number: int,
    held: Bank,
    *,
    logistic: bool = False,
) -> Batch:
    """The images sqrt(rho) x and labels y = sqrt(rho) <w*, z> of batch `number`.

    With `logistic` a label is the probability 1/(1 + exp(-STEEPNESS y)).
    """
    rho = np.where(drawn.hard[number], env.covariances[0, 0, 0], env.covariances[1, 0, 0])
    ink = torch.from_numpy(np.sqrt(rho).astype(np.float32))[:, None]
    places = drawn.places[number]
    clean = np.einsum("tnd,td->tn", held.z[places], w[number].astype(np.float32))
    images = torch.from_numpy(np.take(held.images, places, axis=0)).mul_(ink[..., None])
    labels = ink * torch.from_numpy(clean)
    return Batch(images, torch.sigmoid(STEEPNESS * labels) if logistic else labels)
