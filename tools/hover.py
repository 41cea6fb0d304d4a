"""Sphinx extension: what a link leads to is shown where the pointer or the focus rests on it.

In each section of a chapter the first use of a term of the glossary becomes a link to its entry.
What links of one page to another lead to (terms, works, theorems, equations, sections) is collected
from the built pages into _static/hovered.js, which assets/hover.js loads when it first needs it; a
page may be a file, and files may not fetch.
"""

import json
import re
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from tools import ROOT

GLOSSARY = ROOT / "chapters" / "glossary.md"
ARTICLE = re.compile(r"<article\b.*</article>", re.S)
# What no hover shows, and half of what there is to parse: pictures, scripts, inside of signatures.
UNSEEN = re.compile(
    r'<(svg|script|style)\b.*?</\1>|(?P<kept><dt class="sig [^>]*>).*?(?=</dt>)', re.S
)
SET = re.compile(r"<mjx-container\b.*?</mjx-container>", re.S)  # a formula that paint.py has set
KEPT = re.compile(r'<mjx-container data-kept="(\d+)"></mjx-container>')
LONGEST = 2500  # characters of HTML but for formulas, of which a reader sees a screenful at most
APART = (  # where a word is no use of a term
    nodes.FixedTextElement, nodes.Inline, nodes.title, nodes.rubric, nodes.caption, nodes.legend,
    nodes.table, addnodes.desc,
)  # fmt: skip


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.add_js_file("hover.js", loading_method="defer")
    app.connect("doctree-read", _link_terms)
    app.connect("build-finished", _collect, priority=950)
    return {"env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}


def terms() -> list[str]:
    """The terms of the glossary, the longest first."""
    text = GLOSSARY.read_text(encoding="utf-8") if GLOSSARY.is_file() else ""
    inside = re.search(r":::\{glossary\}\n(.*?)\n:::", text, re.S)
    found = [line for line in (inside[1] if inside else "").splitlines() if re.match(r"\w", line)]
    return sorted(found, key=len, reverse=True)


def _link_terms(app: Sphinx, doctree: nodes.document) -> None:
    if Path(app.env.doc2path(app.env.docname)).suffix != ".ipynb":
        return
    app.env.note_dependency(str(GLOSSARY))
    known = {term.lower(): term for term in terms()}
    word = pattern(known)
    for section in doctree.findall(nodes.section):
        used: set[str] = set()
        for paragraph in section.children:
            for text in list(paragraph.findall(nodes.Text)) if known else ():
                if not _apart(text, section):
                    _link(text, word, known, used)


def pattern(known: dict[str, str]) -> re.Pattern:
    """Any of the terms as a whole word, or its plural; no part of a compound, and no genitive."""
    return re.compile(rf"(?<![-\w])({'|'.join(map(re.escape, known))})s?(?![-\w'’])", re.I)


def _apart(text: nodes.Text, section: nodes.section) -> bool:
    """Whether a text is in a subsection, which has links of its own, or where no term is used."""
    parent = text.parent
    if not isinstance(parent, nodes.paragraph | nodes.emphasis | nodes.strong):
        return True
    while parent is not section:
        emphasized = isinstance(parent, nodes.emphasis | nodes.strong)
        if isinstance(parent, nodes.section) or (isinstance(parent, APART) and not emphasized):
            return True
        parent = parent.parent
    return False


def _link(text: nodes.Text, word: re.Pattern, known: dict[str, str], used: set[str]) -> None:
    parts, end = [], 0
    for found in word.finditer(text):
        term = known[found[1].lower()]
        if term not in used:
            used.add(term)
            link = addnodes.pending_xref(
                "", refdomain="std", reftype="term", reftarget=term, refexplicit=True, refwarn=True
            )
            link += nodes.inline(text=found[0], classes=["term"])
            parts += [nodes.Text(text[end : found.start()]), link]
            end = found.end()
    if parts:
        text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def _collect(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        shown = json.dumps(shown_of(Path(app.outdir)), ensure_ascii=False, sort_keys=True)
        target = Path(app.outdir) / "_static" / "hovered.js"
        target.write_text(f"window.hovered({shown});\n", encoding="utf-8")


def shown_of(out: Path) -> dict[str, str]:
    """The HTML of what links between pages lead to, by page#anchor."""
    formulas: list[str] = []

    def aside(found: re.Match) -> str:  # a set formula has a hundred elements: ten seconds in all
        formulas.append(found[0])
        return f'<mjx-container data-kept="{len(formulas) - 1}"></mjx-container>'

    def back(found: re.Match) -> str:
        return re.sub(r' id="[^"]*"', "", formulas[int(found[1])])

    pages = {
        path: BeautifulSoup(SET.sub(aside, UNSEEN.sub(r"\g<kept>", article[0])), "html.parser")
        for path in sorted(out.rglob("*.html"))
        if "_static" not in path.parts
        and (article := ARTICLE.search(path.read_text(encoding="utf-8")))
    }
    found = {}
    for path, page in pages.items():
        for link in page.select("article a.internal[href*='#']"):
            address, _, anchor = unquote(link["href"]).partition("#")
            target = (path.parent / address).resolve()
            if address and target in pages:
                key = f"{target.relative_to(out).as_posix()}#{anchor}"
                if key not in found and (element := pages[target].find(id=anchor)):
                    found[key] = shown(element)
    return {key: KEPT.sub(back, html) for key, html in found.items() if html}


def shown(element: Tag) -> str:
    """What a reader wants to see of an element: the meaning of a term, the head of a section."""
    if element.name == "dt":
        if "sig" in element.get("class", []):
            return ""  # the reference: its name says what it is
        return _clean(element) + _clean(element.find_next_sibling("dd"))
    if element.name == "section" or re.fullmatch(r"h\d", element.name):
        section = element if element.name == "section" else element.parent
        return "".join(map(_clean, section.find_all(["h1", "h2", "h3", "p"], limit=2)))
    if element.name == "figure":
        return _clean(element.find("figcaption") or element)
    html = _clean(element)
    for formula in (plain := BeautifulSoup(html, "html.parser")).select(".math"):
        formula.string = "formula"
    return html if len(str(plain)) <= LONGEST else ""


def _clean(element: Tag | None) -> str:
    """The HTML of an element without links, ids and what a hover cannot use."""
    if element is None:
        return ""
    copy = BeautifulSoup(str(element), "html.parser")
    for part in copy.select("a.headerlink, button, script, img, .eqno, .legend"):
        part.decompose()
    for part in copy.select("a"):
        part.unwrap()
    for part in copy.find_all(True):
        del part["id"], part["name"]
    return " ".join(str(copy).split())
