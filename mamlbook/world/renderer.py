"""Glyphs: a latent z in R^6 bends an S-shaped stroke, which a Gaussian pen draws on pixels.

The points of the stroke are c(t) = s(t) + sum_j z_j A_j(t), t in [0, 1]: a fixed S, and cosine
modes that are linear in the latent. Rows of the picture run downwards, x and y from -1 to 1.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

SPAWN = 20221104  # the entropy of every draw of this world; its keys tell the draws apart


@dataclass(frozen=True)
class Pen:
    """How a latent becomes a picture.

    `across` and `along` count the cosine modes of the horizontal and of the vertical coordinate;
    their sum is the latent dimension d. `bend` is the size of one standard deviation of a latent,
    `width` the pen's standard deviation, both in half-widths of the picture; `side` its pixels.
    """

    across: int = 4
    along: int = 2
    bend: float = 0.15
    width: float = 0.13
    side: int = 16
    points: int = 32

    @property
    def dimension(self) -> int:
        """The dimension d of the latent."""
        return self.across + self.along


def strokes(pen: Pen, z: np.ndarray) -> np.ndarray:
    """The stroke's points, z (n, d) -> (n, points, 2).

    Horizontally mode j is cos(j pi t), j = 0, 1, ...; vertically likewise.
    """
    t = (np.arange(pen.points) + 0.5) / pen.points
    body = np.stack([-0.45 * np.sin(2 * np.pi * t), 1.2 * t - 0.6], -1)
    modes = np.cos(np.pi * np.arange(max(pen.across, pen.along))[:, None] * t)
    moved = (z[:, : pen.across] @ modes[: pen.across], z[:, pen.across :] @ modes[: pen.along])
    return body + pen.bend * np.stack(moved, -1)


def draw(pen: Pen, z: np.ndarray) -> np.ndarray:
    """Pictures with ink from 0 to 1, z (n, d) -> float32 (n, side * side), row by row.

    A pixel at p has ink 1 - exp(-1/2 sum_k exp(-|p - c_k|^2 / (2 width^2))) over the points c_k.
    """
    at = (np.arange(pen.side) + 0.5) * 2 / pen.side - 1
    pictures = []
    for some in np.array_split(z, max(1, len(z) // 2000)):
        points = strokes(pen, some)[..., None]
        x, y = np.moveaxis(np.exp(-((points - at) ** 2) / (2 * pen.width**2)), 2, 0)
        pictures.append(1 - np.exp(-0.5 * np.swapaxes(y, 1, 2) @ x))
    return np.concatenate(pictures).reshape(len(z), -1).astype(np.float32)


@dataclass(frozen=True)
class Bank:
    """Latents (n, d) and images (n, pixels), centered and scaled: the contrast-one glyphs."""

    z: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class Shift:
    """What a picture loses before a network sees it: (picture - mean) / scale."""

    mean: np.ndarray
    scale: float


@cache
def shift(pen: Pen) -> Shift:
    """The mean picture (pixels,), and the root mean square of what is left of a pixel."""
    raw = draw(pen, latents(pen, "train", 20_000))
    mean = raw.mean(0)
    return Shift(mean, float(np.sqrt(((raw - mean) ** 2).mean())))


def latents(pen: Pen, split: str, count: int) -> np.ndarray:
    """z ~ N(0, I) of a split, train or test, (count, d)."""
    key = ("train", "test").index(split)
    rng = np.random.default_rng(np.random.SeedSequence(SPAWN, spawn_key=(0, key)))
    return rng.standard_normal((count, pen.dimension))


@cache
def bank(pen: Pen, split: str, count: int = 20_000) -> Bank:
    """The images that tasks of a split are made of; both splits lose the training mean.

    A task of hardness rho shows sqrt(rho) images and labels sqrt(rho) <w*, z>: the dial is ink.
    """
    z = latents(pen, split, count)
    moved = shift(pen)
    images = (draw(pen, z) - moved.mean) / moved.scale
    return Bank(z.astype(np.float32), images.astype(np.float32))
