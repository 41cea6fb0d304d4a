"""Write benchmarks/table.md: outer steps against peers', the cost of more tasks, a GPU's rate."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks import gpu, race, scaling, work
from mamlbook import jobs

TABLE = Path(__file__).with_name("table.md")


def main() -> None:
    """Measure on all cores this process may use, and write the table."""
    cores = jobs.cores()
    # First, while this process is small: its memory counts in its child's.
    alone = [sys.executable, "-m", "benchmarks.diagnosis"]
    one = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    said = subprocess.run(alone, env=one, capture_output=True, text=True, check=True).stdout
    measured = said.splitlines()
    lines = [
        "# One outer step of exact MAML, in seconds",
        "",
        f"{platform.processor() or platform.machine()}, {cores} cores, Python "
        f"{platform.python_version()}, torch {torch.__version__}, "
        f"{datetime.now(UTC):%Y-%m-%d}; 64 filters; medians of {race.TURNS} turns of "
        f"{race.STEPS} steps, the contenders alternating, each in a process of its own, "
        f"{race.PAUSE} s after the one before has finished. The speeds are relative to learn2learn "
        "and to the plain loop: the medians of the ratios within a turn. All have the memory "
        'allocator as it comes; with "memory kept" they have the settings that our trainer makes, '
        "and are compared with the others that have them. "
        '"Not recorded" is the same step with each operation called where it is written. Load '
        f"average of the machine at the start: {os.getloadavg()[0]:.1f} (0 is a machine of one's "
        "own). The error is that of the float32 gradient against the float64 one, relative, on "
        "two tasks: "
        "some 1e-6, and far more where rounding takes one of millions of ReLUs or maxima to the "
        "other side of its kink.",
        "",
        "| work | contender | wall s | CPU s | to learn2learn | to the loop | error |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in work.WORKS:
        lines += race.measure(each, cores)
    lines += ["", *scaling.lines(cores), "", *measured, "", *gpu.lines()]
    TABLE.write_text("\n".join(lines) + "\n")
    print(TABLE.read_text())


if __name__ == "__main__":
    main()
