"""The package away from its checkout: wheels, archives, other locales, other people's settings."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib as mpl
import pytest

from mamlbook import figures, records
from mamlbook.__main__ import main
from mamlbook.errors import InputError
from tools import ROOT

NUMBER = "0123456789abcdef0123456789abcdef01234567"


def ran(*command: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], capture_output=True, encoding="utf-8", errors="replace", **options
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what a wheel of this checkout holds, and nothing else of it."""
    source = tmp_path_factory.mktemp("source")
    ran("git", "clone", "--quiet", ROOT, source / "book", check=True)
    folder = tmp_path_factory.mktemp("wheel")
    code = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
    said = ran(sys.executable, "-c", code, folder, cwd=source / "book")
    assert said.returncode == 0, said.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def away(site: Path, *command: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the wheel's files alone, in another folder."""
    env = {**os.environ, "PYTHONPATH": str(site), **extra}
    return ran(sys.executable, *command, cwd=site.parent, env=env)


needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the history")


@needs_git
def test_a_wheel_has_the_records_the_commit_and_the_script(installed):
    said = away(installed, "-c", "import mamlbook.records as r; print(r.RESULTS, r.commit())")
    results, commit = said.stdout.split()
    assert Path(results) == installed / "mamlbook" / "results"
    assert {path.name for path in Path(results).iterdir()} == set(
        ran("git", "-C", ROOT, "ls-tree", "--name-only", "HEAD:results").stdout.split()
    )
    assert commit == ran("git", "-C", ROOT, "rev-parse", "HEAD").stdout.strip()
    scripts = next(installed.glob("*.dist-info/entry_points.txt")).read_text(encoding="utf-8")
    assert "mamlbook = mamlbook.__main__:entry" in scripts


@needs_git
def test_a_wheel_lists_its_records_and_shows_its_version(installed):
    said = away(installed, "-m", "mamlbook", "list")
    assert said.returncode == 0, said.stderr
    assert "results/fig2.json" in said.stdout
    assert "commit " in away(installed, "-m", "mamlbook", "--version").stdout


@needs_git
def test_a_wheel_has_every_file_that_a_chapter_may_read(installed):
    held = ran("git", "-C", ROOT, "ls-tree", "-r", "--name-only", "HEAD", "mamlbook").stdout.split()
    lacking = [name for name in held if not (installed / name).is_file()]
    assert held and lacking == ["mamlbook/widgets/product.wat"]  # of which a script holds the code


@needs_git
def test_a_wheel_verifies_its_records(installed):
    """One that is computed again, and one of networks, by its canary."""
    code = (
        "from mamlbook import __main__ as m; items = m.ITEMS;"
        "[items.pop(name) for name in list(items) if name not in ('fig2', 'table1')];"
        "raise SystemExit(m.main(['verify']))"
    )
    said = away(installed, "-c", code)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "2 of 2 records agree." in said.stdout
    assert "agrees" in said.stdout and "canary" in said.stdout


CHAPTER = """
import json
import sys
from pathlib import Path

chapter, *shut = sys.argv[1:]
cells = json.loads(Path(chapter).read_text(encoding="utf-8"))["cells"]


def guard(event, arguments):
    if event == "open" and str(arguments[0]).startswith(tuple(shut)):
        raise RuntimeError(f"{arguments[0]} is read")


sys.addaudithook(guard)
space = {}
for cell in cells:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), space)
"""


@needs_git
def test_a_chapter_runs_with_the_files_of_a_wheel(installed):
    """It compares itself with the wheel's records, and reads nothing of the checkout."""
    shut = [ROOT / name for name in ("mamlbook", "results", "chapters")]
    said = away(installed, "-c", CHAPTER, ROOT / "chapters" / "hardness.ipynb", *shut)
    assert said.returncode == 0, said.stderr
    assert "fig2.csv: 400 rows agree" in said.stdout


def test_without_records_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    with pytest.raises(records.RecordError, match="has no records; install it from a checkout"):
        records.load("fig2", records.RESULTS)


@pytest.fixture
def without_git(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "PACKAGE", tmp_path)
    monkeypatch.delenv("MAMLBOOK_COMMIT", raising=False)
    return tmp_path


def test_a_commit_is_given_from_outside(without_git, monkeypatch):
    assert records.commit() is None
    (without_git / "COMMIT").write_text("$Format:%H$\n", encoding="utf-8")
    assert records.commit() is None  # a checkout's own: nothing has put a commit in its place
    (without_git / "COMMIT").write_text(NUMBER + "\n", encoding="utf-8")
    assert records.commit() == NUMBER
    monkeypatch.setenv("MAMLBOOK_COMMIT", NUMBER[::-1] + "-dirty")
    assert records.commit() == NUMBER[::-1] + "-dirty"
    monkeypatch.setenv("MAMLBOOK_COMMIT", "main")
    with pytest.raises(ValueError, match="must be the 40 hexadecimal digits"):
        records.commit()


@needs_git
def test_git_is_asked_of_this_repository_and_not_contradicted(monkeypatch, tmp_path):
    ran("git", "init", "--quiet", tmp_path, check=True)
    monkeypatch.delenv("MAMLBOOK_COMMIT", raising=False)
    known = records.commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert records.commit() == known and known
    monkeypatch.setenv("MAMLBOOK_COMMIT", NUMBER)
    with pytest.raises(ValueError, match="but git says"):
        records.commit()


@needs_git
def test_a_checkout_with_changes_is_marked(without_git):
    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        return ran("git", "-C", without_git, *who, *arguments, check=True).stdout.strip()

    tracked = without_git / "records.py"
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "none")
    tracked.write_text("one = 1\n", encoding="utf-8")
    assert records.commit() is None  # the code is no part of this repository
    git("add", "records.py")
    git("commit", "--quiet", "--message", "one")
    known = git("rev-parse", "HEAD")
    assert records.commit() == known
    (without_git / "notes.txt").write_text("not of the code", encoding="utf-8")
    assert records.commit() == known
    tracked.write_text("one = 2\n", encoding="utf-8")
    assert records.commit() == f"{known}-dirty"
    git("add", "records.py")
    assert records.commit() == f"{known}-dirty"


def test_a_run_that_cannot_know_its_commit_says_so_before_it_works(
    without_git, monkeypatch, capsys
):
    from mamlbook.experiments import hardness

    def stops(settings):
        raise InputError("the work has begun: " + capsys.readouterr().err)

    stops.__annotations__["settings"] = hardness.Fig2
    monkeypatch.setattr(hardness, "fig2", stops)
    assert main(["reproduce", "fig2", "--out", str(without_git / "runs")]) == 2
    assert "begun: The commit of this code is not known" in capsys.readouterr().err


@needs_git
def test_a_checkout_with_windows_line_ends_has_the_same_bytes(tmp_path):
    clone = tmp_path / "clone"
    ran("git", "clone", "--quiet", "-c", "core.autocrlf=true", ROOT, clone, check=True)
    names = ran("git", "-C", clone, "ls-files").stdout.splitlines()
    for name in names:
        blob = subprocess.run(
            ["git", "-C", clone, "cat-file", "blob", f"HEAD:{name}"], capture_output=True
        )
        assert (clone / name).read_bytes() == blob.stdout, name


@pytest.mark.parametrize("module", ["mamlbook.widgets", "mamlbook.figures", "mamlbook.verdict"])
def test_imports_in_an_ascii_locale(module):
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env["PYTHONPATH"] = str(ROOT)
    said = ran(sys.executable, "-X", "warn_default_encoding", "-c", f"import {module}", env=env)
    assert said.returncode == 0, said.stderr
    assert not re.search(r"mamlbook\S*: EncodingWarning", said.stderr), said.stderr


def test_output_in_an_ascii_locale():
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env["PYTHONPATH"] = str(ROOT)
    for arguments in (["list"], ["reproduce", "é"], ["reproduce", "fig2", "--help"]):
        said = ran(sys.executable, "-m", "mamlbook", *arguments, env=env)
        assert "Traceback" not in said.stderr, said.stderr


def test_a_readers_matplotlibrc_changes_no_figure(tmp_path):
    def drawn(name: str) -> bytes:
        with figures.style.house():
            figure = figures.fig2(records.load("fig2").rows)
        figures.save(figure, tmp_path / name)
        return (tmp_path / name).read_bytes()

    usual = drawn("usual.svg")
    own = {
        "font.size": 25,
        "font.family": ["serif"],
        "lines.linewidth": 9,
        "axes.facecolor": "red",
        "svg.fonttype": "none",
        "savefig.bbox": "tight",
        "axes.labelcolor": "red",
    }
    with mpl.rc_context(own):
        assert drawn("own.svg") == usual
        figures.use_style()
        assert not {name for name in own if mpl.rcParams[name] == own[name]}


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_record_that_is_a_folder_is_refused(tmp_path, kind):
    stored = records.load("fig2")
    records.save(stored, tmp_path)
    (tmp_path / f"fig2.{kind}").unlink()
    (tmp_path / f"fig2.{kind}").mkdir()
    with pytest.raises(records.RecordError, match=f"fig2.{kind} cannot be read"):
        records.load("fig2", tmp_path)


def test_no_message_advises_to_install_what_is_not_published():
    for path in [*(ROOT / "mamlbook").rglob("*.py"), *ROOT.glob("*.md")]:
        found = re.search(r"pip install '?mamlbook", path.read_text(encoding="utf-8"))
        assert not found, path
