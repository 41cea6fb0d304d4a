import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
import torch
import tyro

from mamlbook import jobs
from mamlbook.fewshot import command, training
from mamlbook.fewshot.data import images
from mamlbook.fewshot.engine import grouped
from mamlbook.fewshot.settings import Cell
from mamlbook.fewshot.training import cells, checkpoints, evaluation
from tests.fewshot import synthetic
from tests.fewshot.run_to_be_killed import SETTINGS

TINY = dataclasses.replace(SETTINGS, iterations=2)
CELLS = [Cell(TINY, seed) for seed in range(4)]


def rows_of(cell: Cell, marks: Path | None = None) -> pd.DataFrame:
    """Train a cell on the synthetic characters; with `marks`, the first worker dies at seed 1."""
    if marks is not None:
        mark = marks / str(cell.seed)
        first = not mark.exists()
        mark.write_text(str(os.getpid()))
        if cell.seed == 1 and first:
            os.kill(os.getpid(), signal.SIGKILL)
    held = synthetic.characters()
    trained = training.train([cell], held, progress=False, threads=1)
    return evaluation.evaluate(cell, trained.theta, held)


@pytest.fixture(scope="module")
def expected():
    return [rows_of(cell) for cell in CELLS]


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_cells_run_through_a_process_pool(expected):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        same(jobs.run_cells(rows_of, CELLS, pool), expected)


def test_a_cluster_that_loses_a_worker_loses_no_cell(expected, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = jobs.run_cells(partial(rows_of, marks=tmp_path), CELLS, client.get_executor())
    same(found, expected)
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2", "3"}


def test_train_cells_writes_rows_and_checkpoints(characters, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "load", lambda name, device="cpu": characters.to(device))
    found = cells.train_cells(CELLS[:2], tmp_path)
    same(evaluation.evaluate_all(found, characters), expected[:2])
    assert (tmp_path / CELLS[1].label / "00000002.safetensors").exists()
    command.omniglot(TINY, 1, 1, out=tmp_path)
    written = pd.read_csv(tmp_path / f"{CELLS[1].label}.csv")
    pd.testing.assert_frame_equal(written, expected[1], check_dtype=False)
    with pytest.raises(ValueError, match="'cuda', but torch sees no GPU"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        cells.train_cells(CELLS, tmp_path, device="cuda")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1", "cpu"])
def test_each_gpu_of_several_can_be_named(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cells.check_device(device)
    kind = device.partition(":")[0]  # one card may go on where another stopped
    assert cells.label(CELLS[0], device) == cells.label(CELLS[0], kind)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("mps", "The device is 'mps'; it must be 'cpu', 'cuda', or one GPU of several, as"),
        ("cuda:", "The device is 'cuda:'; it must be"),
        ("cuda:one", "The device is 'cuda:one'; it must be"),
        ("cpu:1", "The device is 'cpu:1'; it must be"),
        ("cuda:2", "The device is 'cuda:2', but the last GPU that torch sees is 'cuda:1'"),
    ],
)
def test_another_device_is_refused_in_a_sentence(monkeypatch, tmp_path, device, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=said):
        cells.train_cells(CELLS, tmp_path / "runs", device=device)
    assert not (tmp_path / "runs").exists()


def test_a_training_runs_on_its_own_gpu(characters, monkeypatch):
    """The card of its images is the current one while it trains, and no longer."""
    current = []

    @contextlib.contextmanager
    def card(device):
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", card)
    with training.on_card(torch.device("cuda:1")):
        assert current == [torch.device("cuda:1")]
    assert not current
    seen, block = [], training._Run.block
    monkeypatch.setattr(training, "on_card", card)
    monkeypatch.setattr(
        training._Run, "block", lambda *given: seen.append(current[:]) or block(*given)
    )
    training.train(CELLS[:1], characters, progress=False)
    assert seen == [[torch.device("cpu")]] and not current


def test_each_gpu_has_its_own_stream_for_warming_up(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", lambda card: object())
    grouped._side_stream.cache_clear()
    one, other, again = (grouped._side_stream(card) for card in (0, 1, 0))
    assert one is again and one is not other
    grouped._side_stream.cache_clear()


def test_a_group_keeps_each_cell_and_what_was_trained_before(characters, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "load", lambda name, device="cpu": characters.to(device))
    (first,) = cells.train_group(CELLS[:1], tmp_path)
    trained = []
    train = training.train
    monkeypatch.setattr(training, "train", lambda cells, *rest, **more: (
        trained.append([cell.seed for cell in cells]) or train(cells, *rest, **more)
    ))  # fmt: skip
    together = cells.train_group(CELLS[:3], tmp_path, progress=False)
    assert trained[0] == [0, 1, 2]
    assert [one.cells[0].seed for one in together] == [0, 1, 2]
    assert torch.equal(together[0].theta, first.theta)
    trained.clear()
    again = cells.train_group(CELLS[:3], tmp_path, progress=False)
    assert [len(cells) for cells in trained] == [1, 1, 1]  # each found finished
    for one, other in zip(again, together, strict=True):
        assert torch.equal(one.theta, other.theta)
    with pytest.raises(checkpoints.CheckpointError, match="at iteration 2, past the 1 asked for"):
        cells.train_group(
            [Cell(dataclasses.replace(TINY, iterations=1), seed) for seed in (0, 1)], tmp_path
        )


def test_a_group_that_was_cut_while_its_cells_were_kept_does_not_train_again(
    characters, tmp_path, monkeypatch
):
    monkeypatch.setattr(images, "load", lambda name, device="cpu": characters.to(device))
    keep, steps = training.keep, []

    def cut(one, *rest):
        keep(one, *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "keep", cut)
    with pytest.raises(KeyboardInterrupt):
        cells.train_group(CELLS[:3], tmp_path, progress=False)
    monkeypatch.setattr(training, "keep", keep)
    block = training._Run.block
    monkeypatch.setattr(training._Run, "block", lambda *given: steps.append(1) or block(*given))
    assert len(cells.train_group(CELLS[:3], tmp_path, progress=False)) == 3
    assert not steps


def test_a_run_does_not_go_on_on_another_kind_of_device(characters, tmp_path):
    """Its record would name the one device for what the other has done."""
    names = [cells.label(CELLS[0], device) for device in ("cpu", "cuda")]
    assert names == [CELLS[0].label, f"{CELLS[0].label}-cuda"]
    training.train(CELLS[:1], characters, folder=tmp_path, progress=False)
    (path,) = tmp_path.glob("*.json")
    stored = json.loads(path.read_bytes())
    path.write_text(json.dumps(stored | {"run": stored["run"] | {"device": "cuda"}}))
    with pytest.raises(checkpoints.CheckpointError, match="a run with other device; choose"):
        training.train(CELLS[:1], characters, folder=tmp_path, progress=False)


def said(words: list[str], capsys) -> str:
    """What the command line says, unboxed, as it refuses."""
    with pytest.raises(SystemExit) as refused:
        tyro.cli(command.omniglot, args=words)
    assert refused.value.code != 0
    return " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().err).split())


def test_mistakes_are_told_in_one_sentence(capsys):
    assert "iterations is 0; it must be at least 1." in said(["--iterations", "0"], capsys)
    assert "--outer-lr" in said(["--outer-lr", "1"], capsys)
    assert "setting" in said(["--setting", "medium"], capsys)


@pytest.mark.slow
def test_maml_learns_real_omniglot_within_two_cpu_minutes(real_data, tmp_path):
    images.load("omniglot")  # decoding is not part of the two minutes
    words = (
        "omniglot --algorithm maml --filters 32 --downsampling pooled --tasks 4 --queries 5 "
        "--optimiser adam --iterations 1000 --seeds 1 --evaluation-tasks 200 --out"
    )
    start = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "mamlbook", "train", *words.split(), str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip
    end = os.times()
    assert done.returncode == 0, done.stderr
    spent = end.children_user + end.children_system - start.children_user - start.children_system
    assert spent < 120
    rows = pd.read_csv(next(tmp_path.glob("*.csv")))
    easy = rows[(rows.split == "train") & (rows.hardness == "easy")]
    assert easy.accuracy.item() > 90
