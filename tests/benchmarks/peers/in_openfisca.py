"""Points from the published facts in OpenFisca-core: a person entity, a variable per fact and per indicator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from openfisca_core.entities import build_entity
from openfisca_core.indexed_enums import Enum
from openfisca_core.parameters import ParameterNode
from openfisca_core.periods import DateUnit
from openfisca_core.simulations import Simulation, SimulationBuilder
from openfisca_core.taxbenefitsystems import TaxBenefitSystem
from openfisca_core.variables import Variable

from expectations.month import Month
from tests.benchmarks.peers import city

RESIDENT = build_entity("resident", "residents", "a person scored", is_person=True)
LEVELS = {  # fact -> points by level; the first is that of nobody known
    "degree": {"none": 0, **city.DEGREE_POINTS},
    "skill": {"none": 0, **city.SKILL_POINTS},
    "tenure": city.TENURE_POINTS,
    "honour_level": {"none": 0, **city.HONOUR_POINTS},
}
ENUMS = {fact: Enum(fact, list(points)) for fact, points in LEVELS.items()}
COUNTS = (
    "age", "pension_months", "residence_months", "employed_months", "jobs_created", "donations", "patents_invention",
    "patents_utility_model", "patents_design", "dishonesty_general", "dishonesty_serious", "penalties_24m",
    "detentions_60m", "crimes_120m",
)  # fmt: skip
EACH = {  # indicator -> fact, unit, points for every full unit, cap
    "social_insurance": ("pension_months", 1, 0.5, 30),
    "residence": ("residence_months", 1, 0.25, 30),
    "job_creation": ("jobs_created", 5, 1, 20),
    "blood": ("blood_ml", 200, 1, 10),
    "donation": ("donations", 1, 20, 40),
    "penalties": ("penalties_24m", 1, 5, 999),
    "detentions": ("detentions_60m", 1, 20, 999),
    "crimes": ("crimes_120m", 1, 50, 999),
}
SECTIONS = {"province": city.PROVINCE, "city": city.CITY, "deduction": city.DEDUCTIONS}
CAPS = {"province": 100, "city": 150, "deduction": 9999}
Formula = Callable[..., Any]


def variable(
    name: str, kind: type, period: DateUnit = DateUnit.MONTH, **more: Any
) -> type[Variable]:
    """A variable of the residents; with a `formula` it is computed, without it is given."""
    return type(
        name,
        (Variable,),
        {"value_type": kind, "entity": RESIDENT, "definition_period": period, **more},
    )


def facts() -> list[type[Variable]]:
    levels = [
        variable(fact, Enum, possible_values=names, default_value=next(iter(names)))
        for fact, names in ENUMS.items()
    ]
    return [
        *levels,
        *(variable(name, int) for name in COUNTS),
        variable("shortage_job", bool),
        variable("blood_ml", float),
        variable("service_hours", float, DateUnit.YEAR),
    ]


def dated(value: float) -> dict[str, Any]:
    return {"values": {"2022-04-01": {"value": value}}}


def parameters() -> ParameterNode:
    """The points table: levels, rates and caps, each with the day from which it holds."""
    levels = {
        fact: {level: dated(value) for level, value in points.items()}
        for fact, points in LEVELS.items()
    }
    rates = {
        name: {"points": dated(points), "cap": dated(cap)}
        for name, (_, _, points, cap) in EACH.items()
    }
    return ParameterNode(
        data={
            "levels": levels,
            "each": rates,
            "caps": {name: dated(cap) for name, cap in CAPS.items()},
        }
    )


def by_level(fact: str) -> Formula:
    def formula(person: Any, period: Any, parameters: Any) -> Any:
        return parameters(period).levels[fact][person(fact, period)]

    return formula


def by_unit(name: str) -> Formula:
    fact, unit, _, _ = EACH[name]

    def formula(person: Any, period: Any, parameters: Any) -> Any:
        rate = parameters(period).each[name]
        return np.minimum(person(fact, period) // unit * rate.points, rate.cap)

    return formula


def section(name: str) -> Formula:
    def formula(person: Any, period: Any, parameters: Any) -> Any:
        return np.minimum(
            sum(person(f"{part}_points", period) for part in SECTIONS[name]),
            parameters(period).caps[name],
        )

    return formula


def age(person: Any, period: Any) -> Any:
    years = person("age", period)
    return np.where((years >= 18) & (years <= 60), np.minimum(5 + np.maximum(55 - years, 0), 20), 0)


def inventions(person: Any, period: Any) -> Any:
    kinds = {"patents_invention": 10, "patents_utility_model": 3, "patents_design": 1}
    return np.minimum(sum(person(kind, period) * points for kind, points in kinds.items()), 30)


def volunteering(person: Any, period: Any) -> Any:
    years = (person("service_hours", period.this_year.offset(-back)) for back in range(5))
    return np.minimum(sum(np.minimum(hours // 10, 5) for hours in years), 15)


def dishonesty(person: Any, period: Any) -> Any:
    return person("dishonesty_general", period) * 10 + person("dishonesty_serious", period) * 30


def common(person: Any, period: Any) -> Any:
    return (
        person("province_points", period)
        + person("city_points", period)
        - person("deduction_points", period)
    )


FORMULAS: dict[str, Formula] = {
    **{name: by_unit(name) for name in EACH},
    "education": by_level("degree"),
    "skill": by_level("skill"),
    "housing": by_level("tenure"),
    "honours": by_level("honour_level"),
    "employment": lambda person, period: np.where(person("employed_months", period) >= 12, 10, 0),
    "shortage_post": lambda person, period: np.where(person("shortage_job", period), 10, 0),
    "age": age,
    "inventions": inventions,
    "volunteering": volunteering,
    "dishonesty": dishonesty,
    **{name: section(name) for name in SECTIONS},
    "common": common,
}


def system() -> TaxBenefitSystem:
    made = TaxBenefitSystem([RESIDENT])
    made.parameters = parameters()
    indicators = [
        variable(f"{name}_points", float, formula=formula) for name, formula in FORMULAS.items()
    ]
    made.add_variables(*facts(), *indicators)
    return made


def filled(known: pa.Table, month: Month) -> Simulation:
    """A simulation of all residents that knows their facts."""
    simulation = SimulationBuilder().build_default_simulation(system(), len(known))
    now = str(month)
    for fact, points in LEVELS.items():
        index = pc.index_in(known[fact], pa.array(list(points)))
        simulation.set_input(fact, now, index.fill_null(0).to_numpy())
    for name in (*COUNTS, "shortage_job"):
        simulation.set_input(name, now, known[name].to_numpy())
    simulation.set_input("blood_ml", now, known["blood_ml"].cast(pa.float64()).to_numpy())
    listed = known["service_hours_by_year"].combine_chunks()
    rows, entries = pc.list_parent_indices(listed).to_numpy(), listed.flatten()
    year, hours = (
        entries.field("year").to_numpy(),
        entries.field("hours").cast(pa.float64()).to_numpy(),
    )
    for wanted in city.last_years(month):
        by_person = np.zeros(len(known))
        by_person[rows[year == wanted]] = hours[year == wanted]
        simulation.set_input("service_hours", str(wanted), by_person)
    return simulation


def main() -> None:
    root, month, target = city.arguments()
    columns = [
        "resident_key",
        *LEVELS,
        *COUNTS,
        "shortage_job",
        "blood_ml",
        "service_hours_by_year",
    ]
    known = pq.read_table(Path(root / "published" / str(month) / "facts"), columns=columns)
    simulation = filled(known, month)
    points = {
        f"{name}_points": simulation.calculate(f"{name}_points", str(month)) for name in FORMULAS
    }
    pq.write_table(
        pa.table({"resident_key": known["resident_key"], **points}), target / "scores.parquet"
    )


if __name__ == "__main__":
    main()
