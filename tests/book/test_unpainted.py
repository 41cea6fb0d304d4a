"""Where the book is built without Chromium, MathJax and the widgets' scripts draw in the page."""

import re
import subprocess
import sys

import pytest

from tools.browser import REMEDY, chromium

PAGE = """# The only page

A formula, $x^2 = \\frac{1}{4}$, and the first page's picture:

```{raw} html
<link rel="stylesheet" href="_static/widget.css">
<div id="opening" data-frame></div>
<script src="_static/opening.js"></script>
```
"""
# What a reader sees: formulas as MathJax sets them, and the numbers of the live picture.
READ = """
from pathlib import Path
from tools.browser import launched, served, view
with launched() as browser, served(Path("_build/html")) as address:
    page = view(browser).new_page()
    page.goto(address + "intro.html")
    page.wait_for_selector("mjx-container", timeout=60_000)
    page.wait_for_selector("#opening .mb-box")
    print(page.locator("mjx-container").count(), page.locator("mjx-merror").count(),
          page.locator("#opening data").get_attribute("value"))
"""


@pytest.fixture(scope="module")
def unpainted(booklet, build, tmp_path_factory) -> str:
    """The page, built with no Chromium on the path; and what the build said of it."""
    (booklet / "intro.md").write_text(PAGE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MAMLBOOK_CHROMIUM", raising=False)
        patch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
        assert chromium() is None
        said = build(booklet)
    assert said.returncode == 0, said.stdout + said.stderr
    assert REMEDY in said.stdout + said.stderr
    return (booklet / "_build" / "html" / "intro.html").read_text(encoding="utf-8")


def test_formulas_and_first_frames_are_left_to_the_reader(unpainted, booklet):
    assert r"\(x^2 = \frac{1}{4}\)" in unpainted and "mjx-container" not in unpainted
    assert re.search(r'<div id="opening"[^>]*\bdata-frame\b[^>]*></div>', unpainted)
    script = re.search(r'<script [^>]*src="([^"?]*mathjax/[^"?]*)', unpainted)[1]
    assert (booklet / "_build" / "html" / script).stat().st_size > 100_000


@pytest.mark.skipif(not chromium(), reason=REMEDY)
def test_the_readers_browser_draws_them(unpainted, booklet):
    """In a process of its own: playwright suffers no second one in the tests'."""
    command = [sys.executable, "-c", READ]
    said = subprocess.run(command, cwd=booklet, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    formulas, faults, ratio = said.stdout.split()
    assert (formulas, faults) == ("1", "0") and float(ratio) > 1
