"""Streams of random tasks for many environments at once, at a cost free of the sample size.

A squared loss meets its data only through X'X and X'z. For Gaussian rows X'X is a Wishart matrix,
drawn directly by Bartlett's decomposition, and data that are used for one gradient enter through
that vector alone; every step is the same in distribution as with X drawn row by row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mamlbook.linear.empirical import apply, root
from mamlbook.linear.environment import Environment


@dataclass(frozen=True)
class Tasks:
    """Tasks on leading axes (...): families, solutions w* (..., d), F (..., d, d), F F' = Sigma."""

    family: np.ndarray
    w_star: np.ndarray
    root: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Data:
    """n samples of every task, as they enter its loss 1/(2n) ||X w - y||^2.

    `factor` G (..., d, k) with G G' = X'X/n; `push` = X'z/n (..., d).
    """

    factor: np.ndarray
    push: np.ndarray

    def gradient(self, away: np.ndarray, t: int) -> np.ndarray:
        """X'(X w - y)/n = X'X/n (w - w*) - X'z/n, for away = w - w*, at block index t."""
        return self.curve(away, t) - self.push[t]

    def curve(self, v: np.ndarray, t: int | slice = slice(None)) -> np.ndarray:
        """X'X v / n, at block index t."""
        factor = self.factor[t]
        return apply(factor, apply(factor.swapaxes(-1, -2), v))


class TaskStream:
    """Draws tasks and their data for a row of environments of one dimension."""

    def __init__(self, environments: Sequence[Environment], rng: np.random.Generator) -> None:
        self.rng = rng
        self.thresholds = np.stack([env.weights for env in environments]).cumsum(axis=1)[
            :, None, :-1
        ]
        self.centres = np.stack([env.centres for env in environments])
        self.spread_roots = root(np.stack([env.spreads for env in environments]))
        self.data_roots = root(np.stack([env.covariances for env in environments]))
        self.noise = np.sqrt([env.noise for env in environments])[:, None, None]

    def tasks(self, size: tuple[int, int, int]) -> Tasks:
        """One task for each of (block, environments, repeats)."""
        family = (self.rng.random(size)[..., None] > self.thresholds).sum(axis=-1)
        which = (np.arange(size[1])[:, None], family)
        w_star = self.centres[which]
        if self.spread_roots.any():
            steps = self.rng.standard_normal(w_star.shape)
            w_star = w_star + apply(self.spread_roots[which], steps)
        return Tasks(family, w_star, self.data_roots[which], self.noise)

    def data(self, tasks: Tasks, n: int) -> Data:
        """n new samples of each task."""
        *size, d = tasks.w_star.shape
        factor = tasks.root @ wishart_root(n, tuple(size), d, self.rng) / math.sqrt(n)
        push = apply(factor, self.rng.standard_normal((*size, factor.shape[-1])))
        return Data(factor, tasks.noise / math.sqrt(n) * push)

    def gradient(
        self, tasks: Tasks, away: np.ndarray, n: int, t: int | slice = slice(None)
    ) -> np.ndarray:
        """X'(X w - y)/n of n new samples of each task, for away = w - w*, at block index t.

        The residuals r = X away - z are normal with variance s^2 = |a|^2 + nu^2, a = F' away, and
        given them row j of X is normal about r_j F a / s^2. So with q = |r|^2 / s^2, chi-square
        with n degrees of freedom,
            X'r = F (q a + sqrt(q) s xi),   xi ~ N(0, I - a a'/s^2),
        and xi is what a standard normal vector keeps when its regression on a residual is taken
        off: d + 2 random numbers a task, where `data` needs more than d^2/2.
        """
        root = tasks.root[t]
        a = apply(root.swapaxes(-1, -2), away)
        noise = tasks.noise[..., 0]
        s = np.sqrt((a**2).sum(axis=-1) + noise**2)
        normal = self.rng.standard_normal(a.shape)
        residual = (a * normal).sum(axis=-1) + noise * self.rng.standard_normal(s.shape)
        residual = np.divide(residual, s, out=np.zeros_like(s), where=s > 0)
        q = self.rng.chisquare(n, s.shape)
        along, across = q - np.sqrt(q) * residual, np.sqrt(q) * s
        return apply(root, along[..., None] * a + across[..., None] * normal) / n


def wishart_root(n: int, size: tuple[int, ...], d: int, rng: np.random.Generator) -> np.ndarray:
    """B with B B' = Z'Z for Z (n, d) standard normal: triangular by Bartlett, or Z' if n < d."""
    if n < d:
        return rng.standard_normal((*size, d, n))
    lower = np.zeros((*size, d, d))
    rows, columns = np.tril_indices(d, -1)
    lower[..., rows, columns] = rng.standard_normal((*size, rows.size))
    diagonal = np.arange(d)
    lower[..., diagonal, diagonal] = np.sqrt(rng.chisquare(n - diagonal, size=(*size, d)))
    return lower
