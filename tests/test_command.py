"""The command line: what it writes, what it refuses, and that it repeats itself."""

import ast
import errno
import os
import subprocess
import sys

import pandas as pd
import pytest

from mamlbook import records
from mamlbook.__main__ import USAGE, entry, main
from mamlbook.experiments import hardness
from mamlbook.experiments.catalogue import ITEMS
from tools import ROOT

COLUMNS = {
    "fig1": "panel rho_hard rho_easy R r_hard r_easy m algorithm coordinate excess_risk",
    "fig3": "panel R r_hard r_easy algorithm source excess_risk excess_risk_ci95",
    "table3": "algorithm zeta coordinate coordinate_sd test_error test_error_sd repeats",
    "fig2": "m rho_hard algorithm coordinate excess_risk",
    "fig7": "m rho_hard algorithm coordinate coordinate_ci95 excess_risk excess_risk_ci95 repeats",
    "fig8": "m rho_hard algorithm coordinate excess_risk",
    "fig4": "panel algorithm w1 w2 nal_loss maml_loss",
    "fig5": "panel algorithm w1 w2 nal_loss maml_loss",
    "fig6": "panel algorithm w1 w2 nal_loss maml_loss",
    "theorem1": "model activation M d variance_1 variance_2 spread repeat fraction alpha alpha_L "
    "beta_1 L_1 beta_2 L_2 c1 measured nal_measured bound holds square square_holds exact "
    "exact_holds exact_applies applies condition",
    "theorem2": "T n rms measured bound inside holds",
    "theorem3": "algorithm tasks T tau n1 n2 rms measured bound inside holds",
}
SMALL = {
    "fig1": ["--m", "50"],
    "fig3": ["--m", "50", "--R", "1", "2", "--tasks", "40", "--test-tasks", "20"],
    "table3": ["--n2", "50", "--zeta", "1", "3", "--iterations", "30", "--test-tasks", "20"],
    "fig2": ["--m", "50", "--rho-hard", "0.2", "0.6"],
    "fig7": ["--m", "50", "--rho-hard", "0.2", "--iterations", "40", "--test-tasks", "20"],
    "fig8": ["--m", "50", "--rho-hard", "0.2", "0.6"],
    "fig4": ["--points", "30"],
    "fig5": ["--points", "30"],
    "fig6": ["--points", "30", "--R", "0.2", "1"],
    "theorem1": [
        *("--seed", "1", "--networks", "softplus", "1", "tanh", "2", "--variances", "0.5", "1"),
        *("--spreads", "0.2", "--fractions", "0.5", "--eigenvalues"),
    ],
    "theorem2": ["--n", "200", "--T", "12", "--repeats", "20"],
    "theorem3": ["--n", "50", "--T", "100", "--tau", "1", "--repeats", "20"],
}


@pytest.mark.parametrize("command", ["list", "reproduce", "train", "export", "verify"])
def test_a_command_alone_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: python -m mamlbook") and f"\n  {command} " in said
    assert "--version" not in said  # what another line of the whole usage has


def test_list_shows_every_item(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for item in ITEMS.values():
        assert item.name in printed and item.reference in printed
    for said in (printed, USAGE):
        assert "diagnose TABLE" in said


@pytest.mark.parametrize("item", COLUMNS)
def test_reproduce_writes_rows_provenance_and_picture(item, tmp_path, capsys):
    assert main(["reproduce", item, "--out", str(tmp_path / "a"), *SMALL[item]]) == 0
    record = records.load(item, tmp_path / "a")
    assert list(record.rows.columns) == COLUMNS[item].split()
    assert not record.rows.isna().any().any()
    flag, value = SMALL[item][0].removeprefix("--"), int(SMALL[item][1])
    assert record.provenance["settings"][flag] in (value, [value])
    assert item in record.provenance["command"]
    assert (tmp_path / "a" / f"{item}.svg").read_text().endswith("</svg>\n")
    main(["reproduce", item, "--out", str(tmp_path / "b"), *SMALL[item]])
    for name in (f"{item}.csv", f"{item}.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_landscapes_are_stored_beside_their_minimisers(tmp_path):
    positions = ["--positions", "1", "1", "1", "-1"]
    main(["reproduce", "fig4", "--out", str(tmp_path), "--points", "30", *positions])
    record = records.load("fig4", tmp_path)
    assert record.arrays["optima_cd"].tolist() == [[1, 1], [1, -1]]
    assert record.arrays["variances_cd"].tolist() == [1, 0.5]
    for name, panel, column in (("nal_cd", "c", "nal_loss"), ("maml_ab", "b", "maml_loss")):
        rows = record.rows[record.rows["panel"] == panel]
        surface = record.arrays[name]
        assert surface.shape == (30, 30)
        assert rows[column].min() <= surface.min() < rows[column].min() + 0.01


def test_the_seed_matters_and_nothing_else_does(tmp_path):
    rows = []
    for folder, seed in (("a", "0"), ("b", "1")):
        main(["reproduce", "fig7", "--out", str(tmp_path / folder), *SMALL["fig7"], "--seed", seed])
        rows.append(pd.read_csv(tmp_path / folder / "fig7.csv"))
    assert (rows[0]["coordinate"] != rows[1]["coordinate"]).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reproduce", "fgi7"], "no item 'fgi7'; did you mean 'fig7'?"),
        (["reproduce", "Fig2"], "did you mean 'fig2'?"),
        (["reproduce"], "needs an item"),
        (["lst"], "did you mean 'list'? `python -m mamlbook --help` shows every command."),
        (["verify", "fgi2"], "did you mean 'fig2'? `python -m mamlbook list` shows every item."),
        (["list", "fig2"], "takes no arguments"),
        (["train"], "needs one of omniglot, cifar"),
        (["train", "omniglott"], "did you mean 'omniglot'?"),
        (
            ["reproduce", "theorem1", "--fractions", "0.5", "1.5"],
            "strictly between 0 and 1, not 1.5",
        ),
        (["reproduce", "fig5", "--positions", "1", "2"], "needs 4 tasks, not ((1.0, 2.0),)"),
        (["reproduce", "fig4", "--points", "3"], "at least 20 points an axis, not 3"),
        (
            ["reproduce", "fig6", "--hard-variance", "-1"],
            "hard_variance is -1.0; it must be",
        ),
        (["reproduce", "fig7", "--repeats", "1"], "at least 2 repeats, got 1"),
        (["reproduce", "fig8", "--rho-hard", "-1"], "rho_hard is -1.0; it must be positive"),
        (["reproduce", "fig7", "--test-tasks", "0"], "test_tasks is 0; it must be at least 1."),
        (["reproduce", "table3", "--zeta", "-1"], "zeta is -1.0; it must be positive."),
        (["reproduce", "fig4", "--half-width", "0"], "half_width is 0.0; it must be positive."),
        (
            ["reproduce", "table1", "--device", "tpu"],
            "The device is 'tpu'; it must be 'cpu', 'cuda'",
        ),
        (["reproduce", "fig8", "--alpha", "0"], "alpha is 0.0; it must be positive."),
        (["reproduce", "fig8", "--m", "500", "0"], "m is 0; it must be at least 1."),
        (["reproduce", "fig8", "--d", "0"], "d is 0; it must be at least 1."),
        (["reproduce", "fig2", "--rho-hard", "-1"], "rho_hard is -1.0; it must be positive."),
        (
            ["reproduce", "fig3", "--over-r-easy", "0", "1"],
            "over_r_easy is 0.0; it must be",
        ),
        (["reproduce", "fig3", "--over-r-hard", "0.5"], "over_r_hard has 1 values; each of"),
        (["reproduce", "fig3", "--R", "0"], "R is 0.0; every spread is in proportion"),
        (["reproduce", "fig1", "--d", "1"], "d is 1; Figure 1 draws two coordinates"),
        (["reproduce", "theorem1", "--spreads", "0"], "spreads is 0.0; it must be positive."),
        (["reproduce", "fig6", "--half-width", "1e20"], "between 1e-09 and 1e+09"),
        (["reproduce", "fig7", "--test-tasks", "1" + 20 * "0"], "must be at most 1,000,000,000."),
        (["reproduce", "table1", "--workers", "999999"], "workers is 999999; there are"),
        (["reproduce", "table1", "--device", "0"], "The device is '0'; it must be 'cpu', 'cuda'"),
        (["train", "omniglot", "--device", "0"], "The device is '0'; it must be 'cpu', 'cuda'"),
        (["train", "omniglot", "--workers", "999999"], "workers is 999999; there are"),
        (["train", "omniglot", "--seeds", "1" + 20 * "0"], "must be at most 1,000,000,000."),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(
    arguments, sentence, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(tmp_path, monkeypatch, capsys):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert main(["reproduce", "fig2", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"No space left on device: {tmp_path / 'fig2.csv'}; what was saved before is whole.\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["reproduce fig2", "diagnose shops.csv --task a --target b"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(
    command, tmp_path, monkeypatch, capsys
):
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and may(path, mode))
    assert main([*command.split(), "--out", str(tmp_path / "new" / "folder")]) == 2
    assert capsys.readouterr().err == f"{tmp_path} cannot be written; choose another folder.\n"


def test_a_fault_of_the_program_shows_its_traceback_and_where_to_report_it(monkeypatch, capsys):
    def faulty(settings):
        return dict(zip("ab", "c", strict=True))

    faulty.__annotations__["settings"] = hardness.Fig2
    monkeypatch.setattr(hardness, "fig2", faulty)
    monkeypatch.setattr("sys.argv", ["mamlbook", "reproduce", "fig2"])
    assert entry() == 1
    said = capsys.readouterr().err
    assert 'return dict(zip("ab", "c", strict=True))' in said
    assert said.endswith("\n") and "Please report it, with the lines above, to " in said


def test_a_refusal_is_an_input_error():
    """A ValueError is a fault of the program, unless the same function turns it into a sentence."""
    for path in (ROOT / "mamlbook").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            nodes = list(ast.walk(function))
            raised = {
                ast.unparse(node.exc.func)
                for node in nodes
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
            }
            turned = any(isinstance(node, ast.Try) for node in nodes)
            assert turned or not raised & {"ValueError", "TypeError", "RuntimeError"}, path


def test_theory_needs_no_torch():
    """Listing items and importing the linear world leave torch and the widgets alone."""
    code = (
        "import sys, mamlbook.linear; linear = set(sys.modules);"
        "import mamlbook.__main__;"
        "print([m for m in ('torch', 'scipy', 'pandas', 'matplotlib') if m in linear],"
        " 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[] False"
