"""The one object of Section 3: a finite mixture of families of linear regression tasks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mamlbook.errors import InputError

LARGEST = 1e50  # its powers, up to the sixth, are numbers of float64


@dataclass(frozen=True)
class Environment:
    """A mixture of k families of tasks in d dimensions.

    With probability p_k a task comes from family k. Its data are x ~ N(0, Sigma_k),
    y = <w*, x> + z with z ~ N(0, nu^2), and its own solution w* has mean mu_k and covariance C_k.
    A family with C_k = 0 is a single task.

    Fields, from anything that NumPy reads as an array: `weights` p (k,), `covariances` Sigma
    (k, d, d), `centres` mu (k, d), `spreads` C (k, d, d), `noise` nu^2.
    Raises InputError, in one sentence, for anything that is not such a mixture.
    """

    weights: np.ndarray
    covariances: np.ndarray
    centres: np.ndarray
    spreads: np.ndarray
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("weights", "covariances", "centres", "spreads", "noise"):
            object.__setattr__(self, name, numbers(name, getattr(self, name)))
        if self.centres.ndim != 2:
            raise InputError(
                f"centres must have shape (families, dimension), got {self.centres.shape}."
            )
        k, d = self.centres.shape
        if not (k and d):
            raise InputError(f"centres must hold at least one family of one dimension, got {k, d}.")
        expected = {"weights": (k,), "covariances": (k, d, d), "spreads": (k, d, d), "noise": ()}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{name} must have shape {shape} to match centres of shape {(k, d)}, "
                    f"got {getattr(self, name).shape}."
                )
        if np.any(self.weights <= 0) or not np.isclose(self.weights.sum(), 1):
            raise InputError(
                f"weights must be positive and sum to 1, got {self.weights.tolist()} "
                f"with sum {self.weights.sum():g}."
            )
        if self.noise < 0:
            raise InputError(f"noise is a variance and cannot be negative, got {self.noise:g}.")
        for name in ("covariances", "spreads"):
            for matrix in getattr(self, name):
                _check_semidefinite(name, matrix)
        average = np.linalg.eigvalsh(np.tensordot(self.weights, self.covariances, 1))
        if average[0] <= 1e-12 * average[-1]:
            raise InputError(
                "The average covariance is singular (smallest eigenvalue "
                f"{average[0]:g}), so no solution is unique; give every direction some variance."
            )

    @property
    def dimension(self) -> int:
        """The dimension d of inputs and weights."""
        return self.centres.shape[1]


def two_tasks(
    rho_hard: float,
    rho_easy: float,
    w_hard: ArrayLike,
    w_easy: ArrayLike,
    noise: float = 0.0,
) -> Environment:
    """Section 3.1: the hard task first, Sigma = rho I, each with probability one half.

    Raises InputError if a rho is not positive or the two solutions differ in length.
    """
    w_hard, w_easy = np.asarray(w_hard, float), np.asarray(w_easy, float)
    if w_hard.ndim != 1 or w_hard.shape != w_easy.shape:
        raise InputError(
            "The tasks' solutions must be two vectors of one length, "
            f"got shapes {w_hard.shape} and {w_easy.shape}."
        )
    d = w_hard.size
    rhos = (("rho_hard", rho_hard), ("rho_easy", rho_easy))
    return Environment(
        weights=np.array([0.5, 0.5]),
        covariances=np.stack([_rho(*rho) * np.eye(d) for rho in rhos]),
        centres=np.stack([w_hard, w_easy]),
        spreads=np.zeros((2, d, d)),
        noise=noise,
    )


def easy_and_hard(
    rho_hard: float,
    rho_easy: float,
    R: float,
    r_hard: float,
    r_easy: float,
    d: int,
    noise: float = 0.0,
) -> Environment:
    """Section 3.2: hard tasks around R 1_d with variance r_hard, easy ones around 0 with r_easy.

    Raises InputError if a rho is not positive or a spread is negative.
    """
    if d != int(d) or d < 1:
        raise InputError(f"The dimension d must be a whole number, at least 1, got {d}.")
    for name, r in (("r_hard", r_hard), ("r_easy", r_easy)):
        if not r >= 0:
            raise InputError(f"{name} is a variance and cannot be negative, got {r:g}.")
    rhos = (("rho_hard", rho_hard), ("rho_easy", rho_easy))
    return Environment(
        weights=np.array([0.5, 0.5]),
        covariances=np.stack([_rho(*rho) * np.eye(d) for rho in rhos]),
        centres=np.stack([np.full(d, float(R)), np.zeros(d)]),
        spreads=np.stack([r_hard * np.eye(d), r_easy * np.eye(d)]),
        noise=noise,
    )


def numbers(name: str, value: Any) -> np.ndarray:
    """A read-only float64 copy; InputError if the value is not finite numbers."""
    try:
        if np.iscomplexobj(value):
            raise TypeError
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must be an array of numbers, got {value!r}.") from None
    if not np.all(np.isfinite(array)):
        bad = array[~np.isfinite(array)].flat[0]
        raise InputError(f"{name} must be finite, got {bad}.")
    if np.any(np.abs(array) > LARGEST):
        raise InputError(
            f"{name} must not exceed {LARGEST:g} in size, got {np.abs(array).max():g}."
        )
    array.setflags(write=False)
    return array


def _check_semidefinite(name: str, matrix: np.ndarray) -> None:
    scale = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > 1e-10 * scale:
        raise InputError(f"{name} must be symmetric, got {matrix.tolist()}.")
    lowest = np.linalg.eigvalsh(matrix)[0]
    if lowest < -1e-10 * scale:
        raise InputError(f"{name} must be positive semidefinite, got an eigenvalue {lowest:g}.")


def _rho(name: str, rho: float) -> float:
    if not (rho > 0 and np.isfinite(rho)):
        raise InputError(f"{name} must be a positive variance, got {rho:g}.")
    return float(rho)
