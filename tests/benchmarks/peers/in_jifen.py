"""The baseline: the same facts and points by Jifen, from all clean rows without earlier state."""

from __future__ import annotations

from flows.project import load_project, split_city
from flows.settings import load_settings
from tests.benchmarks.peers import city
from tests.support.fact_tables import build_fact_table
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement
from transforms.facts.build import FactInputs, MonthParams
from transforms.points.columns import list_scored_indicators
from transforms.points.compile import points_sql


def main() -> None:
    root, month, target = city.arguments()
    project = load_project(load_settings(None))
    common, districts = split_city(project.in_force(month))
    folders = {name: city.clean_folders(root, name, month) for name in project.sources}
    targets = {line.target for line in list_scored_indicators(common, districts)}
    params = MonthParams(month, b"any key, for pseudonyms that nobody sees")
    with open_engine(EngineSettings(), target / "spill") as connection:
        inputs = FactInputs(project.sources, folders, project.reference, targets)
        made = build_fact_table(connection, inputs, params, target)
        sql = points_sql(common, districts, project.facts, corrected=made.corrected.indicators)
        values = {"month": month.first_day, "as_of": month.last_day}
        facts = {"facts": read_folder_sql(target / "facts")}
        points = Statement("points", sql, ("facts",), "file")
        connection.write(points, target / "scores.parquet", values, facts)


if __name__ == "__main__":
    main()
