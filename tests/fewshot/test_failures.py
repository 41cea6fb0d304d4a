"""A failed computation is an error, and a stop loses nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
import torch

from mamlbook import jobs, records
from mamlbook.__main__ import main
from mamlbook.errors import ComputationError, Stopped, stoppable
from mamlbook.fewshot import training
from mamlbook.fewshot.settings import Cell, Omniglot
from mamlbook.fewshot.training import cells, checkpoints
from tools import ROOT


@pytest.fixture(autouse=True)
def usual_handlers():
    """A job in the background is started with SIGINT ignored; here it must arrive."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


SMALL = {"setting": "all", "tasks": 2, "targets": 2, "filters": 4, "evaluation_tasks": 20}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        {"optimiser": "sgd", "outer_rate": 1e30},
        {"optimiser": "adam", "outer_rate": 1e20},
        {"inner_rate": 1e30},
    ],
)
def test_training_ends_at_the_first_number_that_is_not_finite(characters, tmp_path, how, grouped):
    cell = Cell(Omniglot(iterations=100, **SMALL, **how), 0)
    with pytest.raises(ComputationError, match=r"not finite at iteration.*smaller inner or outer"):
        training.train(
            [cell], characters, folder=tmp_path, save_every=0, grouped=grouped, progress=False
        )
    assert not training.finished(cell, characters, tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        found = checkpoints.latest(tmp_path, training.identity([cell], characters))
        assert found.state["theta"].isfinite().all(), path


def test_a_dead_network_is_reported(characters):
    """Shifts far below zero: every rectifier is off, and no gradient returns."""

    class Dead(training._Run):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            for shift in self.network.parts(self.optimiser.theta)[2:12:3]:
                shift.fill_(-100.0)

    cell = Cell(Omniglot(iterations=2, outer_rate=1e-6, **SMALL), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training.train([cell], characters, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_Run", Dead)
        with pytest.warns(UserWarning, match="the network is dead"):
            training.train([cell], characters, progress=False)


def test_reproduce_writes_no_empty_cells(tmp_path, capsys):
    assert main(["reproduce", "fig7", "--rate-maml-per-sample", "1", "--out", str(tmp_path)]) == 1
    assert "not finite" in capsys.readouterr().err
    assert not list(tmp_path.glob("fig7*"))


def test_a_table_s_numbers_are_finite_but_for_unknown_intervals():
    rows = pd.DataFrame({"m": [float("inf")], "accuracy": [1.0], "accuracy_ci95": [float("nan")]})
    records.check_finite(rows, "fig")
    with pytest.raises(ComputationError, match="accuracy is not finite in 1 of 1 rows"):
        records.check_finite(rows.assign(accuracy=float("nan")), "fig")


def test_a_plotting_error_costs_no_rows(tmp_path, monkeypatch):
    from mamlbook import figures

    def broken(rows):
        raise RuntimeError("no ink")

    monkeypatch.setattr(figures.hardness, "fig2", broken)
    with pytest.raises(RuntimeError, match="no ink"):
        main(["reproduce", "fig2", "--out", str(tmp_path)])
    assert len(records.load("fig2", tmp_path).rows) > 0


STOPPED = """
import sys
from pathlib import Path
from mamlbook.fewshot import training
from mamlbook.errors import Stopped
from mamlbook.fewshot.settings import Cell, Omniglot
from tests.fewshot import synthetic
cell = Cell(Omniglot(setting="all", tasks=2, targets=2, filters=4, iterations=100_000), 0)
print("ready", flush=True)
try:
    training.train([cell], synthetic.characters(), folder=Path(sys.argv[1]), progress=False,
                   save_every=1e9)
except Stopped as stop:
    print(stop, flush=True)
    sys.exit(128 + stop.signum)
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_at_the_next_step_with_a_checkpoint(tmp_path, signum, characters):
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(2.0)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signum and err == ""
    assert "stopped at iteration" in out and len(out.splitlines()) == 1
    (kept,) = tmp_path.glob("*.json")
    assert int(kept.stem) > 0 and f"iteration {int(kept.stem)};" in out
    # and the run goes on from there, to the same bits as one that was not stopped
    reached = int(kept.stem)
    cell = Cell(Omniglot(setting="all", tasks=2, targets=2, filters=4, iterations=100_000), 0)
    found = training.at(cell, characters, tmp_path, reached)
    if reached <= 300:
        whole = training.train([cell], characters, until=reached, progress=False)
        assert torch.equal(found.theta, whole.theta)


def test_a_second_signal_is_not_held_back():
    with pytest.raises(KeyboardInterrupt), stoppable() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked and asked.signum == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_changes_no_handler():
    def inside():
        with stoppable() as asked:
            seen.append((bool(asked), signal.getsignal(signal.SIGINT)))

    seen: list = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [(False, signal.default_int_handler)]


def _wait_or_fail(number):
    if number == 0:
        raise ValueError("cell 0 is broken")
    with stoppable() as asked:
        for _ in range(600):
            if asked:
                raise Stopped(asked.signum)
            time.sleep(0.1)
    return "waited"


def test_one_failing_cell_ends_the_others_at_once():
    began = time.monotonic()
    with (
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
        pytest.raises(ValueError, match="cell 0 is broken"),
    ):
        jobs.run_cells(_wait_or_fail, [1, 0, 2, 3, 4, 5], pool)
    assert time.monotonic() - began < 40  # each of the others would take a minute


def _die(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_worker_is_one_sentence():
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(ComputationError, match="worker process was killed"),
    ):
        jobs.run_cells(_die, [0, 1, 2], pool)


def test_ctrl_c_at_a_terminal_saves_what_a_pool_trains(tmp_path):
    """A terminal sends SIGINT to every process of the command."""
    script = Path(__file__).with_name("pool_to_be_stopped.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*/*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:  # nothing may outlive the test
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 128 + signal.SIGINT
    assert err.splitlines()[-1].startswith("Stopped with 0 of 4 cells done")
    assert "Traceback" not in err and "KeyboardInterrupt" not in err
    started = {path.parent.name for path in tmp_path.glob("*/*.json")}
    assert started and started <= {"0", "1", "2"}  # and no cell that waited was begun


def test_every_cell_is_checked_before_any_is_trained(characters, tmp_path, monkeypatch):
    monkeypatch.setattr(Omniglot, "load", lambda settings, device="cpu": characters)
    long, short = (Omniglot(iterations=n, **SMALL) for n in (3, 2))
    cells.train_cells([Cell(long, 1)], tmp_path)
    trained = []
    monkeypatch.setattr(training, "train", lambda *args, **kwargs: trained.append(args))
    with pytest.raises(ValueError, match="past the 2 asked for"):
        cells.train_cells([Cell(short, 0), Cell(short, 1)], tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="is a file; choose a folder"):
        cells.train_cells([Cell(long, 0)], Path(file))
    assert not trained
