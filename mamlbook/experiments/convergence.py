"""Appendix D: how fast the training solutions reach their population values, and two theorems."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from mamlbook.errors import InputError
from mamlbook.linear import Environment, theorem2_bound, trained, training_law


@dataclass(frozen=True)
class Theorem2:
    """Settings of the check of Theorem 2: NAL, `tasks` tasks to draw from, half of them hard.

    The solutions were drawn once around R 1_d (hard) and 0 (easy) with variance r, so they are
    bounded, as Assumption 1 asks. `measured` is the (1 - delta) quantile over the repeats.
    """

    d: int = 10
    rho_hard: float = 0.25
    rho_easy: float = 1.0
    R: float = 1.0
    r: float = 0.25
    tasks: int = 12
    noise: float = 0.1
    n: tuple[int, ...] = (100, 400, 1600, 6400)
    T: tuple[int, ...] = (24, 96, 384)
    delta: float = 0.04
    repeats: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Theorem3(Theorem2):
    """Settings of the check of our Theorem 3: NAL on n samples, MAML on tau episodes of n1 + n2.

    For each T both with the tasks drawn again in every repeat and with T given ones: the
    environment's tasks, each in turn.
    """

    alpha: float = 1.0
    n: tuple[int, ...] = (5, 125)
    T: tuple[int, ...] = (96, 384)
    n1: int = 25
    n2: int = 100
    tau: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Rates(Theorem3):
    """Settings of the measured rates: one quantity varies, the others stay where `n` ... say."""

    n: tuple[int, ...] = (4, 16, 64, 256, 1024, 4096)
    n1_sweep: tuple[int, ...] = (4, 16, 64, 256, 1024)
    n2_sweep: tuple[int, ...] = (10, 40, 160, 640, 2560)
    T: tuple[int, ...] = (24, 48, 96, 192, 384)
    tau: tuple[int, ...] = (1, 2, 4, 8)
    n_fixed: int = 256
    T_fixed: int = 96
    repeats: int = 100


def environment(settings: Theorem2) -> Environment:
    """The tasks of the settings, drawn once from its seed, all equally likely."""
    rng = np.random.default_rng([settings.seed, 0])
    k, d = settings.tasks, settings.d
    if k < 2 or k % 2:
        raise InputError(f"tasks must be an even number, at least 2, got {k}.")
    hard = np.arange(k) < k // 2
    rho = np.where(hard, settings.rho_hard, settings.rho_easy)
    centres = np.sqrt(settings.r) * rng.standard_normal((k, d))
    centres[hard] += settings.R
    return Environment(
        weights=np.full(k, 1 / k),
        covariances=rho[:, None, None] * np.eye(d),
        centres=centres,
        spreads=np.zeros((k, d, d)),
        noise=settings.noise,
    )


def given_tasks(env: Environment, families: np.ndarray) -> Environment:
    """The environment in which each of the given tasks is as likely as any other."""
    present, counts = np.unique(families, return_counts=True)
    return Environment(
        counts / families.size,
        env.covariances[present],
        env.centres[present],
        env.spreads[present],
        env.noise,
    )


def theorem2(settings: Theorem2) -> pd.DataFrame:
    """||w_NAL - w*_NAL|| over repeats against the bound of Theorem 2, as repaired.

    Columns: T, n, rms, measured, bound, inside (the share of repeats below the bound), holds.
    """
    env = environment(settings)
    rows = []
    for T in settings.T:
        for n in settings.n:
            bound = sum(theorem2_bound(env, n=n, T=T, delta=settings.delta).values())
            case = Case("nal", None, n, None, 1, T, "drawn")
            distance, _ = case.run(env, settings)
            rows.append((T, n, *_checked(distance, bound, settings.delta)))
    return pd.DataFrame(rows, columns=["T", "n", *CHECKED])


def theorem3(settings: Theorem3) -> pd.DataFrame:
    """Distances of both training solutions over repeats against the bound of Theorem 3.

    Columns: algorithm, tasks (drawn, given), T, tau, n1, n2, rms, measured, bound, inside, holds;
    for NAL n1 counts all samples and n2 is 0.
    """
    env = environment(settings)
    rows = []
    for T in settings.T:
        cases = [Case("nal", None, n, None, 1, T, tasks) for n in settings.n for tasks in TASKS]
        cases += [
            Case("maml", settings.alpha, settings.n1, settings.n2, tau, T, tasks)
            for tau in settings.tau
            for tasks in TASKS
        ]
        for case in cases:
            distance, law = case.run(env, settings)
            bound = law.stretch * law.bound(T, case.tau, settings.delta, case.tasks == "given")
            named = (case.algorithm, case.tasks, T, case.tau, case.n1, case.n2 or 0)
            rows.append((*named, *_checked(distance, bound, settings.delta)))
    return pd.DataFrame(rows, columns=["algorithm", "tasks", "T", "tau", "n1", "n2", *CHECKED])


def rates(settings: Rates) -> pd.DataFrame:
    """Root mean square distances as one quantity varies, and what the exact law says of them.

    Columns: algorithm, varied (n, n1, n2, tau, T), tasks (drawn, given), value, rms, rms_ci95,
    law, theorem3 (its bound), theorem2 (likewise; NaN for MAML and for given tasks).
    """
    env = environment(settings)
    rows = []
    for varied, value, case in tqdm(list(_sweeps(settings)), disable=None, leave=False):
        distance, law = case.run(env, settings)
        given = case.tasks == "given"
        square = distance**2
        rms = np.sqrt(square.mean())
        # The interval of the mean square, by the delta method.
        half = 1.96 * square.std(ddof=1) / np.sqrt(square.size) / (2 * rms)
        ours = law.stretch * law.bound(case.T, case.tau, settings.delta, given)
        theirs = np.nan
        if case.algorithm == "nal" and not given:
            theirs = sum(theorem2_bound(env, n=case.n1, T=case.T, delta=settings.delta).values())
        exact = law.stretch * law.rms(case.T, case.tau, given)
        named = (case.algorithm, varied, case.tasks, value)
        rows.append((*named, rms, half, exact, ours, theirs))
    columns = ["algorithm", "varied", "tasks", "value", "rms", "rms_ci95", "law"]
    return pd.DataFrame(rows, columns=[*columns, "theorem3", "theorem2"])


def slopes(rows: pd.DataFrame) -> pd.DataFrame:
    """Log-log slopes of `rates`, with 95% half-widths, beside those of the exact law.

    Columns: algorithm, varied, tasks, slope, slope_ci95, law.
    """
    found = []
    for named, part in rows.groupby(["algorithm", "varied", "tasks"], sort=False):
        x = np.log(part["value"])
        weight = part["rms"] / (part["rms_ci95"] / 1.96)  # 1 / standard error of log(rms)
        (slope, _), covariance = np.polyfit(x, np.log(part["rms"]), 1, w=weight, cov="unscaled")
        law, _ = np.polyfit(x, np.log(part["law"]), 1, w=weight)
        found.append((*named, slope, 1.96 * np.sqrt(covariance[0, 0]), law))
    columns = ["algorithm", "varied", "tasks", "slope", "slope_ci95", "law"]
    return pd.DataFrame(found, columns=columns)


def budget(settings: Rates, plans: tuple[tuple[int, int], ...]) -> pd.DataFrame:
    """Trained solutions from T tasks with tau episodes each, for the pairs (T, tau) of `plans`.

    NAL gets the same samples, tau (n1 + n2) of each task. The plane is that of the hard tasks'
    direction 1_d and of a direction across it. Columns: T, n, algorithm, along, across.
    """
    env = environment(settings)
    along = np.full(settings.d, 1 / settings.d)
    across = along * np.where(np.arange(settings.d) % 2, 1, -1)
    rows = []
    for T, tau in plans:
        n = tau * (settings.n1 + settings.n2)
        for case in (
            Case("nal", None, n, None, 1, T, "drawn"),
            Case("maml", settings.alpha, settings.n1, settings.n2, tau, T, "drawn"),
        ):
            for w in case.solutions(env, settings, T):
                rows.append((T, n, case.algorithm, w @ along, w @ across))
    return pd.DataFrame(rows, columns=["T", "n", "algorithm", "along", "across"])


TASKS = ("drawn", "given")
CHECKED = ["rms", "measured", "bound", "inside", "holds"]


@dataclass(frozen=True)
class Case:
    """One training problem; for NAL alpha and n2 are None and n1 counts all samples of a task."""

    algorithm: str
    alpha: float | None
    n1: int
    n2: int | None
    tau: int
    T: int
    tasks: str

    def run(self, env: Environment, settings: Theorem2):
        """Distances to the population solution over all repeats (repeats,), and the exact law."""
        if self.tasks == "drawn":
            source, tasks = env, self.T
        else:
            tasks = np.arange(self.T) % env.weights.size
            source = given_tasks(env, tasks)
        law = training_law(source, alpha=self.alpha, n1=self.n1, n2=self.n2)
        return np.linalg.norm(self.solutions(env, settings, tasks) - law.solution, axis=1), law

    def solutions(self, env: Environment, settings: Theorem2, tasks: int | np.ndarray):
        """Trained solutions of all repeats (repeats, d), from a stream of this case's own."""
        own = (self.n1, self.n2 or 0, self.tau, self.T, TASKS.index(self.tasks))
        return trained(
            env,
            alpha=self.alpha,
            n1=self.n1,
            n2=self.n2,
            tasks=tasks,
            tau=self.tau,
            repeats=settings.repeats,
            rng=np.random.default_rng([settings.seed, 1, *own]),
        )


def _checked(distance: np.ndarray, bound: float, delta: float) -> tuple:
    inside = float((distance <= bound).mean())
    rms = float(np.sqrt((distance**2).mean()))
    return rms, float(np.quantile(distance, 1 - delta)), bound, inside, inside >= 1 - delta


def _sweeps(settings: Rates) -> Iterator[tuple[str, int, Case]]:
    s = settings
    for tasks in TASKS:
        for n in s.n:
            yield "n", n, Case("nal", None, n, None, 1, s.T_fixed, tasks)
        for T in s.T:
            yield "T", T, Case("nal", None, s.n_fixed, None, 1, T, tasks)
        for n1 in s.n1_sweep:
            yield "n1", n1, Case("maml", s.alpha, n1, s.n2, 1, s.T_fixed, tasks)
        for n2 in s.n2_sweep:
            yield "n2", n2, Case("maml", s.alpha, s.n1, n2, 1, s.T_fixed, tasks)
        for tau in s.tau:
            yield "tau", tau, Case("maml", s.alpha, s.n1, s.n2, tau, s.T_fixed, tasks)
        for T in s.T:
            yield "T", T, Case("maml", s.alpha, s.n1, s.n2, 1, T, tasks)
