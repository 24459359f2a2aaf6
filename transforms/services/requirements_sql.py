"""Requirements of services in force, compiled to SQL over `scored`: what somebody lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transforms.engine.sql import sql_literal
from transforms.expressions.language import Kind
from transforms.services.eligibility_sql import (
    condition_sql,
    format_sql,
    open_in_district_sql,
    points_short_sql,
    threshold_sql,
)
from transforms.services.models import ServiceVersion
from transforms.templates import format_number_sql


def requirements_sql(services: Mapping[str, ServiceVersion], names: Mapping[str, Kind]) -> str:
    """Return every requirement of every service in force, for each row of `scored`.

    Columns: resident_key, service, place (0: open in the district; 1, 2, ...: the conditions; last:
    the points), requirement (as declared), holds (true, false or unknown), lacking (the sentence
    for when it does not hold). Parameter: $as_of.
    """
    rows = ", ".join(
        row for code in sorted(services) for row in _requirements(code, services[code], names)
    )
    return format_sql(f"""
        WITH asked AS (SELECT resident_key, UNNEST([{rows}]) AS one FROM scored)
        SELECT resident_key, one.service AS service, one.place AS place,
            one.requirement AS requirement, one.holds AS holds, one.lacking AS lacking
        FROM asked ORDER BY resident_key, service, place""")


def _requirements(code: str, version: ServiceVersion, names: Mapping[str, Kind]) -> Iterator[str]:
    """The requirements of a service as rows, in their order."""
    asked = [
        ("district", open_in_district_sql(version) or "TRUE", sql_literal("居住区县未开展此项服务"))
    ]
    asked += [
        (one.when, condition_sql(one.when, names), sql_literal(one.lacking))
        for one in version.conditions
    ]
    threshold, short = threshold_sql(version), points_short_sql(version, names)
    sentence = " || ".join(
        [
            sql_literal("积分需达到 "),
            format_number_sql(threshold),
            sql_literal(" 分，还差 "),
            format_number_sql(short),
            sql_literal(" 分"),
        ]
    )
    asked.append((version.points.score, f"{short} = 0", sentence))
    for place, (requirement, holds, lacking) in enumerate(asked):
        row = {
            "service": sql_literal(code),
            "place": str(place),
            "requirement": sql_literal(requirement),
            "holds": holds,
            "lacking": lacking,
        }
        fields = ", ".join(f"'{key}': {sql}" for key, sql in row.items())
        yield f"{{{fields}}}"
