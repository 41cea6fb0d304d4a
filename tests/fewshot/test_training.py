import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mamlbook.fewshot import training
from mamlbook.fewshot.engine.learners import outer_gradient
from mamlbook.fewshot.settings import Cell, Cifar, Omniglot, Seeds, from_mapping
from mamlbook.fewshot.training import checkpoints, train
from tests.fewshot import run_to_be_killed
from tests.fewshot.run_to_be_killed import SETTINGS

SMALL = dataclasses.replace(SETTINGS, iterations=30)
LONGER = dataclasses.replace(SETTINGS, iterations=75)
MIXED = Cifar(
    iterations=4, tasks=3, targets=2, filters=4, easy_shots=4, hard_shots=1, p=0.5,
    outer_rate=0.1,
)  # fmt: skip


def quietly(cells, images, **more):
    return train(cells, images, progress=False, **more)


def process(folder: Path) -> subprocess.Popen:
    script = Path(__file__).with_name("run_to_be_killed.py")
    here = os.environ | {"PYTHONPATH": f"{Path.cwd()}{os.pathsep}{script.parent}"}
    return subprocess.Popen(
        [sys.executable, script, folder], stdout=subprocess.PIPE, text=True, env=here
    )


def test_killed_and_started_again_it_ends_with_the_same_bits(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_to_be_killed.run(whole)
    with process(cut) as running:
        assert running.stdout.readline() == "25\n"
        assert running.stdout.readline() == "50\n"
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    assert not (cut / "rows.csv").exists()
    with process(cut) as running:
        left = running.stdout.read().split()
        assert running.wait() == 0
    assert "25" not in left and left[-1] == "100"
    for name in ("00000100.safetensors", "rows.csv"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_training_lowers_the_loss(characters):
    settings = dataclasses.replace(SMALL, iterations=100, filters=8, outer_rate=1e-2)
    curve = quietly([Cell(settings, 0)], characters).history[0]
    mean = curve[:, :, 1].sum(1) / curve[:, :, 0].sum(1)
    assert mean[-1] < 0.7 * mean[0]
    assert (curve[:, :, 0].sum(1) == 25 * settings.tasks).all()


@pytest.fixture(scope="module")
def whole(characters, tmp_path_factory):
    """75 iterations in one go, and the folder of their checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    return quietly([Cell(LONGER, 0)], characters, folder=folder, save_every=0), folder


def test_a_finished_run_goes_on_to_more_iterations(characters, tmp_path, whole):
    quietly([Cell(SMALL, 0)], characters, folder=tmp_path)
    continued = quietly([Cell(LONGER, 0)], characters, folder=tmp_path)
    assert torch.equal(continued.theta, whole[0].theta)
    assert torch.equal(continued.history, whole[0].history)
    with pytest.raises(checkpoints.CheckpointError, match="iteration 75, past the 30"):
        quietly([Cell(SMALL, 0)], characters, folder=tmp_path)


@pytest.mark.parametrize("damage", ["tensors", "truncated", "gone", "json"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(characters, tmp_path, whole, damage):
    shutil.copytree(whole[1], tmp_path, dirs_exist_ok=True)
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["00000050", "00000075"]
    last = tmp_path / "00000075.safetensors"
    data = bytearray(last.read_bytes())
    if damage == "gone":
        last.unlink()
    elif damage == "json":
        last.with_suffix(".json").write_text("{")
    elif damage == "truncated":
        last.write_bytes(data[:1000])
    else:
        data[-1] ^= 1
        last.write_bytes(data)
    with pytest.warns(UserWarning, match="00000075.json is damaged .* the one before"):
        again = quietly([Cell(LONGER, 0)], characters, folder=tmp_path)
    assert torch.equal(again.theta, whole[0].theta)


@pytest.mark.parametrize("iteration", [50, 74, "75", None, 75.5, True])
def test_a_checkpoint_whose_iteration_was_edited_is_passed_over(tmp_path, whole, iteration):
    """Its schedule and its tasks would begin at another step than its optimizer."""
    shutil.copytree(whole[1], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "00000075.json"
    run = json.loads(path.read_bytes())
    path.write_text(json.dumps(run | {"iteration": iteration}))
    with pytest.warns(UserWarning, match=r"00000075\.json is damaged .*iteration"):
        assert checkpoints.latest(tmp_path, run["run"]).iteration == 50


def test_a_renamed_checkpoint_is_passed_over(tmp_path, whole):
    shutil.copytree(whole[1], tmp_path, dirs_exist_ok=True)
    for kind in ("json", "safetensors"):
        (tmp_path / f"00000075.{kind}").rename(tmp_path / f"00000080.{kind}")
    path = tmp_path / "00000080.json"
    run = json.loads(path.read_bytes())
    path.write_text(json.dumps(run | {"iteration": 80}))
    with pytest.warns(UserWarning, match=r"00000080\.json is damaged .*optimizer"):
        assert checkpoints.latest(tmp_path, run["run"]).iteration == 50


def test_checkpoints_of_another_run_are_refused(characters, tmp_path):
    quietly([Cell(SMALL, 0)], characters, folder=tmp_path)
    other = dataclasses.replace(SMALL, inner_rate=0.2)
    for cell in (Cell(SMALL, 1), Cell(other, 0)):
        with pytest.raises(checkpoints.CheckpointError, match="other settings; choose another"):
            quietly([cell], characters, folder=tmp_path)


def test_checkpoints_are_plain(characters, tmp_path):
    quietly([Cell(SMALL, 0)], characters, folder=tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    stored = json.loads((tmp_path / "00000030.json").read_bytes())
    assert stored["iteration"] == 30 and stored["run"]["settings"][0]["cell"].endswith("-0")


def test_the_number_of_threads_changes_no_bit(characters):
    one, two = (quietly([Cell(SMALL, 0)], characters, threads=count) for count in (1, 2))
    assert torch.equal(one.theta, two.theta) and torch.equal(one.history, two.history)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("algorithm", ["maml", "maml-first", "nal-10"])
def test_runs_trained_as_groups_are_the_runs_trained_singly(characters, algorithm, optimiser):
    settings = dataclasses.replace(SMALL, iterations=3, algorithm=algorithm, optimiser=optimiser)
    cells = [
        Cell(dataclasses.replace(settings, outer_rate=rate), seed)
        for seed, rate in ((0, 1e-2), (1, 1e-2), (1, 1e-3))
    ]
    together = quietly(cells, characters, grouped=True)
    for row, cell in enumerate(cells):
        alone = quietly([cell], characters, grouped=False)
        # Adam's first steps are the signs of the gradient: a near-zero one may flip
        loose = {"rtol": 1e-3, "atol": 2e-2 if optimiser == "adam" else 1e-5}
        torch.testing.assert_close(together.theta[row : row + 1], alone.theta, **loose)
        torch.testing.assert_close(together.history[row : row + 1], alone.history, **loose)


@pytest.mark.parametrize("algorithm", ["maml", "nal"])
def test_mixed_shapes_train_as_groups_without_padding(pictures, algorithm):
    """Easy 2-way and hard 20-way tasks in one step: each run ends where it ends alone."""
    settings = dataclasses.replace(MIXED, algorithm=algorithm, outer_rate=0.1)
    cells = [Cell(dataclasses.replace(settings, p=p), seed) for seed, p in ((0, 0.5), (1, 0.3))]
    together = quietly(cells, pictures, grouped=True, dtype=torch.float64)
    assert (together.history[:, 0, :, 0] > 0).all()  # both kinds were drawn in each run
    for row, cell in enumerate(cells):
        alone = quietly([cell], pictures, grouped=False, dtype=torch.float64)
        torch.testing.assert_close(
            together.theta[row : row + 1], alone.theta, rtol=1e-8, atol=1e-10
        )
        torch.testing.assert_close(
            together.history[row : row + 1], alone.history, rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("algorithm", ["maml", "nal"])
def test_a_step_of_mixed_shapes_is_the_mean_of_its_tasks_alone(pictures, algorithm, grouped):
    """No task enters another's batch statistics, by padding or otherwise."""
    settings = dataclasses.replace(
        MIXED, algorithm=algorithm, iterations=1, tasks=6, optimiser="sgd", outer_rate=1.0
    )
    seeds = Seeds.of(0)
    drawn = settings.problem(pictures, seeds.split).training.draw(
        training.BLOCK * 6, (seeds.tasks, 0), "cpu"
    )
    flags, *pair = drawn
    assert 0 < flags[:6].sum() < 6
    theta, flat = settings.network.initial(seeds.initialisation), pictures.images.flatten(0, 1)
    alone = [
        outer_gradient(
            settings.learner, settings.network, theta, flat, pair[int(flags[task])][task : task + 1]
        ).gradient
        for task in range(6)
    ]
    stepped = quietly([Cell(settings, 0)], pictures, grouped=grouped).theta
    torch.testing.assert_close(theta - stepped, sum(alone) / 6, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("part", ["split", "initialisation", "tasks"])
def test_each_seed_matters_to_training(pictures, monkeypatch, part):
    settings = dataclasses.replace(MIXED, iterations=2)
    before = quietly([Cell(settings, 0)], pictures).theta
    seeds = Seeds.of(0)
    other = dataclasses.replace(seeds, **{part: getattr(seeds, part) + 1})
    monkeypatch.setattr(training.Seeds, "of", classmethod(lambda cls, seed: other))
    assert not torch.equal(quietly([Cell(settings, 0)], pictures).theta, before)


def test_the_evaluation_seed_does_not_touch_training(pictures, monkeypatch):
    before = quietly([Cell(MIXED, 0)], pictures).theta
    other = dataclasses.replace(Seeds.of(0), evaluation=1)
    monkeypatch.setattr(training.Seeds, "of", classmethod(lambda cls, seed: other))
    assert torch.equal(quietly([Cell(MIXED, 0)], pictures).theta, before)


def test_labels_tell_cells_apart():
    cells = [
        Cell(Omniglot(**more), seed)
        for seed in (0, 1)
        for more in (
            {},
            {"outer_rate": 0.1},
            {"setting": "small"},
            {"algorithm": "nal-1"},
            {"filters": 8},
        )
    ]
    assert len({cell.label for cell in cells}) == len(cells)
    assert Cell(Omniglot(iterations=5, steps=3), 0).label == cells[0].label


def test_other_tasks_are_another_run(characters, tmp_path, monkeypatch):
    """The split of the alphabets is not a setting, but a run with another one is another run."""
    quietly([Cell(SMALL, 0)], characters, folder=tmp_path)
    other = dataclasses.replace(characters, groups=characters.groups[1:] + characters.groups[:1])
    with pytest.raises(checkpoints.CheckpointError, match="other settings"):
        quietly([Cell(SMALL, 0)], other, folder=tmp_path)


def test_cells_of_a_group_are_kept_one_by_one(characters, tmp_path):
    cells = [Cell(SMALL, seed) for seed in (0, 1)]
    together = quietly(cells, characters, grouped=True)
    for one in together.unbatch():
        folder = tmp_path / one.cells[0].label
        assert not training.finished(one.cells[0], characters, folder)
        training.keep(one, characters, folder)
        assert training.finished(one.cells[0], characters, folder)
        found = quietly(list(one.cells), characters, folder=folder)
        assert torch.equal(found.theta, one.theta) and torch.equal(found.history, one.history)
        assert found.seconds > one.seconds - 1e-3 > 0


def test_the_four_seeds_are_distinct():
    drawn = [value for seed in range(100) for value in dataclasses.astuple(Seeds.of(seed))]
    assert len(set(drawn)) == 400


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: from_mapping(Omniglot, {"outer_lr": 1}), "no setting 'outer_lr'; it has"),
        (lambda: Omniglot(setting="medium"), "setting is 'medium'; choose one of large"),
        (lambda: Omniglot(algorithm="nal"), "algorithm is 'nal'; choose one of maml"),
        (lambda: Omniglot(iterations=0), "iterations is 0"),
        (lambda: Omniglot(outer_rate=-1.0), "outer_rate is -1.0"),
        (lambda: Cifar(optimiser="rmsprop"), "optimiser is 'rmsprop'"),
        (lambda: Cifar(downsampling="mean").network, "downsampling is 'mean'"),
        (lambda: Seeds.of(-1), "seed is -1"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_unlike_cells_are_not_trained_together(characters):
    cells = [Cell(SMALL, 0), Cell(dataclasses.replace(SMALL, tasks=4), 1)]
    with pytest.raises(ValueError, match="cannot be trained together"):
        quietly(cells, characters)


def test_paper_rates_are_the_default():
    assert Omniglot().rate == 1e-3 and Omniglot(algorithm="nal-10").rate == 1e-6
    assert Cifar(algorithm="nal").rate == 1e-6 and Cifar(outer_rate=0.5).rate == 0.5


def test_to_look_for_a_checkpoint_no_run_is_set_up(characters, tmp_path, monkeypatch):
    """What a checkpoint must agree with follows from the cells and the images alone."""
    cell = Cell(dataclasses.replace(SETTINGS, iterations=25), 0)
    trained = quietly([cell], characters, folder=tmp_path)
    monkeypatch.setattr(training, "_Run", None)
    assert training.finished(cell, characters, tmp_path)
    assert torch.equal(training.at(cell, characters, tmp_path, 25).theta, trained.theta)
    training.keep(trained, characters, tmp_path / "kept")
    assert training.finished(cell, characters, tmp_path / "kept")
