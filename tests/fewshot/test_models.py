"""Trained networks to take away: written, read, adapted; and pictures of one's own."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from mamlbook import __main__, fewshot
from mamlbook.fewshot import models, training
from mamlbook.fewshot.data import images, pictures
from mamlbook.fewshot.data.images import from_arrays, from_folder
from mamlbook.fewshot.data.tasks import labels
from mamlbook.fewshot.engine import learners
from mamlbook.fewshot.settings import Cell, Omniglot
from mamlbook.fewshot.training import classifier, evaluation
from tests.fewshot.run_to_be_killed import SETTINGS


@pytest.fixture(scope="module")
def cell():
    return Cell(dataclasses.replace(SETTINGS, iterations=25, evaluation_tasks=20), 3)


@pytest.fixture(scope="module")
def exported(cell, characters, tmp_path_factory):
    """A trained cell, and the path of the model that it became."""
    torch.set_num_threads(1)
    trained = training.train([cell], characters, progress=False)
    return trained, models.export(trained, characters, tmp_path_factory.mktemp("m"), commit="abc")


def test_a_model_has_the_cells_weights_and_its_accuracies(cell, characters, exported):
    trained, path = exported
    model = models.load(path)
    assert torch.equal(model.theta, trained.theta)
    assert model.network == cell.settings.network and model.learner == cell.settings.learner
    rows = evaluation.evaluate(cell, trained.theta, characters)
    found = model.evaluation()
    assert found.accuracy.tolist() == rows.accuracy.tolist()
    card = model.card
    assert (card["seed"], card["commit"], card["budget"]["iterations"]) == (3, "abc", 25)
    assert card["data"]["sha256"] == characters.digest
    assert "MIT" in card["licence"]
    assert card["split"]["train"]["easy"] == sorted(set(characters.groups))


def test_adapt_and_predict_do_what_evaluation_does(cell, characters, exported):
    """The same queries right as `evaluation.accuracies` counts, for one step and for three."""
    trained, path = exported
    model, flat = models.load(path), characters.images.flatten(0, 1)
    mixture = cell.settings.problem(characters, 0).evaluation["train"]
    _, episodes, _ = mixture.draw(4, (1,), "cpu")
    shape = episodes.shape
    for steps in (1, 3):
        expected = evaluation.accuracies(
            cell.settings.learner, cell.settings.network, trained.theta, flat, episodes, steps
        )
        for right, support, query in zip(expected, episodes.support, episodes.query, strict=True):
            known = [f"class {label}" for label in labels(shape.ways, shape.shots)]
            adapted = fewshot.adapt(model, flat[support].numpy(), known, steps)
            found = fewshot.predict(adapted, flat[query].numpy())
            true = [f"class {label}" for label in labels(shape.ways, shape.queries)]
            assert np.mean([one == two for one, two in zip(found, true, strict=True)]) == (
                pytest.approx(right.item())
            )
            given = learners.adapt(
                cell.settings.learner, cell.settings.network, trained.theta, flat,
                dataclasses.replace(episodes, support=support[None], query=query[None]), steps,
            )  # fmt: skip
            torch.testing.assert_close(adapted.theta, given, rtol=1e-5, atol=1e-6)
    assert not model.labels  # as it was


def test_a_classifiers_card_says_how_it_was_trained(cell, characters, tmp_path):
    how = classifier.Classifier(batches=2, images=8)
    trained = classifier.fit(how, cell, characters)
    model = models.load(models.export(trained, characters, tmp_path, classifier=how))
    assert torch.equal(model.theta, trained.theta)
    assert model.card["algorithm"] == "classifier" and "-classifier-" in model.card["name"]
    assert model.card["classifier"] == dataclasses.asdict(how)
    assert model.card["budget"] | {"seconds": 0} == {"iterations": 2, "planned": 2, "seconds": 0}


def test_what_a_model_cannot_do_it_says(exported, tmp_path):
    model = models.load(exported[1])
    picture = np.zeros((2, 28, 28, 1), np.uint8)
    with pytest.raises(ValueError, match="call `adapt`"):
        models.predict(model, picture)
    with pytest.raises(ValueError, match="2 images have 3 labels"):
        models.adapt(model, picture, [0, 1, 2])
    with pytest.raises(ValueError, match=r"takes uint8 \(n, 28, 28, 1\)"):
        models.adapt(model, picture / 255, [0, 1])
    with pytest.raises(ValueError, match="steps is 0"):
        models.adapt(model, picture, [0, 1], 0)
    with pytest.raises(models.ModelError, match="no model 'omniglot-huge-maml-lineage-0'"):
        models.pretrained("omniglot", "huge", "maml")
    blob, card = exported[1].read_bytes(), exported[1].with_suffix(".json").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(blob[:-1] + b"\x01")
    (tmp_path / "a.json").write_bytes(card)
    with pytest.raises(models.ModelError, match="not those that the card describes"):
        models.load(tmp_path / "a.safetensors")


def test_every_shipped_model_loads_and_is_small():
    assert models.names()
    total = 0
    for name in models.names():
        model = models.load(name)
        card = model.card
        assert models.name_of(
            card["data"]["name"].removesuffix("-binary"),
            name.split("-")[1], card["algorithm"], card["configuration"], card["seed"],
        ) == name  # fmt: skip
        assert card["data"]["sha256"] == images.SOURCES[card["data"]["name"]].digest
        assert len(card["commit"]) == 40
        assert {"train", "test"} == {row["split"] for row in card["evaluation"]}
        assert {"accuracy", "accuracy_ci95"} < set(card["evaluation"][0])
        total += (models.SHIPPED / f"{name}.safetensors").stat().st_size
    assert total < 15e6


def test_a_shipped_models_accuracy_is_what_its_card_says(real_data):
    """On fewer tasks than the card's, within what so few can tell."""
    card = models.pretrained("omniglot", "large", "maml").card
    settings = Omniglot(**{**card["settings"], "evaluation_tasks": 40})
    model = models.pretrained("omniglot", "large", "maml")
    held = images.load(card["data"]["name"])
    rows = evaluation.evaluate(Cell(settings, card["seed"]), model.theta, held)
    for row, stated in zip(rows.itertuples(), card["evaluation"], strict=True):
        assert abs(row.accuracy - stated["accuracy"]) < 2 * (
            row.accuracy_ci95 + stated["accuracy_ci95"]
        )


def drawn(folder, characters, first, examples, groups=False):
    """Write classes of the synthetic characters as PNG files of 40 x 40, ink dark."""
    for index in range(first, first + 5):
        own = folder / ("letters" if groups else "") / f"class{index}"
        own.mkdir(parents=True)
        for place in examples:
            grey = Image.fromarray(255 - characters.images[index, place, :, :, 0].numpy())
            grey.resize((40, 40), Image.Resampling.NEAREST).save(own / f"{place:02d}.png")


def test_the_command_adapts_to_a_folder(characters, exported, tmp_path, capsys):
    drawn(tmp_path / "support", characters, 0, range(2))
    drawn(tmp_path / "query", characters, 0, range(2, 6))
    given = ["adapt", str(exported[1]), str(tmp_path), "--steps", "3"]
    assert __main__.main(given) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 20 and lines[0].startswith("class0/02.png\tclass")
    right = sum(line.split("\t")[1] == line.split("/")[0] for line in lines)
    assert last == f"{right} of 20 right ({5 * right:.1f}%)"
    assert right >= 15  # by chance 4
    assert __main__.main(["adapt", str(exported[1]), str(tmp_path / "query")]) == 2
    assert "needs one `support`" in capsys.readouterr().err
    picture = (tmp_path / "support" / "class0" / "00.png").read_bytes()
    (tmp_path / "support" / ".git").mkdir()
    (tmp_path / "support" / ".git" / "00.png").write_bytes(picture)
    assert __main__.main(given) == 0
    assert capsys.readouterr().out.splitlines() == [*lines, last]
    (tmp_path / "support" / "loose.png").write_bytes(picture)
    assert __main__.main(given) == 2
    assert "loose.png is in no class" in capsys.readouterr().err


def test_the_command_exports_a_checkpoint(cell, characters, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(images, "load", lambda name: characters)
    settings = cell.settings
    trained = training.train([cell], characters, folder=tmp_path / cell.label, progress=False)
    stated = [
        part
        for name, value in settings.metadata.items()
        for part in (f"--{name.replace('_', '-').replace('targets', 'queries')}", str(value))
    ]
    given = ["export", "omniglot", *stated, "--setting", settings.setting, "--seed", "3"]
    given += ["--evaluation-tasks", "4", "--iterations", "25", "--algorithm", settings.algorithm]
    assert __main__.main([*given, "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    path = capsys.readouterr().out.strip()
    assert torch.equal(models.load(path).theta, trained.theta)
    assert __main__.main([*given, "--runs", str(tmp_path / "none")]) == 2
    assert "no checkpoint" in capsys.readouterr().err


def test_a_folder_of_class_folders_is_an_image_set(characters, tmp_path):
    drawn(tmp_path, characters, 0, range(4), groups=True)
    held = from_folder(tmp_path, 28, "grey")
    assert held.classes == tuple(f"letters/class{index}" for index in range(5))
    assert held.groups == ("letters",) * 5
    assert held.images.shape == (5, 4, 28, 28, 1)
    gap = held.images.float() - characters.images[:5, :4].float()
    assert gap.abs().mean() < 20  # resized there and back
    (tmp_path / "letters" / "class4" / "03.png").unlink()
    assert from_folder(tmp_path, 28, "grey").images.shape[1] == 3
    with pytest.raises(images.DataError, match="class4 has 3 images, not 4"):
        from_folder(tmp_path, 28, "grey", examples=4)
    (tmp_path / "letters" / "class4" / "00.png").write_bytes(b"no picture")
    with pytest.raises(images.DataError, match=r"00\.png cannot be read"):
        from_folder(tmp_path, 28)
    with pytest.raises(images.DataError, match="holds no folder"):
        from_folder(tmp_path / "letters" / "class3")


def test_pictures_of_every_kind_are_prepared(tmp_path):
    """Transparency is white, a camera's turn is undone, palettes and JPEG are read."""
    half = np.zeros((8, 8, 4), np.uint8)
    half[:4, :, 3] = 255  # black and opaque above, transparent below
    Image.fromarray(half).save(tmp_path / "a.png")
    expected = np.repeat([0, 255], 4)[:, None, None] * np.ones((1, 8, 1))
    np.testing.assert_array_equal(pictures.prepared(tmp_path / "a.png", 8, "binary"), expected)
    np.testing.assert_array_equal(pictures.prepared(tmp_path / "a.png", 8, "grey"), 255 - expected)
    plain = Image.fromarray(expected.repeat(3, 2).astype(np.uint8))
    plain.convert("P").save(tmp_path / "b.png")
    np.testing.assert_array_equal(pictures.prepared(tmp_path / "b.png", 8, "binary"), expected)
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    plain.save(tmp_path / "c.jpg", exif=exif, quality=95)
    found = pictures.prepared(tmp_path / "c.jpg", 8, "rgb")
    assert found.shape == (8, 8, 3) and found[:3].min() > 240 and found[5:].max() < 15


def test_arrays_are_an_image_set():
    held = from_arrays(
        {"a": np.zeros((3, 28, 28, 1), np.uint8), "b": np.ones((3, 28, 28, 1), np.uint8)}
    )
    assert held.classes == ("a", "b") and held.images.shape == (2, 3, 28, 28, 1)
    with pytest.raises(images.DataError, match="one shape"):
        from_arrays(
            {"a": np.zeros((3, 28, 28, 1), np.uint8), "b": np.zeros((2, 28, 28, 1), np.uint8)}
        )
