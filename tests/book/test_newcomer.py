"""A stranger clones the repository, types `make book` and opens the page from the folder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import ROOT, environment
from tools.browser import chromium, launched
from tools.links import broken, read

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
    said = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    html = clone / "_build" / "html"
    assert broken(html) == []
    untracked = ["git", "status", "--porcelain"]
    assert subprocess.run(untracked, cwd=clone, capture_output=True, text=True).stdout == ""
    if chromium():
        assert follow(html) == {page.relative_to(html).as_posix() for page in read(html)}


def follow(html: Path) -> set[str]:
    """Follow every link from the first page on, from folder to folder: the pages reached."""
    seen, waiting = set(), ["index.html", "search.html"]
    with launched() as browser:
        page = browser.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        while waiting:
            name = waiting.pop()
            seen.add(name)
            page.goto((html / name).as_uri())
            page.wait_for_selector("article h1, #search-results", state="attached")
            for href in page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)"):
                target = href.removeprefix(f"{html.as_uri()}/").partition("#")[0].partition("?")[0]
                if target.endswith(".html") and not target.startswith("http"):
                    waiting += [target] if target not in {*seen, *waiting} else []
    assert complaints == []
    return seen
