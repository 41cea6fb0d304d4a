"""The Gaussian mixed model: every task's coefficients are a draw from one normal distribution.

    y = <x, w_i> + noise of variance s^2,   w_i ~ N(mu, C).
Fitted by expectation maximization; a new task's coefficients are their posterior mean.
"""

from dataclasses import dataclass

import numpy as np

ITERATIONS = 60
AT_MOST = 200  # tasks that the fit sees, evenly spaced: more hardly change it


@dataclass(frozen=True)
class Mixed:
    """A fitted model: `mean` mu (p,), `covariance` C (p, p), `noise` s^2."""

    mean: np.ndarray
    covariance: np.ndarray
    noise: float

    def posterior(self, second: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (..., p) and covariances (..., p, p) of w_i given n rows with mean z z' `second`.

        With A = n Sxx / s^2 and b = n Sxy / s^2 the mean is mu + (I + CA)^-1 C (b - A mu).
        """
        scale = np.asarray(rows)[..., None, None] / self.noise
        a, b = scale * second[..., :-1, :-1], scale[..., 0] * second[..., :-1, -1]
        across = np.eye(len(self.mean)) + self.covariance @ a
        spread = np.linalg.solve(across, np.broadcast_to(self.covariance, a.shape))
        return self.mean + np.einsum("...ij,...j->...i", spread, b - a @ self.mean), spread


def residuals(second: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Each task's expected mean squared error at coefficients with this posterior: (N,)."""
    v = np.concatenate([mean, -np.ones((len(mean), 1))], axis=-1)
    fit = np.einsum("ni,nij,nj->n", v, second, v)
    return fit + np.einsum("nij,nji->n", second[:, :-1, :-1], spread)


def fit(second: np.ndarray, rows: np.ndarray, iterations: int = ITERATIONS) -> Mixed:
    """The maximum-likelihood fit to N tasks with means of z z' (N, q, q) over `rows` (N,) rows."""
    step = -(-len(rows) // AT_MOST)
    second, rows = second[::step], rows[::step]
    p = second.shape[-1] - 1
    pooled = np.average(second, axis=0, weights=rows)
    mean = np.linalg.solve(pooled[:p, :p], pooled[:p, p])
    left = pooled[p, p] - pooled[:p, p] @ mean
    model = Mixed(mean, np.eye(p) * left / 2, max(left / 2, 1e-12))
    for _ in range(iterations):
        means, spreads = model.posterior(second, rows)
        mean = means.mean(0)
        away = means - mean
        covariance = (spreads.mean(0) + spreads.mean(0).T) / 2 + away.T @ away / len(rows)
        noise = np.average(residuals(second, means, spreads), weights=rows)
        model = Mixed(mean, covariance, max(float(noise), 1e-12))
    return model
