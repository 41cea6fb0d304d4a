"""Is a stored record what its item gives? Cheap items are computed again; of expensive
ones the digests and the provenance are checked.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mamlbook import records
from mamlbook.experiments.catalogue import Item
from mamlbook.records import Record, RecordError

RELATIVE = 1e-6
# Of a column's largest number: a few roots of float64's epsilon. Values tell the place of a minimum
# no better (Figure 8), so near a zero of such a column another BLAS gives other digits.
ROUNDING = 1e-7
SAID = {  # by what was done
    "canary": "agrees",
    "older code": "code changed since, canary agrees",
    "digest": "its digests agree; it has no canary, so nothing was computed again",
}
REQUIRED = (
    "command",
    "settings",
    "mamlbook",
    "commit",
    "python",
    "libraries",
    "device",
    "wall_seconds",
    "made",
)


def verify(item: Item, folder: Path = records.RESULTS, *, made: pd.DataFrame | None = None) -> str:
    """Check the record of `item` in `folder` against the code; return what was done, in words.

    Every record must agree with its digests and say how it was made, from a commit. An item that is
    not expensive must have been made with the settings that it has now, and is computed again:
    words and truth values must be the same, numbers agree to RELATIVE. An expensive one may have
    settings of its own (a device, fewer seeds), under the names they have now; it must have been
    made of the images that the package takes now. Rows that are `made` already, with the item's
    settings, are not computed again. Where an item has a canary, that case alone is computed again.
    Raises RecordError, in one sentence, at the first mismatch.
    """
    record = records.load(item.name, folder)
    settings = item.load("settings")()
    _check_provenance(item, record, settings)
    if item.canary:
        if found := item.load("canary")(record):
            raise RecordError(f"The record {item.name} is not what the code gives: {found}.")
        return "one case"
    if item.expensive:
        _check_source(item, record)
        return _check_canary(item, record)
    if made is None:
        made = item.load("rows")(settings)
    rows = made[0] if isinstance(made, tuple) else made
    with tempfile.TemporaryDirectory() as scratch:  # as a reader of the file would have them
        records.save(Record(item.name, rows, {}), Path(scratch))
        fresh = records.load(item.name, Path(scratch)).rows
    if found := difference(record.rows, fresh):
        raise RecordError(f"The record {item.name} is not what the code gives: {found}.")
    return "computed again"


def difference(stored: pd.DataFrame, fresh: pd.DataFrame) -> str | None:
    """The first place where two tables of rows disagree, in words; None if there is none."""
    if list(stored.columns) != list(fresh.columns):
        return f"its columns are {', '.join(stored)}, now {', '.join(fresh)}"
    if len(stored) != len(fresh):
        return f"it has {len(stored)} rows, now {len(fresh)}"
    for name in stored:
        then, now = stored[name], fresh[name]
        if all(pd.api.types.is_float_dtype(column) for column in (then, now)):
            floor = ROUNDING * now[np.isfinite(now)].abs().max()
            alike = np.isclose(then, now, rtol=RELATIVE, atol=floor, equal_nan=True)
        else:
            alike = ((then == now) | (then.isna() & now.isna())).to_numpy()
        if not alike.all():
            row = int(np.argmin(alike))
            return f"{name} of row {row + 1} is {then[row]}, now {now[row]}"
    return None


def _check_provenance(item: Item, record: Record, settings: Any) -> None:
    given = record.provenance
    again = f"make it again with `python -m mamlbook reproduce {item.name}`"
    if lacking := [name for name in REQUIRED if given.get(name) is None]:
        raise RecordError(f"The record {item.name} does not state its {lacking[0]}; {again}.")
    now = json.loads(json.dumps(asdict(settings)))
    then = given["settings"]
    for name in [*now, *then]:
        # A setting that is newer than an expensive record has the default that the record was made
        # with: `configuration` is strided, and `until` none.
        newer = item.expensive and name not in then
        unknown = name not in now or (name not in then and not newer)
        if unknown or (not item.expensive and now[name] != then[name]):
            raise RecordError(
                f"The record {item.name} was made with {name} = {then.get(name, 'nothing')}, "
                f"the item has {now.get(name, 'no such setting')}; {again}."
            )
    if given["commit"].endswith("-dirty"):
        raise RecordError(
            f"The record {item.name} was made from changes that no commit holds; "
            f"commit them and {again}."
        )


def _check_source(item: Item, record: Record) -> None:
    from mamlbook.fewshot.data.images import SOURCES

    images = record.provenance["data_digest"]
    if images != SOURCES[item.data].digest:
        raise RecordError(
            f"The record {item.name} was made of other images (digest {images}) than {item.data}'s."
        )


def _check_canary(item: Item, record: Record) -> str:
    from mamlbook.fewshot.training import canary

    stored = record.provenance.get("canary")
    if stored is None:
        return "digest"
    fresh = canary.canary(item.data, record.provenance["settings"], record.rows, "")
    if found := canary.difference(stored["values"], fresh["values"]):
        raise RecordError(f"The record {item.name} is not what the code gives: {found}.")
    return "canary" if stored["code"] == fresh["code"] else "older code"
