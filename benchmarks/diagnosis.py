"""`python -m benchmarks.diagnosis`: a diagnosis of 1,000 tasks x 100 rows x 20 features."""

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from mamlbook.diagnose import diagnose

SIZES = (250, 500, 1000)
ROWS, FEATURES = 100, 20


def lines() -> Iterator[str]:
    """Seconds and peak memory, in the lines of a table; the full grid, at three sizes.

    For the peak to be that of a diagnosis, run them in a process that has done nothing else.
    """
    yield f"## A diagnosis of tasks with {ROWS} rows and {FEATURES} features, the full grid"
    yield ""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    yield f"CPU seconds and memory of one process on one core, measured on {today}."
    yield ""
    yield "| tasks | CPU s | peak memory so far, GiB |"
    yield "|---|---|---|"
    for count in SIZES:
        rng = np.random.default_rng(0)
        tasks = []
        for _ in range(count):
            x = rng.normal(size=(ROWS, FEATURES))
            tasks.append((x, x @ (1 + rng.normal(size=FEATURES)) + rng.normal(size=ROWS)))
        start = time.process_time()
        diagnose(tasks)
        took = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        yield f"| {count:,} | {took:.1f} | {peak:.2f} |"


if __name__ == "__main__":
    print("\n".join(lines()))
