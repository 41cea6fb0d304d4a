"""Intervals of means are Student's."""

import numpy as np
import pytest
from scipy import stats

from mamlbook.intervals import half_width, half_width_of_sd, mean_ci95, signed


def test_half_width_is_students():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2)
    assert half_width_of_sd(values.std(ddof=1), 4) == half_width(values)
    assert np.isnan(half_width(values[:1]))


def test_mean_and_interval():
    mean, half = mean_ci95(np.array([1.0, 2.0, 3.0, 6.0]))
    assert mean == 3.0
    assert half == pytest.approx(3.1824463 * np.std([1, 2, 3, 6], ddof=1) / 2)  # from a table
    with pytest.raises(ValueError, match="at least 2 repeats, got 1"):
        mean_ci95(np.array([1.0]))


def test_intervals_hold_the_mean_as_often_as_they_say():
    draws = np.random.default_rng(0).standard_normal((4000, 3))
    held = sum(abs(mean) <= half for mean, half in map(mean_ci95, draws))
    assert held / 4000 == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 4000) ** 0.5)


def test_a_difference_that_rounds_to_zero_has_no_sign():
    assert [signed(mean, 0.13) for mean in (-0.04, 0.04, -0.05001, 0.3)] == [
        "0.0 ± 0.1", "0.0 ± 0.1", "-0.1 ± 0.1", "+0.3 ± 0.1",
    ]  # fmt: skip
    assert signed(-0.0004, 0.001, digits=3) == "0.000 ± 0.001" != signed(-0.0006, 0.001, digits=3)
