"""Does the cost grow in step with the tasks, and does the memory stay where it is?"""

import gc
import os
import statistics
import time

from benchmarks import work
from mamlbook.fewshot.data.tasks import Shape
from mamlbook.fewshot.engine.network import Network

STEPS = 2000


def lines(cores: int) -> list[str]:
    """A table of step times by number of tasks, and the memory before and after many steps."""
    report = ["| tasks of a step | wall s | wall s per task |", "|---|---|---|"]
    for count in (4, 8, 16, 32):
        each = work.Work("", Network(28, 1, 5), Shape(5, 1, 10), count)
        step = work.ours(each, cores)
        seconds = []
        for _ in range(6):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds[1:])
        report.append(f"| {count} | {median:.3f} | {median / count:.4f} |")
    before, after = memory(cores)
    report += [
        "",
        f"Resident memory after 100 and after {STEPS} steps (8 filters, 2 tasks): "
        f"{before:.1f} and {after:.1f} MiB.",
    ]
    return report


def memory(cores: int) -> tuple[float, float]:
    """MiB resident after 100 steps and after STEPS."""
    step = work.ours(work.Work("", Network(28, 1, 5, 8), Shape(5, 1, 5), 2), cores)
    held = []
    for index in range(STEPS):
        step()
        if index + 1 in (100, STEPS):
            gc.collect()
            held.append(_resident())
    return held[0], held[1]


def _resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
