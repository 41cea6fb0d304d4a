"""95% intervals of means, one home for every table."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from mamlbook.errors import InputError


def half_width(values: ArrayLike) -> float:
    """Half-width of Student's 95% interval for the mean; NaN for fewer than two values."""
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return float("nan")
    return float(half_width_of_sd(values.std(ddof=1), values.size))


def half_width_of_sd(sd: ArrayLike, count: int) -> np.ndarray:
    """The same of `count` values of which only the standard deviation is known."""
    # Its quantile from scipy.special: to import scipy.stats takes a second.
    return stdtrit(count - 1, 0.975) * np.asarray(sd) / np.sqrt(count)


def mean_ci95(values: ArrayLike) -> tuple[float, float]:
    """The mean of independent values and the half-width of its 95% interval.

    Raises InputError for fewer than 2 values, which have no interval.
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        raise InputError(f"An interval needs at least 2 repeats, got {values.size}.")
    return float(values.mean()), half_width(values)


def signed(mean: float, half: float, digits: int = 1) -> str:
    """A difference and the half-width of its interval as text: "+1.2 ± 0.3"; a zero has no sign."""
    number = f"{mean:+.{digits}f}"
    return f"{number if float(number) else number[1:]} ± {half:.{digits}f}"
