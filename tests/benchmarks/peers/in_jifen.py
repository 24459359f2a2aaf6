"""The yardstick: the same facts and points by Jifen's own statements, from all clean rows, nothing taken up from the month before."""

from __future__ import annotations

from flows.house import city_version, load_house
from flows.settings import load_settings
from tests.benchmarks.peers import city
from transforms.engine import EngineSettings, open_engine, parquet_in
from transforms.make_facts import make_facts
from transforms.month_tables import write_table
from transforms.policy.columns import score_lines
from transforms.policy.compile import points_sql


def main() -> None:
    root, month, target = city.arguments()
    house = load_house(load_settings(None))
    common, districts = city_version(house.in_force(month))
    served = {name: [file.parent for file in city.clean_files(root, name, month)] for name in house.sources}
    targets = {line.target for line in score_lines(common, districts)}
    wide, key = target / "facts", b"any key, for pseudonyms that nobody sees"
    with open_engine(EngineSettings(), target / "spill") as connection:
        made = make_facts(
            connection, house.sources, served, house.reference, targets, month, key, wide, target / "over_quota",
            onward=target / "onward",
        )  # fmt: skip
        connection.execute(f"CREATE TEMP VIEW facts AS FROM {parquet_in(wide)}")
        statement = points_sql(common, districts, house.facts, corrected=made.corrected.indicators)
        values = {"month": month.first_day, "as_of": month.last_day}
        write_table(connection, statement, target / "scores.parquet", values)


if __name__ == "__main__":
    main()
