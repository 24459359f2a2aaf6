"""Jifen's published statements of a month (`sql/facts`, `sql/points`) on a second engine: Sail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expectations.source_model import Source
from flows.project import load_project
from flows.settings import load_settings
from flows.storage.root import Root
from tests.benchmarks.peers import city
from tests.support.replay import read_statements
from tests.support.spark_engines import SparkSession, copy_to_engine, run_statement, start_engine
from transforms.engine.reference_tables import load_reference_tables
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.spark_dialect import to_spark_sql
from transforms.facts.build import MonthParams, clean_rows_statement
from transforms.facts.quotas import list_row_columns


def view_clean_rows(engine: SparkSession, source: Source, folders: Sequence[Path]) -> None:
    """Make the view `clean_<source>` of the rows that count, with the month received."""
    name, rows = f"clean_{source.source}", []
    *columns, received = list_row_columns(source)
    for folder in folders:
        month = folder.parent.name.removeprefix("received=")
        of_month = f"{name}_{month.replace('-', '_')}"
        engine.view_files(of_month, sorted(folder.glob("*.parquet")))
        rows.append(f"SELECT {', '.join(columns)}, '{month}' AS {received} FROM {of_month}")
    none = to_spark_sql(clean_rows_statement(source, []).sql)
    engine.view_query(name, " UNION ALL ".join(rows) or none)


def main() -> None:
    root, month, target = city.arguments()
    project = load_project(load_settings(None))
    facts = MonthParams(month, Root(root, root / "inbox").key()).to_values() | {"state_month": ""}
    values = {"facts": facts, "points": facts | {"month": month.first_day}}
    statements = read_statements((root / "published" / str(month)).resolve())
    with (
        open_engine(EngineSettings(), target / "spill") as session,
        start_engine("sail", target / "log.txt") as engine,
    ):
        load_reference_tables(session, project.reference)
        for (name,) in session.fetch_rows("SELECT table_name FROM duckdb_tables()"):
            copy_to_engine(session, engine, name, target / "inputs")
        for name, source in project.sources.items():
            view_clean_rows(engine, source, city.clean_folders(root, name, month))
        for group in values:
            for statement in statements[group]:
                run_statement(engine, statement, values[group], target / group)
    (target / "facts" / "published_facts").rename(target / "facts.parquet")
    (target / "points" / "scores").rename(target / "scores.parquet")


if __name__ == "__main__":
    main()
