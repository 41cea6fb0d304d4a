"""Functions of a point in the plane: where they are lowest and how sharply they bend."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.optimize import minimize, root

from mamlbook.errors import InputError


class Loss(Protocol):
    """A function of w with its derivatives; w has shape (..., 2)."""

    def loss(self, w: np.ndarray) -> np.ndarray:
        """Values, of shape (...)."""

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """Gradients, of shape (..., 2)."""


class SmoothLoss(Loss, Protocol):
    """A loss that an inner step can be taken on: the outer gradient needs its Hessian."""

    def hessian(self, w: np.ndarray) -> np.ndarray:
        """Hessians, of shape (..., 2, 2)."""


class NoMinimum(InputError):
    """An objective has no local minimum in the square that was searched."""


def square(half_width: float, points: int) -> np.ndarray:
    """A grid (points, points, 2) of the square |w_k| <= half_width; the first index is w1's."""
    axis = np.linspace(-half_width, half_width, points)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)


def minima(objective: Loss, half_width: float, points: int = 61) -> tuple[np.ndarray, np.ndarray]:
    """Every local minimum found in the square |w_k| <= half_width, the lowest first.

    The objective is computed on a grid of points x points; each grid point inside the square that
    no neighbor undercuts starts a descent, polished by Newton's method on the gradient. Returns
    the distinct minima (k, 2) and their values (k,). Raises NoMinimum if the grid holds none.
    """
    grid = square(half_width, points)
    values = objective.loss(grid)
    lowest = values <= minimum_filter(values, size=3)
    lowest[[0, -1], :] = lowest[:, [0, -1]] = False
    found: list[np.ndarray] = []
    for start in grid[lowest]:
        w = _descend(objective, start)
        if all(np.linalg.norm(w - other) > 1e-5 for other in found):
            found.append(w)
    if not found:
        raise NoMinimum(f"No minimum lies inside |w_k| <= {half_width}: give a larger half_width.")
    where = np.array(found)
    what = objective.loss(where)
    order = np.argsort(what, kind="stable")
    return where[order], what[order]


def lowest(objective: Loss, half_width: float, points: int = 61) -> np.ndarray:
    """The global minimizers (k, 2) in the square: the first of `minima` and all that tie with it.

    Symmetric tasks can have several; they come in the order of w1, then w2. Two minima tie when
    their values agree to 1e-9 of the range of values at the minima and the origin, which is more
    than rounding makes of equal ones.
    """
    where, value = minima(objective, half_width, points)
    scale = max(value.max(), objective.loss(np.zeros(2))) - value[0]
    ties = where[value - value[0] <= 1e-9 * scale]
    return ties[np.lexsort(ties.round(6).T[::-1])]


def smoothness(losses: Sequence[SmoothLoss], half_width: float, points: int = 41) -> float:
    """L: the largest |eigenvalue| of a loss's Hessian over a grid of the square."""
    grid = square(half_width, points)
    return max(float(np.abs(np.linalg.eigvalsh(f.hessian(grid))).max()) for f in losses)


def _descend(objective: Loss, start: np.ndarray) -> np.ndarray:
    near = minimize(
        objective.loss, start, jac=objective.gradient, method="BFGS", options={"gtol": 1e-9}
    ).x
    exact = root(objective.gradient, near, tol=1e-13)
    # The polish may not leave the basin: a sample of a ReLU has no root to converge to.
    stays = np.linalg.norm(exact.x - near) < 1e-2
    improves = np.linalg.norm(objective.gradient(exact.x)) < np.linalg.norm(
        objective.gradient(near)
    )
    return exact.x if stays and improves else near
