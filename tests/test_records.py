"""A record agrees with its provenance or is refused, and is never half-written."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from mamlbook import records
from mamlbook.records import Record, RecordError


@dataclass(frozen=True)
class Settings:
    sizes: tuple[int, ...] = (1, 2)
    seed: int = 3


@pytest.fixture
def stored(tmp_path):
    rows = pd.DataFrame({"algorithm": ["nal", "maml"], "accuracy": [1 / 3, np.pi * 1e-9]})
    origin = records.provenance(
        Settings(), command="python -m mamlbook", wall_seconds=1.23456, commit=None
    )
    record = Record("table9", rows, origin, {"landscape": np.arange(6.0).reshape(2, 3)})
    records.save(record, tmp_path)
    return record, tmp_path


def test_what_is_saved_is_loaded(stored):
    record, folder = stored
    back = records.load("table9", folder)
    pd.testing.assert_frame_equal(back.rows, record.rows, check_exact=True)
    np.testing.assert_array_equal(back.arrays["landscape"], record.arrays["landscape"])
    assert back.provenance["settings"] == {"sizes": [1, 2], "seed": 3}
    origin = {"mamlbook", "commit", "python", "libraries", "device", "wall_seconds", "command"}
    assert origin <= set(back.provenance)
    assert sorted(p.name for p in folder.iterdir()) == ["table9.csv", "table9.json", "table9.npz"]


def test_the_same_rows_give_the_same_bytes(stored, tmp_path):
    record, folder = stored
    records.save(record, tmp_path / "again")
    for name in ("table9.csv", "table9.json", "table9.npz"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("name", ["table9.csv", "table9.npz"])
@pytest.mark.parametrize("damage", ["edit", "truncate", "remove"])
def test_damage_is_refused(stored, name, damage):
    _, folder = stored
    path = folder / name
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "truncate" else data.replace(data[-3:-2], b"7"))
    with pytest.raises(RecordError, match=f"{name}.*reproduce table9") as caught:
        records.load("table9", folder)
    assert "\n" not in str(caught.value)


def test_edited_provenance_is_refused(stored):
    _, folder = stored
    path = folder / "table9.json"
    origin = json.loads(path.read_text())
    origin["settings"]["seed"] = 4
    path.write_text(json.dumps(origin))
    with pytest.raises(RecordError, match="was altered"):
        records.load("table9", folder)
    path.write_text("{")
    with pytest.raises(RecordError, match="cannot be read"):
        records.load("table9", folder)
    path.write_text("[]")
    with pytest.raises(RecordError, match="cannot be read"):
        records.load("table9", folder)
    path.unlink()
    with pytest.raises(RecordError, match="There is no record"):
        records.load("table9", folder)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    records.write_atomic(path, b"old")

    def full(handle):
        raise OSError("no space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        records.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
