"""Images of one's own: `train folder PATH`, from class folders to a model for `adapt`."""

import re
import shlex

import numpy as np
import pytest
from PIL import Image

from mamlbook.__main__ import main
from mamlbook.errors import InputError
from mamlbook.fewshot import models
from mamlbook.fewshot.data import pictures
from mamlbook.fewshot.settings import Cell, Folder, Seeds
from tools import ROOT

QUICK = "--queries 3 --iterations 25 --filters 8 --evaluation-tasks 20"


def draw(folder, classes, count, first=0, side=28):
    """Classes of noisy copies of a random drawing, PNG and JPEG by turns, and what macOS adds."""
    for index in range(first, first + classes):
        rng = np.random.default_rng(index)
        own = folder / f"class{index:02d}"
        own.mkdir(parents=True)
        drawn = rng.random((7, 7, 3)).repeat(4, 0).repeat(4, 1)
        for number in range(count):
            pixels = (255 * (drawn + 0.3 * rng.random((28, 28, 3))) / 1.3).astype(np.uint8)
            suffix, kind = (("png", "PNG"), ("JPG", "JPEG"))[number % 2]
            Image.fromarray(pixels).resize((side, side)).save(own / f"{number:02d}.{suffix}", kind)
        (own / "._00.png").write_bytes(b"\0\5\x16\7")
        (own / ".DS_Store").write_bytes(b"\0")
    (folder / "__MACOSX" / "class00").mkdir(parents=True, exist_ok=True)
    (folder / "__MACOSX" / "class00" / "00.png").write_bytes(b"\0\5\x16\7")
    (folder / ".thumbnails").mkdir(exist_ok=True)
    Image.new("RGB", (9, 9)).save(folder / ".thumbnails" / "00.png")


def test_the_documented_commands_run(tmp_path, capsys, monkeypatch):
    """running.md's own lines, on small made-up pictures and with a short training."""
    text = (ROOT / "running.md").read_text(encoding="utf-8")
    train, adapt = re.search(
        r"```\n(python -m mamlbook train folder .+)\n(python -m mamlbook adapt .+)\n```", text
    ).groups()
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "birds", 16, 5)
    draw(tmp_path / "garden" / "support", 5, 1, first=50)
    draw(tmp_path / "garden" / "query", 5, 4, first=50)
    assert main(shlex.split(f"{train} {QUICK}")[3:]) == 0
    printed = capsys.readouterr().out
    assert "birds: 16 classes of 5 images, 6 for meta-training, 5 for validation, 5 for" in printed
    line = r"^(\S+) classes, 5-way 1-shot, steps 1: \d+\.\d ± \d+\.\d% \(95% interval over tasks"
    found = re.findall(line, printed, re.M)
    assert found == ["meta-training", "validation", "meta-test"]
    (path,) = re.findall(r"^model: (.+)$", printed, re.M)
    named, label = shlex.split(adapt)[4], Cell(Folder(path=tmp_path / "birds"), 0).label
    assert named == f"runs/{label}/{models.load(path).card['name']}.safetensors"
    assert main(shlex.split(adapt.replace(named, path))[3:]) == 0
    right = re.search(r"(\d+) of 20 right", capsys.readouterr().out)
    assert int(right[1]) >= 8  # 4 by guessing


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(ramp).save(tmp_path / "16.png")
    Image.fromarray((ramp / 257).round().astype(np.uint8)).save(tmp_path / "8.png")
    both = pictures.read([tmp_path / "16.png", tmp_path / "8.png"], 32, "rgb")
    np.testing.assert_array_equal(*both)
    assert both.min() == 0 and both.max() == 255


def test_it_continues_and_its_card_says_what_it_was_made_of(tmp_path, capsys):
    draw(tmp_path / "birds", 7, 4)
    given = ["train", "folder", str(tmp_path / "birds"), *shlex.split(QUICK), "--ways", "2"]
    given += ["--out", str(tmp_path / "runs"), "--seeds", "2", "--schedule", "constant"]
    assert main([*given, "--validation"]) == 0
    printed = capsys.readouterr().out
    assert "validation classes" in printed and "meta-test classes" not in printed
    assert printed.count("95% interval over seeds") == 2
    before = models.load(re.findall(r"^model: (.+)$", printed, re.M)[0])
    assert set(before.card["split"]) == {"train", "validation"}
    assert main([*given, "--validation", "--iterations", "30"]) == 0
    again = models.load(re.findall(r"^model: (.+)$", capsys.readouterr().out, re.M)[0])
    assert (before.card["budget"]["iterations"], again.card["budget"]["iterations"]) == (25, 30)
    assert again.card["preparation"] == again.preparation == "rgb"
    assert again.card["licence"].endswith("images of one's own")


def test_classes_are_split_by_the_seed(tmp_path):
    settings = Folder(path=tmp_path, ways=3)
    split = settings.split(30, 4)
    assert {name: len(part) for name, part in split.items()} == {
        "train": 19, "validation": 5, "test": 6,
    }  # fmt: skip
    assert sorted(index for part in split.values() for index in part) == list(range(30))
    assert settings.split(30, 4) == split != settings.split(30, 5)
    assert len(settings.split(9, 0)["train"]) == 3
    other = Folder(path=tmp_path, ways=3, validation_classes=3, test_classes=20)
    assert len(other.split(30, 4)["test"]) == 20


def test_nal_and_maml_have_the_same_defaults(tmp_path):
    nal, maml = (Folder(path=tmp_path, algorithm=name) for name in ("nal", "maml"))
    assert nal.rate == maml.rate == 1e-3 and nal.optimiser == maml.optimiser == "adam"


def test_tasks_are_of_one_kind(tmp_path):
    draw(tmp_path, 6, 4)
    settings = Folder(path=tmp_path, ways=2, targets=3)
    held = settings.load()
    assert held.images.shape == (6, 4, 32, 32, 3)
    problem = settings.problem(held, Seeds.of(0).split)
    flags, easy, _ = problem.training.draw(50, (0,), "cpu")
    assert not flags.any() and easy.support.shape == (50, 2)
    met = {index // 4 for index in easy.support.flatten().tolist()}
    assert met == set(settings.split(6, Seeds.of(0).split)["train"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--ways 3 --test-classes 4", r"and 4 for the meta-test leave 1 to train on, and 3 ways "
                                      r"need at least 3: give smaller --validation-classes or"),
        ("--ways 3", r"has 8 classes; 3 for validation and 3 for the meta-test leave 2 to train on"
                     r", and 3 ways need at least 3: add classes or give --ways 2\."),
        ("--ways 2 --shots 3 --queries 3", r"The class class0\d has 5 images, but 3 shots and 3 "
                                           r"query images need 6: add images, ask for fewer"),
        ("--ways 2 --side 8 --queries 3", "The images have side 8"),
        ("--ways 2 --device tpu", "The device is 'tpu'"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_one_sentence(tmp_path, capsys, given, said):
    draw(tmp_path / "birds", 8, 5)
    more = [] if "--queries" in given else ["--queries", "3"]
    where = [str(tmp_path / "birds"), "--out", str(tmp_path / "runs")]
    assert main(["train", "folder", *where, *more, *given.split()]) == 2
    printed = capsys.readouterr().err.strip()
    assert re.search(said, printed) and "\n" not in printed
    assert not (tmp_path / "runs").exists()


def test_a_missing_folder_and_an_unreadable_picture_are_one_sentence(tmp_path, capsys):
    where = ["--out", str(tmp_path / "runs"), "--queries", "3", "--ways", "2"]
    assert main(["train", "folder", str(tmp_path / "none"), *where]) == 2
    assert "is not a folder; give one that holds a folder for each class" in capsys.readouterr().err
    draw(tmp_path / "birds", 8, 5)
    (tmp_path / "birds" / "class03" / "01.JPG").write_bytes(b"no picture")
    assert main(["train", "folder", str(tmp_path / "birds"), *where]) == 2
    printed = capsys.readouterr().err.strip()
    assert re.search(r"class03/01\.JPG cannot be read \(.+\); replace it or move it away", printed)
    assert "\n" not in printed


def test_pictures_of_other_proportions_are_stretched_with_a_warning(tmp_path):
    draw(tmp_path, 6, 4)
    draw(tmp_path, 1, 4, first=10, side=60)  # a square of another size needs no word
    settings = Folder(path=tmp_path, ways=2, targets=3)
    assert settings.load().images.shape == (7, 4, 32, 32, 3)
    with Image.open(tmp_path / "class02" / "00.png") as picture:
        picture.resize((60, 28)).save(tmp_path / "class02" / "00.png")
    with pytest.warns(UserWarning, match=r"class02/00\.png is 60 x 28 pixels and .* 28 x 28; all"):
        assert settings.load().images.shape == (7, 4, 32, 32, 3)


def test_a_setting_of_the_folder_is_checked(tmp_path):
    with pytest.raises(InputError, match="algorithm is 'protonet'"):
        Folder(path=tmp_path, algorithm="protonet")
    with pytest.raises(InputError, match="ways is 1; it must be at least 2"):
        Folder(path=tmp_path, ways=1)
    with pytest.raises(InputError, match="test_classes is 2, too few for tasks of 3 classes; give"):
        Folder(path=tmp_path, ways=3, test_classes=2)
    with pytest.raises(InputError, match="preparation is 'sepia'"):
        draw(tmp_path, 6, 4)
        Folder(path=tmp_path, preparation="sepia", ways=2, targets=3).load()
