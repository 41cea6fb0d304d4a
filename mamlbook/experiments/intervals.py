"""Intervals of means, one home for every table, and the values by seed that they are of."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from mamlbook.records import Record


def mean_ci95(values: np.ndarray) -> tuple[float, float]:
    """The mean of independent values and the half-width of its 95% Student interval.

    Raises ValueError for fewer than 2 values, which have no interval.
    """
    if values.size < 2:
        raise ValueError(f"An interval needs at least 2 repeats, got {values.size}.")
    half = stats.t.ppf(0.975, values.size - 1) * stats.sem(values)
    return float(values.mean()), float(half)


def seed_accuracies(
    record: Record, keys: Sequence[str] = ("setting", "algorithm", "split", "hardness")
) -> dict[tuple[str, ...], np.ndarray]:
    """The accuracies by seed, (seeds,), behind each row of a record, by the row's `keys`.

    Raises ValueError if two rows have the same keys.
    """
    named = list(record.rows[list(keys)].itertuples(index=False, name=None))
    if len(set(named)) < len(named):
        raise ValueError(f"Rows of {record.item} share their {', '.join(keys)}; give more keys.")
    return dict(zip(named, record.arrays["accuracy"], strict=True))
