"""The paper's tables, read off its pages a second time, as lines of text."""

import pandas as pd
import pytest

from mamlbook.experiments.paper import TABLE1, TABLE2, TABLE3

# Each line as Tables 4 and 5 print it: training easy, training hard, test easy, test hard.
PRINTED = {
    "Table 4": (
        TABLE1,
        """
        large maml   99.2±.2 96.0±.6 98.0±.2 81.2±.3
        large nal-1  69.4±.4 41.5±.3 57.8±.4 45.2±.8
        large nal-10 70.0±.8 45.3±.9 67.2±.3 47.9±.7
        small maml   99.2±.5 99.1±.2 98.1±.3 95.4±.3
        small nal-1  69.2±.5 46.0±.6 55.8±.5 45.8±1.0
        small nal-10 70.2±.6 44.0±.8 67.8±.8 48.9±.8
        """,
    ),
    "Table 5": (
        TABLE2,
        """
        p=0.99 nal  78.2±.4  9.9±1.0 74.8±.4 9.5±.6
        p=0.99 maml 92.9±.3  50.1±1.0 84.6±.4 21.7±.3
        p=0.5  nal  81.9±.3  9.5±1.0 76.5±.4 8.6±.3
        p=0.5  maml 93.6±.5  41.1±.3 84.3±.6 17.9±.4
        p=0.01 nal  82.4±1.4 7.6±.2 76.9±.9 8.2±.4
        p=0.01 maml 94.0±1.2 15.7±.3 85.0±.2 11.8±.3
        """,
    ),
}
# Tables 1 and 2 print the same accuracies without intervals.
PLAIN = {
    "Table 1": (
        TABLE1,
        "99.2 96.0 98.0 81.2  69.4 41.5 57.8 45.2  70.0 45.3 67.2 47.9 "
        "99.2 99.1 98.1 95.4  69.2 46.0 55.8 45.8  70.2 44.0 67.8 48.9",
    ),
    "Table 2": (
        TABLE2,
        "78.2 9.9 74.8 9.5  92.9 50.1 84.6 21.7  81.9 9.5 76.5 8.6 "
        "93.6 41.1 84.3 17.9  82.4 7.6 76.9 8.2  94.0 15.7 85.0 11.8",
    ),
}


@pytest.mark.parametrize("name", PRINTED)
def test_a_table_with_intervals_is_the_printed_one(name):
    table, text = PRINTED[name]
    expected = {
        (setting, algorithm, *kind): tuple(map(float, cell.split("±")))
        for setting, algorithm, *cells in map(str.split, text.strip().splitlines())
        for kind, cell in zip(
            [("train", "easy"), ("train", "hard"), ("test", "easy"), ("test", "hard")],
            cells,
            strict=True,
        )
    }
    found = table.set_index(["setting", "algorithm", "split", "hardness"])
    assert dict(zip(found.index, found.itertuples(index=False, name=None), strict=True)) == expected


@pytest.mark.parametrize("name", PLAIN)
def test_a_table_without_intervals_has_the_same_accuracies(name):
    table, text = PLAIN[name]
    assert table["accuracy"].tolist() == [float(number) for number in text.split()]


def test_table_3_is_the_printed_one():
    columns = {  # a column of the paper: average coordinate, then test error
        ("nal", 1.0): "0.18±.02 0.78±.11",
        ("nal", 2.0): "0.33±.02 0.64±.08",
        ("nal", 5.0): "0.61±.03 0.51±.04",
        ("nal", 10.0): "0.87±.03 0.39±.05",
        ("maml", 1.0): "1.58±0.01 0.26±0.10",
    }
    expected = [
        (*name, *(float(part) for cell in text.split() for part in cell.split("±")))
        for name, text in columns.items()
    ]
    pd.testing.assert_frame_equal(TABLE3, pd.DataFrame(expected, columns=TABLE3.columns))
