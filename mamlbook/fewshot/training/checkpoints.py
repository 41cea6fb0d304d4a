"""Checkpoints: a safetensors file of the state, and a JSON file with its digest.

Each is written beside its place and renamed, the JSON last, and the one before is kept: whenever
the process is killed, the newest pair that agrees is a whole checkpoint.
"""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mamlbook.errors import InputError
from mamlbook.records import write_atomic

State = dict[str, torch.Tensor]
KEPT = 2000  # a checkpoint of a multiple of so many iterations stays: the curve of accuracy


class CheckpointError(InputError):
    """A folder's checkpoints belong to another run."""


@dataclass(frozen=True)
class Checkpoint:
    """The state after `iteration` steps, which took `seconds` in all."""

    iteration: int
    seconds: float
    state: State


def save(folder: Path, checkpoint: Checkpoint, identity: dict[str, Any]) -> None:
    """Write a checkpoint of the run `identity`; keep the one before, and every 2,000th step's."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save_tensors(
        {name: tensor.cpu().contiguous() for name, tensor in checkpoint.state.items()}
    )
    header = {
        "iteration": checkpoint.iteration,
        "seconds": round(checkpoint.seconds, 3),
        "sha256": hashlib.sha256(data).hexdigest(),
        "run": identity,
    }
    stem = f"{checkpoint.iteration:08d}"
    write_atomic(folder / f"{stem}.safetensors", data)
    write_atomic(folder / f"{stem}.json", json.dumps(header, indent=1).encode())
    for old in sorted(folder.glob("[0-9]*.json"))[:-2]:
        if int(old.stem) % KEPT == 0:
            continue
        old.unlink(missing_ok=True)  # another command may share the cell
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def latest(folder: Path, identity: dict[str, Any], until: int | None = None) -> Checkpoint | None:
    """The newest whole checkpoint of the run `identity`, or None if there is none; `until`: none
    past this iteration.

    Warns of each damaged one that it passes over. Raises CheckpointError if a whole one is of
    another run.
    """
    for path in sorted(folder.glob("[0-9]*.json"), reverse=True):
        if until is not None and int(path.stem) > until:
            continue
        try:
            header = json.loads(path.read_bytes())
            data = path.with_suffix(".safetensors").read_bytes()
            if hashlib.sha256(data).hexdigest() != header["sha256"]:
                raise InputError("its tensors do not match its digest")
            state = load_tensors(data)
            if not header["iteration"] == int(path.stem) == int(state.get("count", int(path.stem))):
                raise InputError("its iteration is not the one of its name and its optimizer")
            found = Checkpoint(int(path.stem), float(header["seconds"]), state)
            run = dict(header["run"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            warnings.warn(
                f"The checkpoint {path} is damaged ({error}); falling back to the one before.",
                stacklevel=2,
            )
            continue
        if run != json.loads(json.dumps(identity)):
            other = [key for key in identity if run.get(key) != identity[key]]
            raise CheckpointError(
                f"{folder} holds checkpoints of a run with other {' and '.join(other)}; "
                "choose another folder or delete it."
            )
        return found
    return None


def reached(folder: Path) -> int:
    """The iteration of the newest checkpoint, unread; 0 if there is none."""
    return max((int(path.stem) for path in folder.glob("[0-9]*.json")), default=0)
