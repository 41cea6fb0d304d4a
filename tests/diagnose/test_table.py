"""What a diagnosis refuses: one sentence with a remedy, whatever is wrong with the table."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from mamlbook import records
from mamlbook.__main__ import main
from mamlbook.diagnose import TableError, diagnose, from_arrays, from_frame, read
from tests.diagnose.tables import confounded
from tools import ROOT

RADON = ROOT / "chapters" / "data" / "radon.csv"


def frame(seed: int = 0, tasks: int = 14, rows: int = 9) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"shop": f"shop {i}", "size": x[:, 0], "price": x[:, 1], "sales": y})
        for i, (x, y) in enumerate(confounded(tasks, rows, seed=seed))
    ]
    return pd.concat(parts, ignore_index=True)


def damaged(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, str, bool]:
    """One damage of a healthy table, what it is called, and whether it must be refused."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(len(table)))
    column = str(rng.choice(["size", "price", "sales"]))
    feature = str(rng.choice(["size", "price"]))
    table = table.copy()
    kinds = ["nan", "infinite", "text", "constant", "collinear", "missing column", "no task name"]
    kinds += ["one row a task", "few tasks", "empty", "labels", "twice", "short tasks", "huge"]
    kinds += ["shuffled", "outlier", "one constant task", "copied task", "tiny units", "all text"]
    kind = kinds[seed % len(kinds)]
    refused = True
    if kind == "nan":
        table.loc[at, column] = np.nan
    elif kind == "infinite":
        table.loc[at, column] = rng.choice([np.inf, -np.inf])
    elif kind == "text":
        table[column] = table[column].astype(object)
        table.loc[at, column] = str(rng.choice(["n/a?", "12,5", "many", "<b>", "1e", "ü"]))
    elif kind == "all text":
        table[column] = "x"
    elif kind == "constant":
        table[column] = rng.normal()
    elif kind == "collinear":
        table["price"] = rng.normal() * table["size"] + rng.normal()
    elif kind == "missing column":
        table = table.drop(columns=str(rng.choice(["shop", "sales"])))
    elif kind == "no task name":
        table.loc[at, "shop"] = None
    elif kind == "one row a task":
        table["shop"] = np.arange(len(table))
    elif kind == "few tasks":
        table = table[table["shop"].isin([f"shop {i}" for i in range(int(rng.integers(1, 10)))])]
    elif kind == "empty":
        table = table.iloc[:0]
    elif kind == "labels":
        table["sales"] = rng.integers(0, 2, len(table))
    elif kind == "twice":
        table = pd.concat([table, table[[column]]], axis=1)
    elif kind == "short tasks":
        table = table.groupby("shop").head(int(rng.integers(2, 8)))
    else:
        refused = False
        if kind == "huge":
            table[column] *= 10.0 ** rng.integers(20, 150)
        elif kind == "tiny units":
            table[feature] *= 10.0 ** -rng.integers(20, 150)
        elif kind == "shuffled":
            table["sales"] = rng.permutation(table["sales"])
        elif kind == "outlier":
            table.loc[at, column] *= 10.0 ** rng.integers(3, 7)
        elif kind == "one constant task":
            table.loc[table["shop"] == "shop 3", ["size", "price"]] = 1.0
        elif kind == "copied task":
            table.loc[table["shop"] == "shop 3", feature] = table.loc[at, feature]
    return table, kind, refused


@pytest.mark.parametrize("part", range(6))
@pytest.mark.filterwarnings("error")
def test_fuzz(part):
    """360 damaged tables: refused in one sentence, or diagnosed without a false verdict."""
    for seed in range(60 * part, 60 * (part + 1)):
        table, kind, refused = damaged(frame(seed), seed)
        try:
            found = diagnose(
                from_frame(table, "shop", "sales"), adapt=("all", "intercept")[seed % 2]
            )
        except TableError as error:
            said = str(error)
            assert refused or kind == "outlier", (seed, kind, said)
            assert said.endswith(".") and "\n" not in said and 30 < len(said) < 300, said
            assert ";" in said, said  # what is wrong; what to do
        else:
            assert not refused, (seed, kind)
            assert np.isfinite([found.gain.value, found.gain.low, found.gain.high]).all()
            assert np.isfinite(found.methods["loss"]).all()
            if kind == "shuffled":
                assert not found.kind.startswith("pays"), (seed, found.verdict)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not a table that can be read"),
        ("a,b\n", "There is no column 'task'"),
        ("task,x,y\n", "has no rows"),
        ("task,x,x,y\n1,2,3,4\n", "'x' stands twice"),
        ("task,x,y\n1,2,3\n1,2,3,4,5\n", "Row 3 has 5 cells and the first line 3"),
        ("\x00\x01\x02", "There is no column 'task'"),
    ],
)
def test_files_that_are_no_tables(text, sentence, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert main(["diagnose", str(path), "--task", "task", "--target", "y"]) == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and said.out == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("shop,", "Shop,", 1), "did you mean 'Shop'?"),
        (lambda text: "# from the till\n" + text, "Row 2 has 4 cells and the first line 1; begin"),
        (lambda text: text.replace(",-0.", ",EUR ", 1), ", no number; leave it out of the"),
        (lambda text: text.replace(",", "|"), "the table has shop|size|price|sales."),
        (lambda text: text.replace(",0.", ",1.200.", 1), "write it like 1234.5, with a decimal"),
        (lambda text: text.replace("shop 3,", ",", 1), "1 row has no task"),
        (lambda text: text.replace("price", " size"), "'size' stands twice"),
        (lambda text: re.sub(r"(?m),[-+.e\d]+$", ",5", text), "of its size; choose another, or"),
    ],
)
def test_messy_files_are_refused_by_what_is_wrong(change, sentence, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(change(frame().to_csv(index=False)))
    assert main(["diagnose", str(path), "--task", "shop", "--target", "sales"]) == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and said.out == ""


def test_messy_files_are_read_as_the_plain_one(tmp_path):
    """A byte order mark, other separators, spaces, row numbers, a last comma, blank lines."""
    table = frame()
    plain = table.to_csv(index=False)
    texts = {
        "mark": "\ufeff" + plain,
        "semicolons": table.to_csv(index=False, sep=";"),
        "tabs": table.to_csv(index=False, sep="\t"),
        "spaces": plain.replace(",", " , "),
        "row numbers": table.to_csv(),
        "last comma": plain.replace("\n", ",\n"),
        "blank lines": plain.replace("\n", "\r\n\r\n"),
        "huge whole numbers": table.assign(size=[int(x * 1e30) for x in table["size"]]).to_csv(),
    }
    expected = diagnose(from_frame(table, "shop", "sales")).methods["loss"].to_numpy()
    for name, text in texts.items():
        (tmp_path / "t.csv").write_text(text, newline="")
        tasks = from_frame(read(tmp_path / "t.csv", "shop"), "shop", "sales")
        assert tasks.features == ["size", "price"], name
        assert diagnose(tasks).methods["loss"].to_numpy() == pytest.approx(expected, rel=1e-9)


def test_a_tasks_name_is_what_the_file_says(tmp_path):
    """Namibia's code is NA, and shop 007 is not shop 7."""
    table = frame()
    written = ["NA", "007", "7", "1e3", "1000", *"abcdefghi"]
    names = dict(zip(table["shop"].unique(), written, strict=True))
    table["shop"] = table["shop"].map(names)
    table.to_csv(tmp_path / "t.csv", index=False)
    tasks = from_frame(read(tmp_path / "t.csv", "shop"), "shop", "sales")
    assert tasks.names == written


def test_an_option_with_commas_is_explained():
    with pytest.raises(TableError, match="separate names by spaces, --features size price"):
        from_frame(frame(), "shop", "sales", ["size,price"])


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_noise_for_a_file(suffix, tmp_path):
    path = tmp_path / f"table{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(3000))
    with pytest.raises(TableError, match="read"):
        read(path)


def test_one_array_is_no_table(tmp_path):
    with (tmp_path / "table.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(TableError, match="one array, not an archive of columns"):
        read(tmp_path / "table.npz")


def test_pickles_are_not_loaded(tmp_path):
    path = tmp_path / "table.npz"
    np.savez(path, task=np.array([{}], dtype=object))
    with pytest.raises(TableError, match="save it as CSV"):
        read(path)


def test_npz_is_the_same_as_csv(tmp_path):
    table = frame()
    table.to_csv(tmp_path / "t.csv", index=False)
    np.savez(
        tmp_path / "t.npz",
        **{c: table[c].to_numpy().astype("U" if c == "shop" else float) for c in table},
    )
    losses = [
        diagnose(from_frame(read(tmp_path / name), "shop", "sales")).methods["loss"].to_numpy()
        for name in ("t.csv", "t.npz")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"support": 0}, "at least 1"),
        ({"support": 2.5}, "whole number"),
        ({"support": 60}, "are needed; with a support of"),
        ({"adapt": "slopes"}, "'all' or 'intercept'"),
        ({"steps": ()}, "whole numbers from 1 to 100"),
        ({"steps": (0,)}, "whole numbers from 1 to 100"),
    ],
)
def test_settings_that_are_refused(options, sentence):
    with pytest.raises(TableError, match=sentence):
        diagnose(confounded(), **options)


def test_a_million_tasks_say_the_limit():
    row = np.zeros((8, 1))
    with pytest.raises(TableError, match=r"need .* GiB; draw about [\d,]+ of the tasks"):
        diagnose([(row, row[:, 0])] * 1_000_000)


def test_more_parameters_than_tasks():
    with pytest.raises(TableError, match="too few for 13 parameters"):
        diagnose(confounded(12, 20, features=12))


def test_few_shot_class_labels_are_refused():
    rng = np.random.default_rng(0)
    tasks = [(rng.normal(size=(20, 3)), rng.permutation(np.arange(20.0) % 5)) for _ in range(30)]
    with pytest.raises(TableError, match="class labels"):
        diagnose(tasks)


def test_tasks_that_are_too_short_are_dropped_and_counted():
    tasks = confounded(20, 10) + [(x[:4], y[:4]) for x, y in confounded(3, seed=5)]
    found = diagnose(tasks)
    assert found.dropped == 3 and len(found.rows) == 20


def test_pairs_must_agree():
    with pytest.raises(TableError, match="same features"):
        from_arrays([(np.ones((5, 2)), np.ones(5)), (np.ones((5, 3)), np.ones(5))])


def test_the_command_writes_record_pictures_and_a_page_of_its_own(tmp_path, capsys):
    arguments = [str(RADON), "--task", "county", "--target", "log_radon", "--steps", "1"]
    where = ["--out", str(tmp_path / "a"), "--html", str(tmp_path / "b" / "report.html")]
    assert main(["diagnose", *arguments, *where]) == 0
    printed = capsys.readouterr().out
    record = records.load("diagnose", tmp_path / "a")
    columns = "task rows share_left distance loss_nal loss_maml helped share_of_change"
    assert list(record.rows.columns) == columns.split()
    assert printed.startswith(record.provenance["verdict"])
    assert record.provenance["interval"][0] < record.provenance["gain"]
    assert {"alternative", "alpha", "steps", "settings"} <= set(record.provenance)
    order = ["Methods:", "Tasks,", "What this number of tasks", "Cost and settings"]
    places = [printed.index(heading) for heading in order]
    assert places == sorted(places) and "were standardized" in printed
    assert {path.suffix for path in (tmp_path / "a").iterdir()} == {".csv", ".json", ".svg"}
    page = (tmp_path / "b" / "report.html").read_text()
    assert page.count("<svg") == 3 and "src=" not in page and "<script" not in page
    assert main(["diagnose", *arguments, "--out", str(tmp_path / "c")]) == 0
    for name in ("diagnose.csv", "diagnose_tasks.svg", "diagnose_gains.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_a_diagnosis_needs_no_torch():
    code = (
        "import sys, numpy as np, mamlbook.diagnose as d; r = np.random.default_rng(0);"
        "d.diagnose([(r.normal(size=(9, 1)), r.normal(size=9)) for _ in range(12)]).verdict;"
        "print([m for m in ('torch', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
