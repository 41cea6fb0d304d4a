"""The documented example on a cluster of two workers: stopped, continued, a worker killed."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from mamlbook import cluster, jobs, records
from mamlbook.errors import InputError, stop_wanted, stoppable
from tools import ROOT

SMALL = (
    "--seeds 3 --filters 1 --tasks 1 --queries 1 --evaluation-tasks 20 --iterations 500 "
    "--optimiser adam"
)
# The workers keep more checkpoints than once a minute, so that trainings of seconds have some.
OFTEN = "from mamlbook.fewshot.training import checkpoints, cells\n\ncheckpoints.KEPT = 100\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def wait_until(condition, process=None, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline and (process is None or process.poll() is None)
        time.sleep(0.05)


def kill_a_busy_one(nanny: psutil.Process) -> bool:
    """Kill a worker that computes, if there is one."""
    for child in nanny.children():
        if child.cpu_percent(0.2) > 50:
            child.kill()
            return True
    return False


def test_the_documented_cluster_loses_nothing(tmp_path, real_data):
    """Ctrl-C, the same command again, and a worker killed on the way: the rows are those of the
    command without a cluster."""
    text = (ROOT / "running.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(dask scheduler.*?)```", text, re.DOTALL)
    lines = block.replace("8786", str(free_port())).strip().splitlines()
    scheduler, worker, train = (shlex.split(line.removesuffix("&")) for line in lines)
    train += shlex.split(SMALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    env["DASK_DISTRIBUTED__DASHBOARD__LINK"] = ""

    def begin(command, **how):
        return subprocess.Popen(command, cwd=tmp_path, env=env, start_new_session=True, **how)

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    heard = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    (tmp_path / "often.py").write_text(OFTEN)
    worker += ["--preload", str(tmp_path / "often.py")]
    servers = [begin([*command, "--no-dashboard"], **quiet) for command in (scheduler, worker)]
    try:
        first = begin(train, **heard)
        kept = tmp_path / "runs"
        wait_until(lambda: any(kept.glob("*/00000100.json")), first)
        os.killpg(first.pid, signal.SIGINT)
        _, said = first.communicate(timeout=90)
        assert first.returncode == 128 + signal.SIGINT, said
        assert re.search(r"Stopped with \d of 3 cells done; the same command goes on", said)
        assert "Traceback" not in said
        before = {path.parent.name for path in kept.glob("*/*.json")}
        assert before

        second = begin(train, **heard)
        wait_until(lambda: kill_a_busy_one(psutil.Process(servers[1].pid)), second)
        out, said = second.communicate(timeout=240)
        assert second.returncode == 0, said
        assert "100% of 3 cells" in said
        assert "accuracy" in out
    finally:
        for server in reversed(servers):
            for process in [psutil.Process(server.pid), *psutil.Process(server.pid).children(True)]:
                process.kill()
            server.wait()
    alone = train[: train.index("--cluster")] + shlex.split(f"--out alone {SMALL}")
    subprocess.run(alone, cwd=tmp_path, env=env, check=True, **quiet)
    rows = sorted((tmp_path / "alone").glob("*.csv"))
    assert len(rows) == 3
    for path in rows:
        pd.testing.assert_frame_equal(pd.read_csv(kept / path.name), pd.read_csv(path))


def test_what_a_cluster_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 2)
    monkeypatch.setattr(cluster, "JOIN", 2)
    monkeypatch.setattr(jobs, "cores", lambda: 2)
    with (
        jobs.at(tmp_path, f"tcp://localhost:{free_port()}"),
        pytest.raises(InputError, match=r"where no scheduler answers.*start `dask scheduler`"),
        jobs.executor(1),
    ):
        pass
    with (
        jobs.at(tmp_path, "tcp://localhost:1"),
        pytest.raises(InputError, match="give --workers or --cluster, not both"),
        jobs.executor(2),
    ):
        pass
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as local:
        with (
            pytest.raises(InputError, match="it has 2 threads; start it with `--nthreads 1`"),
            cluster.connected(local.scheduler_address, tmp_path),
        ):
            pass
        local.scale(0)
        wait_until(lambda: not local.scheduler.workers)
        with (
            pytest.raises(InputError, match="has no worker; start `dask worker"),
            cluster.connected(local.scheduler_address, tmp_path),
        ):
            pass
    assert not list(tmp_path.iterdir())  # nothing is left behind


def test_a_worker_that_cannot_take_part_says_why(tmp_path):
    assert cluster.Task(tmp_path, records.commit()).refusal() is None
    assert "its code is at" in cluster.Task(tmp_path, "0" * 40).refusal()
    assert "does not see" in cluster.Task(tmp_path / "elsewhere", records.commit()).refusal()


def test_a_cell_is_asked_to_stop_by_the_file_of_its_job(tmp_path):
    def cell(number):
        with stoppable() as asked:
            before = bool(asked)
            (tmp_path / "stop").touch()
            return before, bool(asked), asked.signum, number

    task = cluster.Task(tmp_path, records.commit(), cell)
    assert task(3) == (False, True, signal.SIGTERM, 3)
    assert task(4) is None  # the job is over: the cell is not begun
    assert not stop_wanted.get()()
