"""The outer loop: cells trained singly on a CPU or, as groups of one batch, on a GPU.

Tasks are drawn a block of iterations at a time from a seed of the block's own, so the iteration
alone says which tasks come next and a run that was killed continues as if it had not been.
"""

import ctypes
import hashlib
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mamlbook.errors import ComputationError, InputError, Stop, Stopped, stoppable
from mamlbook.fewshot.data.images import ImageSet
from mamlbook.fewshot.data.tasks import Episodes, Mixture, merge
from mamlbook.fewshot.engine import learners
from mamlbook.fewshot.engine.grouped import Drawn, GroupedStep
from mamlbook.fewshot.engine.network import BLOCKS
from mamlbook.fewshot.engine.optimisers import Optimiser
from mamlbook.fewshot.engine.recorded import Gradients
from mamlbook.fewshot.settings import Cell, Problem, Seeds
from mamlbook.fewshot.training import checkpoints
from mamlbook.jobs import cores

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
BLOCK = 25  # iterations whose tasks are drawn, and whose accuracy is averaged, together


@dataclass(frozen=True)
class Trained:
    """R cells after training: what a checkpoint holds, and the seconds it took.

    iterations: outer steps taken, fewer than the settings' if training was to stop early.
    """

    cells: tuple[Cell, ...]
    state: checkpoints.State
    seconds: float
    iterations: int

    @property
    def theta(self) -> torch.Tensor:
        """(R, size)"""
        return self.state["theta"]

    @property
    def history(self) -> torch.Tensor:
        """(R, iterations / 25, 2, 3): for the easy and the hard tasks of 25 iterations their
        number and the sums of their losses and accuracies (MAML's after adaptation)."""
        return self.state["curve"]

    def unbatch(self) -> list["Trained"]:
        """The cells one by one, each with its share of the seconds."""
        return [
            Trained(
                (cell,),
                {name: t[row : row + 1] if t.ndim else t for name, t in self.state.items()},
                self.seconds / len(self.cells),
                self.iterations,
            )
            for row, cell in enumerate(self.cells)
        ]


def train(
    cells: list[Cell],
    images: ImageSet,
    *,
    folder: Path | None = None,
    until: int | None = None,
    threads: int | None = None,
    grouped: bool | None = None,
    save_every: float = 60.0,
    progress: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Trained:
    """Train cells on the device of `images`; checkpoints in `folder`, every `save_every` seconds.

    `until`: the outer step at which to stop, by default the settings' last. A later call goes on
    from there; the rate decays over the settings' steps whenever training stops.

    The cells may differ in seed, setting and outer rate alone. On a GPU (or with `grouped`)
    all their tasks are one batch; else they run task by task on `threads` threads, by default
    one for each core it may use, which does not change a bit of the result. In float32 another
    kind of CPU rounds differently, and training makes that grow into other accuracies; in float64
    they are the same.

    SIGINT and SIGTERM end it at the next step, with a checkpoint, by raising Stopped.
    Raises ComputationError if a loss or a parameter is not finite.
    """
    device = images.images.device
    run = _Run(cells, images, device.type == "cuda" if grouped is None else grouped, dtype)
    total = min(until or cells[0].settings.iterations, cells[0].settings.iterations)
    known = identity(cells, images)
    start, spent = 0, 0.0
    if folder is not None:
        found = checkpoints.latest(folder, known)
        _check_length(found, total, folder)
        if found is not None:
            start, spent = found.iteration, found.seconds
            run.restore(found.state)
    began = saved = time.monotonic()
    threads = threads or cores()
    bar = tqdm(
        total=total, initial=start, disable=not progress, unit="it", desc=_title(cells),
        mininterval=1.0,
    )  # fmt: skip
    with (
        on_card(device), bar, stoppable() as asked, single_threaded(),
        ThreadPoolExecutor(threads) as team,
    ):  # fmt: skip
        while start < total and not asked:
            block, end = start // BLOCK, min(total, (start // BLOCK + 1) * BLOCK)
            reached = run.block(start, end, team, asked)
            bar.update(reached - start)
            bar.set_postfix_str(run.progress(block))
            start = reached
            due = time.monotonic() - saved >= save_every
            due = due or start == total or start % checkpoints.KEPT == 0 or bool(asked)
            if folder is not None and due:
                saved = time.monotonic()
                seconds = spent + saved - began
                checkpoints.save(
                    folder, checkpoints.Checkpoint(start, seconds, run.state(start)), known
                )
    if asked and start < total:
        kept = "nothing is kept" if folder is None else f"its checkpoint is in {folder}"
        message = f"{_title(cells)}: stopped at iteration {start}; {kept}."
        raise Stopped(asked.signum, message)
    run.warn_if_dead()
    state = {name: tensor.clone() for name, tensor in run.state(total).items()}
    return Trained(tuple(cells), state, spent + time.monotonic() - began, total)


def identity(cells: list[Cell], images: ImageSet) -> dict[str, Any]:
    """What a checkpoint of cells that train together must agree with: their settings and the tasks
    that they draw, the digest of the data, the kind of device. How long they train is no part of
    it, so that a run may be continued to more iterations."""
    problems = [cell.settings.problem(images, Seeds.of(cell.seed).split) for cell in cells]
    trained = [
        {"cell": cell.label, "tasks": _digest(problem.training)}
        for cell, problem in zip(cells, problems, strict=True)
    ]
    return {"settings": trained, "data": images.digest, "device": images.images.device.type}


def untrained(cell: Cell) -> Trained:
    """A cell as it starts: the control of everything that training is said to do."""
    theta = cell.settings.network.initial(Seeds.of(cell.seed).initialisation)
    return Trained((cell,), {"theta": theta, "curve": torch.zeros(1, 0, 2, 3)}, 0.0, 0)


def keep(trained: Trained, images: ImageSet, folder: Path) -> None:
    """Write a finished cell's checkpoint, which `train` then finds in `folder`."""
    (cell,) = trained.cells
    done = checkpoints.Checkpoint(trained.iterations, trained.seconds, trained.state)
    checkpoints.save(folder, done, identity([cell], images))


def finished(cell: Cell, images: ImageSet, folder: Path, until: int | None = None) -> bool:
    """Whether `folder` holds the cell trained to its last iteration, or to `until`.

    Raises CheckpointError if it is past it.
    """
    total = min(until or cell.settings.iterations, cell.settings.iterations)
    found = checkpoints.latest(folder, identity([cell], images))
    _check_length(found, total, folder)
    return found is not None and found.iteration == total


def at(cell: Cell, images: ImageSet, folder: Path, iteration: int) -> Trained:
    """The cell as its checkpoint of this iteration in `folder` has it.

    Raises CheckpointError if there is none.
    """
    found = checkpoints.latest(folder, identity([cell], images), iteration)
    if found is None or found.iteration != iteration:
        raise checkpoints.CheckpointError(f"{folder} has no checkpoint of iteration {iteration}.")
    return Trained((cell,), found.state, found.seconds, iteration)


class _Run:
    """Parameters, optimiser and history of R cells that train together."""

    def __init__(
        self,
        cells: list[Cell],
        images: ImageSet,
        grouped: bool,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        _check_alike(cells)
        self.cells = cells
        self.settings = settings = cells[0].settings
        self.network, self.learner = settings.network, settings.learner
        self.source, device = images, images.images.device
        self.seeds = [Seeds.of(cell.seed) for cell in cells]
        self.problems: list[Problem] = [
            cell.settings.problem(images, seeds.split)
            for cell, seeds in zip(cells, self.seeds, strict=True)
        ]
        theta = torch.cat([self.network.initial(seeds.initialisation) for seeds in self.seeds])
        if grouped:
            theta = self.network.aligned(theta)
        rates = torch.tensor([[cell.settings.rate] for cell in cells])
        self.optimiser = Optimiser(
            settings.optimiser,
            theta.to(device, dtype),
            rates.to(device, dtype),
            settings.iterations if settings.schedule == "cosine" else None,
        )
        blocks = -(-settings.iterations // BLOCK)
        self.history = torch.zeros(len(cells), blocks, 2, 3, device=device)
        self.gradient: torch.Tensor | None = None  # the last outer one, (R, size)
        self.ahead: dict[int, Drawn] = {}  # the tasks of the block that comes next
        self.step = None
        if grouped:
            self.step = GroupedStep(
                self.network, self.learner, self.optimiser, self.images, settings.tasks
            )

    @cached_property
    def images(self) -> torch.Tensor:
        """uint8 (images, height, width, channels), turned by each right angle if tasks ask for it;
        made when it is needed, since to look for a checkpoint needs none."""
        turned = self.problems[0].training.easy.turned
        return self.source.turns() if turned else self.source.images.flatten(0, 1)

    @cached_property
    def gradients(self) -> Gradients:
        """The outer gradient of tasks, recorded for each shape of them."""
        return Gradients(self.learner, self.network, self.images)

    def block(self, start: int, stop: int, team: Executor, asked: Stop) -> int:
        """Iterations start to stop, all of one block; returns the iteration reached, which is
        earlier if it was asked to stop.

        Raises ComputationError at the first loss or parameter that is not finite. On a GPU, which
        is not waited for within a block, the message names the block's iterations.
        """
        block, count = start // BLOCK, self.settings.tasks
        drawn = self.ahead.pop(block, None) or self._draw(block)
        history = self.history[:, block]
        steps = range(start - block * BLOCK, stop - block * BLOCK)
        if self.step is not None:
            self.step.block(drawn, steps, history)
            if steps.stop == BLOCK:  # drawn while the device works, before it is waited for
                self.ahead = {block + 1: self._draw(block + 1)}
            self._check(history[..., 1], f"iterations {start + 1} to {stop}")
            return stop
        for step in steps:
            own = slice(step * count, (step + 1) * count)
            tasks = [(flags[own], easy[own], hard[own]) for flags, easy, hard in drawn]
            self._singly(tasks, history, team)
            done = block * BLOCK + step + 1
            self._check(history[..., 1], f"iteration {done}")
            if asked:
                return done
        return stop

    def _draw(self, block: int) -> Drawn:
        """The tasks of each run for a block of iterations."""
        count, device = BLOCK * self.settings.tasks, self.images.device
        return [
            problem.training.draw(count, (seeds.tasks, block), device)
            for problem, seeds in zip(self.problems, self.seeds, strict=True)
        ]

    def _check(self, losses: torch.Tensor, when: str) -> None:
        finite = losses.flatten(1).isfinite().all(1) & self.optimiser.theta.isfinite().all(1)
        if not finite.all():
            cell = self.cells[int((~finite).nonzero()[0])]
            raise ComputationError(
                f"{cell.label}: a loss or a parameter is not finite at {when}; "
                "choose a smaller inner or outer rate."
            )

    def warn_if_dead(self) -> None:
        """Warn of networks that no gradient reaches: their activations are all zero."""
        if self.gradient is None:
            return
        for cell, gradient in zip(self.cells, self.gradient, strict=True):
            convolutions = self.network.parts(gradient[None])[: 3 * BLOCKS : 3]
            if not any(part.any() for part in convolutions):
                warnings.warn(
                    f"{cell.label}: the network is dead: no gradient reaches its convolutions, "
                    "and it answers every image alike; choose a smaller outer rate.",
                    stacklevel=3,
                )

    def _singly(
        self,
        tasks: list[tuple[np.ndarray, Episodes, Episodes]],
        history: torch.Tensor,
        team: Executor,
    ) -> None:
        gradient, device = torch.empty_like(self.optimiser.theta), self.images.device
        for row, (flags, easy, hard) in enumerate(tasks):
            theta = self.optimiser.theta[row : row + 1]
            if easy.shape == hard.shape:
                batches, order = [merge(torch.from_numpy(flags).to(device), easy, hard)], flags
            else:
                batches = [
                    each[torch.from_numpy(np.flatnonzero(flags == kind))]
                    for each, kind in ((easy, False), (hard, True))
                ]
                batches = [each for each in batches if len(each.support)]
                order = np.sort(flags)
            outcomes = learners.parallel_gradients(self.gradients, theta, batches, team)
            gradient[row] = sum(each.gradient[0] for each in outcomes) / len(flags)
            which = torch.from_numpy(order.astype(np.int64)).to(device)
            seen = torch.stack(
                [
                    torch.ones(len(flags), device=device),
                    torch.cat([each.loss for each in outcomes]),
                    torch.cat([each.accuracy for each in outcomes]),
                ],
                1,
            )
            history[row].index_add_(0, which, seen.to(history.dtype))
        self.optimiser.update(gradient)
        self.gradient = gradient

    def progress(self, block: int) -> str:
        """The mean accuracies of a block of iterations, in words."""
        number, _, accuracy = self.history[:, block].sum(0).unbind(1)
        means = (100 * accuracy / number).tolist()
        if all(problem.training.hard_probability == 0 for problem in self.problems):
            return f"{means[0]:.1f}%"
        return f"easy {means[0]:.1f}% hard {means[1]:.1f}%"

    def state(self, iteration: int) -> checkpoints.State:
        return {**self._own(), "curve": self.history[:, : -(-iteration // BLOCK)]}

    def restore(self, state: checkpoints.State) -> None:
        curve = state.pop("curve")
        self.history[:, : curve.shape[1]] = curve.to(self.history.device)
        for name, tensor in self._own().items():
            tensor.copy_(state[name])

    def _own(self) -> checkpoints.State:
        """The optimiser's state, without what `Network.aligned` adds."""
        size = self.network.size
        return {
            name: tensor[:, :size] if tensor.ndim else tensor
            for name, tensor in self.optimiser.state().items()
        }


def _kind(cell: Cell) -> str:
    """What cells that train together share: all but seed, setting and outer rate."""
    common = asdict(cell.settings)
    for free in ("outer_rate", "setting", "p"):
        common.pop(free, None)
    return repr((cell.settings.data, common))


def alike(cells: list[Cell]) -> list[list[Cell]]:
    """The cells, those together that can train together."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(_kind(cell), []).append(cell)
    return list(found.values())


def _check_length(found: checkpoints.Checkpoint | None, total: int, folder: Path) -> None:
    if found is not None and found.iteration > total:
        raise checkpoints.CheckpointError(
            f"{folder} is at iteration {found.iteration}, past the {total} asked for; "
            "ask for more, or move the folder away."
        )


def _check_alike(cells: list[Cell]) -> None:
    if not cells:
        raise InputError("There is no cell to train; give at least one seed.")
    for cell in cells:
        if _kind(cell) != _kind(cells[0]):
            raise InputError(
                f"{cell.label} and {cells[0].label} cannot be trained together; only seed, "
                "setting and outer rate may differ."
            )


def _digest(mixture: Mixture) -> str:
    """Of all that the tasks are drawn from."""
    parts = [
        (
            family.shape,
            family.groups,
            family.distinct,
            family.turned,
            family.examples.numpy().tobytes(),
        )
        for family in (mixture.easy, mixture.hard)
    ]
    described = repr((parts, mixture.hard_probability))
    # Checkpoints know the number of query examples as targets.
    described = described.replace("queries=", "targets=")
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _title(cells: list[Cell]) -> str:
    return cells[0].label if len(cells) == 1 else f"{cells[0].label} and {len(cells) - 1} more"


def on_card(device: torch.device) -> AbstractContextManager:
    """A context in which a GPU is the current one: streams and graphs are made on that one,
    whichever GPU the tensors are on. Of a CPU it does nothing."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@contextmanager
def single_threaded() -> Iterator[None]:
    """One thread inside each operation: the tasks run in parallel, not the operations."""
    keep_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_memory() -> None:
    """Have the C library keep freed memory for the next step, where it is glibc.

    By default it returns the larger tensors to the system, and takes them again page by page:
    a seventh of a step's time.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in ((M_MMAP_THRESHOLD, 2**25), (M_TRIM_THRESHOLD, 2**30)):
            mallopt(name, value)
