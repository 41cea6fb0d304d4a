"""The world with dials in a page: theory, record and the trained pair's step against Python."""

import base64

import numpy as np
import pytest
import torch

from mamlbook import records
from mamlbook.experiments.world import Place as Position
from mamlbook.experiments.world import World, predicted
from mamlbook.linear import learned_maml, nal_solution
from mamlbook.widgets.world import SUPPORT, Glyph, example_solutions
from mamlbook.world.network import Network, adapted
from mamlbook.world.renderer import Pen, draw, shift
from tests.browser.conftest import OpenPage, at, desk
from tests.browser.test_widgets import PLAY

PAGE = "chapters/world.html"
WEIGHT = 1_000_000  # bytes


def play(page, index, places):
    """What the widget shows and what was set, at each of the sliders' places."""
    for answer in page.evaluate(PLAY, [index, places]):
        yield answer["set"], {name: number for name, number, _ in answer["shown"]}


@at(desk(PAGE))
def test_theory_and_networks_are_pythons_and_the_records(look, open_page: OpenPage):
    grid, rows = World(), records.load("world").rows
    draws = np.random.default_rng(5).random((20, 4)).tolist()
    centre = [[i / 4, 4 / 6, 2 / 3, biased] for i in range(5) for biased in (0, 1)]
    trained = 0
    for put, shown in play(open_page(look), 0, draws + centre):
        place = Position(
            grid.hardnesses[int(put["hardness_mark"])],
            grid.packings[int(put["packing_mark"])],
            grid.samples[int(put["m_mark"])],
            "dense-biases" if put["biases"] else "dense",
        )
        env = place.setting.environment
        c = env.centres[0]
        for part, gain in predicted(place).items():
            if part != "readout":
                assert shown[f"theory_{part}"] == pytest.approx(gain, rel=1e-5)
        assert shown["theory_maml"] == pytest.approx(
            learned_maml(env, place.m, c)[0].w @ c, abs=1e-3
        )
        assert shown["theory_nal"] == pytest.approx(nal_solution(env) @ c)
        own = rows[np.all([rows[name] == value for name, value in vars(place).items()], axis=0)]
        assert ("total" in shown) is bool(len(own))
        trained += bool(len(own))
        for part, pairs in own.groupby("part"):
            if part != "readout":
                assert shown[part] == pytest.approx(pairs["gain"].mean())
            if part in ("total", "position"):
                name = "maml" if part == "total" else "nal"
                assert shown[name] == pytest.approx(pairs["position"].mean())
    assert trained >= len(centre)


def normals(count: int, seed: int) -> np.ndarray:
    """The page's fixed normal numbers."""
    state, found = seed, []
    for _ in range(count):
        state = state * 48271 % 2147483647
        radius = np.sqrt(-2 * np.log(state / 2147483647))
        state = state * 48271 % 2147483647
        found.append(radius * np.cos(2 * np.pi * state / 2147483647))
    return np.array(found)


def pictures(z: np.ndarray, rho: float) -> torch.Tensor:
    moved = shift(Pen())
    return torch.from_numpy(rho**0.5 * (draw(Pen(), z).astype(float) - moved.mean) / moved.scale)


@at(desk(PAGE))
def test_the_pair_takes_the_step_that_autograd_takes(look, open_page: OpenPage):
    record, network = records.load("world"), Network()
    rate = torch.tensor([float(record.arrays["pair_rate"])], dtype=torch.float64)
    support = normals(SUPPORT * 6, 11).reshape(SUPPORT, 6)
    places = np.random.default_rng(6).random((8, 7)).tolist()
    kinds = set()
    for put, shown in play(open_page(look), 1, places):
        hard = int(put["hard"])
        kinds.add(hard)
        rho, w = (0.25, 1.0)[1 - hard], example_solutions()[hard]
        z = np.array([[put[f"z{j}"] for j in range(1, 7)]])
        assert shown["label"] == pytest.approx(rho**0.5 * (z[0] @ w))
        labels = torch.from_numpy(rho**0.5 * support @ w)[None]
        for name in ("nal", "maml"):
            flat = torch.from_numpy(record.arrays[f"pair_{name}"].astype(float))
            cut = flat.split([int(np.prod(shape)) for shape in network.shapes])
            weights = [
                part.reshape(1, *shape).requires_grad_()
                for part, shape in zip(cut, network.shapes, strict=True)
            ]
            x = pictures(z, rho)[None]
            moved = adapted(network, weights, pictures(support, rho)[None], labels, rate)
            before, after = network(weights, x).item(), network(moved, x).item()
            assert shown[f"{name}_before"] == pytest.approx(before, abs=2e-6)
            assert shown[f"{name}_after"] == pytest.approx(after, abs=2e-5)
            assert shown[f"{name}_error"] == pytest.approx(abs(after - shown["label"]), abs=2e-5)
    assert kinds == {0, 1}


@at(desk(PAGE))
def test_the_page_weighs_less_than_a_megabyte(look, open_page: OpenPage, book):
    open_page(look)
    page = book / PAGE
    pictures_of_it = sum(
        path.stat().st_size
        for path in (book / "_images").iterdir()
        if path.name in page.read_text(encoding="utf-8")
    )
    assert page.stat().st_size + pictures_of_it < WEIGHT


def test_the_weights_survive_the_way_into_the_page():
    record = records.load("world")
    sent = np.frombuffer(base64.b64decode(Glyph(record).nal), np.float16)
    assert np.array_equal(sent, record.arrays["pair_nal"])
    assert sent.size == sum(np.prod(shape) for shape in Network().shapes)
