"""Tasks, data and solutions from finite samples, and the risk by its definition.

Nothing here knows the closed forms of `population`: this is the other way to the same numbers.
"""

import math

import numpy as np

from mamlbook.errors import InputError
from mamlbook.linear.environment import Environment
from mamlbook.linear.population import check_counts, check_step

CHUNK = 20_000_000  # numbers drawn at a time: 160 MB


def draw_tasks(env: Environment, count: int, rng: np.random.Generator):
    """Draw tasks: their families (count,) and solutions w* ~ N(mu_k, C_k), shape (count, d)."""
    families = rng.choice(env.weights.size, size=count, p=env.weights)
    steps = rng.standard_normal((count, env.dimension))
    return families, env.centres[families] + apply(root(env.spreads)[families], steps)


def draw_data(
    env: Environment,
    families: np.ndarray,
    w_star: np.ndarray,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw X (T, *shape, d) with rows N(0, Sigma_k), and y = X w* + z (T, *shape).

    `families` (T,) and `w_star` (T, d) name the tasks; `shape` is (n,), or (tau, n) for episodes.
    """
    x = rng.standard_normal((families.size, math.prod(shape), env.dimension))
    x = x @ root(env.covariances)[families].swapaxes(1, 2)
    y = np.einsum("tnd,td->tn", x, w_star)
    y += math.sqrt(env.noise) * rng.standard_normal(y.shape)
    return x.reshape(-1, *shape, env.dimension), y.reshape(-1, *shape)


def empirical_nal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The minimizer (P41) of the NAL training loss (P3), for X (T, n, d) and y (T, n): shape (d,).

    Raises InputError if the data leave a direction of w undetermined.
    """
    return _least_squares(x, y)


def empirical_maml(
    x_in: np.ndarray, y_in: np.ndarray, x_out: np.ndarray, y_out: np.ndarray, alpha: float
) -> np.ndarray:
    """The minimizer (P43) of the MAML training loss (P4), one inner step in each episode.

    Shapes: inner X (T, tau, n2, d), y (T, tau, n2); outer X (T, tau, n1, d), y (T, tau, n1);
    returns (d,). The adapted prediction X_out (w - alpha/n2 X_in' (X_in w - y_in)) is linear in w,
    so (P4) is an ordinary least-squares problem with design X_out P and target
    y_out - alpha/n2 X_out X_in' y_in. Raises InputError as `empirical_nal` does.
    """
    n2 = x_in.shape[-2]
    check_step(alpha, n2)
    x_in_t = x_in.swapaxes(-1, -2)
    step = np.eye(x_in.shape[-1]) - alpha / n2 * (x_in_t @ x_in)
    moved = alpha / n2 * apply(x_in_t, y_in)
    return _least_squares(x_out @ step, y_out - apply(x_out, moved))


def sample_losses(
    env: Environment,
    w: np.ndarray,
    alpha: float,
    m: int,
    draws: int,
    rng: np.random.Generator,
    steps: int = 1,
) -> np.ndarray:
    """Draw the random variable whose mean is F_m(w) of (P1): f_i(w - alpha grad f_hat_i(w)).

    Each draw takes a new task, makes its gradient steps, each on m new labeled points and
    f_hat = 1/(2m) ||X w - y||^2, and evaluates the task's population loss
    f_i(v) = 1/2 (v - w*)' Sigma (v - w*) + nu^2/2. Shape (draws,).
    """
    check_step(alpha, m)
    check_counts(m=m, draws=draws, steps=steps)
    losses = []
    at_once = max(1, CHUNK // (m * env.dimension))
    for start in range(0, draws, at_once):
        families, w_star = draw_tasks(env, min(at_once, draws - start), rng)
        v = np.broadcast_to(w, w_star.shape)
        for _ in range(steps):
            x, y = draw_data(env, families, w_star, (m,), rng)
            v = v - alpha * apply(x.swapaxes(1, 2), apply(x, v) - y) / m
        away = v - w_star
        quadratic = np.einsum("ti,tij,tj->t", away, env.covariances[families], away)
        losses.append(0.5 * quadratic + 0.5 * env.noise)
    return np.concatenate(losses)


def monte_carlo_risk(
    env: Environment,
    w: np.ndarray,
    alpha: float,
    m: int,
    draws: int,
    rng: np.random.Generator,
    steps: int = 1,
) -> tuple[float, float]:
    """Excess risk by definition (P2), F_m(w) - E[inf f_i], and its standard error.

    inf f_i = nu^2/2, at w = w*_i. Raises InputError for fewer than 2 draws, which have no error,
    and for a step or a count that cannot be taken.
    """
    if not draws >= 2:
        raise InputError(f"A standard error needs at least 2 draws, got {draws}.")
    losses = sample_losses(env, w, alpha, m, draws, rng, steps) - 0.5 * env.noise
    return float(losses.mean()), float(losses.std(ddof=1) / math.sqrt(draws))


def root(matrices: np.ndarray) -> np.ndarray:
    """A factor F with F F' = M for positive semidefinite M (..., d, d), singular ones too."""
    values, vectors = np.linalg.eigh(matrices)
    return vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]


def apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrix times vector over leading axes: (..., i, j), (..., j) -> (..., i)."""
    return (matrices @ vectors[..., None])[..., 0]


def _least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.shape[:-1] != y.shape:
        raise InputError(f"X of shape {x.shape} and y of shape {y.shape} do not belong together.")
    d = x.shape[-1]
    w, _, rank, _ = np.linalg.lstsq(x.reshape(-1, d), y.reshape(-1), rcond=None)
    if rank < d:
        raise InputError(
            f"{y.size} samples determine only {rank} of {d} directions; draw more tasks or samples."
        )
    return w
