"""The record of the world: cells come back from it as they were measured."""

from dataclasses import fields
from functools import partial

import numpy as np
import pytest

from mamlbook import records
from mamlbook.experiments import world
from mamlbook.experiments.world import CENTRE, Place, World
from mamlbook.world import measures, training
from mamlbook.world.measures import Measured


def measured(rng, place, seeds=2):
    d = place.setting.recipe.pen.dimension
    plain = not (place.setting.recipe.network.biases or place.setting.recipe.logistic)
    return Measured(
        np.arange(seeds),
        *(rng.random((seeds, *shape)) for shape in ((2, 2), (2,), (2,), ())),
        *(rng.random((seeds, *shape)) for shape in ((2, d), (2, 2), (2, 2), ())),
        readout=rng.random((seeds, 3)) if plain else None,
    )


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """A world whose cells are random numbers, and the places that were measured."""
    asked = []

    def cell(place, seeds, tasks, folder):
        asked.append(place)
        return measured(np.random.default_rng(len(place.label)), place)

    monkeypatch.setattr(world, "_cell", cell)
    monkeypatch.setattr(world, "shipped", dict)
    monkeypatch.setattr(world, "trial", lambda: np.array([1.0, 2.0]))
    monkeypatch.setattr(records, "load", partial(records.load, folder=tmp_path))
    return asked, tmp_path


SMALL = World(hardnesses=(0.25,), packings=(10.0,), samples=(100,), unseen=1, seeds=2)


def store(settings, folder):
    rows, arrays = world.world(settings)
    origin = records.provenance(settings, command="", wall_seconds=1, commit=None)
    records.save(records.Record("world", rows, origin, arrays), folder)
    return rows, arrays


def test_a_record_is_continued_and_its_cells_are_the_same(trained):
    asked, folder = trained
    store(World(**{**vars(SMALL), "cells": 3}), folder)
    assert len(asked) == 3
    again, arrays = store(SMALL, folder)
    assert len(asked) == len(set(asked)) == 13
    asked.clear()
    (folder / "world.json").unlink()
    whole, fresh = store(SMALL, folder)
    assert len(asked) == 13
    assert again.equals(whole)
    assert all(np.array_equal(arrays[n], fresh[n], equal_nan=n != "recipes") for n in fresh)


@pytest.mark.parametrize("change", ["code", "tasks"])
def test_a_record_of_other_code_or_settings_is_not(trained, monkeypatch, change):
    asked, folder = trained
    store(SMALL, folder)
    asked.clear()
    if change == "code":
        monkeypatch.setattr(world, "trial", lambda: np.array([1.0, 2.01]))
        store(SMALL, folder)
    else:
        store(World(**{**vars(SMALL), "tasks": 80}), folder)
    assert len(asked) == 13


def test_where_labels_are_probabilities_there_is_no_theory(trained):
    place = Place(*CENTRE, "logistic")
    rows = list(world._rows(place, measured(np.random.default_rng(0), place)))
    assert {row["part"] for row in rows} == {"total", "position", "kernel"}
    assert all(np.isnan(row["theory"]) for row in rows)


def test_the_trial_tells_changed_code(monkeypatch):
    before = world.trial()
    assert np.array_equal(before, world.trial())
    monkeypatch.setattr(training, "CLIP", 0.01)
    measures._averages.cache_clear()
    assert not np.allclose(before, world.trial(), rtol=1e-3, atol=1e-6)


def test_the_arrays_are_those_of_a_cell():
    assert set(world.ARRAYS) == {one.name for one in fields(Measured)} - {"seeds"}
