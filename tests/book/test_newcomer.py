"""A stranger clones the repository, types `make book` and opens the page from the folder."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import make_book
from tools import ROOT
from tools.browser import REMEDY, chromium, launched
from tools.links import broken, read

WARM_LIMIT = 15

needs_git = pytest.mark.skipif(
    not (ROOT / ".git").exists() or not shutil.which("git") or not shutil.which("make"),
    reason="needs git, make and the repository's history",
)
# What tools leave in a tree, and no build reads: the book itself, environments, caches.
LEFT = re.compile(r"(.*/)?(_build|\.venv|__pycache__|\.\w+_cache|\.hypothesis|\w+\.egg-info)/")


def git(*arguments: str) -> list[str]:
    said = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return said.stdout.splitlines()


def test_a_warm_rebuild_is_quick(rebuilt):
    assert rebuilt < WARM_LIMIT, f"a warm rebuild took {rebuilt:.1f} s"


@needs_git
def test_a_clean_clone_builds(book, tmp_path):
    """Git holds all that the build reads, and the build leaves nothing that git would take up."""
    clone = ROOT
    # Of an ignored folder only the name: in .venv there are names that git would quote.
    status = git("status", "--porcelain", "--ignored=matching", "--untracked-files=all")
    if not all(LEFT.match(line[3:]) for line in status):  # a clean clone, built, is this one
        clone = tmp_path / "clone"
        git("clone", "--quiet", str(ROOT), str(clone))
        make_book(clone)
    assert git("-C", str(clone), "status", "--porcelain") == []


def test_every_link_leads_somewhere_and_every_page_is_reached(book):
    assert broken(book) == []
    assert reached(book) == set(read(book))


def reached(html: Path) -> set[Path]:
    """The pages that a reader comes to from the first one, link by link, by searching or lost."""
    pages = read(html)
    waiting = [html / "index.html", html / "search.html", html / "404.html"]
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        for address in pages[page].links:
            target = (page.parent / urlsplit(address).path).resolve()
            if target in pages and target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


@pytest.mark.skipif(not chromium(), reason=REMEDY)
def test_the_book_opens_from_its_folder(book):
    complaints = []
    with launched() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto((book / "index.html").as_uri())
        page.wait_for_selector("article h1")
    assert complaints == []
