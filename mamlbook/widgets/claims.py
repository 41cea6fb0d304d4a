"""The form that chooses among the verdict's claims."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import pandas as pd

SCRIPT = (Path(__file__).parent / "claims.js").read_text(encoding="utf-8")
LABELS = {"page": "chapter", "verdict": "verdict", "kind": "kind of claim"}


def claim_filter(table: pd.DataFrame, names: Mapping[str, Mapping[str, str]]) -> str:
    """HTML of a form that shows the claims of one chapter, verdict or kind, and counts them.

    table: a row for each claim with the columns of `names`, such as `mamlbook.verdict.table` makes.
    names: column (page, verdict and kind) -> its values in their order -> what readers see.
    The page's claims are rows of tables of the class `verdicts`, with the values as `data-page`,
    `data-verdict` and `data-kind`. Where there are no scripts the form is hidden.
    """
    fields = []
    for column, values in names.items():
        numbers = table[column].value_counts()
        options = ['<option value="">all</option>']
        options += [
            f'<option value="{value}">{escape(name)} ({numbers[value]})</option>'
            for value, name in values.items()
            if value in numbers
        ]
        fields.append(
            f'<label>{LABELS[column]} <select name="{column}" autocomplete="off">'
            f"{''.join(options)}</select></label>"
        )
    return (
        f'<form class="claims" aria-label="Choose claims" hidden>{"".join(fields)}'
        '<button type="button" disabled>show all</button>'
        f"<output>{len(table)} of {len(table)} claims.</output></form>"
        f"<script>{SCRIPT}</script>"
    )
