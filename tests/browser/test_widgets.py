"""The moving pictures against Python: every number they show, at a hundred settings each."""

import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from mamlbook.experiments import geography
from mamlbook.experiments.neuron import Fig4, objectives, task_losses
from mamlbook.landscape import lowest
from mamlbook.linear import (
    easy_and_hard,
    excess_risk,
    maml_solution,
    nal_solution,
    q_matrix,
    sgd_mean,
    two_tasks,
)

from .conftest import Look, OpenPage, at, desk, phone

# Set every slider where it is asked to, draw what waits for the next frame, read what is shown and
# what was set.
PLAY = """
([index, places]) => {
  const waiting = [];
  const ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (draw) => waiting.push(draw);
  const widget = document.querySelectorAll(".mb-widget")[index];
  const inputs = [...widget.querySelectorAll("input[type=range]")];
  const results = [];
  for (const place of places) {
    inputs.forEach((input, i) => {
      const [low, high] = [Number(input.min), Number(input.max)];
      input.value = low + place[i] * (high - low);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    waiting.splice(0).forEach((draw) => draw(performance.now()));
    results.push({
      set: Object.fromEntries(inputs.map((input) => [input.dataset.name, Number(input.value)])),
      said: Object.fromEntries(inputs.map((input) => [input.dataset.name, input.ariaValueText])),
      shown: [...widget.querySelectorAll("data")].map(
        (data) => [data.dataset.name, Number(data.value), data.textContent]),
    });
  }
  window.requestAnimationFrame = ask;
  return results;
}
"""


def hardness(rho_hard, m, d, alpha, distance):
    """What the Hardness widget shows, from the general linear object."""
    half = distance / 2
    away = np.full(d, half / np.sqrt(d))
    env = two_tasks(rho_hard, 1.0, away, -away)
    found = {}
    risks = {}
    for name, w in (("nal", nal_solution(env)), ("maml", maml_solution(env, alpha, m))):
        risks[name] = excess_risk(env, w, alpha, m)
        position = w @ away / np.linalg.norm(away)
        found |= {name: position, f"{name}_to_hard": half - position, f"{name}_risk": risks[name]}
    return found | {"ratio": risks["nal"] / risks["maml"]}


def descent(step, rho_hard, rate, x, y):
    """What the Descent widget shows: the means of SGD, which are gradient descent, in Figure 2's
    environment seen from the first initialization."""
    one = np.ones(10)
    start = x * one + y * np.tile([1.0, -1.0], 5)
    env = two_tasks(rho_hard, 1.0, one - start, -one - start)
    k, part = divmod(step, 1)

    def after(alpha: float | None, steps: float) -> np.ndarray:
        return sgd_mean(env, alpha=alpha, n2=2000, rate=rate, iterations=int(steps))

    found, risks = {}, {}
    for name, alpha, goal in (
        ("nal", None, nal_solution(env)),
        ("maml", 1.0, maml_solution(env, 1.0, 2000)),
    ):
        way = min(2 * part, 1)  # the first half of a step moves the initialization
        w = (1 - way) * after(alpha, k) + way * after(alpha, min(k + 1, 60))
        risks[name] = excess_risk(env, w, 1.0, 2000)
        risks[f"{name}_best"] = excess_risk(env, goal, 1.0, 2000)
        place = w + start
        found |= {f"{name}_x": place[::2].mean() / 2 + place[1::2].mean() / 2}
        found |= {f"{name}_y": place[::2].mean() / 2 - place[1::2].mean() / 2}
        found |= {f"{name}_risk": risks[name], f"{name}_best": risks[f"{name}_best"]}
    found["limit"] = risks["nal_best"] / risks["maml_best"]
    return found | {"ratio": risks["nal"] / risks["maml"]}


def landscape(R, r_hard, r_easy, rho_hard, rho_easy, m):
    """What the Geography widget shows."""
    env = easy_and_hard(rho_hard, rho_easy, R, r_hard, r_easy, d=10)
    alpha = 1 / rho_easy
    curvatures = q_matrix(env.covariances, alpha, m)
    found = {"estimate": 1 + R**2 / r_hard}
    starts = geography.both(env, alpha, m)
    for name, (w, risk) in starts.items():
        for kind, q, centre, spread in zip(
            ("hard", "easy"), curvatures, env.centres, env.spreads, strict=True
        ):
            away = w - centre
            found[f"{name}_{kind}"] = 0.25 * (away @ q @ away + np.trace(q @ spread))
        found |= {f"{name}_coordinate": w[0], f"{name}_risk": risk}
    return found | {"gain": starts["nal"][1] / starts["maml"][1]}


def gain_map(x, packing, m, spread):
    """What the GainMap widget shows."""
    gain = geography.gain(easy_and_hard(x, 1.0, 1.0, 1 / packing, spread, d=10), 1.0, m)
    cost = geography.cost_ratio(25, m)
    margin = x * (1 - x) ** 2 * m / 10
    numbers = {"gain": gain, "cost": cost, "estimate": 1 + packing, "margin": margin}
    return numbers | {"gain_again": gain, "cost_again": cost}


@cache
def four_neurons(hard_variance, alpha):
    """Our Figure 4 (c, d): the task losses, both objectives, both minimisers."""
    losses = task_losses(Fig4(hard_variance=hard_variance).environments()["cd"], "softplus")
    both = objectives(losses, alpha)
    starts = {name: lowest(objective, 4.0, points=31) for name, objective in both.items()}
    assert all(len(start) == 1 for start in starts.values())
    return losses, both, {name: start[0] for name, start in starts.items()}


def landscapes(hard_variance, alpha):
    """What the Landscapes widget shows."""
    _, both, starts = four_neurons(hard_variance, alpha)
    found = {}
    for name, w in starts.items():
        assert w[0] == pytest.approx(w[1], abs=1e-7)  # the widget's "w₁ = w₂"
        found |= {f"{name}_w": w[0], f"{name}_to_hard": np.linalg.norm(w - 2.0)}
        found |= {f"{name}_before": both["nal"].loss(w), f"{name}_after": both["maml"].loss(w)}
    return found | {"gain": found["nal_after"] / found["maml_after"]}


def adaptation(w1, w2, hard_variance, alpha):
    """What the Adaptation widget shows."""
    losses, both, starts = four_neurons(hard_variance, alpha)
    w = np.array([w1, w2])
    found = {}
    for i, (f, adapted) in enumerate(zip(losses, both["maml"].losses, strict=True), 1):
        found |= {f"w1_{i}": adapted.step(w)[0], f"w2_{i}": adapted.step(w)[1]}
        found |= {f"before_{i}": f.loss(w), f"after_{i}": adapted.loss(w)}
    found |= {"before": both["nal"].loss(w), "after": both["maml"].loss(w)}
    found |= {name: both["maml"].loss(start) for name, start in starts.items()}
    return found | {"left": found["after"]}


# page, index of the widget on it, traits on a log scale, whole numbers, the Python side
WIDGETS = {
    "hardness": ("hardness", 0, {"m"}, {"m", "d"}, hardness),
    "descent": ("hardness", 1, set(), set(), descent),
    "geography": ("geography", 0, {"r_hard", "r_easy", "m"}, {"m"}, landscape),
    "gain": ("geography", 1, {"x", "packing", "m", "spread"}, {"m"}, gain_map),
    "landscapes": ("two_layer_net", 0, set(), set(), landscapes),
    "adaptation": ("two_layer_net", 1, set(), set(), adaptation),
}
# Milliseconds: a redraw fits between two frames, but for landscapes, which are integrals of
# integrals at a thousand points.
REDRAW = {"landscapes": 50, "adaptation": 50}


TURNED = {"rho_hard", "rho_easy"}  # sliders from easy, on the left, to hard


def value(name: str, raw: float, log: set[str], whole: set[str]) -> float:
    """A slider's trait from its input's value, as kit.js reads it."""
    number = 10**raw if name in log else -raw if name in TURNED else raw
    return int(np.floor(number + 0.5)) if name in whole else float(f"{number:.6g}")


def on(*kinds: Callable[[str], Look]) -> pytest.MarkDecorator:
    """Every widget, on each of these looks at its page."""
    pairs = [
        (widget, kind(f"chapters/{page}.html"))
        for kind in kinds
        for widget, (page, *_) in WIDGETS.items()
    ]
    return pytest.mark.parametrize(("widget", "look"), pairs, ids=str)


@on(phone)
def test_every_number_shown_is_pythons(widget, look, open_page: OpenPage):
    _, index, log, whole, compute = WIDGETS[widget]
    page = open_page(look)
    inputs = page.locator(".mb-widget").nth(index).locator("input[type=range]")
    # Widgets that end in the same sliders are set alike, so that Python solves them once.
    places = np.random.default_rng(7).random((100, 5))[:, -inputs.count() :].tolist()
    results = page.evaluate(PLAY, [index, places])
    settings = set()
    for result in results:
        traits = {name: value(name, raw, log, whole) for name, raw in result["set"].items()}
        settings.add(tuple(traits.values()))
        expected = compute(**traits)
        shown = {name: number for name, number, _ in result["shown"]}
        assert set(shown) == set(expected)
        for name, number in shown.items():
            assert number == pytest.approx(expected[name], rel=1e-6, abs=1e-9), (name, traits)
        for name, number, text in result["shown"]:
            read = text.replace("−", "-").replace(" × 10", "e")
            read = read.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
            assert float(read) == pytest.approx(number, rel=6e-3, abs=1e-300), name
    assert len(settings) == 100


@on(phone)
def test_keys_mouse_and_touch_move_it(widget, look, open_page: OpenPage):
    page = open_page(look)
    frame = page.locator(".mb-widget").nth(WIDGETS[widget][1])
    slider = frame.locator("input[type=range]").first
    slider.scroll_into_view_if_needed()
    sentence = frame.locator(".mb-sentence")

    def after(act: Callable[[], None]) -> None:
        before = (slider.input_value(), frame.locator(".mb-table").inner_text())
        act()
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
        now = (slider.input_value(), frame.locator(".mb-table").inner_text())
        assert now[0] != before[0] and now[1] != before[1]

    slider.focus()
    page.keyboard.press("Home")  # wherever an earlier test has left it
    after(lambda: page.keyboard.press("PageUp"))
    after(lambda: page.keyboard.press("End"))
    box = slider.bounding_box()
    after(lambda: page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2))
    after(lambda: page.touchscreen.tap(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2))
    assert sentence.get_attribute("aria-live") == "polite"


@on(desk)
def test_it_redraws_at_once(widget, look, open_page: OpenPage):
    """The median redraw, script alone."""
    page = open_page(look)
    times = page.evaluate(
        """
        async (index) => {
          const widget = document.querySelectorAll(".mb-widget")[index];
          const input = widget.querySelector("input[type=range]");
          const queued = [];
          const ask = window.requestAnimationFrame;
          window.requestAnimationFrame = (callback) => queued.push(callback);
          const times = [];
          for (let i = 0; i < 41; i += 1) {
            input.value = Number(input.min) + (i / 41) * (Number(input.max) - Number(input.min));
            input.dispatchEvent(new Event("input", { bubbles: true }));
            const start = performance.now();
            queued.splice(0).forEach((callback) => callback(start));
            times.push(performance.now() - start);
          }
          window.requestAnimationFrame = ask;
          return times;
        }
        """,
        WIDGETS[widget][1],
    )
    assert max(times) > 0
    assert np.median(times) < REDRAW.get(widget, 16)


@at(desk("chapters/hardness.html"))
def test_the_sentence_says_where_mamls_initialization_is(look, open_page: OpenPage):
    page = open_page(look)
    sentence = page.locator(".mb-widget .mb-sentence").first
    starts = {(0.75, 0.5): "nearer the hard", (1.0, 0.5): "nearer the easy", (0.0, 1.0): "halfway"}
    for (rho_hard, m), place in starts.items():
        page.evaluate(PLAY, [0, [[rho_hard, m, 0.2, 0.5, 0.5]]])
        assert sentence.inner_text().startswith(f"MAML’s initialization is {place}")


MOVED = ["intro.html", *(f"chapters/{name}.html" for name in ("hardness", "geography"))]


@at(*map(desk, MOVED))
def test_hardness_runs_from_easy_on_the_left_to_hard_on_the_right(look, open_page: OpenPage):
    page = open_page(look)
    hardness = page.locator("input[type=range]:is([data-name=rho_hard], [data-name=rho_easy])")
    assert hardness.count()
    for slider in hardness.all():
        assert slider.evaluate("input => input.labels[0].innerText").startswith("hardness of")
        slider.focus()
        seen = []
        for key in ("Home", "ArrowRight", "End"):
            page.keyboard.press(key)
            frame(page)
            seen.append((float(slider.get_attribute("aria-valuetext")), slider.input_value()))
        assert [rho for rho, _ in seen] == [1.0, 0.99, 0.01]
        assert [float(at) for _, at in seen] == [-1.0, -0.99, -0.01]  # of which the left is least
    line = page.locator(".mb-sweep .mb-handle")
    for handle in line.all():  # the picture beside runs the same way
        places = []
        for key in ("Home", "End"):
            hardness.first.focus()
            page.keyboard.press(key)
            frame(page)
            places.append(handle.bounding_box()["x"])
        assert places[0] < places[1]


# What each box is to take, more exactly than its slider could stand.
TYPED = {
    "hardness": {"rho_hard": 0.1234, "m": 777, "d": 7, "alpha": 0.771, "distance": 3.217},
    "descent": {"step": 12.345, "rho_hard": 0.1234, "rate": 0.771, "x": 0.4321, "y": 0.9876},
    "geography": {
        "R": 1.2345, "r_hard": 0.12345, "r_easy": 1.2345,
        "rho_hard": 0.1234, "rho_easy": 0.8765, "m": 321,
    },
    "gain": {"x": 0.123456, "packing": 7.89, "m": 321, "spread": 0.4567},
    "landscapes": {"hard_variance": 0.4321, "alpha": 1.2345},
    "adaptation": {"w1": -0.1234, "w2": 3.2109, "hard_variance": 0.4321, "alpha": 1.2345},
}  # fmt: skip


@on(desk, phone)
def test_every_value_can_be_typed(widget, look, open_page: OpenPage):
    """Also that of what is dragged; and the numbers are Python's."""
    _, index, _, _, compute = WIDGETS[widget]
    page = open_page(look)
    own = page.locator(".mb-widget").nth(index)
    for name, value in TYPED[widget].items():
        box = own.locator(f"[data-box={name}]")
        box.fill(str(value).replace("-", "−"))
        box.press("Enter")
        assert box.evaluate("box => box === document.activeElement")
    frame(page)
    ranges = own.locator("input[type=range]")
    assert {one.get_attribute("data-name") for one in ranges.all()} == set(TYPED[widget])
    expected = compute(**TYPED[widget])
    shown = {each.get_attribute("data-name"): each for each in own.locator("data").all()}
    assert set(shown) == set(expected)
    for name, number in shown.items():
        value = float(number.get_attribute("value"))
        assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-9), name
    for name, value in TYPED[widget].items():
        assert own.locator(f"[data-box={name}]").input_value().replace("−", "-") == str(value)


BOXED = [
    *MOVED,
    *(f"chapters/{name}.html" for name in ("two_layer_net", "gradient_norms", "omniglot", "world")),
]


# Draw not at the next frame but when asked: each frame of a long page takes a tenth of a second.
HOLD = """
() => {
  const ask = window.requestAnimationFrame, waiting = [];
  window.requestAnimationFrame = (draw) => waiting.push(draw);
  window.draw = () => waiting.splice(0).forEach((one) => one(performance.now()));
  window.release = () => { window.draw(); window.requestAnimationFrame = ask; };
}
"""
# What a slider says and what its box does, whose text the next key replaces.
BOX = """
(slider) => {
  window.draw();
  const [dial, box, refusal] = ["input[type=range]", ".mb-box", ".mb-refusal"].map(
    (part) => slider.querySelector(part));
  const { width, height } = box.getBoundingClientRect(), active = box === document.activeElement;
  if (active) box.select();
  return {
    size: Math.min(width, height), label: box.ariaLabel, said: dial.ariaValueText, box: box.value,
    active, invalid: box.ariaInvalid, answer: refusal.innerText, role: refusal.role,
  };
}
"""


@at(*(kind(name) for name in BOXED for kind in (desk, phone)))
def test_a_box_takes_what_its_slider_says_and_answers_the_rest_in_a_sentence(look, open_page):
    page = open_page(look)
    sliders = page.locator(".mb-slider").element_handles()
    assert len(sliders) == page.locator(".mb-widget input[type=range]").count() > 0
    page.evaluate(HOLD)
    for slider in sliders:
        slider.query_selector("input[type=range]").focus()
        page.keyboard.press("Home")
        low = slider.evaluate(BOX)
        page.keyboard.press("End")
        high = slider.evaluate(BOX)
        assert low["size"] >= 44
        assert re.search(r"\w{3}.*: type a value$", low["label"])
        assert low["box"] != high["box"] == high["said"]
        page.keyboard.press("Tab")
        assert slider.evaluate(BOX)["active"]
        low, high = low["box"], high["box"]
        for text, kept in (("many", high), ("", high), (low, low), ("1e9", low), (high, high)):
            page.keyboard.insert_text(text) if text else page.keyboard.press("Delete")
            page.keyboard.press("Enter")
            now = slider.evaluate(BOX)
            assert now["said"] == now["box"] == kept
            if text == kept:
                assert now["answer"] == "" and now["invalid"] is None
            else:
                assert f"“{text}” is not " in now["answer"]
                assert now["answer"].endswith(f"; {kept} stays.")
                assert now["role"] == "alert" and now["invalid"]
    page.evaluate("window.release()")
    frame(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@at(desk("chapters/hardness.html"))
def test_half_a_sample_is_refused(look, open_page: OpenPage):
    page = open_page(look)
    box = page.locator("[data-box=m]").first
    kept = box.input_value()
    box.fill("50,5")
    box.press("Enter")
    assert (
        "is not a whole number from 10 to 10000"
        in page.locator(".mb-refusal:not(:empty)").inner_text()
    )
    assert box.input_value() == kept


@at(desk("chapters/hardness.html"))
def test_sliders_have_names_and_values(look, open_page: OpenPage):
    page = open_page(look)
    for slider in page.get_by_role("slider").all():
        assert re.search(r"\w", slider.get_attribute("aria-valuetext"))
        label = "part => part.labels?.[0].innerText ?? part.getAttribute('aria-label')"
        assert re.search(r"\w{3}", slider.evaluate(label))


@at(phone("chapters/two_layer_net.html"))
def test_the_initialization_is_put_where_the_map_is_pressed(look, open_page: OpenPage):
    page = open_page(look)
    frame = page.locator(".mb-widget").nth(1)
    picture, ring = frame.locator(".mb-press"), frame.locator(".mb-start")
    picture.scroll_into_view_if_needed()
    ticks = {  # where the numbers 0 and 3 stand on the axes
        text: picture.locator(".mb-tick", has_text=re.compile(f"^{text}$")).all() for text in "03"
    }
    across = [ticks[text][1].bounding_box() for text in "03"]
    up = [ticks[text][0].bounding_box() for text in "03"]
    x = [box["x"] + box["width"] / 2 for box in across]
    y = [box["y"] + box["height"] / 2 for box in up]

    def at(w1: float, w2: float) -> tuple[float, float]:
        return x[0] + w1 / 3 * (x[1] - x[0]), y[0] + w2 / 3 * (y[1] - y[0])

    def drag() -> None:
        page.mouse.move(*at(1.0, 1.0))
        page.mouse.down()
        page.mouse.move(*at(0.3, 1.7), steps=3)
        page.mouse.up()

    for act, put in (
        (lambda: page.mouse.click(*at(2.5, 0.4)), (2.5, 0.4)),
        (lambda: page.touchscreen.tap(*at(0.1, 2.9)), (0.1, 2.9)),
        (drag, (0.3, 1.7)),
    ):
        act()
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
        sliders = [
            float(frame.locator(f"[data-name={name}]").input_value()) for name in ("w1", "w2")
        ]
        assert sliders == pytest.approx(put, abs=0.05)
        box = ring.bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert middle == pytest.approx(at(*put), abs=3)


@at(desk("chapters/two_layer_net.html"))
def test_a_minimum_outside_the_picture_is_not_shown(look, open_page: OpenPage):
    """Equal tasks with alpha just above 1/L: MAML's minimum has run away."""
    page = open_page(look)
    [result] = page.evaluate(PLAY, [0, [[1.0, 2.05 / 3]]])
    assert result["set"] == {"hard_variance": 1, "alpha": 2.05}
    shown = {name: (number, text) for name, number, text in result["shown"]}
    assert np.isnan(shown["maml_w"][0]) and shown["maml_w"][1] == "–"
    assert np.isfinite(shown["nal_w"][0])
    frame = page.locator(".mb-widget").first
    assert "no minimum" in frame.locator(".mb-sentence").inner_text()
    assert frame.locator(".mb-dot.maml").count() == 0 < frame.locator(".mb-dot.nal").count()


SETS = "input[type=range], .mb-choice, select"  # what a reader sets first
LETTERS = """
() => [...document.querySelectorAll(".mb-widget svg text")].filter((t) => t.textContent && t.checkVisibility()).map((t) => {
  const picture = t.ownerSVGElement, scale = picture.getBoundingClientRect().width / picture.viewBox.baseVal.width;
  return [t.textContent, parseFloat(getComputedStyle(t).fontSize) * scale];
})
"""  # noqa: E501


PHONED = (
    "hardness",
    "geography",
    "two_layer_net",
    "gradient_norms",
    "world",
    "your_tasks",
    "omniglot",
)
CUT = """
() => [...document.querySelectorAll(".mb-stage svg text")].filter((t) => {
  const [word, picture] = [t, t.ownerSVGElement].map((e) => e.getBoundingClientRect());
  return word.width && (word.right > picture.right + 1 || word.left < picture.left - 1);
}).map((t) => t.textContent)
"""


@at(phone("intro.html"), *(phone(f"chapters/{name}.html") for name in PHONED))
@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_shows_letters_of_eleven_pixels_and_the_conclusion_first(look, width, open_page):
    """And no letter beyond its picture; the conclusion and the first slider in one view."""
    page = open_page(look)
    page.set_viewport_size({"width": width, "height": 844})
    page.locator(".mb-widget .mb-sentence").first.wait_for()
    letters, cut = page.evaluate(LETTERS), page.evaluate(CUT)
    frames = page.locator(".mb-frame:has(> .mb-sentence)").all()
    places = [
        [frame.locator(part).first.bounding_box() for part in ("> .mb-sentence", SETS)]
        for frame in frames
    ]
    first = [frame.locator("label, button").first.bounding_box() for frame in frames]
    page.set_viewport_size({"width": look.width, "height": 844})
    assert letters and min(size for _, size in letters) >= 10.9, min(letters, key=lambda t: t[1])
    assert cut == []
    for (sentence, sets), start in zip(places, first, strict=True):
        assert sentence["y"] < start["y"]
        assert sets["y"] + sets["height"] - sentence["y"] < 844


def frame(page) -> None:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")


# Widget, handle: the traits that it moves, and whether to the right and up they grow.
HANDLES = {
    ("hardness", 0): {"rho_hard": (1, 0)},  # of its slider, which is turned
    ("descent", 0): {"x": (1, 0), "y": (0, 1)},
    ("descent", 1): {"step": (1, 0)},
    ("geography", 0): {"R": (1, 1)},
    ("geography", 1): {"r_hard": (1, 0)},
    ("geography", 2): {"r_easy": (1, 0)},
    ("gain", 0): {"x": (1, 0), "packing": (0, 1)},
    ("adaptation", 0): {"w1": (1, 0), "w2": (0, 1)},
}


@pytest.mark.parametrize(
    ("widget", "number", "look"),
    [
        (widget, number, kind(f"chapters/{WIDGETS[widget][0]}.html"))
        for kind in (desk, phone)
        for widget, number in HANDLES
    ],
    ids=str,
)
def test_what_the_text_says_can_be_dragged_can_be(widget, number, look, open_page: OpenPage):
    """By mouse, by finger on a phone, and by arrow keys: the handle stays where it was put, and its
    traits are those of the place."""
    page = open_page(look)
    own = page.locator(".mb-widget").nth(WIDGETS[widget][1])
    count = own.locator("input[type=range]").count()
    page.evaluate(PLAY, [WIDGETS[widget][1], [[0.4] * count]])
    handle = own.locator(".mb-handle").nth(number)
    handle.scroll_into_view_if_needed()

    def middle() -> tuple[float, float]:
        box = handle.bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def traits() -> dict[str, float]:
        return {
            name: float(own.locator(f"input[data-name={name}]").input_value())
            for name in HANDLES[widget, number]
        }

    before, (x, y) = traits(), middle()
    to = (x + 24, y - 24)
    if look.width > 600:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(*to, steps=3)
        page.mouse.up()
    else:
        touch = page.context.new_cdp_session(page)
        for kind, points in (
            ("touchStart", [{"x": x, "y": y}]),
            ("touchMove", [{"x": to[0], "y": to[1]}]),
            ("touchEnd", []),
        ):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    frame(page)
    after = traits()
    assert all(after[name] > before[name] for name in before)
    along, up = (any(moves[axis] for moves in HANDLES[widget, number].values()) for axis in (0, 1))
    put = (to[0] if along else x, to[1] if up else y)
    assert middle() == pytest.approx(put, abs=3)
    handle.focus()
    for name, (right, _) in HANDLES[widget, number].items():
        for key in ("ArrowLeft", "ArrowRight") if right else ("ArrowDown", "ArrowUp"):
            was = traits()
            page.keyboard.press(key)
            frame(page)
            grown = traits()[name] - was[name]
            assert grown > 0 if key in ("ArrowRight", "ArrowUp") else grown < 0
    assert handle.evaluate("part => part === document.activeElement")
    assert re.search(r"\w{4}", handle.get_attribute("aria-label"))


@at(desk("chapters/geography.html"))
def test_outside_the_theory_the_picture_is_shaded_and_says_so(look, open_page: OpenPage):
    page = open_page(look)
    own = page.locator(".mb-widget").first
    for hard, easy, shaded, diverges in ((0.1, 0.9, 0, 0), (0.5, 0.4, 1, 0), (1.0, 0.3, 1, 1)):
        places = [0.5, 0.5, 0.5, (1 - hard) / 0.99, (1 - easy) / 0.99, 0.5]
        page.evaluate(PLAY, [0, [places]])
        said = own.locator(".mb-sentence").inner_text()
        assert own.locator(".mb-outside").count() == shaded == ("the easier ones" in said)
        assert ("away from their solutions" in said) == diverges
