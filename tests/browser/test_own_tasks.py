"""The reader's own table, diagnosed in the page as Python does it."""

import io

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

from mamlbook.diagnose import TableError, diagnose, from_frame, read, report
from tests.browser.conftest import OpenPage, at, desk, phone
from tests.diagnose.tables import confounded
from tools import ROOT
from tools.browser import view

DATA = ROOT / "chapters" / "data"
PAGE = desk("chapters/your_tasks.html")
READ = """
() => {
  const widget = document.querySelector(".mb-own");
  return {
    said: widget.querySelector(".mb-sentence").textContent,
    shown: Object.fromEntries([...widget.querySelectorAll("data")].map((d) => [d.dataset.name, Number(d.value)])),
    discs: [...widget.querySelectorAll("circle")].map((c) =>
      [c.textContent, Number(c.dataset.before), Number(c.dataset.left), Number(c.dataset.change)]),
  };
}
"""  # noqa: E501
# Chromium takes more than half a minute to replace thousands of lines as a hand would.
TYPED = "(area, text) => { area.value = text; area.dispatchEvent(new Event('input')); }"
IDLE = "() => document.querySelector('.mb-own').getAttribute('aria-busy') === 'false'"


def settled(page) -> dict:
    page.wait_for_timeout(60)  # a computation is put off until the page has been drawn
    page.wait_for_function(IDLE)
    return page.evaluate(READ)


def agrees(page_says: dict, found) -> None:
    """Verdict, methods and the plane of tasks, to six digits."""
    expected = {
        "gain": found.gain.value,
        "low": found.gain.low,
        "high": found.gain.high,
        "least_gain": found.least_gain,
        **{f"{name}_alpha": found.alpha[name] for name in ("nal", "maml")},
        **{f"{name}_steps": found.steps[name] for name in ("nal", "maml")},
    }
    for row in found.methods.itertuples():
        expected |= {f"loss_{row.method}": row.loss, f"over_{row.method}": row.over_maml}
    if found.alternative:
        other = found.alternative[1]
        expected |= {"other": other.value, "other_low": other.low, "other_high": other.high}
    assert page_says["shown"] == pytest.approx(expected, rel=1e-6)
    assert page_says["said"].split(":")[0].replace("’", "'") in found.verdict.replace(
        "'G", "“G"
    ).replace("l'", "l”")
    rows = found.rows.set_index("task")
    assert {name for name, *_ in page_says["discs"]} == set(rows.index)
    for name, before, left, change in page_says["discs"]:
        row = rows.loc[name]
        assert (before, left) == pytest.approx((row["distance"], row["share_left"]), rel=1e-6)
        assert change == pytest.approx(row["loss_nal"] - row["loss_maml"], rel=1e-6, abs=1e-9)


@at(PAGE)
def test_the_examples(look, open_page: OpenPage):
    page = open_page(look)
    widget = page.locator(".mb-own")
    for button, name, task, target, adapt in (
        ("life expectancy", "gapminder", "country", "life_expectancy", "intercept"),
        ("violent crime", "guns", "state", "log_violent", "intercept"),
        ("radon", "radon", "county", "log_radon", "all"),
    ):
        widget.get_by_role("button", name=button).click()
        page_says = settled(page)
        tasks = from_frame(read(DATA / f"{name}.csv"), task, target)
        agrees(page_says, diagnose(tasks, adapt=adapt, support=2 if name == "guns" else 5))


@at(PAGE)
@pytest.mark.parametrize("seed", range(4))
def test_a_pasted_table(look, seed, open_page: OpenPage):
    page = open_page(look)
    parts = [
        pd.DataFrame({"who": f'no. {i}, "{i}"', "a": x[:, 0], "b": x[:, 1], "y": y})
        for i, (x, y) in enumerate(confounded(25, 9, seed=seed, pull=seed / 2))
    ]
    table = pd.concat(parts)
    page.locator(".mb-own select").nth(2).select_option("all" if seed % 2 else "intercept")
    page.locator(".mb-own textarea").fill(table.to_csv(index=False))
    page_says = settled(page)
    adapt = "all" if seed % 2 else "intercept"
    agrees(page_says, diagnose(from_frame(table, "who", "y"), adapt=adapt))


@at(PAGE)
def test_a_dropped_file(look, open_page: OpenPage):
    page = open_page(look)
    drop = """
    (text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], "t.csv"));
      const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
      document.querySelector(".mb-own").dispatchEvent(event);
    }
    """
    page.evaluate(drop, "task;x;y\n1;2;3\n1;4;6\n")
    page.wait_for_function("document.querySelector('.mb-own textarea').value.startsWith('task;x')")
    page_says = settled(page)
    assert "0 tasks have at least 8 rows" in page_says["said"] and not page_says["discs"]


def healthy(tasks: int = 14) -> str:
    """A table that both diagnose, as text: task, a, b, y."""
    parts = [
        pd.DataFrame({"task": f"t{i}", "a": x[:, 0], "b": x[:, 1], "y": y})
        for i, (x, y) in enumerate(confounded(tasks, 9))
    ]
    return pd.concat(parts).round(4).to_csv(index=False)


def edited(**columns) -> str:
    """The healthy table with other columns."""
    table = pd.read_csv(io.StringIO(healthy()))
    return table.assign(**columns).to_csv(index=False)


SAME = {  # name: text that both refuse in the same words
    "duplicate name": healthy().replace(",b,", ",a,", 1),
    "long row": healthy().replace("\nt3,", "\nt3,9,9,", 1),
    "a line above": "# from the till\n" + healthy(),
    "no rows": "task,a,b,y\n",
    "no feature": "task,y\n1,2\n1,3\n",
    "empty cells": edited(a=lambda t: t["a"].where(t.index > 3)),
    "an empty cell": edited(y=lambda t: t["y"].where(t.index != 5)),
    "no value": edited(a=lambda t: t["a"].astype(object).where(t.index != 9, "N/A")),
    "short row": healthy() + "t1,1,2\n",
    "infinite": edited(b=lambda t: t["b"].where(t.index > 2, np.inf)),
    "text": edited(b=lambda t: t["b"].astype(object).where(t.index != 7, "many")),
    "a quote": edited(b=lambda t: t["b"].astype(object).where(t.index != 7, "5'")),
    "decimal comma": edited(a=lambda t: t["a"].astype(object).where(t.index != 9, "3,5")),
    "hexadecimal": edited(a=lambda t: t["a"].astype(object).where(t.index != 9, "0x1F")),
    "mixed truth": edited(a=lambda t: t["a"].astype(object).where(t.index != 9, "True")),
    "labels in words": edited(y=lambda t: t["y"].astype(object).where(t.index != 9, "good")),
    "no task": healthy().replace("\nt3,", "\n,", 1),
    "one row a task": edited(task=lambda t: t.index),
    "few tasks": healthy(7),
    "one task": healthy(1),
    "short tasks": pd.read_csv(io.StringIO(healthy())).groupby("task").head(6).to_csv(index=False),
    "constant": edited(a=5),
    "nearly constant": edited(a=lambda t: 1e9 + t.index * 1e-3),
    "constant target": edited(y=1e200),
    "collinear": edited(b=lambda t: 3 - 2 * t["a"]),
    "classes": edited(y=lambda t: t.index % 2),
    "shuffled classes": pd.concat(
        pd.DataFrame({"task": i, "x": np.sin(np.arange(12) * i + 1), "y": np.arange(12) % 4})
        for i in range(11)
    ).to_csv(index=False),
}


@at(PAGE)
@pytest.mark.parametrize("name", SAME)
def test_the_page_refuses_in_the_words_of_the_command(look, name, open_page: OpenPage, tmp_path):
    text = SAME[name]
    (tmp_path / "t.csv").write_text(text, newline="")
    names = text.split("\n", 1)[0].split(",")
    with pytest.raises(TableError) as refused:
        frame = read(tmp_path / "t.csv", names[0])
        diagnose(from_frame(frame, names[0], names[-1]))
    page = open_page(look)
    page.locator(".mb-own textarea").evaluate(TYPED, text)
    page_says = settled(page)
    assert page_says["said"] == str(refused.value)
    assert not page_says["discs"] and not page_says["shown"]


@at(PAGE)
def test_the_page_takes_truth_values_as_python_does(look, open_page, tmp_path):
    text = edited(a=lambda t: t.index % 3 == 0)
    assert ",True," in text
    (tmp_path / "t.csv").write_text(text)
    found = diagnose(from_frame(read(tmp_path / "t.csv", "task"), "task", "y"))
    page = open_page(look)
    page.locator(".mb-own textarea").fill(text)
    agrees(settled(page), found)


@at(PAGE)
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "This is no table"),
        ("task,a,y\n" + "1,2,3\n" * 20_001, "The page takes up to 20000 rows"),
    ],
)
def test_what_the_page_alone_refuses(look, text, sentence, open_page: OpenPage):
    page = open_page(look)
    page.locator(".mb-own textarea").evaluate(TYPED, text)
    page_says = settled(page)
    assert sentence in page_says["said"] and page_says["said"].endswith(".")
    assert not page_says["discs"] and not page_says["shown"]


@at(PAGE)
def test_a_table_without_noise_has_the_verdict_of_python(look, open_page: OpenPage):
    rng = np.random.default_rng(0)
    parts = []
    for i in range(20):
        x = rng.normal(size=12)
        parts.append(pd.DataFrame({"who": i, "x": x, "y": 2 * x + 5 * rng.normal()}))
    table = pd.concat(parts)
    found = diagnose(from_frame(table, "who", "y"), adapt="intercept")
    page = open_page(look)
    page.locator(".mb-own select").nth(2).select_option("intercept")
    page.locator(".mb-own textarea").evaluate(TYPED, table.to_csv(index=False))
    shown = settled(page)["shown"]
    assert (shown["gain"], shown["other"]) == pytest.approx(
        (found.gain.value, found.alternative[1].value), rel=1e-6
    )


@at(phone("chapters/your_tasks.html"))
def test_tables_of_methods_fit_a_phone(look, open_page: OpenPage):
    page = open_page(look)
    tables = page.evaluate(
        "[...document.querySelectorAll('.cell_output table')].map((t) =>"
        " [t.querySelector('thead').textContent.trim().split(/\\s{2,}/),"
        "  t.scrollWidth, t.parentElement.clientWidth])"
    )
    named = [(wide, box) for heads, wide, box in tables if "ratio to MAML's" in heads]
    assert len(named) == 3
    assert all(wide <= box for wide, box in named), named


@at(phone("chapters/your_tasks.html"))
def test_controls_on_a_phone_are_as_large_as_a_finger(look, open_page: OpenPage):
    page = open_page(look)
    heights = page.evaluate(
        "[...document.querySelectorAll('.mb-own :is(button, select, input:not([type=checkbox]),"
        " .mb-features label)')].map((e) => e.getBoundingClientRect().height)"
    )
    assert len(heights) >= 9 and min(heights) >= 44


@pytest.fixture(scope="module")
def radon() -> str:
    """The report of a table."""
    table = from_frame(read(DATA / "radon.csv"), "county", "log_radon")
    return report.page(diagnose(table), "Radon?")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_opens_alone(width, theme, radon, tmp_path, browser: Browser):
    """From a folder of its own, without a host: nothing is asked for, only boxes scroll."""
    path = tmp_path / "report.html"
    path.write_text(radon, encoding="utf-8")
    page = view(browser, width, theme).new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    methods = page.locator("div").first
    assert methods.evaluate("(e) => e.scrollWidth <= e.clientWidth")
    assert page.locator("figure svg").count() == 3
    page.context.close()


@at(phone("chapters/your_tasks.html"))
def test_the_frame_fits_a_phone(look, open_page: OpenPage):
    page = open_page(look)
    settled(page)
    widths = page.evaluate(
        "[...document.querySelectorAll('.mb-own *')].map((e) => e.getBoundingClientRect().right)"
    )
    assert np.max(widths) <= look.width
