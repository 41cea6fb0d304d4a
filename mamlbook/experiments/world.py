"""A world with dials: the grid of pairs of networks, NAL's and MAML's, beside the theory."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mamlbook import records
from mamlbook.fewshot.training import single_threaded
from mamlbook.jobs import executor, run_cells, site
from mamlbook.linear import (
    excess_risk,
    learned_maml,
    learned_nal,
    maml_solution,
    nal_solution,
    preconditioned_risk,
)
from mamlbook.world.measures import Measured, load, measure, pair, save
from mamlbook.world.network import Network
from mamlbook.world.renderer import Pen
from mamlbook.world.training import Recipe, Setting

ARRAYS = tuple(one.name for one in fields(Measured) if one.name != "seeds")
CENTRE = (0.25, 10.0, 100)
"""The position from which the dials are turned one at a time, and where claims are judged."""


@dataclass(frozen=True)
class Variant:
    """One change of the recipe, tried at a few positions of the dials."""

    network: Network | None = None
    pen: Pen | None = None
    logistic: bool = False
    optimizer: str = "adam"
    rate: float = 3e-3

    @property
    def recipe(self) -> Recipe:
        """The recipe with that change."""
        network, pen = self.network or Network(), self.pen or Pen()
        changed = {name: getattr(self, name) for name in ("logistic", "optimizer", "rate")}
        return Recipe(network=network, pen=pen, **changed)


RECIPES = {
    "dense": Variant(),
    "dense-biases": Variant(Network(biases=True)),
    "convolutional": Variant(Network("convolutional")),
    "latent-4": Variant(Network(code=4), Pen(across=3, along=1, bend=0.2)),
    "thick-pen": Variant(pen=Pen(width=0.2, bend=0.12)),
    "sgd": Variant(optimizer="sgd", rate=3e-2),
    "logistic": Variant(logistic=True),
}
VARIANTS = ("convolutional", "latent-4", "thick-pen", "sgd", "logistic")


@dataclass(frozen=True)
class World:
    """The grid of the dials, with and without biases, and what is asked beside it.

    The positions are taken from the center outwards: first those that differ from the center in
    one dial, then the unseen ones and the variants, then those that differ in two dials and in
    three. Each is a cell, kept in the folder `world` of the results when it is done; a command that
    was cut goes on. So does one that finds a record of other positions, if its code and settings
    were the same.
    """

    hardnesses: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    """rho_H/rho_E."""
    packings: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    """R^2/r_H."""
    samples: tuple[int, ...] = (10, 30, 100, 200)
    """Support images m."""
    biases: tuple[bool, ...] = (False, True)
    unseen: int = 6
    """Positions that are drawn at random, without biases; beside the grid."""
    unseen_seed: int = 20261127
    """The seed of that draw, chosen with the rules and before any of them was run."""
    variants: tuple[str, ...] = VARIANTS
    """Other networks, renderers, optimizers and losses, at the center and at equal hardness."""
    seeds: int = 5
    """Pairs of networks at every position."""
    tasks: int = 400
    """Test tasks of each pair, half of them hard."""
    cells: int = 296
    """How many positions are taken, from the first on; all of them are the default."""
    workers: int = 1
    """Processes that train at once."""


@dataclass(frozen=True)
class Place:
    """A cell: a position of the dials and the name of a recipe."""

    hardness: float
    packing: float
    m: int
    network: str

    @property
    def setting(self) -> Setting:
        """The position with its recipe."""
        return Setting(self.hardness, self.packing, self.m, RECIPES[self.network].recipe)

    @property
    def label(self) -> str:
        """The name of its file."""
        return f"{self.network}-{self.hardness:g}-{self.packing:g}-{self.m}"


def unseen(settings: World) -> list[Place]:
    """Positions between the dials' marks: hardness, packing and m drawn log-uniformly."""
    rng = np.random.default_rng(settings.unseen_seed)
    return [
        Place(
            round(float(np.exp(rng.uniform(np.log(0.08), np.log(0.9)))), 3),
            round(float(np.exp(rng.uniform(np.log(0.3), np.log(50)))), 2),
            int(np.exp(rng.uniform(np.log(15), np.log(150)))),
            "dense",
        )
        for _ in range(settings.unseen)
    ]


def places(settings: World) -> list[Place]:
    """All cells, the center first; the first `cells` of them are a balanced part."""
    grid = product(settings.hardnesses, settings.packings, settings.samples, settings.biases)
    by_turns: list[list[Place]] = [[], [], [], []]
    for hardness, packing, m, biased in grid:
        place = Place(hardness, packing, m, "dense-biases" if biased else "dense")
        turned = sum(a != b for a, b in zip((hardness, packing, m), CENTRE, strict=True))
        by_turns[turned].append(place)
    beside = [
        replace(Place(*CENTRE, name), hardness=hardness)
        for name in settings.variants
        for hardness in (CENTRE[0], 1.0)
    ]
    # Of the cells that differ in two dials, those with the center's m come first.
    by_turns[2].sort(key=lambda place: place.m != CENTRE[2])
    ordered = [*by_turns[0], *by_turns[1], *unseen(settings), *beside, *by_turns[2], *by_turns[3]]
    return ordered[: settings.cells]


def world(settings: World) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of every pair of networks and part, and in arrays what a row has no room for.

    Columns: hardness, packing, m, biases, network, seed, part, gain, position, risk, theory.
    Positions are coordinates along the hard center, in units of its distance. The parts are

    - total: NAL's risk over MAML's; position and risk are MAML's; theory: the same ratio of two
      linear models, MAML's with a rate along the hard center and one across, NAL's with one along
      its own direction (`learned_maml`, `learned_nal`);
    - position: what NAL's function costs with MAML's kernel, over MAML's risk; the position is
      NAL's; theory: NAL's solution with the rates that MAML learns;
    - kernel: NAL's risk over that of NAL's function with MAML's kernel; risk is NAL's;
    - readout: the gain where the readout alone is trained and adapts (without biases); position
      and risk are MAML's; theory: Proposition 1 with the inner learning rate 1/rho_E.

    Where labels are probabilities there is no theory (NaN) and no readout.

    Arrays: those of `Measured`, a row for each pair in the order of the rows, with NaN where a
    cell has no readout or a smaller latent has no further speeds; the recipes and a short `trial`
    of the code, by which a later run knows its own; and the weights of one pair, see `shipped`.
    """
    todo, before = places(settings), _before(settings)
    missing = [place for place in todo if place not in before]
    one = partial(_cell, seeds=settings.seeds, tasks=settings.tasks, folder=_folder())
    with executor(settings.workers) as many:
        made = run_cells(one, missing, many)
    found = before | dict(zip(missing, made, strict=True))
    done = [_single(found[place]) for place in todo]
    rows = pd.DataFrame(
        row for place, own in zip(todo, done, strict=True) for row in _rows(place, own)
    )
    how = {"recipes": np.array(repr(RECIPES)), "trial": trial()}
    return rows, _arrays(done) | shipped() | how


def trial() -> np.ndarray:
    """Numbers that change when the code behind a cell does: two pairs after a few steps."""
    recipe = replace(RECIPES["dense"].recipe, steps=4, body_steps=20)
    with single_threaded():
        own = measure(Setting(*CENTRE[:2], 10, recipe), [0, 1], 40)
    return np.concatenate([getattr(own, name).ravel() for name in ARRAYS if name != "seconds"])


def _before(settings: World) -> dict[Place, Measured]:
    """The cells of the record at hand, if they were measured with these settings and recipes, and
    the code still does in a short trial what it did then."""
    try:
        record = records.load("world")
    except records.RecordError:
        return {}
    same = all(
        record.provenance["settings"].get(name) == getattr(settings, name)
        for name in ("seeds", "tasks")
    )
    if not same or record.arrays.get("recipes") != repr(RECIPES):
        return {}
    if not np.allclose(record.arrays["trial"], trial(), rtol=1e-3, atol=1e-6):
        return {}
    pairs = record.rows[record.rows["part"] == "total"].reset_index(drop=True)
    found = {}
    for key, own in pairs.groupby(["hardness", "packing", "m", "network"]):
        place = Place(*key)
        arrays = {name: record.arrays[name][own.index] for name in ARRAYS}
        arrays["speeds"] = arrays["speeds"][..., : place.setting.recipe.pen.dimension]
        if np.isnan(arrays["readout"]).all():
            arrays["readout"] = None
        found[place] = Measured(seeds=own["seed"].to_numpy(), **arrays)
    return found


def shipped() -> dict[str, np.ndarray]:
    """The pair of seed 0 at the center, to be shown at work in a page: pair_nal, pair_maml, the
    weights of all layers in float16, and pair_rate. Trained, or found trained."""
    path = _folder() / "pair.npz"
    if not path.exists():
        with single_threaded():
            nal, maml, rate = pair(Place(*CENTRE, "dense").setting, [0])
        flat: dict[str, Any] = {
            name: np.concatenate([w.numpy().ravel() for w in weights]).astype(np.float16)
            for name, weights in (("pair_nal", nal), ("pair_maml", maml))
        }
        buffer = BytesIO()
        np.savez(buffer, pair_rate=np.array(rate), **flat)
        path.parent.mkdir(parents=True, exist_ok=True)
        records.write_atomic(path, buffer.getvalue())
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def canary(record: records.Record) -> str | None:
    """Train one pair of the record again, with fewest samples; where it differs, in words.

    Another processor sums in another order, and training carries that on: the readout's gain must
    agree to a thousandth, the networks' to five per cent.
    """
    place = Place(CENTRE[0], CENTRE[1], 10, "dense")
    pairs = record.rows[record.rows["part"] == "total"].reset_index(drop=True)
    names = {"hardness": place.hardness, "packing": place.packing, "m": place.m, "seed": 0}
    same = pairs["network"] == place.network
    for name, value in names.items():
        same &= pairs[name] == value
    if same.sum() != 1:
        return f"it has {same.sum()} pairs at {place.label}"
    rate = float(record.arrays["rates"][same.to_numpy()][0])
    with single_threaded():
        fresh = pd.DataFrame(_rows(place, measure(place.setting, [0], 400, rate=rate)))
    keys = ["hardness", "packing", "m", "network", "seed", "part"]
    both = fresh.merge(record.rows, on=keys, suffixes=("", "_then"), validate="one_to_one")
    for row in both.itertuples():
        allowed = 1e-3 if row.part == "readout" else 0.05
        if not abs(row.gain / row.gain_then - 1) <= allowed:
            return f"{row.part}'s gain at {place.label} is {row.gain_then}, now {row.gain:.5g}"
    return None


def _folder() -> Path:
    """Where the cells are kept, for every machine that shares it."""
    return (site().out / "world").absolute()


def _cell(place: Place, seeds: int, tasks: int, folder: Path) -> Measured:
    """One position, measured or found measured."""
    path = folder / f"{place.label}-{seeds}-{tasks}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with single_threaded():
            measured = measure(place.setting, range(seeds), tasks)
        save(measured, path, place.setting)
    return load(path, place.setting)


@cache
def predicted(place: Place) -> dict[str, float]:
    """The theory's gains at a position, and its positions; m is that of the test."""
    if place.setting.recipe.logistic:
        return dict.fromkeys(("total", "position", "kernel"), np.nan)
    env, m = place.setting.environment, place.m
    best, nal = learned_maml(env, m, env.centres[0])[0], learned_nal(env, m)
    moved = preconditioned_risk(env, nal.w, best.preconditioner, m)
    alone = (excess_risk(env, w, 1.0, m) for w in (nal_solution(env), maml_solution(env, 1.0, m)))
    nal_alone, maml_alone = alone
    return {
        "total": nal.risk / best.risk,
        "position": moved / best.risk,
        "kernel": nal.risk / moved,
        "readout": nal_alone / maml_alone,
    }


def _rows(place: Place, own: Measured) -> Iterator[dict[str, object]]:
    theory = predicted(place)
    for i, seed in enumerate(own.seeds):
        r, (nal, maml) = own.risks[i], own.positions[i]
        parts = {
            "total": (r[0, 0] / r[1, 1], maml, r[1, 1]),
            "position": (r[0, 1] / r[1, 1], nal, r[0, 1]),
            "kernel": (r[0, 0] / r[0, 1], nal, r[0, 0]),
        }
        if own.readout is not None:
            before, after, at = own.readout[i]
            parts["readout"] = (before / after, at, after)
        for part, (gain, position, risk) in parts.items():
            yield {
                "hardness": place.hardness,
                "packing": place.packing,
                "m": place.m,
                "biases": place.setting.recipe.network.biases,
                "network": place.network,
                "seed": int(seed),
                "part": part,
                "gain": _short(gain),
                "position": _short(position),
                "risk": _short(risk),
                "theory": _short(theory[part]),
            }


def _short(value: float) -> float:
    """Five significant digits: more than the seeds agree on."""
    return float(f"{value:.5g}")


def _single(own: Measured) -> Measured:
    """The cell to the precision that its networks were trained with, which the record keeps."""
    short = {
        name: value.astype(np.float32)
        for name in ARRAYS
        if (value := getattr(own, name)) is not None
    }
    return replace(own, **short)


def _arrays(done: list[Measured]) -> dict[str, np.ndarray]:
    """The cells' arrays, one after the other, NaN where a cell has none."""
    widest = max(own.speeds.shape[-1] for own in done)
    full = []
    for own in done:
        lacks = widest - own.speeds.shape[-1]
        speeds = np.pad(own.speeds, ((0, 0), (0, 0), (0, lacks)), constant_values=np.nan)
        none = np.full((len(own.seeds), 3), np.nan, np.float32)
        readout = none if own.readout is None else own.readout
        full.append(replace(own, speeds=speeds, readout=readout))
    return {name: np.concatenate([getattr(own, name) for own in full]) for name in ARRAYS}
