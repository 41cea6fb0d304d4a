"""Initializations that learn their inner learning rates: one for all, or one per direction."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mamlbook.linear.environment import Environment
from mamlbook.linear.population import check_step


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
    For given rates the best w is sum p Q(A) w = sum p Q(A) mu; what is left is minimized over the
    rates from every lowest point of a grid, because there can be more than one minimum: the same
    landscape can be met from the hard center's side or from the easy one's. Q(A) is a quadratic
    polynomial in the rates, so its coefficients are computed once, by interpolation.
    """
    from scipy.optimize import minimize  # takes a second to import

    eigenvalues = np.linalg.eigvalsh(env.covariances)[:, -1]
    unit = 1 / eigenvalues.max()
    eye = np.eye(env.dimension)
    if direction is None:
        parts = eye[None]
    else:
        parts = np.stack([direction_rates(direction, *one) for one in ((1.0, 0.0), (0.0, 1.0))])
    powers = np.array([one for one in product(range(3), repeat=len(parts)) if sum(one) <= 2])
    values = [
        preconditioned_curvature(env.covariances, np.tensordot(unit * one, parts, 1), m)
        for one in powers
    ]
    of_q = np.linalg.solve(_powers(powers, powers), np.reshape(values, (len(powers), -1)))
    of_q = of_q.reshape(len(powers), *env.covariances.shape)
    of_spread = np.einsum("nkij,kji->nk", of_q, env.spreads)
    of_pull = np.einsum("k,nkij,kj->ni", env.weights, of_q, env.centres)

    def best_w(rates: np.ndarray) -> np.ndarray:
        """Of rates (..., n), the best w (..., d)."""
        q = np.tensordot(_powers(rates, powers), np.tensordot(of_q, env.weights, (1, 0)), 1)
        pull = np.tensordot(_powers(rates, powers), of_pull, 1)
        return np.linalg.solve(q, pull[..., None])[..., 0]

    def risk(rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The risk of the best w, and its gradient by the rates, in which w need not move."""
        away = best_w(rates)[..., None, :] - env.centres
        of_risk = np.einsum("nkij,...ki,...kj->...nk", of_q, away, away) + of_spread
        of_risk = 0.5 * of_risk @ env.weights
        lower = np.maximum(powers[None] - np.eye(len(parts), dtype=int)[:, None], 0)
        slopes = powers.T * np.stack([_powers(rates, one) for one in lower], -2)
        total = (_powers(rates, powers) * of_risk).sum(-1)
        return total, (slopes * of_risk[..., None, :]).sum(-1)

    marks = np.geomspace(0.03, 2 * eigenvalues.max() / eigenvalues.min(), 32)
    grid = np.stack(np.meshgrid(*[marks] * len(parts), indexing="ij"), -1)
    found = [
        minimize(
            risk,
            grid[place],
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(parts),
            options={"ftol": 1e-14, "gtol": 1e-9},
        ).x
        for place in _lowest_around(risk(grid)[0])
    ]

    def solved(rates: np.ndarray) -> Learned:
        w, a = best_w(rates), np.tensordot(unit * rates, parts, 1)
        return Learned(w, a, preconditioned_risk(env, w, a, m))

    minima = sorted((solved(rates) for rates in found), key=lambda one: one.risk)
    kept: list[Learned] = []
    for one in minima:
        scale = np.abs(env.centres).max() + 1e-300
        if all(np.abs(one.w - other.w).max() > 1e-2 * scale for other in kept):
            kept.append(one)
    return tuple(kept)


def _powers(rates: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Monomials of rates (..., n) with exponents `powers` (terms, n) -> (..., terms)."""
    return np.prod(rates[..., None, :] ** powers, -1)


def _lowest_around(values: np.ndarray) -> list[tuple[int, ...]]:
    """The places of a grid that no neighbor undercuts; of equal neighbors the first."""
    framed = np.pad(values, 1, constant_values=np.inf)
    lowest = np.ones(values.shape, bool)
    for shift in product((-1, 0, 1), repeat=values.ndim):
        if any(shift):
            cut = (slice(1 + by, by - 1 or None) for by in shift)
            beside = framed[tuple(cut)]
            lowest &= values < beside if shift < (0,) * values.ndim else values <= beside
    return [tuple(place) for place in np.argwhere(lowest)]


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
