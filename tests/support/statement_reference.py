"""Statements against the plain reference: what of a resident's row is not what the reference says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from expectations.month import Month
from flows.project import Project, split_city
from tests.parity.reference.expressions import is_condition_met
from tests.parity.reference.points import compute_point_details
from tests.parity.reference.services import ScoredResident, decide_services
from transforms.points.models import CITY

Row = dict[str, Any]
BY_KEY = ("awards", "service_hours_by_year")
"""Facts that are mappings in the reference."""


class StatementReference:
    """What the plain reference says of a month's residents."""

    def __init__(self, project: Project, month: Month) -> None:
        self.as_of, self.services = month.last_day, project.services
        self.in_force = project.services_in_force(month)
        self.city, self.districts = split_city(project.in_force(month))

    def find_differences(self, statement: Row, known: Row, scores: Row) -> Iterator[str]:
        """Yield in a word or two what of a statement is not what the reference says."""
        points = {name: value for name, value in scores.items() if name.endswith("_points")}
        resident = ScoredResident(
            known["resident_id"], known["district"], None, None, known, points
        )
        yield from self._compare_services(statement, resident)
        yield from self._compare_lines(statement, known, scores)

    def _compare_services(self, statement: Row, resident: ScoredResident) -> Iterator[str]:
        found = {one["code"]: one for one in statement["services"]}
        open_here = [code for code, one in self.in_force.items() if one.open_in(resident.district)]
        if list(found) != open_here:
            yield "services open"
        facts = resident.known(self.as_of)
        decided = {
            one["service"]: one for one in decide_services(resident, self.services, self.as_of)
        }
        for code, one in found.items():
            conditions = enumerate(self.in_force[code].conditions, 1)
            unmet = [number for number, c in conditions if not is_condition_met(c.when, facts)]
            if one["unmet"] != unmet:
                yield f"{code}: conditions"
            if (code in decided) == bool(unmet):
                yield f"{code}: decided"
            if one["reached"] != (not unmet and one["points_short"] == 0):
                yield f"{code}: reached"
            wanted = decided.get(code)
            if wanted and one["points_short"] != wanted["points_short"]:
                yield f"{code}: points short"
            if one["monthly_amount"] != (wanted["monthly_amount"] if wanted else None):
                yield f"{code}: amount"

    def _compare_lines(self, statement: Row, known: Row, scores: Row) -> Iterator[str]:
        district = known["district"]
        facts = known | {
            name: dict(tuple(entry.values()) for entry in known[name] or ()) for name in BY_KEY
        }
        versions = {CITY: self.city, **{k: v for k, v in self.districts.items() if k == district}}
        for authority in versions:
            details = compute_point_details(authority, versions, facts, district, self.as_of)
            prefix = "" if authority == CITY else f"d{authority}_"
            for line in statement["lines"]:
                owner, _, code = line["code"].rpartition(":")
                if (owner or CITY) != authority:
                    continue
                if line["rule_points"] != details[f"{prefix}{code}_by_rule"]:
                    yield f"{line['code']}: points by rule"
                if line["points"] != scores[f"{prefix}{code}_points"]:
                    yield f"{line['code']}: points"
