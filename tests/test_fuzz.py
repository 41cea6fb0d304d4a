"""Input that nobody meant to give, from one seed: the answer is right, or one sentence."""

import json
import random
import shutil
import sys
import tarfile
from dataclasses import fields

import numpy as np
import pytest

from mamlbook import records
from mamlbook.__main__ import main
from mamlbook.errors import ComputationError, InputError
from mamlbook.experiments.catalogue import ITEMS
from mamlbook.linear import Environment, excess_risk, maml_solution, nal_solution

SEED = 18
EDGES = [
    "1",
    "0.1",
    "0",
    "-1",
    "nan",
    "inf",
    "1e20",
    "-1e20",
    "1e-300",
    "1" + 20 * "0",
    "",
    "x",
    "0.5",
    "é",
]
EDGY = [0, -1, 2.5, np.nan]
VALUES = [0, -1, 1, 2, 0.5, np.nan, np.inf, 1e20, 1e-300, 1e300, 1j, "1", None, [], [[1.0]], True]


def test_command_lines(tmp_path, monkeypatch, capsys):
    """Each quick item with a setting or two of it at an edge; what the edge does not stop is
    stopped before its work."""
    rng = random.Random(SEED)

    class Begun(Exception):
        pass

    def begin(settings):
        raise Begun

    monkeypatch.chdir(tmp_path)
    ended = {"begun": 0, "refused": 0}
    for _ in range(60):
        item = ITEMS[rng.choice([name for name, item in ITEMS.items() if not item.expensive])]
        chosen = rng.sample(fields(item.load("settings")), rng.choice([1, 1, 2]))
        words = ["reproduce", item.name]
        for field in chosen:
            words += [f"--{field.name.replace('_', '-')}"]
            words += [rng.choice(EDGES) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[item.load("settings").__module__], item.make, begin)
            try:
                code = main(words)
            except Begun:
                ended["begun"] += 1
                continue
            except SystemExit as refused:
                code = refused.code
        said = capsys.readouterr()
        assert code == 2 and said.err and "Traceback" not in said.err, words
        ended["refused"] += 1
    assert min(ended.values()) >= 5, ended
    assert not list(tmp_path.iterdir())


def test_environments():
    """A mixture with a field or two replaced: it is refused, or all that it gives is finite."""
    rng, draw = random.Random(SEED), np.random.default_rng(SEED)
    ended = {"given": 0, "refused": 0}
    for _ in range(500):
        k, d = rng.choice([1, 2, 3]), rng.choice([1, 2, 4])
        given = {
            "weights": draw.dirichlet(np.ones(k)),
            "covariances": np.array([np.diag(draw.uniform(0, 2, d)) for _ in range(k)]),
            "centres": draw.normal(0, 2, (k, d)),
            "spreads": np.array([np.diag(draw.choice([0, 1.0], d)) for _ in range(k)]),
            "noise": draw.uniform(0, 1),
        }
        for name in rng.sample(list(given), rng.choice([0, 0, 1, 2])):
            value = rng.choice(VALUES)
            if np.ndim(given[name]) and np.ndim(value) == 0 and rng.random() < 0.7:
                whole = given[name].astype(object)
                whole[(0,) * whole.ndim] = value
                value = whole.tolist()
            given[name] = value
        alpha, m = (
            rng.choice([0.3, 1.0] * 5 + EDGY),
            rng.choice([1, 10, np.inf] * 5 + [*EDGY, None]),
        )
        try:
            env = Environment(**given)
            found = [nal_solution(env), maml_solution(env, alpha, m)]
            found += [excess_risk(env, w, alpha, m) for w in found]
        except (InputError, ComputationError) as refused:
            assert "\n" not in str(refused)
            ended["refused"] += 1
            continue
        assert all(np.isfinite(each).all() for each in found), given
        ended["given"] += 1
    assert min(ended.values()) > 50, ended


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes with some of them cut out, changed or repeated."""
    at = rng.randrange(len(data))
    kind = rng.choice(["cut", "end", "change", "repeat", "empty"])
    if kind == "empty":
        return b""
    if kind == "end":
        return data[:at]
    if kind == "cut":
        return data[:at] + data[at + rng.randrange(1, 50) :]
    if kind == "repeat":
        return data[:at] + data[at : at + 50] + data[at:]
    return data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]


def test_records(tmp_path):
    """A damaged file of a record is refused; JSON may be laid out otherwise and say the same."""
    rng = random.Random(SEED)
    whole = records.load("theorem3")
    for _ in range(80):
        folder = tmp_path / "records"
        records.save(whole, folder)
        path = rng.choice(sorted(folder.iterdir()))
        before = path.read_bytes()
        path.write_bytes(damaged(before, rng))
        try:
            found = records.load("theorem3", folder)
        except records.RecordError as refused:
            assert "\n" not in str(refused)
        else:
            assert path.suffix == ".json" or path.read_bytes() == before
            if path.suffix == ".json":
                assert json.loads(path.read_bytes()) == json.loads(before)
            assert found.rows.equals(whole.rows)
        shutil.rmtree(folder)


def test_archives(tmp_path):
    """A damaged zip or tar is refused in one sentence; none is taken for another content."""
    pytest.importorskip("torch")
    from mamlbook.fewshot.data import decode
    from tests.fewshot.test_images import write_omniglot

    rng = random.Random(SEED)
    files = write_omniglot(tmp_path / "data")
    right = decode.omniglot(files).digest
    before = files[1].read_bytes()
    for _ in range(100):
        files[1].write_bytes(damaged(before, rng))
        try:
            assert decode.omniglot(files).digest == right
        except decode.DataError as refused:
            assert "\n" not in str(refused)
    path = tmp_path / "cifar-100-binary.tar.gz"
    (tmp_path / "train.bin").write_bytes(bytes(1000))
    with tarfile.open(path, "w:gz") as archive:
        for name in ("train.bin", "test.bin"):
            archive.add(tmp_path / "train.bin", f"cifar-100-binary/{name}")
    before = path.read_bytes()
    for _ in range(100):
        path.write_bytes(damaged(before, rng))
        with pytest.raises(decode.DataError) as refused:
            decode.cifar100((path,))
        assert "\n" not in str(refused.value)
