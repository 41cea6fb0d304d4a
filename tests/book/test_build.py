"""The build is strict, its parts are what they claim to be, and links are truly checked."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import HTML, ROOT
from tools.links import broken
from tools.vendor import MANIFEST, PACKAGES, manifest

SOURCES = ("_config.yml", "_toc.yml", "chapters", "intro.md", "references.bib", "tools", "vendor")
WARM_LIMIT = 15


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the book's sources."""
    for name in (*SOURCES, "mamlbook"):
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.build"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_build_is_strict_and_quick_when_warm(copy):
    first = build(copy)
    assert first.returncode == 0, first.stdout + first.stderr
    assert (copy / "_build" / "html" / "index.html").is_file()
    with (copy / "intro.md").open("a", encoding="utf-8") as page:
        page.write("\nOne more line.\n")
    start = time.perf_counter()
    assert build(copy).returncode == 0
    assert time.perf_counter() - start < WARM_LIMIT
    with (copy / "intro.md").open("a", encoding="utf-8") as page:
        page.write("\nSee {eq}`eq-of-nowhere`.\n")
    for _ in range(2):  # the warning is not forgotten
        said = build(copy)
        assert said.returncode != 0
        assert "eq-of-nowhere" in said.stdout + said.stderr


def test_vendored_files_are_those_of_the_manifest():
    assert manifest() == json.loads(MANIFEST.read_text(encoding="utf-8"))
    for package in PACKAGES:
        assert (MANIFEST.parent / package.folder / "LICENSE").stat().st_size > 500


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html#here">', None),
        ('<a href="#top">', "leads to no anchor"),
        ('<a href="other.html#there">', "leads to no anchor"),
        ('<a href="nowhere.html">', "leads to no file"),
        ('<img src="nowhere.svg">', "leads to no file"),
        ('<a href="https://arxiv.org/abs/2010.14672">', None),
        ('<a href="http://arxiv.org">', "is not a whole https address"),
        ('<a href="https://arxiv">', "is not a whole https address"),
        ('<script src="https://cdn.example.org/x.js"></script>', "is loaded from outside the book"),
        ('<script src="//cdn.example.org/x.js"></script>', "is loaded from outside the book"),
    ],
)
def test_broken_links_are_told(tmp_path, body, fault):
    (tmp_path / "other.html").write_text('<p id="here">')
    (tmp_path / "index.html").write_text(body)
    assert [sentence.endswith(fault) for sentence in broken(tmp_path)] == [True] * bool(fault)


@pytest.mark.skipif(not (HTML / "index.html").is_file(), reason="there is no book: run `make book`")
def test_the_book_has_no_broken_links():
    assert broken(HTML) == []
