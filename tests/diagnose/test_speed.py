"""What a diagnosis may cost: CPU seconds and memory, in proportion to the tasks."""

import time
import tracemalloc

import numpy as np
import pytest

from mamlbook.diagnose import diagnose

ROWS, FEATURES = 100, 20


def tasks(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        x = rng.normal(size=(ROWS, FEATURES))
        made.append((x, x @ (1 + rng.normal(size=FEATURES)) + rng.normal(size=ROWS)))
    return made


def seconds(count: int) -> float:
    """CPU seconds of a diagnosis with the full grid: other processes do not count."""
    drawn = tasks(count)
    start = time.process_time()
    diagnose(drawn)
    return time.process_time() - start


def peak(count: int) -> int:
    drawn = tasks(count)
    tracemalloc.start()
    diagnose(drawn)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.fixture(scope="module")
def small() -> float:
    seconds(30)  # imports and records
    return min(seconds(100), seconds(100))


def test_a_thousand_tasks_take_less_than_ten_seconds(small):
    """From two sizes, so that a slow minute of the machine counts in both: the slope is what a
    thousand tasks add. Four seconds of ten are left to slower processors."""
    slope = (min(seconds(300), seconds(300)) - small) / 200
    assert small + 900 * slope < 10


def test_a_thousand_tasks_need_less_than_a_gibibyte():
    few, more = peak(50), peak(150)
    assert few + 9.5 * (more - few) < 2**30
    assert more < 3.2 * few  # linear in the tasks
