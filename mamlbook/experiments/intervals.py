"""Intervals of means, one home for every table."""

import numpy as np
from scipy import stats


def mean_ci95(values: np.ndarray) -> tuple[float, float]:
    """The mean of independent values and the half-width of its 95% Student interval.

    Raises ValueError for fewer than 2 values, which have no interval.
    """
    if values.size < 2:
        raise ValueError(f"An interval needs at least 2 repeats, got {values.size}.")
    half = stats.t.ppf(0.975, values.size - 1) * stats.sem(values)
    return float(values.mean()), float(half)
