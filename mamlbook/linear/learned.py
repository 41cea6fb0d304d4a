"""Initializations that learn their inner learning rates: one for all, or one per direction."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mamlbook.linear.environment import Environment
from mamlbook.linear.population import check_step

SAME = 1e-4  # minima whose risks and positions differ by less, relatively, are one
STARTS = (0.3, 1.0)  # first rates, in units of the inverse of each largest variance


def preconditioned_curvature(
    covariance: np.ndarray, preconditioner: np.ndarray, samples: float
) -> np.ndarray:
    """The curvature of a task after the step w - A S (w - w*), S the covariance of s samples.

        Q(A) = E[(I - S A) Sigma (I - A S)]
             = (I - Sigma A) Sigma (I - A Sigma)
               + 1/s (tr(A Sigma A Sigma) Sigma + Sigma A Sigma A Sigma)

    for x ~ N(0, Sigma) and a symmetric A, a rate for each direction. A = alpha I gives Q^(s).
    Shapes: `covariance` Sigma (..., d, d), `preconditioner` A (..., d, d) -> (..., d, d).
    Raises InputError if `samples` is not a whole number of at least 1 (it may be inf).
    """
    check_step(1.0, samples)
    mixed = preconditioner @ covariance
    step = np.eye(covariance.shape[-1]) - mixed
    trace = np.einsum("...ij,...ji->...", mixed, mixed)[..., None, None]
    drawn = trace * covariance + covariance @ mixed @ mixed
    return np.swapaxes(step, -1, -2) @ covariance @ step + drawn / samples


def preconditioned_risk(
    env: Environment, w: np.ndarray, preconditioner: np.ndarray, m: float
) -> float:
    """1/2 sum p [(w - mu)' Q(A) (w - mu) + tr(Q(A) C)]: Proposition 1 for a step with rates A."""
    q = preconditioned_curvature(env.covariances, preconditioner, m)
    away = w - env.centres
    bias = np.einsum("ki,kij,kj->k", away, q, away)
    return float(0.5 * env.weights @ (bias + np.einsum("kij,kji->k", q, env.spreads)))


@dataclass(frozen=True)
class Learned:
    """An initialization w (d,) with its rates, the symmetric matrix A (d, d), and its risk."""

    w: np.ndarray
    preconditioner: np.ndarray
    risk: float


def direction_rates(direction: np.ndarray, along: float, across: float) -> np.ndarray:
    """A = along uu' + across (I - uu') with u the unit vector of `direction` (d,)."""
    u = direction / np.linalg.norm(direction)
    line = np.outer(u, u)
    return along * line + across * (np.eye(len(u)) - line)


def learned_maml(
    env: Environment, m: float, direction: np.ndarray | None = None
) -> tuple[Learned, ...]:
    """All minima found of MAML's own risk over w and its rates, the lowest risk first.

    With a `direction` (d,) there are two rates, along it and across it; without one, a single rate.
    For given rates the best w is sum p Q(A) w = sum p Q(A) mu; what is left is minimised over the
    rates from several starts, because there can be more than one minimum: the same landscape can
    be met from the hard centre's side or from the easy one's.
    """
    from scipy.optimize import minimize  # takes a second to import

    largest = np.linalg.eigvalsh(env.covariances)[:, -1].max()

    def matrix(rates: np.ndarray) -> np.ndarray:
        if direction is None:
            return rates[0] * np.eye(env.dimension)
        return direction_rates(direction, *rates)

    def solved(rates: np.ndarray) -> Learned:
        a = matrix(rates)
        q = preconditioned_curvature(env.covariances, a, m)
        pull = np.einsum("k,kij,kj->i", env.weights, q, env.centres)
        w = np.linalg.solve(np.tensordot(env.weights, q, 1), pull)
        return Learned(w, a, preconditioned_risk(env, w, a, m))

    tops = sorted({1 / np.linalg.eigvalsh(one)[-1] for one in env.covariances})
    starts = [scale * top for top in tops for scale in STARTS]
    found = [
        minimize(
            lambda rates: solved(rates / largest).risk,
            np.array(start) * largest,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(start),
            options={"ftol": 1e-14, "gtol": 1e-9},
        ).x
        / largest
        for start in product(starts, repeat=1 if direction is None else 2)
    ]
    minima = sorted((solved(rates) for rates in found), key=lambda one: one.risk)
    kept: list[Learned] = []
    for one in minima:
        scale = np.abs(env.centres).max() + 1e-300
        if all(np.abs(one.w - other.w).max() > 1e-2 * scale for other in kept):
            kept.append(one)
    return tuple(kept)


def learned_nal(env: Environment, m: float) -> Learned:
    """NAL's initialization with the best single rate along its own direction and none across.

    NAL's network has learned one function alone, and one step changes little but its size.
    Q is quadratic in the rate a: two risks and a third tell the parabola's minimum.
    """
    average = np.tensordot(env.weights, env.covariances, 1)
    pull = np.einsum("k,kij,kj->i", env.weights, env.covariances, env.centres)
    w = np.linalg.solve(average, pull)
    if not np.any(w):
        return Learned(w, np.zeros_like(average), preconditioned_risk(env, w, 0 * average, m))
    line = direction_rates(w, 1.0, 0.0)
    none, one, two = (preconditioned_risk(env, w, a * line, m) for a in (0.0, 1.0, 2.0))
    curve = (two - 2 * one + none) / 2
    rate = max(0.0, -(one - none - curve) / (2 * curve))
    return Learned(w, rate * line, preconditioned_risk(env, w, rate * line, m))
