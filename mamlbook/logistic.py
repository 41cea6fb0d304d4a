"""Logistic regression tasks with Gaussian inputs: losses, one-step risks, their minimizers.

With x ~ N(0, rho I) every mean is one over the Gaussian scores <w, x> and <w*, x>.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from mamlbook.errors import InputError
from mamlbook.linear.population import check_step

# The trapezoidal rule for means over z ~ N(0, 1). For analytic functions it converges
# geometrically, and for the steep sigmoid far faster than Gauss and Hermite's nodes do.
Z = np.linspace(-8, 8, 161)
P = np.exp(-(Z**2) / 2) / np.exp(-(Z**2) / 2).sum()
CHUNK = 10_000_000  # numbers drawn at a time: 80 MB


@dataclass(frozen=True)
class Task:
    """Labels y in {0, 1} with P(y = 1 | x) = sigmoid(<w*, x>), inputs x ~ N(0, rho I).

    Fields: `rho` the variance of the inputs, `w_star` (d,) the solution, not zero.
    Raises InputError for anything else.
    """

    rho: float
    w_star: np.ndarray

    def __post_init__(self) -> None:
        w_star = np.array(self.w_star, float)
        w_star.setflags(write=False)
        object.__setattr__(self, "w_star", w_star)
        if not (self.rho > 0 and math.isfinite(self.rho)):
            raise InputError(f"rho must be a positive variance, got {self.rho:g}.")
        if w_star.ndim != 1 or not np.all(np.isfinite(w_star)) or not w_star.any():
            raise InputError(
                f"w_star must be one finite vector other than zero, got {w_star.tolist()}."
            )


def slope(s: ArrayLike) -> np.ndarray:
    """The mean slope of the sigmoid, c(s) = E sigmoid'(sqrt(s) z), z ~ N(0, 1): s (...) -> (...).

    From 1/4 at s = 0 it falls like 1/sqrt(2 pi s). Absolute error below 1e-8 for s <= 100.
    """
    return _bend(np.sqrt(s)[..., None] * Z) @ P


def loss(task: Task, w: np.ndarray) -> np.ndarray:
    """The population cross-entropy, w (..., d) -> (...), in nats.

    f(w) = E log(1 + e^<w, x>) - E y <w, x> = A(rho |w|^2) - rho c(rho |w*|^2) <w, w*>

    with A(s) = E log(1 + e^(sqrt(s) z)); the second term is Stein's lemma.
    Absolute error below 1e-8 for rho |w|^2 <= 100.
    """
    return _entropy(task.rho * _square(w)) - task.rho * _slope_at_solution(task) * w @ task.w_star


def gradient(task: Task, w: np.ndarray) -> np.ndarray:
    """grad f(w) = rho [ c(rho |w|^2) w - c(rho |w*|^2) w* ], w (..., d) -> (..., d)."""
    here = slope(task.rho * _square(w))[..., None]
    return task.rho * (here * w - _slope_at_solution(task) * task.w_star)


def curvatures(task: Task) -> tuple[float, float]:
    """The two eigenvalues of the Hessian of f at w*, along w* and across it (d - 1 times).

    rho E[sigmoid'(v) z^2] and rho E sigmoid'(v), with v = sqrt(rho) |w*| z.
    """
    bend = _bend(math.sqrt(task.rho * _square(task.w_star)) * Z)
    return float(task.rho * (bend * Z**2) @ P), float(task.rho * bend @ P)


def adapted_loss(task: Task, w: np.ndarray, alpha: float, m: float) -> np.ndarray:
    """E f(w - alpha grad f_hat(w)) over the m samples of the step, w (..., d) -> (...).

    The linear term of f needs the mean v = w - alpha grad f(w) of the adapted point alone. In A
    the argument S = rho |w - alpha grad f_hat|^2 is random, and A is expanded to second order
    around its exact mean:

        E S = rho (|v|^2 + a tr C),   Var S = rho^2 (4 a v'C v + 2 a^2 tr C^2) + O(m^-2),

    a = alpha^2/m, C = Cov(x (sigmoid(<w, x>) - y)): E A(S) = A(E S) + A''(E S) Var S / 2 + O(m^-2).
    For the tasks of Figure 8 and m >= d the error stays below 3% of what sampling adds to the
    loss; `m` = inf, a full-gradient step, has none. Raises InputError if alpha is not positive or
    m is not a whole number of at least 1 (or inf).
    """
    check_step(alpha, m)
    flat, w = _in_plane(task, w)
    rest = task.w_star.size - 2  # directions outside the plane of w and w*: C is isotropic there
    step = gradient(flat, w)
    centre = w - alpha * step
    plane, outside = _second_moments(flat, w)
    cov = plane - step[..., :, None] * step[..., None, :]
    trace = np.trace(cov, axis1=-2, axis2=-1) + rest * outside
    trace_of_square = np.sum(cov**2, axis=(-2, -1)) + rest * outside**2
    along = np.einsum("...i,...ij,...j->...", centre, cov, centre)
    a = alpha**2 / m
    mean = flat.rho * (_square(centre) + a * trace)
    variance = flat.rho**2 * (4 * a * along + 2 * a**2 * trace_of_square)
    linear = flat.rho * _slope_at_solution(flat) * centre @ flat.w_star
    return _entropy(mean) + 0.5 * _entropy_bend(mean) * variance - linear


def sampled_losses(
    task: Task, w: np.ndarray, alpha: float, m: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw f(w - alpha grad f_hat(w)) from its definition, w (d,) -> (draws,).

    Each draw takes m new labeled points and the step with
    grad f_hat(w) = 1/m sum_j x_j (sigmoid(<w, x_j>) - y_j). Its mean is what `adapted_loss`
    expands. Raises InputError as `adapted_loss` does, and for m = inf.
    """
    check_step(alpha, m)
    if math.isinf(m):
        raise InputError("A step cannot be drawn from infinitely many samples; use adapted_loss.")
    d = task.w_star.size
    losses = []
    at_once = max(1, CHUNK // (m * d))
    for start in range(0, draws, at_once):
        x = math.sqrt(task.rho) * rng.standard_normal((min(at_once, draws - start), m, d))
        y = rng.random(x.shape[:2]) < expit(x @ task.w_star)
        residual = expit(x @ w) - y
        losses.append(loss(task, w - alpha / m * np.einsum("tn,tnd->td", residual, x)))
    return np.concatenate(losses)


def nal_loss(tasks: Sequence[Task], w: np.ndarray) -> np.ndarray:
    """E_i f_i(w), tasks equally likely, w (..., d) -> (...)."""
    return np.mean([loss(task, w) for task in tasks], axis=0)


def excess_risk(tasks: Sequence[Task], w: np.ndarray, alpha: float, m: float) -> np.ndarray:
    """Definition (P2) for equally likely tasks, w (..., d) -> (...): inf f_i = f_i(w*_i)."""
    return np.mean(
        [adapted_loss(task, w, alpha, m) - loss(task, task.w_star) for task in tasks], axis=0
    )


def minima_on_line(
    objective: Callable[[np.ndarray], np.ndarray],
    direction: ArrayLike,
    reach: float,
    points: int = 401,
) -> list[tuple[float, float]]:
    """All local minima (t, value) of objective(t * direction) for |t| < reach, the lowest first.

    A grid of `points` finds the valleys and bounded search refines each, to about 1e-8 in t.
    `objective` takes w (..., d). Raises InputError if the lowest point of the grid is an end.
    """
    direction = np.asarray(direction, float)
    t = np.linspace(-reach, reach, points)
    values = objective(t[:, None] * direction)
    if values.argmin() in (0, points - 1):
        raise InputError(f"The lowest value lies at the end of |t| < {reach:g}; enlarge `reach`.")
    valleys = 1 + np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:]))
    found = [
        minimize_scalar(
            lambda t: float(objective(t * direction)),
            bounds=(t[i - 1], t[i + 1]),
            method="bounded",
            options={"xatol": 1e-9},
        )
        for i in valleys
    ]
    return sorted(((float(f.x), float(f.fun)) for f in found), key=lambda minimum: minimum[1])


def _in_plane(task: Task, w: ArrayLike) -> tuple[Task, np.ndarray]:
    """Task and w in the plane of w* and w: w* = (|w*|, 0), w (..., d) -> (along, across) (..., 2).

    Nothing else matters, because the inputs have no preferred direction.
    """
    length = math.sqrt(_square(task.w_star))
    w = np.asarray(w, float)
    along = w @ task.w_star / length
    across = np.linalg.norm(w - along[..., None] * task.w_star / length, axis=-1)
    across = np.where(across > 1e-12 * length, across, 0.0)  # on the line, but for rounding
    return Task(task.rho, np.array([length, 0.0])), np.stack([along, across], axis=-1)


def _second_moments(task: Task, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E x x' r^2, r = sigmoid(<w, x>) - y, in the plane (..., 2, 2) and outside it (...).

    Given the inputs, E r^2 = sigmoid(u)^2 - 2 sigmoid(u) sigmoid(v) + sigmoid(v), u = <w, x>,
    v = <w*, x>.
    """
    if w[..., 1].any():
        z1, z2 = (z.ravel() for z in np.meshgrid(Z, Z))
        p = np.outer(P, P).ravel()
        means = p * np.stack([z1**2, z1 * z2, z2**2, np.ones_like(p)])
    else:  # r does not depend on z2, whose mean is 0 and whose square's is 1
        z1, z2 = Z, np.zeros_like(Z)
        means = P * np.stack([z1**2, z2, np.ones_like(P), np.ones_like(P)])
    root = math.sqrt(task.rho)
    guess = expit(root * (w[..., 0, None] * z1 + w[..., 1, None] * z2))
    truth = expit(root * task.w_star[0] * z1)
    square = guess**2 - 2 * guess * truth + truth
    m11, m12, m22, outside = np.moveaxis(task.rho * square @ means.T, -1, 0)
    return np.stack([np.stack([m11, m12], -1), np.stack([m12, m22], -1)], -2), outside


def _entropy(s: np.ndarray) -> np.ndarray:
    """A(s) = E log(1 + e^(sqrt(s) z))."""
    size = np.abs(np.sqrt(s)[..., None] * Z)  # log(1 + e^v) = |v|/2 + log(1 + e^-|v|) + v/2
    return (0.5 * size + np.log1p(np.exp(-size))) @ P


def _entropy_bend(s: np.ndarray) -> np.ndarray:
    """A''(s) = E sigmoid'''(sqrt(s) z) / 4, by 2 d/ds E h(sqrt(s) z) = E h''(sqrt(s) z), twice."""
    bend = _bend(np.sqrt(s)[..., None] * Z)
    return (bend * (1 - 6 * bend)) @ P / 4


def _bend(score: np.ndarray) -> np.ndarray:
    """sigmoid'(v) = (1 - tanh(v/2)^2) / 4."""
    return 0.25 * (1 - np.tanh(0.5 * score) ** 2)


def _slope_at_solution(task: Task) -> float:
    return float(slope(task.rho * _square(task.w_star)))


def _square(w: np.ndarray) -> np.ndarray:
    return np.sum(np.square(w), axis=-1)
