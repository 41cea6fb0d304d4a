"""Independent cells through any executor: the cores of this machine, or a cluster's."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mamlbook.errors import ComputationError, InputError, Stopped, stoppable

PATIENCE = 60.0  # seconds that a process has, once asked, to end its step and save it


@dataclass(frozen=True)
class Site:
    """Where a job keeps its cells and runs them: what its results do not depend on."""

    out: Path = Path("runs")
    """The folder of the results; cells are kept in folders within it."""
    cluster: str | None = None
    """The address of a scheduler of dask.distributed, such as `tcp://host:8786`."""


_HERE = Site()
_site: ContextVar[Site] = ContextVar("site", default=_HERE)


def site() -> Site:
    """Where the present job keeps its cells and runs them."""
    return _site.get()


@contextmanager
def at(out: Path, cluster: str | None = None) -> Iterator[None]:
    """Within it, jobs keep their cells in `out` and run on `cluster`, or here."""
    token = _site.set(Site(out, cluster))
    try:
        yield
    finally:
        _site.reset(token)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_workers(workers: int) -> None:
    """InputError if more processes are asked for than there are cores to run them."""
    if workers > cores():
        raise InputError(
            f"workers is {workers}; there are {cores()} cores here: give at most that."
        )


def pool(workers: int) -> ProcessPoolExecutor:
    """So many processes of this machine, for `run_cells`."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


@contextmanager
def executor(workers: int) -> Iterator[Executor | None]:
    """What runs the cells of a job: the site's cluster if it has one, else `workers` processes of
    this machine; None where that is this process alone.

    Raises InputError if there are fewer cores than workers, or the cluster cannot be used.
    """
    check_workers(workers)
    where = site()
    if where.cluster and workers > 1:
        raise InputError(f"workers is {workers}; give --workers or --cluster, not both.")
    if where.cluster:
        from mamlbook.cluster import connected

        with connected(where.cluster, where.out) as remote:
            yield remote
    elif workers == 1:
        yield None
    else:
        with pool(workers) as processes:
            yield processes


def run_cells(
    function: Callable[[Any], Any],
    cells: Sequence[Any],
    executor: Executor | None,
    reached: Callable[[Any], float] | None = None,
) -> list[Any]:
    """function(cell) of every cell, through any executor; the results in the cells' order.

    The cells are independent, so any worker may take any of them, again if another died at it.
    One line shows the progress of the whole job and the time left; `reached`, the part of a
    cell that is already done (0 to 1), makes it move within cells that take hours.

    If one fails, or the run is asked to stop, those that wait are cancelled and those that run
    are asked to stop, which a training does at its next step, with a checkpoint; the processes of
    a local pool have then ended. Raises ComputationError if one of them was killed.
    """
    if executor is None:
        return [function(cell) for cell in tqdm(cells, unit="cell", disable=len(cells) < 2)]
    if isinstance(executor, ProcessPoolExecutor):
        function = _Last(function)
    with _signals_for_the_parent_alone():
        futures = {executor.submit(function, cell): place for place, cell in enumerate(cells)}
    results: dict[int, Any] = {}
    with stoppable() as asked:
        try:
            with _line(cells, reached) as bar:
                waiting = set(futures)
                while waiting and not asked:
                    done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
                    for future in done:
                        results[futures[future]] = future.result()
                    running = [cells[futures[future]] for future in waiting] if reached else []
                    bar.update(len(results) + sum(map(reached, running)) - bar.n)
        except (BrokenProcessPool, CancelledError):
            if not asked:
                raise ComputationError(
                    f"A worker process was killed (out of memory?) with {len(results)} of "
                    f"{len(futures)} cells done; they are kept, and the same command goes on "
                    "with the others."
                ) from None
        finally:
            if len(results) < len(futures):
                _stop(executor, futures)
    if asked and len(results) < len(futures):
        raise Stopped(
            asked.signum,
            f"Stopped with {len(results)} of {len(futures)} cells done; "
            "the same command goes on with the others.",
        )
    return [results[place] for place in sorted(results)]


def _line(cells: Sequence[Any], reached: Callable[[Any], float] | None) -> tqdm:
    """The progress of a job, in cells; what was done before does not shorten the time left."""
    before = sum(map(reached, cells)) if reached else 0
    shape = "{percentage:3.0f}% of {total_fmt} cells |{bar}| {elapsed}, {remaining} left"
    return tqdm(total=len(cells), initial=before, bar_format=shape)


@dataclass(frozen=True)
class _Last:
    """A function whose call is a worker process's last if it ends by `Stopped`.

    The process may not ask its pool for another cell: beside it, a process that was idle may have
    died with the lock of their queue, and it would wait for that lock for ever.
    """

    function: Callable[[Any], Any]

    def __call__(self, cell: Any) -> Any:
        tqdm.set_lock(threading.RLock())  # by default one for all processes, which `_exit` leaks
        try:
            return self.function(cell)
        except Stopped:
            os._exit(0)


@contextmanager
def _signals_for_the_parent_alone():
    """Processes that are started within it ignore Ctrl-C, which a terminal sends to all of them:
    the parent asks them to stop, and an idle one has nothing to say."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stop(executor: Executor, futures: Iterable[Future]) -> None:
    """Cancel what waits; ask what runs, here or on a cluster, to stop at its next step."""
    if not isinstance(executor, ProcessPoolExecutor):
        if stop := getattr(executor, "stop", None):
            stop()
        else:
            for future in futures:
                future.cancel()
        wait([future for future in futures if not future.cancelled()], timeout=PATIENCE)
        return
    processes = list((executor._processes or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    alive = {process.sentinel for process in processes}
    deadline = time.monotonic() + PATIENCE
    while alive and (left := deadline - time.monotonic()) > 0:
        alive -= set(connection.wait(alive, left))
    for process in processes:
        if process.sentinel in alive:
            process.kill()
