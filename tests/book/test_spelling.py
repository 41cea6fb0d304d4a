"""Pages and docstrings are spelled right, pages in American English."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from test_words import MODULES, PAGES, said_in, said_on

# Codes of countries and the like, and what American English spells in both ways.
KNOWN = "aer,analogue,ans,nd,te"
NO_PROSE = re.compile(
    r"```.*?```|(?<!`)`[^`\n]+`"  # code
    r"|\$\$.*?\$\$|\$[^$]*\$"  # mathematics
    r"|\(https?://[^)]*\)|\]\([^)]*\)",  # addresses
    re.S,
)


def misspelled(texts: dict[str, str], folder: Path, *options: str) -> list[str]:
    """codespell's complaints about texts, `name:line: word ==> words`."""
    for name, text in texts.items():
        (folder / f"{name.replace('/', '.')}.txt").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "codespell_lib", "--ignore-words-list", KNOWN, *options, "."]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not said.stderr, said.stderr
    return said.stdout.splitlines()


def test_pages_are_spelled_right(tmp_path):
    assert misspelled({page: said_on(page) for page in PAGES}, tmp_path) == []


def test_modules_are_spelled_right(tmp_path):
    texts = {f"{path.parent.name}.{path.name}": said_in(path) for path in MODULES}
    assert misspelled(texts, tmp_path) == []


def test_pages_are_in_american_english(tmp_path):
    """Names in code keep the spelling that they have."""
    texts = {page: NO_PROSE.sub(" ", said_on(page, strings_too=False)) for page in PAGES}
    assert misspelled(texts, tmp_path, "--builtin", "en-GB_to_en-US") == []


def test_docstrings_are_in_american_english(tmp_path):
    """As the reference shows them; what is a name in the module keeps its spelling."""
    texts = {}
    for path in (each for each in MODULES if each.suffix == ".py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            token.string
            for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
            if token.type == tokenize.NAME
        }
        said = "\n".join(
            node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        )
        texts[f"{path.parent.name}.{path.name}"] = re.sub(
            r"[\w.]+",
            lambda word, own=names: "" if word[0] in own else word[0],
            NO_PROSE.sub(" ", said),
        )
    assert misspelled(texts, tmp_path, "--builtin", "en-GB_to_en-US") == []


@pytest.mark.parametrize(
    ("text", "options"),
    [("teh gradient", ()), ("the neighbouring colour", ("--builtin", "en-GB_to_en-US"))],
)
def test_a_slip_is_noticed(text, options, tmp_path):
    assert misspelled({"page": text}, tmp_path, *options)
