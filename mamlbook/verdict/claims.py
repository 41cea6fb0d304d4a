"""What a claim is, and the table of many."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from mamlbook.experiments.catalogue import ITEMS
from mamlbook.records import Record, load


@dataclass(frozen=True)
class Judged:
    """What was measured, beside the paper's value if it prints one, and the checks.

    checks: what must be so -> whether it is.
    """

    measured: str
    paper: str = ""
    checks: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, where it stands, the page that tests it, what judges it, and the
    item whose record of trained networks it rests on, if it rests on one."""

    reference: str
    says: str
    page: str
    judge: Callable[[], Judged]
    item: str = ""

    @property
    def preview(self) -> bool:
        """Whether the record was made with less than the item's full budget."""
        if not self.item:
            return False
        full, spent = ITEMS[self.item].settings(), record(self.item).provenance["settings"]
        return any(spent[name] < getattr(full, name) for name in ("iterations", "seeds", "filters"))


record = cache(load)


def rows(item: str) -> pd.DataFrame:
    """The rows of a committed record."""
    found: Record = record(item)
    return found.rows


def claims() -> tuple[list[Claim], Callable]:
    """An empty list, and the decorator that adds a judging function's claim to it."""
    found: list[Claim] = []

    def claim(reference: str, says: str, page: str, item: str = ""):
        def add(judge: Callable[[], Judged]) -> Callable[[], Judged]:
            found.append(Claim(reference, says, page, judge, item))
            return judge

        return add

    return found, claim


def verdict(judged: Judged) -> str:
    """reproduced, partly, not or untestable: by how many of the checks hold."""
    held = list(judged.checks.values())
    if not held:
        return "untestable"
    return "reproduced" if all(held) else "partly" if any(held) else "not"


def table(all_claims: Iterable[Claim]) -> pd.DataFrame:
    """A row for each claim: reference, claim, page, measured, paper, verdict, whether it is of a
    preview, and the checks that failed."""
    lines = []
    for each in all_claims:
        judged = each.judge()
        lines.append(
            {
                "reference": each.reference,
                "claim": each.says,
                "page": each.page,
                "measured": judged.measured,
                "paper": judged.paper,
                "verdict": verdict(judged),
                "preview": each.preview,
                "failed": "; ".join(name for name, held in judged.checks.items() if not held),
            }
        )
    return pd.DataFrame(lines)
