"""Records: the rows of a figure or a table, with all that is needed to make them again.

A record of ITEM is ITEM.csv (tidy rows), ITEM.json (provenance and digests) and, where there are
landscapes, ITEM.npz. Each file is written beside its place and renamed into it, the provenance
last: a record either has its provenance and agrees with it, or is refused.
"""

import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mamlbook import __version__
from mamlbook.errors import ComputationError, InputError

FINITE = (
    "accuracy", "coordinate", "excess_risk", "gain", "loss", "maml_loss", "measured", "nal_loss",
    "position", "risk", "test_error", "w1", "w2",
)  # fmt: skip
PACKAGE = Path(__file__).resolve().parent
# In a wheel the records lie in the package, in a checkout beside it.
RESULTS = next(filter(Path.is_dir, [PACKAGE / "results"]), PACKAGE.parent / "results")
COMMIT = "MAMLBOOK_COMMIT"  # the commit of the source where there is no git


class RecordError(InputError):
    """A record is missing, damaged, or does not agree with its provenance."""


@dataclass(frozen=True)
class Record:
    """Tidy rows, their provenance, and arrays too large for a row (name -> array)."""

    item: str
    rows: pd.DataFrame
    provenance: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def provenance(
    settings: Any,
    *,
    command: str,
    wall_seconds: float,
    commit: str | None,
    device: str = "cpu",
    data_digest: str | None = None,
) -> dict[str, Any]:
    """What a reader needs to repeat a run: `settings` is a (frozen) dataclass, seeds included;
    `commit` as `commit()` gave it when the run began."""
    packages = [name for name in ("numpy", "scipy", "pandas", "torch") if name in sys.modules]
    return {
        "command": command,
        "settings": asdict(settings),
        "mamlbook": __version__,
        "commit": commit,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in packages},
        "device": device,
        "data_digest": data_digest,
        "wall_seconds": round(wall_seconds, 3),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def check_finite(rows: pd.DataFrame, item: str) -> None:
    """Raise ComputationError if a result in a table is not finite.

    Results are the columns FINITE: an interval may be unknown, where there is one seed, and a
    setting may be infinite, such as m for a full step.
    """
    for name in FINITE:
        if name not in rows:
            continue
        bad = ~np.isfinite(rows[name].astype(float))
        if bad.any():
            raise ComputationError(
                f"{item}: {name} is not finite in {bad.sum()} of {len(rows)} rows; nothing is "
                "written. A computation has diverged: choose smaller rates."
            )


def save(record: Record, folder: Path) -> Path:
    """Write the record into `folder` and return the path of its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{record.item}.csv": _csv(record.rows)}
    if record.arrays:
        files[f"{record.item}.npz"] = _npz(record.arrays)
    stored = {"item": record.item, **record.provenance}
    stored["sha256"] = {name: _sha256(data) for name, data in files.items()}
    stored["digest"] = _digest(stored)
    for name, data in files.items():
        write_atomic(folder / name, data)
    text = json.dumps(stored, indent=1, ensure_ascii=False) + "\n"
    write_atomic(folder / f"{record.item}.json", text.encode())
    return folder / f"{record.item}.csv"


def load(item: str, folder: Path = RESULTS) -> Record:
    """Read a record and check it against its digests.

    Raises RecordError, in one sentence, if a file is missing, unreadable or altered.
    """
    again = f"make it again with `python -m mamlbook reproduce {item} --out {folder}`"
    if folder == RESULTS and not folder.is_dir():
        raise RecordError(
            "This installation of mamlbook has no records; install it from a checkout of the "
            "book, or from a wheel that was built in one."
        )
    try:
        stored = json.loads((folder / f"{item}.json").read_bytes())
        digest = stored.pop("digest")
        hashes = stored["sha256"]
    except FileNotFoundError:
        raise RecordError(f"There is no record {item}.json in {folder}; {again}.") from None
    except OSError as error:  # such as a folder of that name
        said = error.strerror or error
        raise RecordError(f"{folder / item}.json cannot be read ({said}); {again}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{folder / item}.json cannot be read ({error}); {again}.") from None
    if digest != _digest(stored):
        raise RecordError(f"{folder / item}.json was altered after it was written; {again}.")
    files = {}
    for name, expected in hashes.items():
        try:
            files[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            raise RecordError(f"The record {item} lacks its file {name}; {again}.") from None
        except OSError as error:
            said = error.strerror or error
            raise RecordError(f"{folder / name} cannot be read ({said}); {again}.") from None
        if _sha256(files[name]) != expected:
            raise RecordError(f"{folder / name} does not match its digest in {item}.json; {again}.")
    # The Python engine reads every float64 back to the last bit, in every release of pandas.
    rows = pd.read_csv(io.BytesIO(files[f"{item}.csv"]), engine="python")
    arrays = {}
    if f"{item}.npz" in files:
        with np.load(io.BytesIO(files[f"{item}.npz"]), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    return Record(item, rows, stored, arrays)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, then rename: the file is never half-written or lost."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException as error:
        Path(beside).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:  # a full disk
            error.filename = str(path)
        raise


def check_folder(folder: Path) -> None:
    """InputError, before any work, if files cannot be written into `folder`, or it not be made."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"{existing} is a file; choose a folder.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{existing} cannot be written; choose another folder.")


def _csv(rows: pd.DataFrame) -> bytes:
    return rows.to_csv(index=False, lineterminator="\n").encode()


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(provenance: dict[str, Any]) -> str:
    return _sha256(json.dumps(provenance, sort_keys=True).encode())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def commit() -> str | None:
    """The commit of the source tree, marked when the tree has changes; None if nothing knows it.

    Git is asked first. Where it has no answer (no git, no repository, one that it will not read),
    the environment variable MAMLBOOK_COMMIT gives it, or else the file COMMIT of the package,
    which a wheel and an archive of the repository contain. Raises InputError if MAMLBOOK_COMMIT is
    no commit, or is another one than git's.
    """
    named = os.environ.get(COMMIT, "").strip()
    if named and not _HASH.fullmatch(named):
        raise InputError(
            f"{COMMIT} is {named!r}; it must be the 40 hexadecimal digits of a commit, "
            "followed by -dirty if the code has changed since."
        )
    found = _commit_of_git()
    if named and found and named != found:
        raise InputError(f"{COMMIT} is {named}, but git says that this code is at {found}.")
    if found or named:
        return found or named
    carried = PACKAGE / "COMMIT"
    text = carried.read_text(encoding="utf-8").strip() if carried.is_file() else ""
    return text if _HASH.fullmatch(text) else None


_HASH = re.compile(r"[0-9a-f]{40}(-dirty)?")


def _commit_of_git() -> str | None:
    # Variables such as GIT_DIR would have git speak of another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=PACKAGE, env=env, capture_output=True, encoding="utf-8", check=True
        )
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def seed_accuracies(
    record: Record, keys: Sequence[str] = ("setting", "algorithm", "split", "hardness")
) -> dict[tuple[str, ...], np.ndarray]:
    """The accuracies by seed, (seeds,), behind each row of a record, by the row's `keys`.

    Raises InputError if two rows have the same keys.
    """
    named = list(record.rows[list(keys)].itertuples(index=False, name=None))
    if len(set(named)) < len(named):
        raise InputError(f"Rows of {record.item} share their {', '.join(keys)}; give more keys.")
    return dict(zip(named, record.arrays["accuracy"], strict=True))
