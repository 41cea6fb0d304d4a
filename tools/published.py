"""Sphinx extension: what a published page says about itself, and what a reader can take from it.

Every page has a description and a preview, for search engines and for whoever shares its address;
its footer names license, version and commit. Chapters link to the rows of their figures and say how
to run them. The site's address and the book's DOI are settings of _config.yml.
"""

import ast
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.sax.saxutils import escape as xml

import nbformat
from docutils import nodes
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError
from sphinx.util.docutils import SphinxDirective

from mamlbook import records
from mamlbook.experiments.catalogue import ITEMS
from tools import ROOT, TIMES
from tools.items import cost, duration

PREVIEW, PREVIEW_SIZE = "_static/preview.png", (1200, 630)  # the size that Open Graph suggests
PREVIEW_ALT = "Where NAL and MAML initialize two tasks, and their excess risks (Figure 2)"
LONGEST = 160  # characters of a description
ROWS = "rows"  # the folder of CSV files in the built book
LOST = """<h1>There is no such page</h1>
<p>The address may be mistyped, or the page may have moved.
Begin at the <a class="reference internal" href="index.html">first page</a>, or
<a class="reference internal" href="search.html">search the book</a>.</p>"""


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.add_config_value("doi", "", "html")
    app.add_directive("how-to-cite", HowToCite)
    app.connect("config-inited", _settings)
    app.connect("doctree-read", _to_take_away)
    app.connect(
        "html-collect-pages",
        lambda _: [("404", {"title": "No such page", "body": LOST}, "page.html")],
    )
    app.connect("html-page-context", _describe)
    app.connect("build-finished", _finish, priority=900)  # after the redirection to the first page
    return {"env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}


@cache
def project() -> dict[str, Any]:
    """Name, version, license and description, from pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def footer(doi: str) -> str:
    """License, version, commit and its date: the same for every build of one commit."""
    commit = records.commit()
    parts = [f"{project()['license']} License", f"version {project()['version']}"]
    if commit:
        changed = ", with changes" if commit.endswith("-dirty") else ""
        parts.append(f"commit {commit[:7]}{_committed()}{changed}")
    if doi:
        parts.append(f'<a href="https://doi.org/{escape(doi)}">doi:{escape(doi)}</a>')
    return f'<p class="version">{" · ".join(parts)}</p>'


def _committed() -> str:
    command = ["git", "log", "-1", "--format=%cs"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return f" of {date.fromisoformat(said.stdout.strip()):%B %-d, %Y}" if said.stdout else ""


def _settings(app: Sphinx, config: Config) -> None:
    if config.html_baseurl and not re.fullmatch(r"https://[^\s?#]+/", config.html_baseurl):
        raise ConfigError(
            f"html: baseurl in _config.yml is {config.html_baseurl!r}; it must be the https "
            "address of the site and end in a slash, or be empty."
        )
    if config.doi and not re.fullmatch(r"10\.\d{4,9}/\S+", config.doi):
        raise ConfigError(
            f"doi in _config.yml is {config.doi!r}; it must be a DOI such as 10.5281/zenodo.1234, "
            "without an address before it, or be empty."
        )
    options = config.html_theme_options
    options["extra_footer"] = options.get("extra_footer", "") + footer(config.doi)


def description(doctree: nodes.document | None) -> str:
    """The first sentence of a page without mathematics, with those after it for which LONGEST
    characters have room; of a page without text the project's."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        said = ""
        for sentence in re.split(r"(?<=[.?!])\s+", " ".join(_plain(paragraph).split())):
            if said and ("\0" in sentence or len(said) + 1 + len(sentence) > LONGEST):
                break
            if said or (len(sentence) > 30 and "\0" not in sentence):
                said = f"{said} {sentence}".strip()
        if said:
            return _cut(said)
    return project()["description"]


def _plain(paragraph: nodes.paragraph) -> str:
    """Its text, each formula as one NUL."""
    return "".join(
        "\0" if isinstance(node.parent, nodes.math) else node.astext()
        for node in paragraph.findall(nodes.Text)
    )


def _cut(sentence: str) -> str:
    if len(sentence) <= LONGEST:
        return sentence
    return sentence[: LONGEST - 1].rpartition(" ")[0].rstrip(",;:") + "…"


def _describe(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    tags = context.get("metatags", "")
    given = re.search(r'<meta content="([^"]*)" name="description"', tags)
    said = given[1] if given else escape(description(doctree))
    if context.get("title") == app.config.html_title:  # the first page: its title once
        context["docstitle"] = ""
        context["theme_logo"] = {**context["theme_logo"], "text": app.config.html_title}
    base = app.config.html_baseurl
    image = urljoin(base, PREVIEW) if base else context["pathto"](PREVIEW, resource=True)
    title = re.sub(r"<[^>]*>", "", context.get("title", "")) or escape(app.config.html_title)
    graph = {
        "og:title": title,
        "og:description": said,
        "og:type": "article",
        "og:site_name": escape(app.config.html_title),
        "og:image": image,
        "og:image:width": PREVIEW_SIZE[0],
        "og:image:height": PREVIEW_SIZE[1],
        "og:image:alt": PREVIEW_ALT,
    }
    if base and page != "404":
        graph["og:url"] = urljoin(base, app.builder.get_target_uri(page))
    if base and page == "404":  # served in the place of a page in any folder
        tags = f'<base href="{escape(base)}">' + tags
    if not given:
        tags += f'<meta name="description" content="{said}">'
    tags += "".join(f'<meta property="{name}" content="{value}">' for name, value in graph.items())
    context["metatags"] = tags + '<meta name="twitter:card" content="summary_large_image">'


def items_of(cells: list[NotebookNode]) -> list[str]:
    """The items whose records a chapter reads or compares with its own rows, in that order."""
    found = []
    for cell in cells:
        if cell.cell_type == "code":
            tree = ast.parse(re.sub(r"^\s*[%!].*", "", cell.source, flags=re.M))
            verifies = "verify(" in cell.source
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in LOADS and node.args:
                    found += _named(node.args[:1])
                elif isinstance(node, ast.Dict) and verifies:
                    found += _named(node.keys)
                elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "ITEMS":
                    found += _named([node.slice])
    return list(dict.fromkeys(found))


GITHUB = r"https://github\.com/([\w.-]+/[\w.-]+)"
LOADS = ("load", "records.load")


def _named(keys: list[ast.expr | None]) -> Iterator[str]:
    for key in keys:
        if isinstance(key, ast.Constant) and key.value in ITEMS:
            yield key.value


def _to_take_away(app: Sphinx, doctree: nodes.document) -> None:
    """Of a chapter: the rows under each figure, and how to run it."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    up = "../" * app.env.docname.count("/")
    cells = nbformat.read(path, as_version=4).cells
    figures = {name: figure for figure in doctree.findall(nodes.figure) for name in figure["ids"]}
    for cell in cells:
        if item := cell.metadata.get("record"):
            figure = figures[cell.metadata["mystnb"]["figure"]["name"]]
            figure += nodes.legend("", nodes.paragraph("", "", _rows(item, up), classes=["rows"]))
    command = f"python -m tools.execute {path.stem}"
    first = nodes.paragraph("", "", nodes.literal(text=command), nodes.Text(", or open "))
    first += nodes.reference("", path.name, refuri=f"{up}_sources/{app.env.docname}.ipynb")
    first += nodes.Text(" in Jupyter, in the folder ")
    first += [nodes.literal(text="chapters"), nodes.Text(" of the repository")]
    app.env.note_dependency(str(TIMES))
    first += nodes.Text(took(path.stem))
    listed = nodes.bullet_list("", nodes.list_item("", first), classes=["run-this"])
    if address := binder(f"{app.env.docname}.ipynb", cells, app.config.html_theme_options):
        line = nodes.paragraph("", "", nodes.reference("", "Open it on Binder", refuri=address))
        line += nodes.Text(", without installing anything.")
        listed += nodes.list_item("", line)
    if address := colab(f"{app.env.docname}.ipynb", cells, app.config.html_theme_options):
        url = app.config.html_theme_options["repository_url"]
        install = f"%pip install 'mamlbook[fewshot,book] @ git+{url}'"
        line = nodes.paragraph("", "", nodes.reference("", "Open it in Colab", refuri=address))
        line += nodes.Text(", which has torch and lends GPUs; run ")
        line += [nodes.literal(text=install), nodes.Text(" there first.")]
        listed += nodes.list_item("", line)
    for item in items_of(cells):
        record = records.load(item)
        app.env.note_dependency(str(records.RESULTS / f"{item}.json"))
        line = nodes.paragraph("", "", nodes.literal(text=f"python -m mamlbook reproduce {item}"))
        full = ITEMS[item].cost.replace(" ", "\N{NO-BREAK SPACE}")
        said = f": {ITEMS[item].reference}, about {full} at full length on one core; "
        line += nodes.Text(f"{said}{_cost(record)}. ")
        line += _rows(item, up)
        listed += nodes.list_item("", line)
    doctree[0] += [nodes.rubric(text="Run this chapter"), listed]


def binder(name: str, cells: list[NotebookNode], options: dict[str, Any]) -> str | None:
    """Where Binder opens the chapter; None if the book has no address on GitHub, or if the chapter
    needs torch, which the environment of binder/ has not."""
    place, branch = _on_github(options)
    if not place or _needs_torch(cells):
        return None
    return f"https://mybinder.org/v2/gh/{place}/{branch}?urlpath=lab/tree/{name}"


def colab(name: str, cells: list[NotebookNode], options: dict[str, Any]) -> str | None:
    """Where Colab opens a chapter that needs torch; None for the others, which Binder opens, or if
    the book has no address on GitHub."""
    place, branch = _on_github(options)
    if not place or not _needs_torch(cells):
        return None
    return f"https://colab.research.google.com/github/{place}/blob/{branch}/{name}"


def _on_github(options: dict[str, Any]) -> tuple[str, str]:
    """OWNER/NAME and the branch, from the theme's options; an empty name without an address."""
    place = re.fullmatch(GITHUB, options.get("repository_url", ""))
    return place[1] if place else "", options.get("repository_branch", "main")


def _needs_torch(cells: list[NotebookNode]) -> bool:
    """As the chapter's first cell says."""
    first = next(cell.source for cell in cells if cell.cell_type == "code")
    return "[fewshot" in first.partition("\n")[0]


def took(chapter: str) -> str:
    """How long the chapter takes, as measured by `tools.execute --times`, to end a sentence."""
    seconds = json.loads(TIMES.read_bytes()).get(chapter)
    if seconds is None:
        return "."
    return f". Executing it took {duration(seconds).replace(' ', chr(0xA0))} on two cores."


def _cost(record: records.Record) -> str:
    took, training, device = (part.replace(" ", "\N{NO-BREAK SPACE}") for part in cost(record))
    trained = f", and training its networks {training}" if training else ""
    return f"its record took {took}{trained} (device: {device})"


def _rows(item: str, up: str) -> nodes.reference:
    return nodes.reference("", f"Rows: {item}.csv", refuri=f"{up}{ROWS}/{item}.csv")


class HowToCite(SphinxDirective):
    """The book as a BibTeX entry, with its DOI and address where _config.yml has them."""

    def run(self) -> list[nodes.Node]:
        config = self.config
        fields = {
            "title": f"{{{config.html_title}}} An executable book",
            "author": "{The authors of mamlbook}",
            "year": config.copyright,
            "note": f"Version {project()['version']}",
            "doi": config.doi,
            "url": config.html_baseurl,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        text = "\n".join(["@misc{mamlbook,", *lines, "}"])
        return [nodes.literal_block(text, text, language="bibtex")]


def _finish(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    shutil.rmtree(out / ROWS, ignore_errors=True)
    (out / ROWS).mkdir()
    for path in sorted(records.RESULTS.glob("*.csv")):
        shutil.copy(path, out / ROWS)
    draw_preview(out / PREVIEW)
    # The first page at the site's address: a redirection there would have no description.
    shutil.copyfile(out / f"{app.config.root_doc}.html", out / "index.html")
    if app.config.html_baseurl:
        (out / "sitemap.xml").write_text(sitemap(app), encoding="utf-8")
    else:  # it must name whole addresses
        (out / "sitemap.xml").unlink(missing_ok=True)


def sitemap(app: Sphinx) -> str:
    """The address of every page, for search engines."""
    names = sorted(app.env.found_docs)
    found = (urljoin(app.config.html_baseurl, app.builder.get_target_uri(name)) for name in names)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
            *(f"<url><loc>{xml(address)}</loc></url>" for address in found),
            "</urlset>\n",
        ]
    )


def draw_preview(path: Path) -> None:
    """Figure 2 from its record, at the size of a preview."""
    from mamlbook import figures  # matplotlib, only where it draws

    with figures.style.house():
        figure = figures.fig2(records.load("fig2").rows)
        figure.set_size_inches(*(side / 150 for side in PREVIEW_SIZE))
        figure.savefig(path, dpi=150, metadata={"Software": None})
