"""What a claim is, and the table of many."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

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
    """A sentence of the paper, where it stands, the page that tests it, and what judges it."""

    reference: str
    says: str
    page: str
    judge: Callable[[], Judged]


record = cache(load)


def rows(item: str) -> pd.DataFrame:
    """The rows of a committed record."""
    found: Record = record(item)
    return found.rows


def claims() -> tuple[list[Claim], Callable]:
    """An empty list, and the decorator that adds a judging function's claim to it."""
    told: list[Claim] = []

    def claim(reference: str, says: str, page: str):
        def add(judge: Callable[[], Judged]) -> Callable[[], Judged]:
            told.append(Claim(reference, says, page, judge))
            return judge

        return add

    return told, claim


def verdict(judged: Judged) -> str:
    """reproduced, partly, not or untestable: by how many of the checks hold."""
    held = list(judged.checks.values())
    if not held:
        return "untestable"
    return "reproduced" if all(held) else "partly" if any(held) else "not"


def table(told: Iterable[Claim]) -> pd.DataFrame:
    """A row for each claim: reference, claim, page, measured, paper, verdict, failed checks."""
    lines = []
    for each in told:
        judged = each.judge()
        lines.append(
            {
                "reference": each.reference,
                "claim": each.says,
                "page": each.page,
                "measured": judged.measured,
                "paper": judged.paper,
                "verdict": verdict(judged),
                "failed": "; ".join(name for name, held in judged.checks.items() if not held),
            }
        )
    return pd.DataFrame(lines)
