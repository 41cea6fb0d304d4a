"""The build is strict, its parts are what they claim to be, and links are truly checked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.links import broken
from tools.vendor import MANIFEST, PACKAGES, manifest


def test_a_changed_style_reaches_the_pages(booklet, build):
    assert build(booklet).returncode == 0
    with (booklet / "tools" / "assets" / "book.css").open("a", encoding="utf-8") as style:
        style.write("/* a change */\n")
    assert build(booklet).returncode == 0
    built = booklet / "_build" / "html" / "_static" / "book.css"
    assert built.read_text(encoding="utf-8").endswith("/* a change */\n")


def test_a_warning_fails_the_build_and_is_not_forgotten(booklet, build):
    with (booklet / "intro.md").open("a", encoding="utf-8") as page:
        page.write("\nSee {eq}`eq-of-nowhere`.\n")
    for _ in range(2):
        said = build(booklet)
        assert said.returncode != 0
        assert "eq-of-nowhere" in said.stdout + said.stderr


def test_a_version_without_its_figures_is_refused(booklet):
    book = Path(sys.executable).parent / "jupyter-book"
    said = subprocess.run(
        [book, "build", ".", "--builder", "latex"], cwd=booklet, capture_output=True, text=True
    )
    assert said.returncode != 0
    assert "The book has no latex version" in said.stdout + said.stderr


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
