"""Contenders in turns, each in a process of its own."""

import multiprocessing
import statistics
import time
from collections.abc import Callable

from tqdm import tqdm

from benchmarks import work
from mamlbook.fewshot.training import keep_memory

TURNS = 5
STEPS = 3  # of a turn, one right after another as in a training
PAUSE = 0.1  # seconds, in which the threads of the contender before go to sleep
CONTENDERS: dict[str, Callable[[work.Work, int], work.Step]] = {
    "learn2learn 0.2.0": work.learn2learn,
    "plain loop": work.plain,
    "mamlbook": work.ours,
    "mamlbook, not recorded": work.unrecorded,
    "mamlbook, first-order": lambda each, threads: work.ours(each, threads, "maml-first"),
}
PEERS = "learn2learn 0.2.0", "plain loop"
KEPT = ", memory kept"  # with the settings of the allocator that the package's trainer makes
NAMES = [*CONTENDERS, *(f"{name}{KEPT}" for name in (*PEERS, "mamlbook"))]


def measure(each: work.Work, cores: int) -> list[str]:
    """The lines of one work."""
    true = work.true_gradient(each)
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in NAMES:
        pipes[name], theirs = context.Pipe()
        processes.append(
            context.Process(target=_serve, args=(name, each, cores, theirs), daemon=True)
        )
        processes[-1].start()
    gradients = {name: pipe.recv() for name, pipe in pipes.items()}
    turns = {name: [] for name in NAMES}
    for _ in tqdm(range(TURNS), desc=each.name):
        for name, pipe in pipes.items():
            time.sleep(PAUSE)
            pipe.send(True)
            turns[name].append(pipe.recv())
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send(False)
        process.join()
    lines = []
    for name in NAMES:
        kept = KEPT * name.endswith(KEPT)
        wall, cpu = (statistics.median(column) for column in zip(*turns[name], strict=True))
        speeds = [
            statistics.median(
                theirs[0] / own[0]
                for theirs, own in zip(turns[peer + kept], turns[name], strict=True)
            )
            for peer in PEERS
        ]
        error = (gradients[name] - true).norm() / true.norm()
        lines.append(
            f"| {each.name} | {name} | {wall:.3f} | {cpu:.3f} | "
            f"{speeds[0]:.2f} | {speeds[1]:.2f} | {error:.0e} |"
        )
    return lines


def _serve(name: str, each: work.Work, cores: int, pipe) -> None:
    """Send the gradient, then the wall and CPU seconds of a step, in a turn, whenever asked."""
    if name.endswith(KEPT):
        keep_memory()
    step = CONTENDERS[name.removesuffix(KEPT)](each, cores)
    for _ in range(4):  # the first records our step
        gradient = step()
    pipe.send(gradient)
    while pipe.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(STEPS):
            step()
        spent = time.perf_counter() - wall, time.process_time() - cpu
        pipe.send(tuple(each / STEPS for each in spent))
