"""Training solutions (P41) and (P43) for many repeats at once, whatever the sample size."""

import numpy as np

from mamlbook.errors import InputError
from mamlbook.linear.empirical import apply
from mamlbook.linear.environment import Environment
from mamlbook.linear.population import check_counts, check_step
from mamlbook.linear.stream import Data, Tasks, TaskStream

TOGETHER = 20_000  # episodes drawn at a time


def normal_equations(
    w_star: np.ndarray, outer: Data, inner: Data | None = None, alpha: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """H and h of every episode, such that (sum H) w = sum h at the minimizer of (P3) or (P4).

    NAL: H = S, h = S w* + X'z/n. MAML, with P = I - alpha S_in:
        H = P S_out P,   h = H w* + P (X_out'z_out/n1 - alpha S_out X_in'z_in/n2),
    the summands of (P41) and (P43), each divided by its number of outer samples.
    Shapes: w* (..., d) -> H (..., d, d), h (..., d).
    """
    if inner is None:
        h_matrix = outer.factor @ outer.factor.swapaxes(-1, -2)
        return h_matrix, apply(h_matrix, w_star) + outer.push
    step = np.eye(w_star.shape[-1]) - alpha * (inner.factor @ inner.factor.swapaxes(-1, -2))
    half = step @ outer.factor
    h_matrix = half @ half.swapaxes(-1, -2)
    push = outer.push - alpha * outer.curve(inner.push)
    return h_matrix, apply(h_matrix, w_star) + apply(step, push)


def trained(
    env: Environment,
    *,
    alpha: float | None,
    n1: int,
    n2: int | None = None,
    tasks: int | np.ndarray,
    tau: int = 1,
    repeats: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Minimizers of the training losses (P3) (alpha = None) or (P4), shape (repeats, d).

    Every repeat draws T tasks, and tau episodes of each with n1 outer and n2 inner samples; NAL
    takes n1 samples of each task, once. `tasks` is T, or the families (T,) of given tasks: then
    only their data are drawn again, and the families must be single tasks (spread 0).
    Raises InputError for those, for what is no count, and for data that leave a
    direction of w undetermined.
    """
    if alpha is not None:
        check_step(alpha, n2)
    families = tasks if isinstance(tasks, np.ndarray) else None
    total = int(tasks) if families is None else families.size
    check_counts(n1=n1, tasks=total, tau=tau, repeats=repeats)
    if alpha is not None:
        check_counts(n2=n2)
    if families is not None and np.any(env.spreads):
        raise InputError("Given tasks are named by their families, so these must have spread 0.")
    if (samples := total * tau * n1) < env.dimension:
        raise InputError(
            f"{samples} samples cannot determine {env.dimension} directions; "
            "draw more tasks or samples."
        )
    stream = TaskStream([env], rng)
    matrix, right = np.zeros(()), np.zeros(())
    at_once = max(1, TOGETHER // repeats)
    for start in range(0, total, at_once):
        count = min(at_once, total - start)
        if families is not None:
            those = families[start : start + count, None, None]
            w_star = np.repeat(env.centres[those], repeats, axis=2)
            block = Tasks(those, w_star, stream.data_roots[0, those], stream.noise)
        else:
            block = stream.tasks((count, 1, repeats))
        for _ in range(tau):
            outer = stream.data(block, n1)
            inner = None if alpha is None else stream.data(block, n2)
            h_matrix, h = normal_equations(block.w_star, outer, inner, alpha)
            matrix, right = matrix + h_matrix.sum(axis=(0, 1)), right + h.sum(axis=(0, 1))
    if (np.linalg.matrix_rank(matrix, hermitian=True) < env.dimension).any():
        raise InputError(
            "These tasks' data leave a direction undetermined; draw more tasks or samples."
        )
    return np.linalg.solve(matrix, right[..., None])[..., 0]
