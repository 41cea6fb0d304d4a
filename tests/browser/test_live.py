"""The live network: the page's own code against Python's, and what it says to the reader."""

import base64
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from tools import HTML
from tools.browser import served, view

from .conftest import OpenPage, at, desk, page_of, phone, settle

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from mamlbook import fewshot  # noqa: E402
from mamlbook.fewshot.data import images  # noqa: E402
from mamlbook.fewshot.data.decode import DataError  # noqa: E402
from mamlbook.fewshot.engine import learners  # noqa: E402
from mamlbook.fewshot.engine.closed import passes  # noqa: E402
from mamlbook.fewshot.engine.network import BLOCKS, EPSILON  # noqa: E402
from mamlbook.fewshot.models import Model  # noqa: E402
from mamlbook.fewshot.settings import Omniglot, Seeds  # noqa: E402
from mamlbook.widgets import weights  # noqa: E402

PAGE = "chapters/omniglot.html"
TASKS, EXACT, STEP, WEIGHTS, TARGET = 200, 10, 100, 500_000, 44
LIVE = ".mb-live"
FIXED = ("scale", "shift")  # of batch norm: the inner step leaves them
# Of the widget that the page carries: its engine, and the weights as it fetches them.
OWN = """
const { textContent } = document.querySelector("[data-frame]:has(.mb-live) + script");
const alive = /alive\\((\\{.*?\\}), \\(\\) => \\{\\n(.*)\\nreturn render;/s;
const [, values, code] = textContent.match(alive);
const own = JSON.parse(values);
const { net, fetched } = new Function(`${code}\\nreturn { net: engine(), fetched };`)();
"""
# Adapt to each task's support set and classify a query; logits, and each step's milliseconds.
RUN = f"""
async ({{ name, supports, queries, rate }}) => {{
  {OWN}
  const {{ weights, seed }} = own.networks[name];
  const theta = weights ? net.decoded(await fetched(null, weights), seed) : net.initial(seed);
  const unpacked = (bits) => Float32Array.from(
    Uint8Array.from(atob(bits), (c) => c.charCodeAt(0)));
  const logits = [], times = [];
  supports.forEach((bits, t) => {{
    const support = unpacked(bits);
    const began = performance.now();
    const adapted = net.adapt(theta, support, [0, 1, 2, 3, 4], rate, 1);
    times.push(performance.now() - began);
    logits.push([...net.asked(adapted, support, unpacked(queries[t]))]);
  }});
  return {{ logits, times }};
}}
"""


def trained(name: str, half: bool = True) -> Model:
    """What the page calls so, at the page's float16 or as shipped; the untrained one is exact."""
    algorithm = {"MAML": "maml", "NAL-1": "nal-1"}.get(name, "classifier")
    model = fewshot.pretrained("omniglot", "large", algorithm)
    if name == "untrained":
        start = model.network.initial(Seeds.of(model.card["seed"]).initialisation)
        return replace(model, theta=start)
    return replace(model, theta=model.theta.half().float()) if half else model


@pytest.fixture(scope="module")
def drawn():
    """Images, and 100 easy and 100 hard tasks of unseen alphabets: (support, one query, place)."""
    try:
        held = images.load("omniglot-binary")
    except DataError:
        pytest.skip("Omniglot is not at hand")
    card = fewshot.pretrained("omniglot", "large", "maml").card
    problem = Omniglot(**card["settings"]).problem(held, Seeds.of(card["seed"]).split)
    _, *pair = problem.evaluation["test"].draw(TASKS // 2, (7,), "cpu")
    return held.images.flatten(0, 1), pair


def logits_of(parts: list[torch.Tensor], drawings: torch.Tensor) -> torch.Tensor:
    """The logits (n, 5) of drawings (n, 1, 28, 28), written plainly; of equal numbers the first is
    a pool's maximum. (Rounding would otherwise choose, and the step's gradient follows the choice.)
    """
    x = drawings
    for block in range(BLOCKS):
        kernels, scale, shift = parts[3 * block : 3 * block + 3]
        h = functional.conv2d(x, kernels.unflatten(1, (3, 3, -1)).permute(0, 3, 1, 2), padding=1)
        variance, mean = torch.var_mean(h, (0, 2, 3), correction=0, keepdim=True)
        y = (h - mean) * (variance + EPSILON).rsqrt() * scale[:, None, None] + shift[:, None, None]
        pools = y.unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2)
        place = torch.from_numpy(pools.detach().numpy().round(9).argmax(-1))
        x = functional.leaky_relu(pools.gather(-1, place[..., None])[..., 0], 0.01)
    return x.flatten(1) @ parts[-2].mT + parts[-1]


def adapted(model: Model, support: torch.Tensor, rate: float, steps: int) -> list[torch.Tensor]:
    """The parts in double precision after steps on five drawings, by automatic differentiation."""
    parts = [part[0].double() for part in model.network.parts(model.theta)]
    for _ in range(steps):
        parts = [part.detach().requires_grad_() for part in parts]
        moving = [i for i, name in enumerate(model.network.names) if not name.endswith(FIXED)]
        loss = functional.cross_entropy(logits_of(parts, support), torch.arange(5))
        slopes = torch.autograd.grad(loss, [parts[i] for i in moving])
        for i, slope in zip(moving, slopes, strict=True):
            parts[i] = parts[i] - rate * slope
    return parts


def sent(drawings: torch.Tensor) -> str:
    """0 for ink and 1 for paper, a byte each."""
    return base64.b64encode((drawings.flatten() > 0).to(torch.uint8).numpy().tobytes()).decode()


def said(page) -> str:
    """What a screen reader hears, once all networks have answered."""
    page.wait_for_function(
        f"[...document.querySelectorAll('{LIVE} figure')].every((one) => one.dataset.after)"
    )
    return page.locator(f"{LIVE} .mb-sentence[aria-live=polite]").inner_text()


def shares(page, which: str = "after") -> dict[str, np.ndarray]:
    """The bars: what each network thinks of the five, as the page holds it."""
    found = page.locator(f"{LIVE} figure").evaluate_all(
        f"all => all.map((one) => [one.dataset.network, one.dataset.{which}])"
    )
    return {name: np.array(numbers.split(), float) for name, numbers in found}


def seen(page, thumb: int) -> np.ndarray:
    """The drawing (28, 28) as the networks see it, True for ink, read from the picture's path."""
    path = page.locator(f"{LIVE} .mb-thumb").nth(thumb).locator("path").get_attribute("d")
    ink = np.zeros((28, 28), bool)
    for column, row in re.findall(r"M(\d+) (\d+)", path):
        ink[int(row), int(column)] = True
    return ink


@at(desk(PAGE))
def test_weights_come_when_the_reader_does_and_are_light(look, open_page: OpenPage):
    page = open_page(look)
    assert not [answer.url for answer in page.first_load if "/live/" in answer.url]
    page.locator(LIVE).scroll_into_view_if_needed()
    said(page)
    sizes = [len(answer.body()) for answer in page.responses if "/live/" in answer.url]
    assert len(sizes) == 3 and sum(sizes) < WEIGHTS, sizes


@at(desk(PAGE))
@pytest.mark.parametrize("name", ["MAML", "NAL-1", "classifier", "untrained"])
def test_tasks_in_the_page_are_pythons(look, name, drawn, open_page: OpenPage):
    """Accuracy over 200 tasks within half a point of the float32 network's; adapted logits within
    1e-4 of double precision at the same float16; a step in less than 100 ms."""
    page = open_page(look)
    model, shipped, (flat, pair) = trained(name), trained(name, half=False), drawn
    rate, answer, here, there = model.learner.inner_rate, torch.arange(TASKS // 2) % 5, 0, 0
    for episodes in pair:
        query = episodes.query[torch.arange(TASKS // 2), answer * episodes.shape.queries]
        six = torch.cat([episodes.support, query[:, None]], 1)
        drawings = (flat[six] > 0)[..., 0]
        tasks = {
            "supports": [sent(task[:5]) for task in drawings],
            "queries": [sent(task[5]) for task in drawings],
        }
        found = page.evaluate(RUN, {"name": name, "rate": rate, **tasks})
        logits = torch.tensor(found["logits"], dtype=torch.float64)
        for own, task in zip(logits, drawings[:EXACT], strict=False):
            x = task[:, None].double()
            exact = logits_of(adapted(model, x[:5], rate, 1), x)[-1].detach()
            torch.testing.assert_close(own, exact, rtol=0, atol=1e-4)
        there += int((logits.argmax(1) == answer).sum())
        with torch.inference_mode():
            own = learners.adapt(shipped.learner, shipped.network, shipped.theta, flat, episodes, 1)
            x = learners.inputs(flat, six, torch.float32)
            said = passes.forward(shipped.network, own, x, 5)[0][:, -1]
        here += int((said.argmax(1) == answer).sum())
        assert np.min(found["times"]) < STEP  # a core to itself: a busy machine slows the others
    print(f"{name}: {there} in the page, {here} in Python of {TASKS}")
    assert abs(there - here) / TASKS <= 0.005, (there, here)


@at(desk(PAGE))
def test_without_webassembly_the_product_is_the_same(look, open_page: OpenPage):
    page = open_page(look)
    differ = """() => {%s
      const a = Float32Array.from({ length: 30 * 27 }, (_, i) => Math.sin(i));
      const b = Float32Array.from({ length: 7 * 27 }, (_, i) => Math.cos(i));
      const [one, two] = [net.lanes, net.plainly].map(
        (product) => product(a, b, 30, 7, 27, new Float32Array(210)));
      return Math.max(...one.map((value, i) => Math.abs(value - two[i])));
    }"""
    assert page.evaluate(differ % OWN) < 1e-4


@at(desk(PAGE))
def test_the_bars_are_those_of_the_task_and_of_the_dials(look, open_page: OpenPage):
    """A task dealt in the page, for two settings of the dials, computed again by Python."""
    page = open_page(look)
    page.locator(f"{LIVE} .mb-deal.hard").click()
    said(page)
    x = torch.tensor(np.array([~seen(page, k) for k in range(6)])).double()[:, None]
    for steps, rate in ((1, 0.1), (3, 10**-0.5)):
        for name, value in (("steps", steps), ("rate", np.log10(rate))):
            dial = page.locator(f"{LIVE} input[data-name={name}]")
            dial.evaluate(
                "(dial, value) => { dial.value = value; dial.dispatchEvent(new Event('input')); }",
                float(value),
            )
        page.wait_for_function(
            f"document.querySelector('{LIVE} .mb-sentence').innerText.startsWith('After {steps} ')"
        )
        page.wait_for_timeout(500)
        heard, after, before = said(page), shares(page), shares(page, "before")
        rate = round(10 ** float(np.log10(rate)), 6)
        for name in after:
            for stage, count in ((before, 0), (after, steps)):
                logits = logits_of(adapted(trained(name), x[:5], rate, count), x)[-1]
                np.testing.assert_allclose(stage[name], logits.softmax(0).tolist(), atol=1e-4)
            best = int(np.argmax(after[name]))
            assert f"{name} says {best + 1} ({round(100 * after[name][best])}%, " in heard


@at(desk(PAGE), phone(PAGE), desk("intro.html"), phone("intro.html"))
def test_a_reader_deals_and_draws(look, open_page: OpenPage):
    """Over http and from a file, by keyboard alone."""
    page = open_page(look)
    page.locator(f"{LIVE} .mb-deal.easy").click()
    verdicts = re.findall(r"says \d \(\d+%, (right|wrong)\)", said(page))
    assert len(verdicts) == page.locator(f"{LIVE} figure").count()
    marks = page.locator(f"{LIVE} .mb-verdict").all_inner_texts()
    assert ["✓" in mark for mark in marks] == [verdict == "right" for verdict in verdicts]
    page.locator(f"{LIVE} .mb-deal.own").click()
    heard = page.locator(f"{LIVE} .mb-sentence")
    assert "Draw character 1" in heard.inner_text()
    thumbs = page.locator(f"{LIVE} .mb-thumb")
    for k in range(6):
        thumbs.nth(k).focus()
        page.keyboard.press("Enter")
        page.locator(f"{LIVE} .mb-pad").focus()
        for key in (" ", *["ArrowRight"] * (k + 1), *["ArrowDown"] * 3, " "):
            page.keyboard.press(key)
        assert "drawn" in thumbs.nth(k).get_attribute("aria-label")
    assert " says " in said(page) and "right" not in heard.inner_text()
    page.locator(f"{LIVE} select").select_option("2")
    assert re.search("right|wrong", heard.inner_text())


@at(desk(PAGE), phone(PAGE))
def test_a_network_that_fails_is_shown_to_fail(look, open_page: OpenPage):
    page, failed = open_page(look), 0
    for _ in range(3):
        page.locator(f"{LIVE} .mb-deal.hard").click()
        failed += said(page).count("wrong")
        assert page.locator(f"{LIVE} .mb-verdict.wrong").count() == said(page).count("wrong")
    assert failed


@at(desk(PAGE), phone(PAGE), phone("intro.html"))
def test_a_drawing_is_centred_and_scaled_as_omniglots(look, open_page: OpenPage):
    """A small stroke in a corner, by mouse or by finger."""
    page = open_page(look)
    page.locator(f"{LIVE} .mb-deal.own").click()
    pad = page.locator(f"{LIVE} .mb-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    points = [(box["x"] + 20 + 2 * i, box["y"] + 20 + 4 * i) for i in range(9)]
    if look.width > 600:
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
    else:
        touch = page.context.new_cdp_session(page)
        for i, (x, y) in enumerate(points):
            kind = "touchMove" if i else "touchStart"
            touch.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]}
            )
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.locator(f"{LIVE} .mb-thumb[aria-label='Character 1, drawn']").wait_for()
    rows, columns = np.nonzero(seen(page, 0))
    assert np.ptp(rows) + 1 == pytest.approx(18, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(9.6, abs=1)  # half of its length, and its width
    for cells in (rows, columns):
        assert (cells.min() + cells.max()) / 2 == pytest.approx(13, abs=0.6)
    assert "centered, scaled" in page.locator(LIVE).inner_text()


@at(desk(PAGE), phone(PAGE), phone("intro.html"))
def test_it_is_fair_to_fingers_and_to_screen_readers(look, open_page: OpenPage):
    page = open_page(look)
    page.locator(f"{LIVE} .mb-deal.own").click()
    for part in page.locator(f"{LIVE} :is(button, select, input)").all():
        box = part.bounding_box()
        assert min(box["width"], box["height"]) >= TARGET, part.evaluate("e => e.outerHTML")
    page.locator(f"{LIVE} .mb-deal.hard").click()
    said(page)
    found = Axe().run(page, LIVE, {"resultTypes": ["violations"], "preload": False}).response
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []
    page.set_viewport_size({"width": 360, "height": 800})
    inside = f"document.querySelector('{LIVE}')"
    assert page.evaluate(f"{inside}.scrollWidth <= {inside}.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": look.width, "height": 844})


def test_where_weights_are_missing_it_says_so(browser, tmp_path):
    """The first page alone, with no weights beside it."""
    shutil.copytree(HTML / "_static", tmp_path / "_static", ignore=lambda _, names: {"live"})
    shutil.copy(HTML / "intro.html", tmp_path)
    with served(tmp_path) as address:
        page = page_of(view(browser), address)
        page.goto(f"{address}intro.html")
        settle(page)
        page.locator(f"{LIVE} .mb-deal.easy").click()
        page.get_by_text("The networks could not be loaded").wait_for()
        page.context.close()


def test_stored_weights_are_the_networks_in_float16():
    for algorithm in ("maml", "nal-1", "classifier"):
        model = fewshot.pretrained("omniglot", "large", algorithm)
        network, seed = model.network, Seeds.of(model.card["seed"]).initialisation
        start = weights.initial(dict(zip(network.names, network.shapes, strict=True)), seed)
        np.testing.assert_array_equal(start, network.initial(seed)[0].numpy())
        found = weights.decoded(weights.packed(model.card["name"], seed), start)
        np.testing.assert_array_equal(found, model.theta[0].half().numpy())
