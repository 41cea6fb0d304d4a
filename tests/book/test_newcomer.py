"""A stranger clones the repository, types `make book` and opens the page from the folder."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tools import ROOT, environment
from tools.browser import chromium, launched
from tools.links import broken, read

WARM_LIMIT = 15

needs = pytest.mark.skipif(
    not (ROOT / ".git").exists() or not shutil.which("git") or not shutil.which("make"),
    reason="needs git, make and the repository's history",
)


@needs
def test_a_clean_clone_builds(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    env = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    # This test's own environment serves: its stamp counts as fresh.
    command = ["make", "book", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.installed"]
    seconds = {}
    for build in ("fresh", "warm"):
        start = time.perf_counter()
        said = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
        seconds[build] = time.perf_counter() - start
    assert seconds["warm"] < WARM_LIMIT, f"a warm rebuild took {seconds['warm']:.1f} s"
    html = clone / "_build" / "html"
    assert broken(html) == []
    untracked = ["git", "status", "--porcelain"]
    assert subprocess.run(untracked, cwd=clone, capture_output=True, text=True).stdout == ""
    assert reached(html) == set(read(html))
    if chromium():
        assert_opens(html / "index.html")


def reached(html: Path) -> set[Path]:
    """The pages that a reader comes to from the first one, link by link, or by searching."""
    pages = read(html)
    waiting = [html / "index.html", html / "search.html"]
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        for address in pages[page].links:
            target = (page.parent / urlsplit(address).path).resolve()
            if target in pages and target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def assert_opens(path: Path) -> None:
    """The page stands, from its folder, without a complaint."""
    complaints = []
    with launched() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto(path.as_uri())
        page.wait_for_selector("article h1")
    assert complaints == []
