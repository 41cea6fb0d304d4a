"""What a claim is, and the table of many. In every text, $...$ is mathematics in TeX."""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd

from mamlbook.experiments.catalogue import ITEMS
from mamlbook.records import Record, load

PAPERS = {"omniglot": 20_000, "cifar100": 10_000}  # outer steps, by data set
RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
WORDS = {0.1: "a tenth", 1 / 3: "a third", 10: "ten"}


@dataclass(frozen=True)
class Rule:
    """What must be so of one measured number: a relation to a threshold.

    says: the sentence that states it. The threshold stands where it has {}; a sentence without {}
    is of a sign, a count or an order, or equal up to rounding.
    """

    says: str
    relation: str
    threshold: float

    @property
    def sentence(self) -> str:
        """The rule as it is stated, with its threshold."""
        return self.says.replace("{}", WORDS.get(self.threshold) or _in_tex(self.threshold))

    def holds(self, value: float) -> bool:
        """Whether the measured number is on the right side; NaN never is."""
        return bool(RELATIONS[self.relation](value, self.threshold))


def _in_tex(threshold: float) -> str:
    """A number as a sentence has it: a power of ten in TeX where it is tiny."""
    if 0 < threshold < 1e-3:
        return f"10^{{{round(math.log10(threshold))}}}"
    return f"{threshold:g}"


@dataclass(frozen=True)
class Judged:
    """What was measured, in sentences, the paper's value if it prints one, and the checks.

    checks: what must be so, as a sentence with its threshold -> whether it is.
    found: the rules of these checks -> the number that each was asked of.
    """

    measured: str
    paper: str = ""
    checks: dict[str, bool] = field(default_factory=dict)
    found: Mapping[Rule, float] = field(default_factory=dict)


def judged(measured: str, found: Mapping[Rule, float], paper: str = "") -> Judged:
    """What was measured, judged by rules: rule -> the number that it is asked of."""
    checks = {rule.sentence: rule.holds(value) for rule, value in found.items()}
    return Judged(measured, paper, checks, found)


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
    def name(self) -> str:
        """The name of its judge, by which a page finds it."""
        return self.judge.__name__

    @property
    def kind(self) -> str:
        """formula (a theorem or an equation), picture (a figure or a table) or words."""
        if re.match(r"Proposition|Corollary|Theorem|\(P\d", self.reference):
            return "formula"
        return "picture" if re.match(r"Figure|Table", self.reference) else "words"

    @property
    def preview(self) -> bool:
        """Whether the networks were trained with less than the paper's budget."""
        if not self.item:
            return False
        spent = record(self.item).provenance["settings"]
        paper = (PAPERS[ITEMS[self.item].data], 5, 64)
        return any(has < full for has, full in zip(_budget(spent), paper, strict=True))

    @property
    def budget(self) -> str:
        """On how much training it rests, in a sentence; empty if on none."""
        if not self.item:
            return ""
        steps, seeds, filters = _budget(record(self.item).provenance["settings"])
        return (
            f"It rests on {steps:,} outer steps (the paper: {PAPERS[ITEMS[self.item].data]:,}), "
            f"{seeds} seed{'s' * (seeds > 1)} and {filters} filters."
        )


def _budget(spent: dict[str, Any]) -> tuple[int, int, int]:
    """Outer steps, seeds and filters of a record's settings."""
    return spent.get("until") or spent["iterations"], spent["seeds"], spent["filters"]


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
    """A row for each claim: name, reference, claim, page, kind, measured, paper, verdict, whether
    it is of a preview, on what training it rests, how many checks there are, and lists of those
    that failed and those that held."""
    lines = []
    for each in all_claims:
        judged = each.judge()
        lines.append(
            {
                "name": each.name,
                "reference": each.reference,
                "claim": each.says,
                "page": each.page,
                "kind": each.kind,
                "measured": judged.measured,
                "paper": judged.paper,
                "verdict": verdict(judged),
                "preview": each.preview,
                "budget": each.budget,
                "checks": len(judged.checks),
                "failed": [name for name, held in judged.checks.items() if not held],
                "held": [name for name, held in judged.checks.items() if held],
            }
        )
    return pd.DataFrame(lines)
