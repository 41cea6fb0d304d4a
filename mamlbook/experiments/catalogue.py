"""Every figure and table that can be computed again, by name."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Literal

from mamlbook.errors import InputError, check_count


class Lacking(InputError):
    """What an item needs, a library or the tables of a checkout, is not there."""


@dataclass(frozen=True)
class Item:
    """One figure or table: where it stands in the paper, what it costs, and what makes it.

    `settings`, a frozen dataclass, `make`, which turns them into tidy rows, or into rows and
    arrays, and, where they are named, `rows`, which makes the rows alone, and `canary`, which
    trains one small case of a stored record again and says where it differs, or returns None, are
    names in mamlbook.experiments.<module>; `draw`, which turns rows (and arrays, where there are
    some) into a figure, is one in mamlbook.figures. `load` imports them only when they are used,
    so that listing needs no torch. data: the data set of images, where networks learn one.
    """

    name: str
    reference: str
    cost: str
    module: str
    settings: str
    make: str
    draw: str
    data: str = ""
    rows: str = ""
    canary: str = ""

    @property
    def expensive(self) -> bool:
        """Whether networks are trained for it: `verify` does not compute all of it again."""
        return bool(self.data or self.canary)

    def load(self, part: Literal["settings", "make", "draw", "rows", "canary"]) -> Callable:
        """The class or function that the item names as this part; for rows, `make` where none is
        named. Raises Lacking, with the remedy, where a library is missing."""
        if part == "draw":
            module, name = self.draw.split(".")
            return getattr(import_module(f"mamlbook.figures.{module}"), name)
        try:
            module = import_module(f"mamlbook.experiments.{self.module}")
        except ModuleNotFoundError as missing:
            raise Lacking(lacking(self.name, missing)) from None
        return getattr(module, getattr(self, part) or self.make)


def lacking(what: str, missing: ModuleNotFoundError) -> str:
    """The sentence that says what a command lacks, and what to install."""
    needs = " ".join(sorted({missing.name or "", "pillow", "pooch", "safetensors", "torch"}))
    return (
        f"{what} needs {missing.name}, which is not installed: `pip install {needs}`, "
        "or `pip install -e '.[fewshot]'` in a checkout of the book."
    )


POSITIVE = (
    "alpha", "half_width", "hard_variance", "hardnesses", "inner_rate", "inner_rates",
    "outer_rates", "over_r_easy", "over_r_hard", "packings",
    "rate_maml", "rate_maml_per_sample", "rate_nal", "nal_rate", "rho_easy", "rho_hard", "sgd_rate",
    "spreads", "variances", "zeta",
)  # fmt: skip
SIZES = (1e-9, 1e9)  # beyond them the squares and products of settings leave float64
MOST = {"d": 10_000, "dimension": 1000, "points": 10_000, "seed": 2**63 - 1}  # others 10^9


def check(settings: Any) -> None:
    """InputError, naming the setting, unless each count lies between 1 and a billion or MOST, each
    number is finite and of a size that can be computed with, and each of POSITIVE positive."""
    smallest, largest = SIZES
    for name, given in asdict(settings).items():
        for value in _numbers(given):
            if isinstance(value, int):
                check_count(name, value, int(name != "seed"), MOST.get(name, 10**9))
            elif not math.isfinite(value) or (name in POSITIVE and not value > 0):
                said = "positive" if name in POSITIVE else "finite"
                raise InputError(f"{name} is {value}; it must be {said}.")
            elif abs(value) > largest or (name in POSITIVE and value < smallest):
                raise InputError(
                    f"{name} is {value}; its size must lie between {smallest:g} and {largest:g}."
                )


def _numbers(given: Any) -> Iterator[float]:
    """The numbers of a setting, of nested ones too."""
    if isinstance(given, dict):
        given = tuple(given.values())
    if isinstance(given, tuple | list):
        for part in given:
            yield from _numbers(part)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        yield given


ITEMS = {
    item.name: item
    for item in (
        Item(
            "fig1", "Figure 1, Section 3.2", "1 s",
            "geography", "Fig1", "fig1", "geography.fig1",
        ),
        Item(
            "fig2", "Figure 2, Section 3.1", "1 s",
            "hardness", "Fig2", "fig2", "hardness.fig2",
        ),
        Item(
            "fig3", "Figure 3, Section 3.2", "10 s",
            "geography", "Fig3", "fig3", "geography.fig3",
        ),
        Item(
            "fig4", "Figure 4, Section 4", "5 s",
            "neuron", "Fig4", "fig4", "neuron.fig4", rows="minimisers",
        ),
        Item(
            "fig5", "Figure 5, Appendix B", "2 s",
            "neuron", "Fig5", "fig5", "neuron.fig5", rows="minimisers_on_tasks",
        ),
        Item(
            "fig6", "Figure 6, Appendix C.3", "3 s",
            "neuron", "Fig6", "fig6", "neuron.fig6", rows="minimisers",
        ),
        Item(
            "fig7", "Figure 7, Appendix C.1", "10 s",
            "hardness", "Fig7", "fig7", "hardness.fig7",
        ),
        Item(
            "fig8", "Figure 8, Appendix C.2", "2 s",
            "logistic", "Fig8", "fig8", "logistic.fig8",
        ),
        Item(
            "sinusoids", "ours, sine waves", "10 min",
            "sinusoids", "Study", "sinusoids", "sinusoids.sinusoids", canary="canary",
        ),
        Item(
            "world", "ours, a world with dials", "3 h",
            "world", "World", "world", "world.world", canary="canary",
        ),
        Item(
            "coverage", "ours, your own tasks", "30 min",
            "own_tasks", "Coverage", "coverage", "own_tasks.coverage", canary="canary",
        ),
        Item(
            "collections", "ours, your own tasks", "5 min",
            "collections", "Collections", "collections", "own_tasks.collections", canary="canary",
        ),
        Item(
            "alphabets", "hard alphabets, Appendix C.4", "25 min",
            "omniglot", "Alphabets", "alphabets", "omniglot.alphabets", data="omniglot",
        ),
        Item(
            "alphabets_lineage", "hard alphabets, most probably", "2 h",
            "omniglot", "AlphabetsLineage", "alphabets_lineage", "omniglot.alphabets_lineage",
            data="omniglot",
        ),
        Item(
            "table1", "Tables 1 and 4, Section 5", "40 h",
            "omniglot", "Table1", "table1", "omniglot.table1", data="omniglot",
        ),
        Item(
            "table1_lineage", "Table 1 as most probably run", "20 h",
            "omniglot", "Table1Lineage", "table1_lineage", "omniglot.table1_lineage",
            data="omniglot",
        ),
        Item(
            "omniglot_rates", "outer rates, Appendix C.4", "30 min",
            "causes", "Rates", "omniglot_rates", "omniglot.omniglot_rates", data="omniglot",
        ),
        Item(
            "ablation", "ours for Table 1", "20 min",
            "causes", "Ablation", "ablation", "omniglot.ablation", data="omniglot",
        ),
        Item(
            "packing", "ours for Table 1", "20 min",
            "causes", "Packing", "packing", "omniglot.packing", data="omniglot",
        ),
        Item(
            "omniglot_controls", "ours for Table 1", "1 h",
            "omniglot", "Controls", "omniglot_controls", "omniglot.omniglot_controls",
            data="omniglot",
        ),
        Item(
            "crossed", "ours for Table 1", "5 min",
            "omniglot", "Crossed", "crossed", "omniglot.crossed", data="omniglot",
        ),
        Item(
            "dispersion", "ours for r_H in Table 1", "10 min",
            "omniglot", "Dispersion", "dispersion", "omniglot.dispersion", data="omniglot",
        ),
        Item(
            "table2", "Tables 2 and 5, Section 5", "20 h",
            "cifar", "Table2", "table2", "cifar.table2", data="cifar100",
        ),
        Item(
            "table2_lineage", "Table 2 as most probably run", "40 h",
            "cifar", "Table2Lineage", "table2_lineage", "cifar.table2_lineage", data="cifar100",
        ),
        Item(
            "cifar_rates", "outer rates, Appendix C.5", "15 min",
            "cifar", "Rates", "cifar_rates", "cifar.cifar_rates", data="cifar100",
        ),
        Item(
            "cifar_steps", "ours for Table 2", "1 h",
            "cifar", "Steps", "cifar_steps", "cifar.cifar_steps", data="cifar100",
        ),
        Item(
            "scarcity", "ours for p in Table 2", "20 h",
            "cifar", "Scarcity", "scarcity", "cifar.scarcity", data="cifar100",
        ),
        Item(
            "cifar_controls", "ours for Table 2", "30 h",
            "cifar", "Controls", "cifar_controls", "cifar.cifar_controls", data="cifar100",
        ),
        Item(
            "table3", "Table 3, Appendix C.1", "10 s",
            "geography", "Table3", "table3", "geography.table3",
        ),
        Item(
            "theorem1", "Theorem 1, Section 4", "10 s",
            "networks", "Theorem1", "theorem1", "neuron.theorem1",
        ),
        Item(
            "theorem2", "Theorem 2, Appendix D.1", "2 s",
            "convergence", "Theorem2", "theorem2", "convergence.theorem2",
        ),
        Item(
            "theorem3", "Theorem 3, ours for D.2", "6 s",
            "convergence", "Theorem3", "theorem3", "convergence.theorem3",
        ),
    )
}  # fmt: skip
