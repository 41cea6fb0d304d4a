"""Pages and docstrings keep to the field's terms; private words stay out."""

import ast
import io
import re
import tokenize
from pathlib import Path

import nbformat
import pytest

from tools import ROOT
from tools.notebooks import chapters

# What no text may say, as a regular expression, and what to say instead.
PRIVATE = {
    r"\bc[ao]mes? out\b": "resulted, agreed",
    r"\banew\b|\bafresh\b": "again",
    r"\b(?:hold|holds|held|holding)\b[^.;:]{0,60}\bagainst\b": "compare with, check against",
    r"\bvouch": "checked",
    r"\bdear\b": "expensive",
    r"\btold\b": "given, known, distinguished",
    r"\bto be had\b": "available",
    r"ours less the paper's": "this book minus the paper",
    r"\bluck of\b": "sampling error",
    r"\bas (?:it|they) stands?\b": "unchanged",
    r"(?:NAL|MAML)(?:['’]s)? starts?\b|\b(?:the two|both|every) starts?\b": "initialization",
    r"stands on its head|upside down": "is inverted",
    r"\bnobody need\b|\bkindest\b": "plain words",
    r"reproduced in kind": "reproduced qualitatively",
    r"(?:[0-9`]|[df]\}) %(?!\w)": "95%, without a space",
}
# Where labels are what the inner loop is judged on, they are a query set.
QUERY = {r"\btargets?\b": "query set"}
# What no variable, attribute or parameter may be called. `targets` in the settings of a run is the
# name that records have.
NAMES = {
    "": {"told", "dear", "anew"},
    "mamlbook/fewshot": {"target", "target_labels", "starts", "course", "particulars"},
    "mamlbook/world": {"target", "targets", "starts"},
    "mamlbook/diagnose": {"start", "starts"},
}
PAGES = ["README", "CHANGELOG", "CONTRIBUTING", "intro", "running", "reference", *sorted(
    path.stem for path in (ROOT / "chapters").iterdir() if path.suffix in (".md", ".ipynb")
), *sorted(f"reference/{path.stem}" for path in (ROOT / "reference").glob("*.md"))]  # fmt: skip
MODULES = [
    *sorted(path for folder in ("mamlbook", "tools", "benchmarks") for path in
            (ROOT / folder).rglob("*.py")),
    *sorted((ROOT / "mamlbook").rglob("*.js")),
    *sorted((ROOT / "tools").rglob("*.js")),
]  # fmt: skip
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))


def said_on(page: str, strings_too: bool = True) -> str:
    """The prose of a page, its captions, its alt texts, and the strings of its code."""
    [path] = [*(ROOT / "chapters").glob(f"{page}.*"), *ROOT.glob(f"{page}.md")]
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        mystnb = cell.metadata.get("mystnb", {})
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif strings_too:
            parts += strings(cell.source)
        parts += [
            mystnb.get("figure", {}).get("caption", ""),
            mystnb.get("image", {}).get("alt", ""),
        ]
    return "\n".join(parts)


def said_in(module: Path) -> str:
    """The strings of a module: docstrings, messages, labels; and its comments."""
    text = module.read_text(encoding="utf-8")
    if module.suffix == ".js":
        return "\n".join(found[0] for found in re.finditer(SPOKEN_BY_SCRIPT, text))
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    return "\n".join([*strings(text), *comments])


SPOKEN_BY_SCRIPT = re.compile(r'"[^"\n]*"|`[^`]*`|//.*|/\*[\s\S]*?\*/')


def strings(code: str) -> list[str]:
    return [
        node.value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def private(text: str, words: dict[str, str] = PRIVATE) -> list[str]:
    text = " ".join(text.split())
    return [
        f"{found[0]!r}: say {instead}"
        for pattern, instead in words.items()
        for found in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_keeps_to_the_words_of_the_field(page):
    assert private(said_on(page)) == []


@pytest.mark.parametrize("page", ["omniglot", "cifar", "glossary"])
def test_what_adaptation_is_judged_on_is_the_query_set(page):
    assert private(re.sub(r"`[^`]*`", "", said_on(page)), QUERY) == []


@pytest.mark.parametrize(
    "module", MODULES + TESTS, ids=lambda path: f"{path.parent.name}.{path.name}"
)
def test_a_module_keeps_to_the_words_of_the_field(module):
    assert private(said_in(module)) == []


# (12) would be an equation of this book, to which only a reference leads; (P12) is the paper's.
UNMARKED = re.compile(r"(?<![\w\])}'.\\])\([1-9]\d?\)(?![\w-])")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_marks_the_papers_equations(page):
    text = said_on(page, strings_too=False)
    assert (
        UNMARKED.findall(re.sub(r"\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`", "", text, flags=re.S))
        == []
    )


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if path.suffix == ".py"],
    ids=lambda path: f"{path.parent.name}.{path.name}",
)
def test_a_module_marks_the_papers_equations(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented):
            assert UNMARKED.findall(ast.get_docstring(node) or "") == []


def test_an_unmarked_equation_is_noticed():
    assert UNMARKED.findall("by (12) and equation (5), not (P12), f(2), x[0](1) or (a)") == [
        "(12)",
        "(5)",
    ]


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_opens_with_its_answer(path):
    """Three sentences before any derivation, each with a number that a cell gives."""
    cells = nbformat.read(path, as_version=4).cells
    if path.stem == "verdict":  # its answer is written by a cell
        opening = next(each for each in cells if "In short" in str(each.get("outputs")))
        text = opening.outputs[0]["data"]["text/markdown"]
        number = r"\d+"
    else:
        text, number = cells[0].source, r"\{glue:text\}"
    [answer] = re.findall(r"In short.*?(?=\n\n|\n```|\Z)", text, re.S)
    assert "$$" not in text[: text.index(answer)] and "\n## " not in text[: text.index(answer)]
    sentences = re.split(r"(?<=[\w`%).*])\.[ \n]+(?=[A-Z-])", answer.partition("short")[2])
    assert len(sentences) == 3 and all(re.search(number, each) for each in sentences), sentences
    assert len(re.sub(r"\{glue:text\}`[^`]*`", "1", answer).split()) <= 130


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES + TESTS if path.suffix == ".py"],
    ids=lambda path: f"{path.parent.name}.{path.name}",
)
def test_a_module_names_things_in_the_words_of_the_field(module):
    found = {
        token.string
        for token in tokenize.generate_tokens(io.StringIO(module.read_text("utf-8")).readline)
        if token.type == tokenize.NAME
    }
    for folder, names in NAMES.items():
        if module.relative_to(ROOT).as_posix().startswith(folder):
            assert found & names == set()


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if {"fewshot", "world"} & set(path.relative_to(ROOT).parts[:-1])]
    + [ROOT / "mamlbook/figures/omniglot.py", ROOT / "mamlbook/figures/cifar.py"],
    ids=lambda path: f"{path.parent.name}.{path.name}",
)
def test_a_module_says_query_set(module):
    """But for the name that the number of query examples has in records and checkpoints."""
    text = re.sub(r"^targets=?$|(in records: |as )targets", "", said_in(module), flags=re.M)
    assert private(text, QUERY) == []


def test_a_private_word_is_noticed():
    assert private("the ratio in (d)\ncame  out") == ["'came out': say resulted, agreed"]
