"""What the moving pictures draw is what Python computes, read off by the ticks that they show."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from mamlbook import records
from mamlbook.experiments import geography
from mamlbook.experiments.world import CENTRE, Place, World, predicted
from mamlbook.linear import (
    easy_and_hard,
    excess_risk,
    maml_solution,
    nal_solution,
    q_matrix,
    two_tasks,
)
from mamlbook.world.renderer import Pen, draw, shift

from .conftest import OpenPage, at, desk
from .test_widgets import PLAY, four_neurons, value
from .test_world import normals

# Of each picture: its title, its ticks and words (text, x, y, class) and its marks (class, tag,
# numbers, colour, picture of an image).
SCENE = """
(index) => {
  const numbers = (mark, ...names) => names.map((name) => Number(mark.getAttribute(name) ?? NaN));
  const shape = {
    circle: (m) => numbers(m, "cx", "cy", "r"),
    rect: (m) => numbers(m, "x", "y", "width", "height", "fill-opacity"),
    line: (m) => numbers(m, "x1", "y1", "x2", "y2"),
    path: (m) => m.getAttribute("d").match(/-?[0-9.]+/g)?.map(Number) ?? [],
    image: (m) => numbers(m, "x", "y", "width", "height"),
  };
  const widget = document.querySelectorAll(".mb-widget")[index];
  return [...widget.querySelectorAll("svg.mb-picture > g")].map((g) => ({
    title: g.querySelector(".mb-title")?.textContent ?? "",
    words: [...g.querySelectorAll("text:not(.mb-title)")].map((t) =>
      [t.textContent, ...numbers(t, "x", "y"), t.getAttribute("class") ?? "", t.getAttribute("text-anchor")]),
    marks: [...g.querySelectorAll(Object.keys(shape).join(","))].map((m) => {
      const { fill, stroke } = getComputedStyle(m);
      return [m.getAttribute("class") ?? "", m.tagName, shape[m.tagName](m),
        fill === "none" ? stroke : fill, m.getAttribute("href")];
    }),
  }));
}
"""  # noqa: E501
INK = "(index) => getComputedStyle(document.querySelectorAll('.mb-widget')[index].querySelector('tr.{} th')).color"  # noqa: E501
ONE = np.ones(10)


@dataclass(frozen=True)
class Picture:
    title: str
    words: list
    marks: list

    def ticks(self, axis: str) -> list[tuple[float, float]]:
        """The numbers on an axis and where they stand."""
        # a number at the left is written a little below the line that it belongs to
        anchor, place, below = {"x": ("middle", 0, 0), "y": ("end", 1, 4)}[axis]
        return [
            (float(text.replace("−", "-")), at[place] - below)
            for text, *at, kind, how in self.words
            if kind == "mb-tick" and how == anchor and re.fullmatch(r"[−.\d]+", text)
        ]

    def scale(self, axis: str, known: dict[str, float] | None = None, log: bool = False):
        """The map from data to the picture's coordinates: through the numbers at its ticks, or
        through words whose place is `known`."""
        if known is None:
            ticks = self.ticks(axis)
        else:
            ticks = [(known[text], x) for text, x, *_ in self.words if text in known]
        values, places = np.array(ticks).T
        values = np.log10(values) if log else values
        slope, offset = np.polyfit(values, places, 1)
        np.testing.assert_allclose(slope * values + offset, places, atol=1e-6)
        turned = "ρH (drag" in self.title  # there hard is on the right
        assert (slope > 0) == (axis == "x" and not turned)
        return lambda data: slope * np.asarray(data) + offset

    def find(self, kind: str) -> list[list[float]]:
        return [numbers for own, _, numbers, _, _ in self.marks if own == kind]

    def one(self, kind: str) -> list[float]:
        [numbers] = self.find(kind)
        return numbers

    def colors(self, kind: str) -> set[str]:
        return {color for own, _, _, color, _ in self.marks if own == kind}

    def image(self, number: int = 0) -> np.ndarray:
        """The pixels (height, width, 4) of an image in it, from above."""
        text = [href for _, tag, _, _, href in self.marks if tag == "image"][number]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))))


def settings(
    page: Page, index: int, count: int, seed: int, log: set[str], whole: set[str]
) -> Iterator[tuple[dict[str, float], list[Picture]]]:
    """The traits at random places of a widget's sliders, and its pictures there."""
    sliders = page.locator(".mb-widget").nth(index).locator("input[type=range]").count()
    for place in np.random.default_rng(seed).random((count, sliders)).tolist():
        [played] = page.evaluate(PLAY, [index, [place]])
        traits = {name: value(name, raw, log, whole) for name, raw in played["set"].items()}
        yield traits, [Picture(**one) for one in page.evaluate(SCENE, index)]


def points(path: list[float]) -> np.ndarray:
    return np.reshape(path, (-1, 2))


def middle(rect: list[float]) -> list[float]:
    x, y, width, height, _ = rect
    return [x + width / 2, y + height / 2]


def has_its_color(page: Page, index: int, pictures: list[Picture], *kinds: str) -> None:
    """NAL's marks have the color of NAL's row in the table of numbers, MAML's that of MAML's."""
    for name in ("nal", "maml"):
        own = {ink for each in pictures for kind in kinds for ink in each.colors(f"{kind} {name}")}
        assert own == {page.evaluate(INK.replace("{}", name), index)}, name


def is_drawn(curve: list[float], x, y, expected: Callable[[float], float], inverse) -> None:
    """A curve goes through the values of a function, at every tenth of its points."""
    for across, up in points(curve)[::10]:
        assert up == pytest.approx(y(expected(inverse(across))), abs=0.02)
    assert len(points(curve)) > 100


def along(x, a: float, b: float):
    """The inverse of a map from data to the picture, which is linear."""
    left, right = x(a), x(b)
    return lambda place: a + (place - left) / (right - left) * (b - a)


@at(desk("chapters/hardness.html"))
def test_two_tasks_on_a_line(look, open_page: OpenPage):
    page = open_page(look)
    for traits, (before, after, sweep) in settings(page, 0, 5, 11, {"m"}, {"m", "d"}):
        rho_hard, m, d, alpha, distance = traits.values()
        half, unit = distance / 2, np.ones(d) / np.sqrt(d)

        def at_hardness(rho, d=d, half=half, unit=unit, alpha=alpha, m=m):
            env = two_tasks(rho, 1.0, half * unit, -half * unit)
            return env, {"nal": nal_solution(env), "maml": maml_solution(env, alpha, m)}

        env, starts = at_hardness(rho_hard)
        for picture, step in ((before, 1e-12), (after, alpha)):  # nearly no step: the loss before
            x = picture.scale("x", {"hard task": half, "easy task": -half})
            y = picture.scale("y")

            def risk(w, step=step, env=env, unit=unit, m=m):
                return excess_risk(env, w * unit, step, m)

            is_drawn(picture.one("mb-curve ink"), x, y, risk, along(x, -half, half))
            for kind, place in (("hard", half), ("easy", -half)):
                assert picture.one(f"mb-rule {kind}")[::2] == pytest.approx([x(place)] * 2)
            nal, maml = middle(picture.one("mb-dot nal")), picture.one("mb-dot maml")[:2]
            for drawn, w in ((nal, starts["nal"] @ unit), (maml, starts["maml"] @ unit)):
                assert drawn == pytest.approx([x(w), y(risk(w))], abs=1e-3)
        x, y = sweep.scale("x"), sweep.scale("y")
        assert x(0.0) > x(1.0) and sweep.one("mb-rule ink")[0] == pytest.approx(x(rho_hard))
        for name in ("nal", "maml"):

            def left(rho, name=name, alpha=alpha, m=m):
                env, starts = at_hardness(max(rho, 1e-3))
                return excess_risk(env, starts[name], alpha, m)

            is_drawn(sweep.one(f"mb-curve {name}"), x, y, left, along(x, 1.0, 0.0))
            dot = sweep.one(f"mb-dot {name}")
            dot = middle(dot) if name == "nal" else dot[:2]
            assert dot == pytest.approx([x(rho_hard), y(left(rho_hard))], abs=1e-3)
        has_its_color(page, 0, [before, after, sweep], "mb-dot")
        has_its_color(page, 0, [sweep], "mb-curve")


@at(desk("intro.html"))
def test_the_first_page_s_picture(look, open_page: OpenPage):
    page = open_page(look)
    page.wait_for_selector("#opening .mb-sentence[aria-live=polite]")  # it has played
    unit = ONE / np.sqrt(10)
    for traits, (picture,) in settings(page, 0, 4, 12, set(), set()):
        env, half = two_tasks(traits["rho_hard"], 1.0, ONE, -ONE), np.sqrt(10)
        x = picture.scale("x", {"hard task": half, "easy task": -half})
        y = picture.scale("y")

        def risk(w, env=env):
            return excess_risk(env, w * unit, 1.0, 2000)

        is_drawn(picture.one("mb-curve ink"), x, y, risk, along(x, -half, half))
        for name, w in (("nal", nal_solution(env)), ("maml", maml_solution(env, 1.0, 2000))):
            dot = picture.one(f"mb-dot {name}")
            dot = middle(dot) if name == "nal" else dot[:2]
            assert dot == pytest.approx([x(w @ unit), y(risk(w @ unit))], abs=1e-3)
            [word] = [own for own in picture.words if own[3] == f"mb-word {name}"]
            assert name.upper() in word[0] and word[1] == pytest.approx(dot[0])


@at(desk("chapters/geography.html"))
def test_crowds_and_risks(look, open_page: OpenPage):
    page = open_page(look)
    crowds = []
    for traits, (map_, bars) in settings(page, 0, 6, 13, {"r_hard", "r_easy", "m"}, {"m"}):
        R, r_hard, r_easy, rho_hard, rho_easy, m = traits.values()
        env = easy_and_hard(rho_hard, rho_easy, R, r_hard, r_easy, d=10)
        x, y = map_.scale("x"), map_.scale("y")
        back = along(x, 0.0, 4.0), along(y, 0.0, 4.0)
        for kind, center, r in (("easy", 0.0, r_easy), ("hard", R, r_hard)):
            dots = np.array(map_.find(f"mb-task {kind}"))[:, :2]
            assert len(dots) == 60
            place = np.stack([side(dots[:, k]) for k, side in enumerate(back)], 1)
            crowds.append((kind, (place - center) / np.sqrt(r)))
            [ring] = [one for one in map_.find(f"mb-ring {kind}") if len(one) == 3]
            expected = [x(center), y(center), x(np.sqrt(r)) - x(0)]
            assert ring == pytest.approx(expected, abs=1e-3)
        heights = bars.scale("y")
        for k, (name, (w, risk)) in enumerate(geography.both(env, 1 / rho_easy, m).items()):
            dot = map_.one(f"mb-dot {name}")
            dot = middle(dot) if name == "nal" else dot[:2]
            assert dot == pytest.approx([x(w[0]), y(w[0])], abs=1e-3)
            away = w - env.centres[0]
            q = q_matrix(env.covariances, 1 / rho_easy, m)[0]
            share = 0.25 * (away @ q @ away + np.trace(q @ env.spreads[0]))
            low, high = bars.find("mb-bar hard")[k], bars.find("mb-bar easy")[k]
            [word] = [x for text, x, *_ in bars.words if text == name.upper()]
            assert word == pytest.approx(middle(low)[0]) == middle(high)[0]
            assert low[1:2] == pytest.approx([heights(share)], abs=1e-3)
            assert low[1] + low[3] == pytest.approx(heights(0.0), abs=1e-3)
            assert high[1] == pytest.approx(heights(risk), abs=1e-3)
            assert high[1] + high[3] == pytest.approx(low[1], abs=1e-3)
        assert bool(map_.find("mb-outside")) == (rho_hard > rho_easy)
        has_its_color(page, 0, [map_], "mb-dot")
    for kind in ("easy", "hard"):  # the same draws, wherever their crowd stands
        first, *others = [place for own, place in crowds if own == kind]
        assert np.abs(first.mean(0)).max() < 0.4 and np.abs(first.std(0) - 1).max() < 0.25
        for other in others:
            np.testing.assert_allclose(other, first, atol=1e-6)


@at(desk("chapters/geography.html"))
def test_the_map_of_the_gain(look, open_page: OpenPage):
    page = open_page(look)
    log = {"x", "packing", "m", "spread"}
    for traits, (map_,) in settings(page, 1, 4, 14, log, {"m"}):
        own, packing, m, spread = traits.values()
        x, y = map_.scale("x", log=True), map_.scale("y", log=True)
        back = along(x, -2.0, 0.0), along(y, -1.0, 2.0)
        cells = map_.find("mb-heat")
        assert len(cells) == 32 * 24
        for cell in cells[::7]:
            place, above = (10 ** side(v) for side, v in zip(back, middle(cell), strict=True))
            env = easy_and_hard(place, 1.0, 1.0, 1 / above, spread, d=10)
            shade = min(1.0, np.log(geography.gain(env, 1.0, m)) / np.log(12))
            assert cell[4] == pytest.approx(shade, abs=1e-3)
        covered = np.array(cells)
        assert (covered[:, 2] * covered[:, 3]).sum() == pytest.approx(
            (x(0) - x(-2)) * (y(-1) - y(2)), rel=1e-6
        )
        grid = np.logspace(-2, 0, 20_001)
        inside = grid * (1 - grid) ** 2 * m >= 10  # the paper's condition
        edges = np.log10(grid[1:][inside[1:] != inside[:-1]])
        rules = [rule[0] for rule in map_.find("mb-rule ink")]
        assert rules == pytest.approx(x(edges).tolist(), abs=1)  # drawn on a grid of 400
        dot = map_.one("mb-dot maml")[:2]
        assert dot == pytest.approx([x(np.log10(own)), y(np.log10(packing))], abs=1e-3)


LEVELS = 12  # between the lowest and the highest square root
CENTERS = -0.5 + 4 * (np.arange(32) + 0.5) / 32


def is_the_landscape(picture: Picture, loss: Callable[[np.ndarray], np.ndarray]) -> None:
    """The shades and contours are those of the square root of a loss above its least."""
    grid = np.stack(np.meshgrid(CENTERS, CENTERS), -1)  # [row, column] is (w1, w2)
    values = loss(grid)
    root = np.sqrt(values - values.min())
    shade = picture.image()[::-1, :, 3] / 200  # from below
    np.testing.assert_allclose(shade, root / root.max(), atol=0.01)
    x, y = picture.scale("x"), picture.scale("y")
    [frame] = [own for _, tag, own, _, _ in picture.marks if tag == "image"]
    assert frame == pytest.approx([x(-0.5), y(3.5), x(3.5) - x(-0.5), y(-0.5) - y(3.5)])
    lines = points(picture.one("mb-contour"))[::9] / 10
    w = np.stack([along(x, 0.0, 3.0)(lines[:, 0]), along(y, 0.0, 3.0)(lines[:, 1])], -1)
    level = LEVELS * np.sqrt(np.maximum(loss(w) - values.min(), 0)) / root.max()
    assert np.abs(level - level.round())[level > 1.5].max() < 0.12
    assert set(level.round()) >= set(range(2, LEVELS))


def has_the_tasks(picture: Picture, starts: dict[str, np.ndarray]) -> None:
    """A star at each optimum, and both minimizers."""
    x, y = picture.scale("x"), picture.scale("y")
    stars = [*picture.find("mb-optimum easy"), *picture.find("mb-optimum hard")]
    for star, place in zip(stars, ((1, 1), (1, 2), (2, 1), (2, 2)), strict=True):
        assert points(star).mean(0) == pytest.approx([x(place[0]), y(place[1])], abs=1e-3)
    for name, w in starts.items():
        dot = picture.one(f"mb-dot {name}")
        dot = middle(dot) if name == "nal" else dot[:2]
        assert dot == pytest.approx([x(w[0]), y(w[1])], abs=1e-3)


@at(desk("chapters/two_layer_net.html"))
def test_landscapes_of_four_neurons(look, open_page: OpenPage):
    page = open_page(look)
    for place in ((0.2, 0.6), (0.5, 0.4), (1.0, 0.3)):
        [played] = page.evaluate(PLAY, [0, [place]])
        _, both, starts = four_neurons(*played["set"].values())
        pictures = [Picture(**one) for one in page.evaluate(SCENE, 0)]
        for name, picture in zip(("nal", "maml"), pictures, strict=True):
            assert picture.title.startswith(name.upper())
            is_the_landscape(picture, both[name].loss)
            has_the_tasks(picture, starts)
        has_its_color(page, 0, pictures, "mb-dot")


@at(desk("chapters/two_layer_net.html"))
def test_one_step_of_four_neurons(look, open_page: OpenPage):
    page = open_page(look)
    for place in ((0.25, 0.9, 0.2, 0.6), (0.8, 0.1, 0.5, 0.4)):
        [played] = page.evaluate(PLAY, [1, [place]])
        w1, w2, hard_variance, alpha = played["set"].values()
        losses, both, starts = four_neurons(hard_variance, alpha)
        map_, bars = (Picture(**one) for one in page.evaluate(SCENE, 1))
        is_the_landscape(map_, both["maml"].loss)
        has_the_tasks(map_, starts)
        x, y, heights = map_.scale("x"), map_.scale("y"), bars.scale("y")
        w = np.array([w1, w2])
        assert map_.one("mb-start")[:2] == pytest.approx([x(w1), y(w2)])
        steps = [*map_.find("mb-step easy"), *map_.find("mb-step hard")]
        ends = [*map_.find("mb-bar easy"), *map_.find("mb-bar hard")]
        columns = [*bars.find("mb-bar easy"), *bars.find("mb-bar hard")]
        for k, (f, adapted) in enumerate(zip(losses, both["maml"].losses, strict=True)):
            to = adapted.step(w)
            assert steps[k] == pytest.approx([x(w1), y(w2), x(to[0]), y(to[1])], abs=1e-3)
            assert ends[k][:2] == pytest.approx(steps[k][2:])
            before, after = columns[2 * k : 2 * k + 2]
            for bar, height in ((before, f.loss(w)), (after, f.loss(to))):
                top = [heights(height), heights(0.0)]
                assert [bar[1], bar[1] + bar[3]] == pytest.approx(top, abs=1e-3)
            assert before[4] < 1 and np.isnan(after[4])  # pale before


def grey(z: np.ndarray, rho: float) -> np.ndarray:
    """A glyph at the contrast rho, black on white, from 0 to 255."""
    mean = shift(Pen()).mean
    side = Pen().side
    picture = draw(Pen(), z[None]).astype(float)[0]
    return 255 * (1 - (mean + np.sqrt(rho) * (picture - mean))).reshape(side, side)


@at(desk("chapters/world.html"))
def test_a_world_with_dials(look, open_page: OpenPage):
    page = open_page(look)
    grid, record = World(), records.load("world")
    rows = record.rows
    totals = rows[rows["part"] == "total"].reset_index(drop=True)
    shown = normals(48, 7).reshape(8, 6)
    cloud = normals(160, 20220811).reshape(40, 2, 2)
    # the middle of the dials, where networks were trained, and a corner where none were
    for marks in ((2, 4, 2, 0), (0, 4, 2, 1), (0, 0, 0, 0)):
        sizes = [len(grid.hardnesses), len(grid.packings), len(grid.samples), 2]
        places = [mark / (size - 1) for mark, size in zip(marks, sizes, strict=True)]
        page.evaluate(PLAY, [0, [places]])
        strips, plane, four, bars, curves = (Picture(**one) for one in page.evaluate(SCENE, 0))
        place = Place(
            grid.hardnesses[marks[0]],
            grid.packings[marks[1]],
            grid.samples[marks[2]],
            "dense-biases" if marks[3] else "dense",
        )
        own = np.all([totals[name] == each for name, each in vars(place).items()], axis=0)
        trained = totals[own]

        for k in range(6):  # easy above, hard below
            for line, rho in enumerate((1.0, place.hardness)):
                drawn = strips.image(6 * line + k)
                assert (drawn[..., 3] == 255).all()
                expected = grey(shown[k], rho).clip(0, 255)
                np.testing.assert_allclose(drawn[..., 0], expected, atol=1)

        env = place.setting.environment
        x = plane.scale("x", {"easy": 0.0, "hard": 1.0})
        level = plane.find("mb-grid")[0][1]
        for k, (kind, center) in enumerate((("hard", 1.0), ("easy", 0.0))):
            r = env.spreads[k][0, 0]
            expected = [center, 0.0] + np.sqrt(r) * cloud[:, k]
            seen = (expected[:, 0] > -0.7) & (expected[:, 0] < 2) & (np.abs(expected[:, 1]) < 1.1)
            dots = np.array(plane.find(f"mb-task {kind}"))[:, :2]
            np.testing.assert_allclose(dots[:, 0], x(expected[seen, 0]), atol=1e-3)
            up = np.polyfit(expected[seen, 1], dots[:, 1], 1)
            assert up[0] < 0 and up[1] == pytest.approx(level, abs=1e-3)
        c = env.centres[0]
        crosses = {name: points(plane.one(f"mb-cross {name}")).mean(0) for name in ("nal", "maml")}
        assert crosses["nal"] == pytest.approx([x(nal_solution(env) @ c), level], abs=1e-3)
        theory = predicted(place)
        positions = rows[(rows["part"] == "position")]
        mean = positions[
            np.all([positions[name] == each for name, each in vars(place).items()], axis=0)
        ]["position"].mean()
        found = [dot[0] for dot in plane.find("mb-dot maml")]
        assert found == pytest.approx(x(trained["position"]).tolist(), abs=1e-3)
        squares = [middle(dot)[0] for dot in plane.find("mb-dot nal")]
        assert squares == pytest.approx([x(mean)] if len(trained) else [], abs=1e-3)

        assert len(four.find("mb-heat")) == (4 if len(trained) else 0)
        if len(trained):
            risks = record.arrays["risks"][np.flatnonzero(own)].mean(0)
            drawn = np.array([cell[4] for cell in four.find("mb-heat")]).reshape(2, 2)
            np.testing.assert_allclose(drawn, 0.75 * risks / risks.max(), rtol=1e-3)
            (left, top), (_, low) = (four.find("mb-heat")[k][:2] for k in (0, 3))
            assert top < low and four.find("mb-heat")[1][0] > left  # a row for each function
            words = {text: at for text, *at, _, _ in four.words}
            for k, name in enumerate(("NAL", "MAML")):  # beside a row, above a column
                row, column = (middle(four.find("mb-heat")[cell]) for cell in (2 * k, k))
                assert abs(words[name][1] - row[1]) < 20
                assert words[f"{name}’s kernel"][0] == pytest.approx(column[0])
            speeds = record.arrays["speeds"][np.flatnonzero(own)]
            ordered = -np.sort(-speeds, axis=2).mean(0)
            heights = bars.scale("y")
            for name, line in zip(("nal", "maml"), ordered, strict=True):
                columns = bars.find(f"mb-bar {name}")
                assert [bar[1] for bar in columns] == pytest.approx(
                    heights(np.minimum(line, 2.5)).tolist(), abs=0.1
                )
                assert (np.diff([bar[0] for bar in columns]) > 0).all()

        x, y = curves.scale("x", log=True), curves.scale("y")
        assert curves.one("mb-rule ")[0] == pytest.approx(x(np.log10(place.hardness)))
        line = points(curves.one("mb-curve"))
        for across, up in line[[5, 40, 75, 110]]:
            hardness = 10 ** along(x, -1.0, 0.0)(across)
            other = Place(float(hardness), place.packing, place.m, place.network)
            assert up == pytest.approx(y(predicted(other)["position"]), abs=0.5)
        at_mark = np.interp(x(np.log10(place.hardness)), line[:, 0], line[:, 1])
        assert at_mark == pytest.approx(y(theory["position"]), abs=1.0)
        beside = positions[
            (positions["packing"] == place.packing)
            & (positions["m"] == place.m)
            & (positions["network"] == place.network)
        ]
        gains = beside.groupby("hardness")["gain"].mean()
        dots = sorted(dot[:2] for dot in curves.find("mb-dot maml"))
        expected = sorted([x(np.log10(h)), y(gain)] for h, gain in gains.items())
        np.testing.assert_allclose(
            np.reshape(dots, (-1, 2)), np.reshape(expected, (-1, 2)), atol=0.01
        )


@at(desk("chapters/world.html"))
def test_what_a_pair_says_of_a_glyph(look, open_page: OpenPage):
    page = open_page(look)
    for place in np.random.default_rng(15).random((4, 7)).tolist():
        [played] = page.evaluate(PLAY, [1, [place]])
        *z, hard = played["set"].values()
        shown = {name: np.clip(number, -2, 2) for name, number, _ in played["shown"]}
        drawn, line = (Picture(**one) for one in page.evaluate(SCENE, 1))
        expected = grey(np.array(z), (1.0, CENTRE[0])[int(hard)]).clip(0, 255)
        np.testing.assert_allclose(drawn.image()[..., 0], expected, atol=1)
        x = line.scale("x")
        kind = "hard" if hard else "easy"
        assert line.one(f"mb-rule {kind}")[0] == pytest.approx(x(shown["label"]))
        ups = []
        for name in ("nal", "maml"):
            before, after = x(shown[f"{name}_before"]), x(shown[f"{name}_after"])
            assert line.one(f"mb-dot {name} pale")[0] == pytest.approx(before)
            dot = line.one(f"mb-dot {name}")
            dot = middle(dot) if name == "nal" else dot[:2]
            assert dot[0] == pytest.approx(after)
            assert line.one(f"mb-way {name}")[::2] == pytest.approx([before, after])
            ups.append(dot[1])
        assert ups[0] < ups[1]  # NAL above, as in the table


@at(desk("chapters/your_tasks.html"))
def test_the_plane_of_tasks(look, open_page: OpenPage):
    page = open_page(look)
    widget = page.locator(".mb-own")
    widget.get_by_role("button", name="radon").click()
    page.wait_for_selector(".mb-own circle")
    discs = widget.locator("circle").evaluate_all(
        "discs => discs.map(d => [d.dataset.before, d.dataset.left, d.dataset.change].map(Number))"
    )
    before, left, change = np.array(discs).T  # compared with Python's in test_own_tasks.py
    [plane] = (Picture(**one) for one in page.evaluate(SCENE, 0))
    drawn = np.array([numbers for _, tag, numbers, _, _ in plane.marks if tag == "circle"])
    for column, values, direction in ((0, before, 1), (1, left, -1)):  # a tick may stand alone
        logs = np.log10(np.maximum(values, 1e-6))
        slope, offset = np.polyfit(logs, drawn[:, column], 1)
        assert slope * direction > 0
        np.testing.assert_allclose(slope * logs + offset, drawn[:, column], atol=1e-3)
        ticks = plane.ticks("xy"[column])
        assert ticks
        for number, place in ticks:
            assert place == pytest.approx(slope * np.log10(number) + offset, abs=1e-3)
    areas = (drawn[:, 2] - 1.5) ** 2
    np.testing.assert_allclose(
        areas / areas.max(), np.abs(change) / np.abs(change).max(), atol=1e-6
    )
    kinds = [own for own, tag, *_ in plane.marks if tag == "circle"]
    assert kinds == [f"mb-disc {'helped' if each > 0 else 'hurt'}" for each in change]
    assert len(set(kinds)) == 2
