"""What pages say about themselves, and what a reader can take from them."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from mamlbook import records
from tools import ROOT, TIMES
from tools.items import cost, duration
from tools.notebooks import KERNELSPEC, LANGUAGE, chapters
from tools.published import (
    LONGEST,
    PREVIEW,
    PREVIEW_SIZE,
    binder,
    colab,
    description,
    items_of,
)

KERNEL = {"language_info": LANGUAGE, "kernelspec": KERNELSPEC}
TINY = {"runs": "book", "trains": "fewshot,book"}  # chapters of a small book, what they need
ADDRESS, DOI = "https://example.org/maml/", "10.5281/zenodo.1234"


def meta(page: Path) -> dict[str, str]:
    """The names or properties of a page's meta elements, and their contents."""
    found = {}
    for tag in re.findall(r"<meta\s[^>]*>", page.read_text(encoding="utf-8")):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        name = given.get("name") or given.get("property")
        if name and "content" in given:
            assert name not in found or name == "viewport", f"{page.name} has {name} twice"
            found[name] = unescape(given["content"])
    return found


def test_every_page_describes_itself(book):
    pages = [path for path in book.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) > 20
    said = {}
    for page in pages:
        found = meta(page)
        assert 30 < len(found["description"]) <= LONGEST, page.name
        assert found["og:description"] == found["description"]
        assert found["og:title"] and found["og:site_name"].startswith("How Does")
        assert (page.parent / found["og:image"]).resolve() == book / PREVIEW
        assert not re.search(r"\\|\$|<", found["description"]), page.name
        said[page.relative_to(book).as_posix()] = found["description"]
    shared = {"index.html", "search.html", "404.html"}
    own = [text for name, text in said.items() if name not in shared]
    assert len(set(own)) == len(own), "two pages have the same description"


def test_no_page_has_its_title_twice(book):
    pages = [path for path in book.rglob("*.html") if "_static" not in path.parts]
    for page in pages:
        head = page.read_text(encoding="utf-8").partition("</head>")[0]
        [title] = re.findall(r"<title>(.*?)</title>", head, re.S)
        parts = [part.strip() for part in re.split(" [—-] ", title)]
        assert len(set(parts)) == len(parts), title


def test_works_data_and_code_are_linked(book):
    """Each work cited on the first page, each data set, and the code that others published."""
    first = BeautifulSoup((book / "index.html").read_text(encoding="utf-8"), "html.parser")
    works = first.select(".citation")
    assert len(works) > 8 and all(work.select("a[href^='https://']") for work in works)
    for page, addresses in {
        "chapters/omniglot.html": ["brendenlake/omniglot", "lgcollins/tr-maml",
                                   "AntreasAntoniou/HowToTrainYourMAMLPytorch"],
        "chapters/cifar.html": ["www.cs.toronto.edu/~kriz/cifar.html"],
        "running.html": ["brendenlake/omniglot", "www.cs.toronto.edu/~kriz/cifar.html"],
    }.items():  # fmt: skip
        text = (book / page).read_text(encoding="utf-8")
        assert [each for each in addresses if f'{each}"' not in text] == []


def test_the_preview_is_a_small_image(book):
    path = book / PREVIEW
    with Image.open(path) as image:
        assert image.size == PREVIEW_SIZE
        assert len(image.convert("RGB").getcolors(1 << 20)) > 20  # something is drawn
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize(
    ("paragraphs", "said"),
    [
        (
            ["Where do the two initializations lie? And why?"],
            "Where do the two initializations lie? And why?",
        ),
        (
            ["The first of two sentences of a page. " + "word " * 30],
            "The first of two sentences of a page.",
        ),
        (["Too short.", "A sentence that is long enough to say something."], None),
        (["word " * 50], ("word " * 30).strip() + " word…"),
    ],
)
def test_a_description_is_the_first_sentences(paragraphs, said):
    page = nodes.section("", *(nodes.paragraph("", text) for text in paragraphs))
    found = description(page)
    assert found == (said or paragraphs[-1])
    assert len(found) <= LONGEST


def test_a_description_has_no_formulas():
    first = nodes.paragraph("", "", nodes.Text("The hard task has the variance "))
    first += [
        nodes.math("", "\\rho_H"),
        nodes.Text(", which is small. The easy one is solved by a single step."),
    ]
    assert description(nodes.section("", first)) == "The easy one is solved by a single step."


def test_the_footer_names_license_version_and_commit(book):
    text = (book / "chapters" / "hardness.html").read_text(encoding="utf-8")
    [line] = re.findall(r'<p class="version">(.*?)</p>', text)
    assert line.startswith("MIT License · version 0.1.0")
    commit = records.commit()
    if commit is None or not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no history, no commit")
    command = ["git", "log", "-1", "--format=%cs"]
    day = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"commit {commit[:7]} of {pd.Timestamp(day.strip()):%B %-d, %Y}" in line


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_can_be_taken_home_and_run(book, path):
    cells = nbformat.read(path, as_version=4).cells
    page = book / "chapters" / f"{path.stem}.html"
    text = page.read_text(encoding="utf-8")
    block = text[text.index("Run this chapter") : text.index("In the code")]
    taken = page.parent / re.search(r'href="([^"]*\.ipynb)"', block)[1]
    assert taken.read_bytes() == path.read_bytes()
    if seconds := json.loads(TIMES.read_bytes()).get(path.stem):
        took = duration(seconds).replace(" ", "\N{NO-BREAK SPACE}")
        assert f"Executing it took {took} on two cores" in block
    for item in items_of(cells):
        record = records.load(item)
        took, training, device = (part.replace(" ", "\N{NO-BREAK SPACE}") for part in cost(record))
        assert f"its record took {took}" in block and f"(device: {device})" in block
        assert not training or f"its networks {training} (" in block
        assert f"rows/{item}.csv" in block
        assert (book / "rows" / f"{item}.csv").read_bytes() == (
            ROOT / "results" / f"{item}.csv"
        ).read_bytes()


NEEDS_TORCH = {"sinusoids", "gradient_norms", "world", "omniglot", "cifar"}


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_binder_or_colab_opens_a_chapter_where_it_runs(path):
    cells = nbformat.read(path, as_version=4).cells
    name = f"chapters/{path.name}"
    options = {"repository_url": "https://github.com/owner/name", "repository_branch": "main"}
    address = f"https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/{name}"
    assert binder(name, cells, options) == (None if path.stem in NEEDS_TORCH else address)
    address = f"https://colab.research.google.com/github/owner/name/blob/main/{name}"
    assert colab(name, cells, options) == (address if path.stem in NEEDS_TORCH else None)
    for opened in (binder, colab):
        assert opened(name, cells, {"repository_url": ""}) is None


def test_a_link_stands_where_a_chapter_says_how_to_run(site):
    """And no button of the theme does, which every chapter would have."""
    runs, trains = ((site / f"{name}.html").read_text(encoding="utf-8") for name in TINY)
    assert 'href="https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/runs.ipynb"' in runs
    assert runs.count("mybinder.org") == 1 and "mybinder.org" not in trains
    opened = "https://colab.research.google.com/github/owner/name/blob/main/trains.ipynb"
    assert f'href="{opened}"' in trains and "colab" not in runs
    install = "%pip install 'mamlbook[fewshot,book] @ git+https://github.com/owner/name'"
    assert install in unescape(re.sub("<[^>]*>", "", trains))


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_figure_links_to_its_rows(book, path):
    """Under each figure of a record, and no other: the chapter loads it, or verifies it."""
    cells = nbformat.read(path, as_version=4).cells
    text = (book / "chapters" / f"{path.stem}.html").read_text(encoding="utf-8")
    for cell in cells:
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        if not name:
            continue
        figure = text[text.index(f'id="{name}"') :].split("</figure>")[0]
        linked = re.findall(r"rows/(\w+)\.csv", figure)
        item = cell.metadata.get("record")
        assert set(linked) == ({item} if item else set())
        if item:
            assert item in items_of(cells)
        elif re.sub(r"fig-?", "fig", name) in items_of(cells):
            pytest.fail(f"{name} shows a record and does not say so")


@pytest.fixture(scope="module")
def site(booklet, build) -> Path:
    """A book with an address and a DOI."""
    config = booklet / "_config.yml"
    text = config.read_text(encoding="utf-8")
    assert text.count('baseurl: ""') == text.count('doi: ""') == 1
    text = text.replace('baseurl: ""', f'baseurl: "{ADDRESS}"').replace('doi: ""', f'doi: "{DOI}"')
    assert text.count('  url: ""') == 1
    text = text.replace('  url: ""', '  url: "https://github.com/owner/name"')
    config.write_text(text, encoding="utf-8")
    (booklet / "intro.md").write_text("# A page\n\n```{how-to-cite}\n```\n", encoding="utf-8")
    for name, extra in TINY.items():
        cells = [new_markdown_cell(f"# It {name}"), new_code_cell(f"# pip install '.[{extra}]'")]
        nbformat.write(new_notebook(cells=cells, metadata=KERNEL), booklet / f"{name}.ipynb")
    toc = "format: jb-book\nroot: intro\nchapters:\n" + "".join(f"- file: {n}\n" for n in TINY)
    (booklet / "_toc.yml").write_text(toc, encoding="utf-8")
    said = build(booklet)
    assert said.returncode == 0, said.stdout + said.stderr
    return booklet / "_build" / "html"


def test_with_an_address_there_is_a_sitemap(site, book):
    assert not (book / "sitemap.xml").exists()  # the true book has no address yet
    found = ElementTree.parse(site / "sitemap.xml").getroot()
    expected = [f"{ADDRESS}{name}.html" for name in ("intro", *TINY)]
    assert [each.text for each in found.findall("{*}url/{*}loc")] == expected


def test_with_an_address_previews_are_whole_addresses(site):
    found = meta(site / "intro.html")
    assert found["og:image"] == ADDRESS + PREVIEW
    assert found["og:url"] == ADDRESS + "intro.html"


def test_a_lost_reader_finds_the_way_from_any_folder(site, book):
    lost = (site / "404.html").read_text(encoding="utf-8")
    assert lost.index(f'<base href="{ADDRESS}">') < lost.index("_static/")
    assert "There is no such page" in lost and 'href="search.html"' in lost
    assert "<base" not in (book / "404.html").read_text(encoding="utf-8")
    assert "<base" not in (site / "intro.html").read_text(encoding="utf-8")


def test_the_doi_is_in_the_footer_and_in_the_citation(site):
    text = unescape(re.sub(r"<(?!a )[^>]*>", "", (site / "intro.html").read_text(encoding="utf-8")))
    assert f'href="https://doi.org/{DOI}"' in text
    assert f"doi = {{{DOI}}}" in text and f"url = {{{ADDRESS}}}" in text


@pytest.mark.parametrize(
    ("given", "wrong", "remedy"),
    [
        (ADDRESS, "example.org", "must be the https address"),
        (DOI, f"https://doi.org/{DOI}", "must be a DOI such as"),
    ],
)
def test_a_wrong_address_or_doi_is_refused(site, build, given, wrong, remedy):
    config = site.parent.parent / "_config.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(f'"{given}"', f'"{wrong}"'), encoding="utf-8")
    said = build(config.parent)
    config.write_text(text, encoding="utf-8")
    assert said.returncode != 0
    assert remedy in " ".join((said.stdout + said.stderr).split())
