"""Run every contender in a process of its own, in turns, and write the medians as a table."""

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks import gpu, scaling, work

TABLE = Path(__file__).with_name("table.md")
TURNS = 15
CONTENDERS: dict[str, Callable[[work.Work, int], work.Step]] = {
    "learn2learn 0.2.0": work.learn2learn,
    "plain loop": work.plain,
    "mamlbook": work.ours,
    "mamlbook, first-order": lambda each, threads: work.ours(each, threads, "maml-first"),
}


def main() -> None:
    """Measure on all cores this process may use, and write the table."""
    cores = len(os.sched_getaffinity(0))
    lines = [
        "# One outer step of exact MAML, in seconds",
        "",
        f"{platform.processor() or platform.machine()}, {cores} cores, Python "
        f"{platform.python_version()}, torch {torch.__version__}, "
        f"{datetime.now(UTC):%Y-%m-%d}; 64 filters; medians of {TURNS} turns, the contenders "
        "alternating, each in a process of its own. Speed is relative to learn2learn: the "
        "median of the ratios within a turn. Load average of the machine at the start: "
        f"{os.getloadavg()[0]:.1f} (0 is a machine of one's own).",
        "",
        "| work | contender | wall s | CPU s | speed | gradient differs by |",
        "|---|---|---|---|---|---|",
    ]
    for each in work.WORKS:
        lines += measure(each, cores)
    lines += ["", *scaling.lines(cores), "", *gpu.lines()]
    TABLE.write_text("\n".join(lines) + "\n")
    print(TABLE.read_text())


def measure(each: work.Work, cores: int) -> list[str]:
    """The lines of one work."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in CONTENDERS:
        pipes[name], theirs = context.Pipe()
        processes.append(
            context.Process(target=_serve, args=(name, each, cores, theirs), daemon=True)
        )
        processes[-1].start()
    gradients = {name: pipe.recv() for name, pipe in pipes.items()}
    turns = {name: [] for name in CONTENDERS}
    for _ in tqdm(range(TURNS), desc=each.name):
        for name, pipe in pipes.items():
            pipe.send(True)
            turns[name].append(pipe.recv())
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send(False)
        process.join()
    peer, lines = next(iter(CONTENDERS)), []
    for name in CONTENDERS:
        wall, cpu = (statistics.median(column) for column in zip(*turns[name], strict=True))
        speed = statistics.median(
            theirs[0] / own[0] for theirs, own in zip(turns[peer], turns[name], strict=True)
        )
        gap = (gradients[name] - gradients[peer]).norm() / gradients[peer].norm()
        lines.append(f"| {each.name} | {name} | {wall:.3f} | {cpu:.3f} | {speed:.2f} | {gap:.0e} |")
    return lines


def _serve(name: str, each: work.Work, cores: int, pipe) -> None:
    """Send the gradient, then the wall and CPU seconds of one step whenever asked."""
    step = CONTENDERS[name](each, cores)
    for _ in range(2):
        gradient = step()
    pipe.send(gradient)
    while pipe.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        pipe.send((time.perf_counter() - wall, time.process_time() - cpu))


if __name__ == "__main__":
    main()
