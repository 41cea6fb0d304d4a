"""Every figure and table that can be computed again, by name."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from mamlbook.errors import InputError, check_count


class Lacking(InputError):
    """What an item needs, a library or the tables of a checkout, is not there."""


@dataclass(frozen=True)
class Item:
    """One figure or table: where it stands in the paper, what it costs, what makes it, from what
    data set.

    In mamlbook.experiments.<module>, the function <name> turns its frozen settings into rows, or
    rows and arrays, and <rows>, where it is named, into the rows alone; mamlbook.figures.<name>
    draws them. The module is imported only when the item is made, so that listing needs no torch.
    <canary>, where it is named, trains one small case of a stored record again and says where it
    differs, or returns None.
    """

    name: str
    reference: str
    cost: str
    module: str
    data: str = ""
    rows: str = ""
    canary: str = ""

    @property
    def expensive(self) -> bool:
        """Whether networks are trained on images for it: `verify` does not compute it again."""
        return bool(self.data or self.canary)

    @property
    def settings(self) -> type:
        """The frozen dataclass of the item's settings."""
        return get_type_hints(self.make)["settings"]

    @property
    def make(self) -> Callable[[Any], pd.DataFrame | tuple[pd.DataFrame, dict[str, np.ndarray]]]:
        """The function from settings to tidy rows, or to rows and arrays."""
        return getattr(self._module(), self.name)

    @property
    def make_rows(self) -> Callable[[Any], pd.DataFrame | tuple[pd.DataFrame, object]]:
        """`make` or, where arrays cost far more than rows, the function that leaves them out."""
        return getattr(self._module(), self.rows or self.name)

    def check_case(self, record) -> str | None:
        """Where one case of a stored record, computed again, differs; None if it agrees."""
        return getattr(self._module(), self.canary)(record)

    def _module(self):
        try:
            return import_module(f"mamlbook.experiments.{self.module}")
        except ModuleNotFoundError as missing:
            raise Lacking(lacking(self.name, missing)) from None


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
        Item("fig1", "Figure 1, Section 3.2", "1 s", "geography"),
        Item("fig2", "Figure 2, Section 3.1", "1 s", "hardness"),
        Item("fig3", "Figure 3, Section 3.2", "10 s", "geography"),
        Item("fig4", "Figure 4, Section 4", "5 s", "neuron", rows="minimisers"),
        Item("fig5", "Figure 5, Appendix B", "2 s", "neuron", rows="minimisers_on_tasks"),
        Item("fig6", "Figure 6, Appendix C.3", "3 s", "neuron", rows="minimisers"),
        Item("fig7", "Figure 7, Appendix C.1", "10 s", "hardness"),
        Item("fig8", "Figure 8, Appendix C.2", "2 s", "logistic"),
        Item("sinusoids", "ours, sinusoids", "10 min", "sinusoids", canary="canary"),
        Item("world", "ours, a world with dials", "3 h", "world", canary="canary"),
        Item("coverage", "ours, your own tasks", "30 min", "own_tasks", canary="canary"),
        Item("collections", "ours, your own tasks", "5 min", "collections", canary="canary"),
        Item("alphabets", "hard alphabets, Appendix C.4", "25 min", "omniglot", "omniglot"),
        Item("table1", "Tables 1 and 4, Section 5", "40 h", "omniglot", "omniglot"),
        Item("table1_lineage", "Table 1 as most probably run", "20 h", "omniglot", "omniglot"),
        Item("omniglot_rates", "outer rates, Appendix C.4", "30 min", "causes", "omniglot"),
        Item("ablation", "ours for Table 1", "20 min", "causes", "omniglot"),
        Item("packing", "ours for Table 1", "20 min", "causes", "omniglot"),
        Item("omniglot_controls", "ours for Table 1", "1 h", "omniglot", "omniglot"),
        Item("crossed", "ours for Table 1", "5 min", "omniglot", "omniglot"),
        Item("dispersion", "ours for r_H in Table 1", "10 min", "omniglot", "omniglot"),
        Item("table2", "Tables 2 and 5, Section 5", "20 h", "cifar", "cifar100"),
        Item("cifar_rates", "outer rates, Appendix C.5", "15 min", "cifar", "cifar100"),
        Item("cifar_steps", "ours for Table 2", "1 h", "cifar", "cifar100"),
        Item("scarcity", "ours for p in Table 2", "20 h", "cifar", "cifar100"),
        Item("cifar_controls", "ours for Table 2", "30 h", "cifar", "cifar100"),
        Item("table3", "Table 3, Appendix C.1", "10 s", "geography"),
        Item("theorem1", "Theorem 1, Section 4", "10 s", "networks"),
        Item("theorem2", "Theorem 2, Appendix D.1", "2 s", "convergence"),
        Item("theorem3", "Theorem 3, ours for D.2", "6 s", "convergence"),
    )
}
