"""Appendix C.2: Figure 8, two logistic regression tasks of different hardness."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mamlbook.errors import InputError
from mamlbook.linear.population import check_step
from mamlbook.logistic import Task, excess_risk, minima_on_line, nal_loss


@dataclass(frozen=True)
class Fig8:
    """Settings of Figure 8: w1* = 1_d (hard), w2* = -1_d (easy), n2 = m.

    The text gives d and m. `alpha` is our choice: 4/rho_easy, the inverse of the easy task's
    smoothness.
    """

    d: int = 10
    rho_easy: float = 1.0
    alpha: float = 4.0
    m: tuple[int, ...] = (500,)
    rho_hard: tuple[float, ...] = tuple(np.linspace(0.01, 1.0, 100).round(2).tolist())


def tasks(settings: Fig8, rho_hard: float) -> list[Task]:
    """The two tasks of Figure 8: the hard one at 1_d, the easy one at -1_d."""
    one = np.ones(settings.d)
    return [Task(rho_hard, one), Task(settings.rho_easy, -one)]


def reach(settings: Fig8) -> float:
    """Where to look for the minimizers t 1_d: |t| <= 1 + alpha sqrt(2 rho / (pi d)), largest rho.

    |sigmoid - y| averages to at most 1 given x, so the mean step moves t by alpha E|<x, 1_d>| / d
    at most: from farther out the mean adapted point lies beyond both solutions.
    """
    rho = max(settings.rho_easy, *settings.rho_hard)
    return 1 + settings.alpha * math.sqrt(2 * rho / (math.pi * settings.d))


def fig8(settings: Fig8) -> pd.DataFrame:
    """Figure 8: first coordinates of both population solutions and their excess risks (P2).

    Both lie on the line of 1_d, which the tasks share; MAML's is the lowest of the minima there.
    Columns: m, rho_hard, algorithm, coordinate, excess_risk.
    """
    if settings.d < 1:
        raise InputError(f"The dimension d must be a whole number, at least 1, got {settings.d}.")
    for m in settings.m:
        check_step(settings.alpha, m)
    environments = [tasks(settings, rho) for rho in settings.rho_hard]
    one, far = np.ones(settings.d), reach(settings)
    rows = []
    for m in settings.m:
        for rho, env in zip(settings.rho_hard, environments, strict=True):

            def risk(w, env=env, m=m):
                return excess_risk(env, w, settings.alpha, m)

            def loss(w, env=env):
                return nal_loss(env, w)

            for algorithm, objective in (("nal", loss), ("maml", risk)):
                t = minima_on_line(objective, one, far)[0][0]
                rows.append((m, rho, algorithm, t, float(risk(t * one))))
    return pd.DataFrame(rows, columns=["m", "rho_hard", "algorithm", "coordinate", "excess_risk"])
