"""Worlds whose true gain is known, to measure what a diagnosis of a table is worth."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from mamlbook.diagnose import evidence, methods, quadratics
from mamlbook.diagnose.solutions import leave_one_out, solve
from mamlbook.diagnose.table import from_arrays, standardized
from mamlbook.errors import InputError
from mamlbook.linear import (
    Environment,
    easy_and_hard,
    excess_risk,
    maml_solution,
    nal_solution,
    noise_risk,
)
from mamlbook.records import Record

NOISES = {  # of variance 1
    "normal": lambda rng, n: rng.normal(size=n),
    "laplace": lambda rng, n: rng.laplace(size=n) / np.sqrt(2),
    "student": lambda rng, n: rng.standard_t(5, size=n) / np.sqrt(5 / 3),
}


@dataclass(frozen=True)
class World:
    """Hard and easy tasks of Section 3.2 as tables: few rows each, noise of three shapes.

    `share` of the tasks are hard; `rows` is the range of a task's number of rows. With `levels` a
    task also has a level, normal with that standard deviation, which moves its inputs up and its
    targets down: what its rows have in common then contradicts what each of them says.
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
    levels: float = 0.0

    def environment(self) -> Environment:
        """The mixture of families; InputError with levels, which the theory does not have."""
        if self.levels:
            raise InputError("A world with levels is no mixture of the paper's families.")
        even = easy_and_hard(
            self.rho_hard, self.rho_easy, self.R, self.r, self.r, self.d, self.noise
        )
        return replace(even, weights=np.array([self.share, 1 - self.share]))

    def gain(self, nal: np.ndarray | None = None, maml: np.ndarray | None = None) -> float:
        """The ratio of the expected losses of NAL's and MAML's initialization, (P6) and (P7) with
        the noise; without arguments that of the population solutions, Proposition 1's."""
        env = self.environment()
        if nal is None:
            nal, maml = nal_solution(env), maml_solution(env, self.alpha, self.m)
        floor = noise_risk(env, self.alpha, self.m) + self.noise / 2
        above, below = (excess_risk(env, w, self.alpha, self.m) + floor for w in (nal, maml))
        return float(above / below)

    def task(self, rng: np.random.Generator) -> tuple[float, float, np.ndarray, float]:
        """One task: its inputs' mean and standard deviation, its slopes (d,), its intercept."""
        hard = rng.random() < self.share
        level = self.levels * rng.normal()
        slopes = (self.R if hard else 0) + np.sqrt(self.r) * rng.normal(size=self.d)
        return level, np.sqrt(self.rho_hard if hard else self.rho_easy), slopes, -3 * level

    def draw(self, tasks: int, shape: str, rng: np.random.Generator) -> list[np.ndarray]:
        """Rows (x, y) of each task, (n, d + 1); the noise's variance is the same in every shape."""
        sizes = rng.integers(self.rows[0], self.rows[1] + 1, size=tasks)
        return [self._rows(self.task(rng), int(n), shape, rng) for n in sizes]

    def _rows(self, task, n: int, shape: str, rng: np.random.Generator) -> np.ndarray:
        mean, deviation, slopes, intercept = task
        x = mean + deviation * rng.normal(size=(n, self.d))
        y = intercept + x @ slopes + np.sqrt(self.noise) * NOISES[shape](rng, n)
        return np.column_stack([x, y])


@dataclass(frozen=True)
class NewTasks:
    """Tasks that no initialization has seen, as means of z z', z = (1, x, y): over a `support`,
    and over all rows that there could be, `query`; both (N, d + 2, d + 2)."""

    support: np.ndarray
    query: np.ndarray

    @classmethod
    def of(cls, world: World, tasks: int, m: int, shape: str, seed: int) -> "NewTasks":
        """Draw them; a query's mean is exact, from the task's own parameters."""
        rng = np.random.default_rng(seed)
        support, query = [], []
        for _ in range(tasks):
            mean, deviation, slopes, intercept = task = world.task(rng)
            z = np.column_stack([np.ones(m), world._rows(task, m, shape, rng)])
            support.append(z.T @ z / m)
            centre = np.concatenate([[1], np.full(world.d, mean)])
            x = np.outer(centre, centre)
            x[1:, 1:] += deviation**2 * np.eye(world.d)
            full = np.vstack([np.eye(world.d + 1), np.append(intercept, slopes)])
            second = full @ x @ full.T
            second[-1, -1] += world.noise
            query.append(second)
        return cls(np.stack(support), np.stack(query))

    def loss(
        self, w: np.ndarray, adapted: np.ndarray, alpha: float, steps: int, units: np.ndarray
    ) -> float:
        """The mean loss after `steps` from w (d + 1,), both in the units that z -> units z gives:
        gradient descent itself, on each new task."""
        support, query = (units @ each @ units.T for each in (self.support, self.query))
        v = np.broadcast_to(np.append(w, -1.0), support.shape[:-1])
        for _ in range(steps):
            v = v - alpha * adapted * np.einsum("nij,nj->ni", support, v)
        return float(np.einsum("ni,nij,nj->", v, query, v) / len(v))


def measured_gain(world: World, rows: list[np.ndarray]) -> tuple[evidence.Ratio, float]:
    """The gain with its interval, leaving one task out, at the world's own inner step; and the
    true gain of the two initializations that all these tasks give."""
    adapted = np.append(np.ones(world.d), 0)
    moments = quadratics.moments(rows, adapted)
    after = moments.quadratic(world.alpha, world.m)
    nal, maml = leave_one_out(moments.one), leave_one_out(after)
    found = evidence.ratio(quadratics.loss(after, nal), quadratics.loss(after, maml))
    return found, world.gain(solve(moments.one.sum(0)), solve(after.sum(0)))


def judged(
    rows: list[np.ndarray], adapt: str, m: int, new: NewTasks
) -> tuple[methods.Chosen, methods.Chosen, float, float]:
    """NAL and MAML as a diagnosis of these rows finds them, inner rate and steps chosen for each;
    and the true losses of both on new tasks, adapted as chosen."""
    _, tasks, _ = standardized(from_arrays((z[:, :-1], z[:, -1]) for z in rows), m)
    stacked = np.vstack(rows)
    units = np.diag(np.append(1, 1 / stacked.std(0)))
    units[1:, 0] = -stacked.mean(0) / stacked.std(0)
    adapted = methods.mask(rows[0].shape[1], adapt)
    moments = quadratics.moments(tasks, adapted)
    loops = methods.candidates(
        moments, *quadratics.split_moments(tasks, m), adapted, m, steps=(1, 5)
    )
    nal = methods.tuned(moments.one, loops.quadratics)
    maml = methods.tuned(loops.quadratics, loops.quadratics)

    def loss(each: methods.Chosen) -> float:
        rate, inner_steps = loops.rates[each.candidate], loops.steps[each.candidate]
        return new.loss(each.initialization, adapted, rate, inner_steps, units)

    return nal, maml, loss(nal), loss(maml)


WORLDS = {
    "half of the tasks hard": World(rows=(8, 60)),
    "one in ten hard": World(rows=(8, 60), share=0.1),
    "levels against slopes": World(rows=(8, 60), share=0.0, R=0.0, r=0.04, levels=0.25),
}


@dataclass(frozen=True)
class Coverage:
    """Worlds of each kind, in batches of their own seed, whose tasks have 8 to 60 rows."""

    worlds: int = 500
    batch: int = 25
    tasks: tuple[int, ...] = (10, 20, 40, 80)
    m: int = 5
    new: int = 4000
    seed: int = 0


def coverage(settings: Coverage) -> pd.DataFrame:
    """How often the intervals of a diagnosis hold the truth, every choice nested as in use.

    The truth is that of the two initializations and inner loops that the tasks give, on new tasks.
    Columns: world, noise, tasks, batch, worlds; how many `covered` the gain, `covered_nal` and
    `covered_maml` the two mean losses; `found`, those above the threshold; the mean `gain`, and
    the median `width` (the upper end over the lower one).
    """
    batches = range(settings.worlds // settings.batch)
    table = []
    for kind, shape in product(WORLDS, NOISES):
        new = NewTasks.of(WORLDS[kind], settings.new, settings.m, shape, settings.seed)
        for count, batch in product(settings.tasks, batches):
            table.append(_batch(settings, kind, shape, count, batch, new))
    return pd.DataFrame(table)


def _batch(
    settings: Coverage, kind: str, shape: str, count: int, batch: int, new: NewTasks
) -> dict[str, str | int | float]:
    seeds = [settings.seed, list(WORLDS).index(kind), list(NOISES).index(shape), count, batch]
    rng, world = np.random.default_rng(seeds), WORLDS[kind]
    adapt = "intercept" if world.levels else "all"
    found = []
    for _ in range(settings.batch):
        drawn = world.draw(count, shape, rng)
        nal, maml, nal_true, maml_true = judged(drawn, adapt, settings.m, new)
        ratio = evidence.ratio(nal.losses, maml.losses)
        within = [
            low <= true <= high
            for (_, low, high), true in (
                (evidence.mean_interval(nal.losses), nal_true),
                (evidence.mean_interval(maml.losses), maml_true),
            )
        ]
        true = nal_true / maml_true
        covered = ratio.low <= true <= ratio.high
        above = ratio.low > evidence.THRESHOLD
        found.append((covered, *within, above, true, ratio.high / ratio.low))
    counts, (gain, width) = np.sum(found, 0)[:4].astype(int), np.transpose(found)[4:]
    return {
        "world": kind,
        "noise": shape,
        "tasks": count,
        "batch": batch,
        "worlds": settings.batch,
        **dict(zip(("covered", "covered_nal", "covered_maml", "found"), counts, strict=True)),
        "gain": float(gain.mean()),
        "width": float(np.median(width)),
    }


def canary(record: Record) -> str | None:
    """Make the first batch of ten tasks again; where it differs, in words."""
    stored = record.provenance["settings"]
    settings = Coverage(**{**stored, "tasks": tuple(stored["tasks"])})
    kind, shape, count = next(reversed(WORLDS)), "laplace", settings.tasks[0]
    new = NewTasks.of(WORLDS[kind], settings.new, settings.m, shape, settings.seed)
    fresh = _batch(settings, kind, shape, count, 0, new)
    rows = record.rows
    same = (rows["world"] == kind) & (rows["noise"] == shape)
    then = rows[same & (rows["tasks"] == count) & (rows["batch"] == 0)].to_dict("records")
    if len(then) != 1:
        return f"it has {len(then)} batches of {count} tasks with {kind}"
    for name, now in fresh.items():
        near = (
            now == then[0][name] if isinstance(now, str) else np.isclose(now, then[0][name], 1e-3)
        )
        if not near:
            return f"{name} of its first batch is {then[0][name]}, now {now}"
    return None
