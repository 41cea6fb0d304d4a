"""Worlds whose true gain is known, to measure what a diagnosis of a table is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from mamlbook.diagnose import evidence, quadratics
from mamlbook.diagnose.solutions import leave_one_out, solve
from mamlbook.linear import (
    Environment,
    easy_and_hard,
    excess_risk,
    maml_solution,
    nal_solution,
    noise_risk,
)

NOISES = ("normal", "laplace", "student")


@dataclass(frozen=True)
class World:
    """Hard and easy tasks of Section 3.2 as tables: few rows each, noise of three shapes.

    `share` of the tasks are hard; `rows` is the range of a task's number of rows.
    """

    rho_hard: float = 0.15
    rho_easy: float = 0.9
    R: float = 1.5
    r: float = 0.1
    d: int = 3
    noise: float = 0.1
    alpha: float = 1.0
    m: int = 20
    rows: tuple[int, int] = (24, 24)
    share: float = 0.5

    def environment(self) -> Environment:
        """The mixture of families."""
        even = easy_and_hard(
            self.rho_hard, self.rho_easy, self.R, self.r, self.r, self.d, self.noise
        )
        return replace(even, weights=[self.share, 1 - self.share])

    def gain(self, nal: np.ndarray | None = None, maml: np.ndarray | None = None) -> float:
        """The ratio of the expected losses of NAL's and MAML's initialization, (6) and (7) with
        the noise; without arguments that of the population solutions, Proposition 1's."""
        env = self.environment()
        if nal is None:
            nal, maml = nal_solution(env), maml_solution(env, self.alpha, self.m)
        floor = noise_risk(env, self.alpha, self.m) + self.noise / 2
        above, below = (excess_risk(env, w, self.alpha, self.m) + floor for w in (nal, maml))
        return float(above / below)

    def draw(self, tasks: int, shape: str, rng: np.random.Generator) -> list[np.ndarray]:
        """Rows (x, y) of each task, (n, d + 1); the noise's variance is the same in every shape."""
        drawn = []
        for _ in range(tasks):
            hard = rng.random() < self.share
            n = int(rng.integers(self.rows[0], self.rows[1] + 1))
            x = rng.normal(size=(n, self.d)) * np.sqrt(self.rho_hard if hard else self.rho_easy)
            w = (self.R if hard else 0) + np.sqrt(self.r) * rng.normal(size=self.d)
            z = {
                "normal": lambda n=n: rng.normal(size=n),
                "laplace": lambda n=n: rng.laplace(size=n) / np.sqrt(2),
                "student": lambda n=n: rng.standard_t(5, size=n) / np.sqrt(5 / 3),
            }[shape]()
            drawn.append(np.column_stack([x, x @ w + np.sqrt(self.noise) * z]))
        return drawn


def measured_gain(world: World, rows: list[np.ndarray]) -> tuple[evidence.Ratio, float]:
    """The gain with its interval, leaving one task out, at the world's own inner step; and the
    true gain of the two initializations that all these tasks give."""
    adapted = np.append(np.ones(world.d), 0)
    moments = quadratics.moments(rows, adapted)
    after = moments.quadratic(world.alpha, world.m)
    nal, maml = leave_one_out(moments.one), leave_one_out(after)
    found = evidence.ratio(quadratics.loss(after, nal), quadratics.loss(after, maml))
    return found, world.gain(solve(moments.one.sum(0)), solve(after.sum(0)))


def coverage(
    worlds: int = 500,
    tasks: Sequence[int] = (10, 20, 40, 80),
    noises: Sequence[str] = NOISES,
    rows: Sequence[tuple[int, int]] = ((24, 24), (8, 60)),
    shares: Sequence[float] = (0.5, 0.1),
    seed: int = 0,
) -> pd.DataFrame:
    """How often the interval holds the true gain, and how often it lies above the threshold.

    `covered` is about the gain of the initializations that these tasks give, which is what leaving
    one out estimates; `covered_population` about that of infinitely many tasks.
    Columns: noise, rows, hard (their share), tasks, worlds, gain, covered,
    covered_population, found, width (the upper end over the lower one).
    """
    table = []
    rng = np.random.default_rng(seed)
    for shape, each, share, count in product(noises, rows, shares, tasks):
        world = World(rows=each, share=share)
        truth = world.gain()
        pairs = [measured_gain(world, world.draw(count, shape, rng)) for _ in range(worlds)]
        found = [each for each, _ in pairs]
        table.append(
            {
                "noise": shape,
                "rows": f"{each[0]}" if each[0] == each[1] else f"{each[0]} to {each[1]}",
                "hard": share,
                "tasks": count,
                "worlds": worlds,
                "gain": truth,
                "covered": float(np.mean([r.low <= true <= r.high for r, true in pairs])),
                "covered_population": float(np.mean([r.low <= truth <= r.high for r in found])),
                "found": float(np.mean([r.low > evidence.THRESHOLD for r in found])),
                "width": float(np.median([r.high / r.low for r in found])),
            }
        )
    return pd.DataFrame(table)
