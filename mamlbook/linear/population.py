"""Population solutions and risks, in closed form for any mixture of Gaussian linear tasks."""

import math

import numpy as np

from mamlbook.linear.environment import Environment


def q_matrix(covariance: np.ndarray, alpha: float, samples: float) -> np.ndarray:
    """The curvature of a task after one inner step on s samples.

    Q^(s) = (I - alpha Sigma) Sigma (I - alpha Sigma) + alpha^2/s (tr(Sigma^2) Sigma + Sigma^3)

    equals E[P Sigma P] with P = I - (alpha/s) X'X, for X of s rows N(0, Sigma).

    Shapes: `covariance` Sigma (..., d, d) -> (..., d, d). `samples` = inf is a full-gradient step.
    Raises ValueError if alpha <= 0 or samples is not a whole number of at least 1 (or inf).
    """
    check_step(alpha, samples)
    step = np.eye(covariance.shape[-1]) - alpha * covariance
    square = covariance @ covariance
    trace = np.trace(square, axis1=-2, axis2=-1)[..., None, None]
    return step @ covariance @ step + alpha**2 / samples * (
        trace * covariance + square @ covariance
    )


def nal_solution(env: Environment) -> np.ndarray:
    """w*_NAL = E[Sigma]^-1 E[Sigma w*], equation (5), shape (d,)."""
    return _weighted_centre(env, env.covariances)


def maml_solution(env: Environment, alpha: float, n2: float) -> np.ndarray:
    """w*_MAML = E[Q^(n2)]^-1 E[Q^(n2) w*], equation (5), shape (d,).

    `n2` is the number of inner samples in training; it need not be the m of the test.
    """
    return _weighted_centre(env, q_matrix(env.covariances, alpha, n2))


def excess_risk(env: Environment, w: np.ndarray, alpha: float, m: float) -> float:
    """Excess risk of the initialisation w after one step on m samples, by Proposition 1.

    E_m(w) = 1/2 sum_k p_k [ (w - mu_k)' Q_k^(m) (w - mu_k) + tr(Q_k^(m) C_k) ]

    holds for every w, not only for the two solutions. The noise term that definition (2) adds is
    `noise_risk`. Raises ValueError if w does not have shape (d,).
    """
    w = np.asarray(w, float)
    if w.shape != (env.dimension,):
        raise ValueError(f"w must have shape ({env.dimension},), got {w.shape}.")
    q = q_matrix(env.covariances, alpha, m)
    away = w - env.centres
    bias = np.einsum("ki,kij,kj->k", away, q, away)
    spread = np.einsum("kij,kji->k", q, env.spreads)
    return float(0.5 * env.weights @ (bias + spread))


def noise_risk(env: Environment, alpha: float, m: float) -> float:
    """What label noise adds to the excess risk of every w: alpha^2 nu^2 / (2m) E[tr(Sigma^2)].

    The infimum of f_i is nu^2/2 alone, so this term belongs to definition (2), although
    equations (6) and (7) leave it out.
    """
    check_step(alpha, m)
    traces = np.einsum("kij,kji->k", env.covariances, env.covariances)
    return float(alpha**2 * env.noise / (2 * m) * env.weights @ traces)


def hard_range(d: int, m: float) -> tuple[float, float] | None:
    """The hardness ratios x = rho_hard/rho_easy between which w*_MAML is nearer the hard task.

    For two tasks Sigma = rho I, alpha = 1/rho_easy and n2 = m, with c = (d + 1)/m, the condition
    a_H > a_E reads (1 - x) [ x(1 - x) - c(1 + x + x^2) ] > 0: x lies between the roots of
    (1 + c) x^2 - (1 - c) x + c. They are real if c <= 2/sqrt(3) - 1; otherwise None.
    """
    check_step(1.0, m)
    c = (d + 1) / m
    discriminant = 1 - 6 * c - 3 * c**2
    if discriminant < 0:
        return None
    root = math.sqrt(discriminant)
    return (1 - c - root) / (2 * (1 + c)), (1 - c + root) / (2 * (1 + c))


def check_step(alpha: float, samples: float) -> None:
    """ValueError, in one sentence, unless alpha > 0 and `samples` counts samples (inf allowed)."""
    if not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"The step size alpha must be positive, got {alpha:g}.")
    if not samples >= 1 or (math.isfinite(samples) and samples != int(samples)):
        raise ValueError(
            "The number of samples must be a whole number, at least 1 "
            f"(or infinity, for a full-gradient step), got {samples:g}."
        )


def _weighted_centre(env: Environment, matrices: np.ndarray) -> np.ndarray:
    """(sum p M)^-1 sum p M mu, for matrices M (k, d, d)."""
    total = np.tensordot(env.weights, matrices, 1)
    pull = np.einsum("k,kij,kj->i", env.weights, matrices, env.centres)
    return np.linalg.solve(total, pull)
