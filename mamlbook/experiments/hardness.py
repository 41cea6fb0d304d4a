"""Section 3.1 and C.1: Figures 2 and 7, two linear tasks of different hardness."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from tqdm import tqdm

from mamlbook.intervals import mean_ci95
from mamlbook.linear import (
    Environment,
    excess_risk,
    maml_solution,
    nal_solution,
    sampled_risk,
    sgd,
    two_tasks,
)


@dataclass(frozen=True)
class Fig2:
    """Settings of Figure 2: w1* = 1_d (hard), w2* = -1_d (easy), alpha = 1/rho_easy, n2 = m."""

    d: int = 10
    rho_easy: float = 1.0
    noise: float = 0.01
    m: tuple[int, ...] = (2000, 100)
    rho_hard: tuple[float, ...] = tuple(np.linspace(0.01, 1.0, 100).round(2).tolist())


@dataclass(frozen=True)
class Fig7:
    """Settings of Figure 7: the same two tasks, solved by SGD as C.1 says.

    NAL's outer rate is `rate_nal`, MAML's is n2 times `rate_maml_per_sample`; the text leaves the
    values of rho_hard, the initialization (w = 0 here) and the seed open.
    """

    d: int = 10
    rho_easy: float = 1.0
    noise: float = 0.01
    m: tuple[int, ...] = (2000, 100)
    rho_hard: tuple[float, ...] = tuple(np.linspace(0.05, 0.95, 10).round(2).tolist())
    n1: int = 25
    rate_nal: float = 0.025
    rate_maml_per_sample: float = 1e-4
    iterations: int = 5000
    repeats: int = 10
    test_tasks: int = 3000
    seed: int = 0


def environment(settings: Fig2 | Fig7, rho_hard: float) -> Environment:
    """The two tasks of Figure 2: the hard one at 1_d, the easy one at -1_d."""
    one = np.ones(settings.d)
    return two_tasks(rho_hard, settings.rho_easy, one, -one, settings.noise)


def fig2(settings: Fig2) -> pd.DataFrame:
    """Figure 2: first coordinates of both solutions and their excess risks (P6), (P7).

    Columns: m, rho_hard, algorithm, coordinate, excess_risk.
    """
    rows = []
    alpha = 1 / settings.rho_easy
    for m in settings.m:
        for rho in settings.rho_hard:
            env = environment(settings, rho)
            solutions = {"nal": nal_solution(env), "maml": maml_solution(env, alpha, m)}
            for algorithm, w in solutions.items():
                rows.append((m, rho, algorithm, w[0], excess_risk(env, w, alpha, m)))
    return pd.DataFrame(rows, columns=["m", "rho_hard", "algorithm", "coordinate", "excess_risk"])


def fig7(settings: Fig7) -> pd.DataFrame:
    """Figure 7: Figure 2 from samples, the mean over independent repeats of SGD.

    The excess risk of each final iterate is that of definition (P2), label noise included, over
    `test_tasks` new tasks. Columns: m, rho_hard, algorithm, coordinate, coordinate_ci95,
    excess_risk, excess_risk_ci95, repeats; ci95 is the half-width of Student's interval.
    """
    alpha = 1 / settings.rho_easy
    environments = [environment(settings, rho) for rho in settings.rho_hard]
    runs = [(m, algorithm) for m in settings.m for algorithm in ("nal", "maml")]
    streams = np.random.SeedSequence(settings.seed).spawn(len(runs))
    rows = []
    for (m, algorithm), stream in tqdm(
        list(zip(runs, streams, strict=True)), desc="SGD", disable=None, leave=False
    ):
        training, testing = (np.random.default_rng(s) for s in stream.spawn(2))
        maml = algorithm == "maml"
        w = sgd(
            environments,
            alpha=alpha if maml else None,
            n1=settings.n1,
            n2=m,
            rate=m * settings.rate_maml_per_sample if maml else settings.rate_nal,
            iterations=settings.iterations,
            repeats=settings.repeats,
            rng=training,
        )
        risk = sampled_risk(
            environments, w, alpha=alpha, m=m, draws=settings.test_tasks, rng=testing
        )
        for rho, first, risks in zip(settings.rho_hard, w[..., 0], risk, strict=True):
            rows.append((m, rho, algorithm, *mean_ci95(first), *mean_ci95(risks), settings.repeats))
    columns = ["m", "rho_hard", "algorithm", "coordinate", "coordinate_ci95"]
    return pd.DataFrame(rows, columns=[*columns, "excess_risk", "excess_risk_ci95", "repeats"])


def gain(d: int, sizes: Sequence[float], ratios: ArrayLike) -> pd.DataFrame:
    """NAL's excess risk over MAML's for two tasks with rho_hard/rho_easy = x, alpha = 1/rho_easy.

    Columns: m, x, gain.
    """
    rows = []
    one = np.ones(d)
    for x in np.asarray(ratios, float):
        env = two_tasks(x, 1.0, one, -one)
        nal = nal_solution(env)
        for m in sizes:
            maml = maml_solution(env, 1.0, m)
            ratio = excess_risk(env, nal, 1.0, m) / excess_risk(env, maml, 1.0, m)
            rows.append((m, x, ratio))
    return pd.DataFrame(rows, columns=["m", "x", "gain"])
