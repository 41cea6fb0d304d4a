"""Cells of a job on many machines, through a scheduler of dask.distributed.

The machines share the folder of the results, where the cells keep their checkpoints: a cell whose
worker died goes on at another from its last one.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mamlbook import records
from mamlbook.errors import ComputationError, InputError, Stopped, stop_wanted

CONNECT = 20  # seconds for the scheduler to answer
JOIN = 60  # seconds for a first worker, which may still be importing torch
START = "dask worker ADDRESS --nworkers 2 --nthreads 1"


@contextmanager
def connected(address: str, out: Path) -> Iterator["Cluster"]:
    """The cluster at `address`, ready for cells that keep their work in `out`.

    Raises InputError if dask.distributed is not installed, no scheduler or worker answers, or a
    worker cannot do the job: it has other code, does not see `out`, or has several threads, which
    torch's settings for one training would disturb.
    """
    try:
        import distributed
    except ModuleNotFoundError:
        raise InputError(
            "--cluster needs dask.distributed, which is not installed: `pip install distributed`, "
            "or `pip install -e '.[cluster]'` in a checkout of the book."
        ) from None
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cluster is {address}, where no scheduler answers ({error}); start `dask scheduler` "
            "and give the address that it prints, such as tcp://host:8786."
        ) from None
    out.mkdir(parents=True, exist_ok=True)
    with client, TemporaryDirectory(prefix=".job-", dir=out.resolve()) as job:
        task = Task(Path(job), records.commit())
        try:
            client.wait_for_workers(1, timeout=JOIN)
            answers = client.run(task.refusal, on_error="return")
        except TimeoutError:
            answers = {}
        if not answers:
            raise InputError(f"The cluster at {address} has no worker; start `{START}`.")
        answers |= {
            worker: f"it has {threads} threads; start it with `--nthreads 1`"
            for worker, threads in client.nthreads().items()
            if threads != 1
        }
        for worker, why in answers.items():
            if why:
                raise InputError(f"The worker {worker} cannot take part: {why}.")
        yield Cluster(client, task)


@dataclass(frozen=True)
class Task:
    """A function of a cell, to be called at a worker: it ends early when the job is to stop."""

    job: Path
    """A folder of the job, which all machines see; a file `stop` in it ends the job."""
    commit: str | None
    """The commit of the code that the job was started with."""
    function: Callable[[Any], Any] | None = None

    def refusal(self) -> str | None:
        """Why this machine cannot take part, with the remedy; None if it can."""
        if not self.job.is_dir():
            return (
                f"it does not see {self.job.parent}; choose with --out a folder that all machines "
                "share"
            )
        if (here := records.commit()) != self.commit:
            return f"its code is at {here}, the job's at {self.commit}; install the same commit"
        return None

    def __call__(self, cell: Any) -> Any:
        stop = self.job / "stop"
        if not self.job.is_dir() or stop.exists():  # the job has ended without this cell
            return None
        if why := self.refusal():
            raise ComputationError(f"A worker that joined later cannot take part: {why}.")
        token = stop_wanted.set(stop.exists)
        try:
            return self.function(cell)
        except Stopped:  # not for dask, which would take it for the end of the worker
            return None
        finally:
            stop_wanted.reset(token)


class Cluster(Executor):
    """The workers of a cluster, as an executor for `jobs.run_cells`."""

    def __init__(self, client: Any, task: Task) -> None:
        self.task = task
        # Not pure: dask would answer a second job from the results of the first.
        self.remote = client.get_executor(pure=False)

    def submit(self, function: Callable[..., Any], /, *cells: Any, **how: Any) -> Future:
        """function(*cells, **how), at some worker."""
        task = Task(self.task.job, self.task.commit, function)
        return self.remote.submit(task, *cells, **how)

    def stop(self) -> None:
        """Ask the cells that run to end at their next step; those that wait do not begin."""
        (self.task.job / "stop").touch()
