"""The month in DuckDB's SQL as an analyst writes it: distinct months are counted, runs are islands of row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from expectations.month import Month
from tests.benchmarks.peers import city

SOURCES = (
    "registry", "social_security", "education", "housing", "employment", "volunteer", "credit", "patents", "children",
    "local_awards",
)  # fmt: skip
KEYS = {
    "volunteer": "event_id",
    "credit": "event_id",
    "patents": "patent_no",
    "local_awards": "award_id",
}


def literals(texts: Iterable[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)


def highest(ladder: Iterable[str], column: str = "level") -> str:
    """The highest of a group's levels on a ladder; null if none stands on it."""
    steps = f"[{literals(ladder)}]"
    return f"{steps}[max(nullif(list_position({steps}, {column}), 0))]"


def create_views(connection: duckdb.DuckDBPyConnection, root: Path, month: Month) -> None:
    """The clean rows by source; of a key received more than once the last row, unless it takes the record back."""
    for source in SOURCES:
        files = literals(map(str, city.clean_files(root, source, month)))
        rows = f"read_parquet([{files}], hive_partitioning = false, filename = true)"
        if source in KEYS:
            rows = f"""(FROM {rows}
                QUALIFY row_number() OVER (PARTITION BY {KEYS[source]} ORDER BY filename DESC) = 1
            ) WHERE status = 'valid'"""
        connection.execute(f"CREATE VIEW {source} AS FROM {rows}")


def months_sql(now: int) -> str:
    """Months with a payment, but for those that every employer's newest posting takes back."""
    return f"""
    WITH postings AS (
        SELECT resident_id AS person, insurance, month, employer_id, kind, posted_on FROM social_security
        WHERE insurance IN ('pension', 'medical') AND month <= {now}
    ),
    doubtful AS (SELECT DISTINCT person, insurance, month FROM postings WHERE kind = 'reversed'),
    deciding AS (
        SELECT person, insurance, month, arg_max(kind, (posted_on, kind)) AS kind
        FROM postings SEMI JOIN doubtful USING (person, insurance, month) GROUP BY person, insurance, month, employer_id
    ),
    undone AS (
        SELECT person, insurance, month FROM deciding GROUP BY ALL HAVING NOT bool_or(kind = 'paid')
    ),
    standing AS (
        SELECT person, insurance, month
        FROM postings ANTI JOIN undone USING (person, insurance, month) WHERE kind = 'paid'
    ),
    islands AS (
        SELECT person, month, month - row_number() OVER (PARTITION BY person ORDER BY month) AS island
        FROM (SELECT DISTINCT person, month FROM standing WHERE insurance = 'pension')
    ),
    runs AS (SELECT person, island, max(month) AS ends, count(*) AS months FROM islands GROUP BY ALL),
    counted AS (
        SELECT person, count(DISTINCT month) FILTER (WHERE insurance = 'pension') AS pension_months,
            count(DISTINCT month) FILTER (WHERE insurance = 'medical') AS medical_months,
            max(month) FILTER (WHERE insurance = 'pension') AS last
        FROM standing GROUP BY person
    )
    SELECT person, pension_months, medical_months, {now} - last AS pension_gap_months,
        make_date(last // 12, last % 12 + 1, 1) AS pension_last_month, run AS pension_run_months
    FROM counted LEFT JOIN (SELECT person, arg_max(months, ends) AS run FROM runs GROUP BY person) USING (person)"""


def facts_sql(month: Month) -> str:
    """One row per resident."""
    day, now = f"DATE '{month.last_day}'", month.ordinal
    lived = "resident_id // 1000 % 100000000"

    def since(column: str) -> str:
        return f"coalesce({now + 1} - year({column}) * 12 - month({column}), 0)"

    def within(months: int) -> str:
        return f"on_date > DATE '{(month - months).last_day}' AND on_date <= {day}"

    def current(begins: str, ends: str) -> str:
        return f"{begins} <= {day} AND ({ends} IS NULL OR {ends} >= {day})"

    held = f"coalesce(permit_issued_on <= {day} AND permit_valid_to >= {day}, false)"
    hours = "".join(
        f", coalesce(sum(quantity) FILTER (WHERE kind = 'service' AND on_date <= {day} AND year(on_date) = {year}), 0)"
        f" AS hours_{year}"
        for year in city.last_years(month)
    )
    honour = f"kind = 'honour' AND {within(60)}"
    honours = "".join(
        f", count(*) FILTER (WHERE {honour} AND level = '{level}') AS honours_{level}"
        for level in city.HONOURS
    )
    open_ = f"kind = 'dishonesty' AND on_date <= {day} AND NOT coalesce(cleared_on <= {day}, false)"
    dishonesty = "".join(
        f", count(*) FILTER (WHERE {open_} AND level = '{level}') AS dishonesty_{level}"
        for level in ("general", "serious")
    )
    patents = ", ".join(
        f"count(*) FILTER (WHERE kind = '{kind}') AS patents_{kind}"
        for kind in ("invention", "utility_model", "design")
    )
    six, twelve = (city.school_birthdays(month, age) for age in (6, 12))
    skill = f"CASE level {' '.join(f'''WHEN '{a}' THEN '{b}' ''' for a, b in city.TITLES.items())} ELSE level END"
    known = {
        "insured": months_sql(now),
        "education": f"""SELECT resident_id AS person,
            {highest(city.DEGREES, "CASE WHEN kind = 'degree' THEN level END")} AS degree,
            {highest(city.SKILLS, skill)} AS skill FROM education GROUP BY ALL""",
        "housing": f"""SELECT resident_id AS person, {highest(city.TENURES, "tenure")} AS tenure,
            bool_or(tenure = 'owned') AS owns_home,
            max({{a: from_on, b: record_id, registered: registered, district: district}})
                FILTER (WHERE tenure IN ({literals(city.RENTALS)})) AS rental
            FROM housing WHERE {current("from_on", "to_on")} GROUP BY ALL""",
        "employment": f"""SELECT resident_id AS person, max({since("started_on")}) AS employed_months,
            bool_or(occupation IN ({literals(city.shortage_occupations(month.first_day.year))})) AS shortage_job,
            sum(jobs_created) AS jobs_created
            FROM employment WHERE {current("started_on", "ended_on")} GROUP BY ALL""",
        "volunteer": f"""SELECT resident_id AS person,
            sum(quantity) FILTER (WHERE kind = 'service' AND {within(24)}) AS service_hours_24m,
            sum(CASE kind WHEN 'blood' THEN quantity WHEN 'platelets' THEN quantity * 200 END) AS blood_ml,
            count(*) FILTER (WHERE kind IN ('marrow', 'organ')) AS donations{hours}
            FROM volunteer GROUP BY ALL""",
        "credit": f"""SELECT resident_id AS person,
            {highest(city.HONOURS, f"CASE WHEN {honour} THEN level END")} AS honour_level,
            count(*) FILTER (WHERE kind = 'penalty' AND {within(24)}) AS penalties_24m,
            count(*) FILTER (WHERE kind = 'detention' AND {within(60)}) AS detentions_60m,
            count(*) FILTER (WHERE kind = 'crime' AND {within(120)}) AS crimes_120m{honours}{dishonesty}
            FROM credit GROUP BY ALL""",
        "patents": f"SELECT resident_id AS person, {patents} FROM patents GROUP BY ALL",
        "children": f"""SELECT guardian_id AS person,
            count(*) FILTER (WHERE enrolled IN ('none', 'kindergarten')
                AND child_id // 1000 % 100000000 BETWEEN {six[0]} AND {six[1]}) AS children_due_primary,
            count(*) FILTER (WHERE enrolled = 'primary'
                AND child_id // 1000 % 100000000 BETWEEN {twelve[0]} AND {twelve[1]}) AS children_due_junior_middle
            FROM children GROUP BY ALL""",
    }
    counted = [
        "pension_months", "medical_months", "pension_run_months", "employed_months", "jobs_created",
        "service_hours_24m", "blood_ml", "donations", *(f"hours_{year}" for year in city.last_years(month)),
        "penalties_24m", "detentions_60m", "crimes_120m", *(f"honours_{level}" for level in city.HONOURS),
        "dishonesty_general", "dishonesty_serious",
        *(f"patents_{kind}" for kind in ("invention", "utility_model", "design")),
        "children_due_primary", "children_due_junior_middle",
    ]  # fmt: skip
    joins = "\n".join(f"LEFT JOIN ({sql}) USING (person)" for sql in known.values())
    return f"""
    SELECT person, ({now + 1} - birth // 10000 * 12 - birth // 100 % 100) // 12 AS age, residence_months,
        permit_held, CASE WHEN permit_held THEN permit_for ELSE 0 END AS permit_months,
        pension_gap_months, pension_last_month, coalesce(pension_gap_months <= 1, false) AS insured_now,
        degree, skill, coalesce(tenure, 'none') AS tenure, coalesce(owns_home, false) AS owns_home,
        coalesce(rental.registered, false) AS rental_registered, {since("rental.a")} AS rental_months,
        rental.district AS rental_district, coalesce(shortage_job, false) AS shortage_job, honour_level,
        {", ".join(f"coalesce({name}, 0) AS {name}" for name in counted)},
        coalesce(dishonesty_serious, 0) > 0 OR coalesce(crimes_120m, 0) > 0 AS frozen
    FROM (
        SELECT resident_id AS person, {lived} AS birth, {since("registered_on")} AS residence_months,
            {held} AS permit_held, {since("permit_issued_on")} AS permit_for
        FROM registry WHERE status = 'resident'
    )
    {joins}"""


def awards_sql(month: Month) -> str:
    """Points per person and `district:indicator`, of the awards within their grantor's quota of the year."""
    return f"""
    SELECT resident_id AS person, district || ':' || indicator AS key, sum(points) AS points
    FROM (
        SELECT *, year(on_date) AS year, sum(CASE WHEN grantor_kind <> 'district' THEN points ELSE 0 END)
            OVER (PARTITION BY grantor_id, year(on_date) ORDER BY on_date, award_id ROWS UNBOUNDED PRECEDING) AS running
        FROM local_awards
    ) LEFT JOIN (SELECT grantor_id, year, points AS quota FROM '{city.REFERENCE}/award_quotas.csv') USING (grantor_id, year)
    WHERE (grantor_kind = 'district' OR running <= coalesce(quota, 0))
        AND on_date > DATE '{(month - 24).last_day}' AND on_date <= DATE '{month.last_day}'
    GROUP BY ALL"""


def scores_sql(month: Month) -> str:
    """The city's points table of 2022-04-01."""

    def each(fact: str, unit: float, points: float, cap: float = 9999) -> str:
        return f"least(floor({fact} / {unit}) * {points}, {cap})"

    def levels(fact: str, points: Mapping[str, int]) -> str:
        cases = " ".join(f"WHEN '{level}' THEN {many}" for level, many in points.items())
        return f"CASE {fact} {cases} ELSE 0 END"

    def total(names: Iterable[str], cap: float = 9999) -> str:
        return f"least({' + '.join(f'{name}_points' for name in names)}, {cap})"

    volunteering = " + ".join(each(f"hours_{year}", 10, 1, 5) for year in city.last_years(month))
    indicators = {
        "age": "CASE WHEN age BETWEEN 18 AND 60 THEN least(5 + greatest(55 - age, 0), 20) ELSE 0 END",
        "education": levels("degree", city.DEGREE_POINTS),
        "skill": levels("skill", city.SKILL_POINTS),
        "social_insurance": each("pension_months", 1, 0.5, 30),
        "residence": each("residence_months", 1, 0.25, 30),
        "employment": "CASE WHEN employed_months >= 12 THEN 10 ELSE 0 END",
        "housing": levels("tenure", city.TENURE_POINTS),
        "shortage_post": "CASE WHEN shortage_job THEN 10 ELSE 0 END",
        "job_creation": each("jobs_created", 5, 1, 20),
        "inventions": "least(patents_invention * 10 + patents_utility_model * 3 + patents_design, 30)",
        "honours": levels("honour_level", city.HONOUR_POINTS),
        "volunteering": f"least({volunteering}, 15)",
        "blood": each("blood_ml", 200, 1, 10),
        "donation": each("donations", 1, 20, 40),
        "dishonesty": "dishonesty_general * 10 + dishonesty_serious * 30",
        "penalties": each("penalties_24m", 1, 5),
        "detentions": each("detentions_60m", 1, 20),
        "crimes": each("crimes_120m", 1, 50),
    }
    scored = ", ".join(f"{points} AS {name}_points" for name, points in indicators.items())
    return f"""
    SELECT *, province_points + city_points - deduction_points AS common_points
    FROM (
        SELECT *, {total(city.PROVINCE, 100)} AS province_points, {total(city.CITY, 150)} AS city_points,
            {total(city.DEDUCTIONS)} AS deduction_points
        FROM (SELECT person, {scored} FROM facts)
    )"""


def main() -> None:
    root, month, target = city.arguments()
    settings = {"threads": 2, "memory_limit": "8GB", "temp_directory": str(target / "spill")}
    with duckdb.connect(config=settings) as connection:
        create_views(connection, root, month)
        connection.execute(f"COPY ({awards_sql(month)}) TO '{target}/awards.parquet'")
        connection.execute(f"COPY ({facts_sql(month)}) TO '{target}/facts.parquet'")
        connection.execute(f"CREATE VIEW facts AS FROM '{target}/facts.parquet'")
        connection.execute(f"COPY ({scores_sql(month)}) TO '{target}/scores.parquet'")


if __name__ == "__main__":
    main()
