"""The open layer: rows of residents that analysts may see, each shared by at least ten people.

A pseudonym beside exact columns is a name: whoever holds a district's package, or knows a neighbour
a little, finds the row. So the tables of this layer have no key, bands instead of values, and hold
nothing that only one person has: every column counts as a quasi-identifier, since a package has
what it was made from. Rows that fewer than ten people share are generalised, step by step in the
order declared here, until ten do; what is left then is withheld, and counted.

Points are those before deductions, for everybody, so that neither the total beside the sections nor
anything else in a row says who has one. Eligibility is a table of its own: all services of a person
together say who is frozen, and are nearly a name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from transforms.comparison.portrait import UNKNOWN
from transforms.comparison.suppression import FEW_PEOPLE
from transforms.engine.aligned import zip_aligned
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.outputs import OPEN_ELIGIBILITY, OPEN_RESIDENTS, Output
from transforms.points.columns import points_column_name
from transforms.points.models import CITY, PointsVersion

MOST_LINKED = 0.01
"""The share of residents that a district's package and the open layer may link one to one."""
POINTS_BAND = 5
AGE_BAND = 5


@dataclass(frozen=True)
class OpenColumn:
    """A column of an open table: a quasi-identifier.

    Attributes:
        name: Its name; `_from` is the lower end of a band.
        type: Its SQL type.
        sql: Its finest value.
        family: What the steps call it; columns of a family are generalised together.
        facts: The facts that `sql` reads: a city whose sources lack one does without the column.
    """

    name: str
    type: str
    sql: str
    family: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generalisation:
    """A step: the columns of a family get bands of `width`; without a width any value, null."""

    family: str
    title: str
    width: int | None = None


RESIDENT_STEPS = (
    Generalisation("years", "年数改为 5 年一档", 5),
    Generalisation("sections", "各分项改为 20 分一档", 20),
    Generalisation("points", "合计改为 20 分一档", 20),
    Generalisation("sections", "不列各分项"),
    Generalisation("tenure", "不列居住方式"),
    Generalisation("skill", "不列职业技能"),
    Generalisation("degree", "不列学历"),
    Generalisation("years", "不列年数"),
    Generalisation("district", "不列区县"),
    Generalisation("points", "不列合计"),
    Generalisation("age", "不列年龄"),
)
ELIGIBILITY_STEPS = (
    Generalisation("score", "所计积分改为 20 分一档", 20),
    Generalisation("short", "尚缺积分改为 20 分一档", 20),
    Generalisation("score", "不列所计积分"),
    Generalisation("age", "不列年龄"),
    Generalisation("short", "不列尚缺积分"),
    Generalisation("district", "不列区县"),
)
"""The steps in their order; a row's column `generalised` is the number of those it needed."""

_DISTRICT = OpenColumn("district", "VARCHAR", "district", "district")
_AGE = OpenColumn(
    "age_from", "INTEGER", f"CAST(age // {AGE_BAND} * {AGE_BAND} AS INTEGER)", "age", ("age",)
)


def _level(fact: str) -> OpenColumn:
    sql = f"coalesce(CAST({fact} AS VARCHAR), {sql_literal(UNKNOWN)})"
    return OpenColumn(fact, "VARCHAR", sql, fact, (fact,))


def _years(name: str, fact: str) -> OpenColumn:
    return OpenColumn(name, "INTEGER", f"CAST({fact} // 12 AS INTEGER)", "years", (fact,))


def _points(name: str, sql: str, family: str) -> OpenColumn:
    return OpenColumn(name, "INTEGER", _band_sql(sql, POINTS_BAND), family)


def _band_sql(value: str, width: int) -> str:
    return f"CAST(floor(({value}) / {width}) * {width} AS INTEGER)"


RESIDENT_COLUMNS = (
    _DISTRICT,
    _AGE,
    _level("degree"),
    _level("skill"),
    _level("tenure"),
    _years("residence_years_from", "residence_months"),
    _years("pension_years_from", "pension_months"),
)
ELIGIBILITY_COLUMNS = (
    OpenColumn("service", "VARCHAR", "service", "service"),
    _DISTRICT,
    _AGE,
    OpenColumn("eligible", "BOOLEAN", "eligible", "eligible"),
    OpenColumn(
        "points_short_to",
        "INTEGER",
        f"CAST(ceil(points_short / {POINTS_BAND}) * {POINTS_BAND} AS INTEGER)",
        "short",
    ),
    _points("score_from", "score", "score"),
)
KNOWN_FACTS = {
    "three": ("district", "age_from", "residence_years_from"),
    "five": ("district", "age_from", "residence_years_from", "degree", "tenure"),
}
"""What others know best of somebody: where they live, how old they are, when they came; and what
they studied and how they are housed."""


@dataclass(frozen=True)
class OpenTable:
    """A table of the open layer, as one city has it in one month.

    Attributes:
        output: The table.
        columns: Its columns but `month` and `generalised`.
        steps: How it is generalised.
        rows: SQL of the rows with what the columns read, and `deducted`.
    """

    output: Output
    columns: Sequence[OpenColumn]
    steps: Sequence[Generalisation]
    rows: str

    @property
    def names(self) -> list[str]:
        """The columns of a row, without the month, in their order."""
        return [*(one.name for one in self.columns), "generalised"]

    @property
    def classes(self) -> str:
        """The relation of its classes: its columns, `generalised`, `people`, `deducted`."""
        return f"{self.output.view}_classes"


def list_section_columns(city: PointsVersion) -> list[OpenColumn]:
    """Return the columns of the points: sections that add, the district's, and all of these."""
    added = [
        points_column_name(CITY, code)
        for code, section in city.sections.items()
        if not section.subtract
    ]
    own = [*added, "district_points"]
    total = " + ".join(f"coalesce({column}, 0)" for column in own)
    return [
        *(_points(f"{name}_from", f"coalesce({name}, 0)", "sections") for name in own),
        _points("points_from", total, "points"),
    ]


def open_residents(city: PointsVersion, facts: Collection[str]) -> OpenTable:
    """Return the table of residents: it reads `facts` and `scores`, which are aligned."""
    described = [one for one in RESIDENT_COLUMNS if set(one.facts) <= set(facts)]
    needed = sorted({"district", *(fact for one in described for fact in one.facts)})
    sections = [points_column_name(CITY, code) for code in city.sections]
    taken = [f"a.{name}" for name in needed]
    taken += [f"b.{name}" for name in (*sections, "district_points")]
    subtracted = [points_column_name(CITY, c) for c, one in city.sections.items() if one.subtract]
    deducted = " OR ".join(f"{column} > 0" for column in subtracted) or "false"
    rows = f"SELECT *, {deducted} AS deducted FROM (\n{zip_aligned('facts', 'scores', taken)}\n)"
    columns = [*described, *list_section_columns(city)]
    return OpenTable(OPEN_RESIDENTS, columns, RESIDENT_STEPS, rows)


def open_eligibility(facts: Collection[str]) -> OpenTable:
    """Return the table of eligibility: it reads `eligibility` and `facts`.

    A row of a child has no facts, so no age.
    """
    columns = [one for one in ELIGIBILITY_COLUMNS if set(one.facts) <= set(facts)]
    age = "SELECT resident_key, age FROM facts" if _AGE in columns else ""
    joined = f" LEFT JOIN ({age}) USING (resident_key)" if age else ""
    rows = f"SELECT *, false AS deducted FROM eligibility{joined}"
    return OpenTable(OPEN_ELIGIBILITY, columns, ELIGIBILITY_STEPS, rows)


def classes_statement(table: OpenTable) -> Statement:
    """Return the query of the classes: one row per combination of columns that people share.

    Each step takes the combinations that fewer than ten share, and generalises them; a class that
    is smaller after the last step stays in the result, to be counted and not written.
    """
    finest = ", ".join(f"{one.sql} AS {one.name}" for one in table.columns)
    parts = [
        f"step_0 AS MATERIALIZED (\n"
        f"SELECT {finest}, count(*) AS people, count(*) FILTER (deducted) AS deducted\n"
        f"FROM ({table.rows}) GROUP BY ALL\n)"
    ]
    for number, step in enumerate(table.steps, 1):
        values = ", ".join(f"{_coarser(one, step)} AS {one.name}" for one in table.columns)
        parts.append(
            f"step_{number} AS MATERIALIZED (\n"
            f"SELECT {values}, CAST(sum(people) AS BIGINT) AS people,"
            f" CAST(sum(deducted) AS BIGINT) AS deducted\n"
            f"FROM step_{number - 1} WHERE people < {FEW_PEOPLE} GROUP BY ALL\n)"
        )
    last = len(table.steps)
    listed = ", ".join(one.name for one in table.columns)
    taken = "\nUNION ALL\n".join(
        f"SELECT {listed}, {number} AS generalised, people, deducted FROM step_{number}"
        + ("" if number == last else f" WHERE people >= {FEW_PEOPLE}")
        for number in range(last + 1)
    )
    return Statement(table.classes, f"WITH {', '.join(parts)}\n{taken}", ("facts",))


def _coarser(column: OpenColumn, step: Generalisation) -> str:
    if column.family != step.family:
        return column.name
    if step.width is None:
        return f"CAST(NULL AS {column.type})"
    if column.family == "short":  # the upper end of its band
        return f"CAST(ceil({column.name} / {step.width}) * {step.width} AS INTEGER)"
    return _band_sql(column.name, step.width)


def rows_statement(table: OpenTable) -> Statement:
    """Return the query of the published rows: those of a class are equal, as many as its people.

    Parameters: $month (first day).
    """
    names = ", ".join(table.names)
    order = ", ".join(f"{name} NULLS FIRST" for name in table.names)
    sql = f"""SELECT CAST($month AS DATE) AS month, {names}
FROM (
    SELECT {names}, unnest(range(people))
    FROM (FROM {table.classes} WHERE people >= {FEW_PEOPLE} ORDER BY {order})
)"""
    return Statement(table.output.view, sql, (table.classes,), "file")


@dataclass(frozen=True)
class OpenFigures:
    """What was written of an open table, and whom its rows single out.

    Attributes:
        rows: Rows written.
        withheld: Rows that fewer than ten people share after all steps: not written.
        generalised: Rows that needed a step, by step, in their order.
        linked: Rows that are the only one of their values: whoever holds a district's package, and
            so knows every value, links them one to one.
        few: Rows of a combination that fewer than ten share: of the `three` and the `five`
            best-known facts, and of `all` columns.
        deducted_few: People with deductions behind such rows, by all columns.
    """

    rows: int
    withheld: int
    generalised: list[tuple[str, int]]
    linked: int
    few: dict[str, int]
    deducted_few: int

    @property
    def is_within_bounds(self) -> bool:
        """Whether at most 1 % are linked, and nobody is one of fewer than ten."""
        within = self.linked <= self.rows * MOST_LINKED
        return within and not any(self.few.values()) and not self.deducted_few


def write_open_table(
    session: Session, table: OpenTable, file: Path, month: date
) -> tuple[OpenFigures, list[Statement]]:
    """Write an open table; return what is measured in the file, and the statements that made it."""
    statements = [classes_statement(table), rows_statement(table)]
    classes, rows = statements
    session.create_table(classes)
    session.write(rows, file, {"month": month}, plain_columns=True)
    figures = measure_open_table(session, table, file)
    session.drop(table.classes)
    return figures, statements


def measure_open_table(session: Session, table: OpenTable, file: Path) -> OpenFigures:
    """Return whom a written table singles out; who has deductions is known of its classes."""
    by_step = dict(
        session.fetch_rows(
            f"SELECT generalised, CAST(sum(people) AS BIGINT) FROM {table.classes} GROUP BY ALL"
        )
    )
    withheld = session.scalar(
        f"SELECT coalesce(sum(people), 0) FROM {table.classes} WHERE people < {FEW_PEOPLE}"
    )
    names = ", ".join(table.names)
    few = {
        known: f"(SELECT coalesce(sum(people), 0) FROM (SELECT sum(people) AS people FROM seen"
        f" GROUP BY {', '.join(name for name in columns if name in table.names)})"
        f" WHERE people < {FEW_PEOPLE})"
        for known, columns in {**KNOWN_FACTS, "all": table.names}.items()
    }
    sql = f"""WITH seen AS MATERIALIZED (
    SELECT {names}, sum(rows) AS people, sum(deducted) AS deducted FROM (
        SELECT {names}, 1 AS rows, 0 AS deducted FROM {read_parquet_sql(file)}
        UNION ALL
        SELECT {names}, 0, deducted FROM {table.classes} WHERE people >= {FEW_PEOPLE}
    ) GROUP BY ALL
)
SELECT coalesce(sum(people), 0), count(*) FILTER (people = 1), {", ".join(few.values())},
    coalesce(sum(deducted) FILTER (people < {FEW_PEOPLE}), 0)
FROM seen"""
    ((rows, linked, *counts, deducted),) = session.fetch_rows(sql)
    return OpenFigures(
        rows=int(rows),
        withheld=int(withheld),
        generalised=[
            (step.title, sum(people for reached, people in by_step.items() if reached >= number))
            for number, step in enumerate(table.steps, 1)
        ],
        linked=int(linked),
        few={known: int(count) for known, count in zip(few, counts, strict=True)},
        deducted_few=int(deducted),
    )
