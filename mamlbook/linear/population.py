"""Population solutions and risks, in closed form for any mixture of Gaussian linear tasks."""

import math

import numpy as np

from mamlbook.errors import InputError
from mamlbook.linear.environment import Environment, numbers


def q_matrix(covariance: np.ndarray, alpha: float, samples: float, steps: int = 1) -> np.ndarray:
    """The curvature of a task after inner steps on s samples each.

    One step turns a curvature M into E[P M P], P = I - (alpha/s) X'X with s rows N(0, Sigma):

        T(M) = (I - alpha Sigma) M (I - alpha Sigma)
               + alpha^2/s (tr(M Sigma) Sigma + Sigma M Sigma),

    and Q = T(T(... Sigma)), once for every step, each with samples of its own. For one step this
    is the paper's Q^(s) = (I - alpha Sigma) Sigma (I - alpha Sigma)
    + alpha^2/s (tr(Sigma^2) Sigma + Sigma^3).

    Shapes: `covariance` Sigma (..., d, d) -> (..., d, d). `samples` = inf is a full-gradient step.
    Raises InputError if alpha <= 0, or samples or steps is not a whole number of at least 1
    (samples may be inf).
    """
    return _curvatures(covariance, alpha, samples, steps)[-1]


def nal_solution(env: Environment) -> np.ndarray:
    """w*_NAL = E[Sigma]^-1 E[Sigma w*], equation (P5), shape (d,)."""
    return _weighted_centre(env, env.covariances)


def maml_solution(env: Environment, alpha: float, n2: float, steps: int = 1) -> np.ndarray:
    """w*_MAML = E[Q^(n2)]^-1 E[Q^(n2) w*], equation (P5), shape (d,).

    `n2` is the number of inner samples in training; it need not be the m of the test.
    """
    return _weighted_centre(env, q_matrix(env.covariances, alpha, n2, steps))


def excess_risk(env: Environment, w: np.ndarray, alpha: float, m: float, steps: int = 1) -> float:
    """Excess risk of the initialization w after inner steps on m samples, by Proposition 1.

    E_m(w) = 1/2 sum_k p_k [ (w - mu_k)' Q_k^(m) (w - mu_k) + tr(Q_k^(m) C_k) ]

    holds for every w, not only for the two solutions. The noise term that definition (P2) adds is
    `noise_risk`. Raises InputError if w does not have shape (d,) or is not finite.
    """
    w = numbers("w", w)
    if w.shape != (env.dimension,):
        raise InputError(f"w must have shape ({env.dimension},), got {w.shape}.")
    q = q_matrix(env.covariances, alpha, m, steps)
    away = w - env.centres
    bias = np.einsum("ki,kij,kj->k", away, q, away)
    spread = np.einsum("kij,kji->k", q, env.spreads)
    return float(0.5 * env.weights @ (bias + spread))


def noise_risk(env: Environment, alpha: float, m: float, steps: int = 1) -> float:
    """What label noise adds to the excess risk of every w: alpha^2 nu^2 / (2m) E[tr(Sigma^2)].

    The infimum of f_i is nu^2/2 alone, so this term belongs to definition (P2), although
    equations (P6) and (P7) leave it out. With more steps the noise of each is carried through the
    later ones: tr(Sigma (Sigma + T(Sigma) + ...)), one term a step.
    """
    carried = sum(_curvatures(env.covariances, alpha, m, steps)[:-1])
    traces = np.einsum("kij,kji->k", env.covariances, carried)
    return float(alpha**2 * env.noise / (2 * m) * env.weights @ traces)


def least_squares_risk(noise: float, d: int, m: int) -> float:
    """The excess risk of plain least squares on m Gaussian samples of the task alone.

    nu^2 d / (2 (m - d - 1)), whatever the task's covariance and solution: E[(X'X)^-1] is
    Sigma^-1 / (m - d - 1). Raises InputError unless m > d + 1, where this mean is finite.
    """
    if not m > d + 1:
        raise InputError(
            f"Least squares in {d} dimensions needs more than {d + 1} samples, got {m}."
        )
    return noise * d / (2 * (m - d - 1))


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


def check_counts(**counts: float | None) -> None:
    """InputError, naming the first, unless each is a whole number of at least 1."""
    for name, count in counts.items():
        if count is None or not (count >= 1 and math.isfinite(count) and count == int(count)):
            raise InputError(f"{name} must be a whole number, at least 1, got {count}.")


def check_step(alpha: float, samples: float | None) -> None:
    """InputError, in one sentence, unless alpha > 0 and `samples` counts samples (inf allowed)."""
    if not (alpha > 0 and math.isfinite(alpha)):
        raise InputError(f"The step size alpha must be positive, got {alpha:g}.")
    if samples is None or not samples >= 1 or (math.isfinite(samples) and samples != int(samples)):
        raise InputError(
            "The number of samples must be a whole number, at least 1 "
            f"(or infinity, for a full-gradient step), got {samples}."
        )


def _curvatures(
    covariance: np.ndarray, alpha: float, samples: float, steps: int
) -> list[np.ndarray]:
    """Sigma, T(Sigma), T(T(Sigma)), ...: the curvature before and after every step."""
    check_step(alpha, samples)
    if steps != int(steps) or steps < 1:
        raise InputError(f"The number of steps must be a whole number, at least 1, got {steps}.")
    step = np.eye(covariance.shape[-1]) - alpha * covariance
    curvatures = [covariance]
    for _ in range(steps):
        last = curvatures[-1]
        trace = np.einsum("...ij,...ji->...", last, covariance)[..., None, None]
        drawn = trace * covariance + covariance @ last @ covariance
        curvatures.append(step @ last @ step + alpha**2 / samples * drawn)
    return curvatures


def _weighted_centre(env: Environment, matrices: np.ndarray) -> np.ndarray:
    """(sum p M)^-1 sum p M mu, for matrices M (k, d, d)."""
    total = np.tensordot(env.weights, matrices, 1)
    pull = np.einsum("k,kij,kj->i", env.weights, matrices, env.centres)
    return np.linalg.solve(total, pull)
