"""The statements of a district's residents, as one SQL statement over the fact table.

The scoring statement gives each person's points with the columns that explain them
(`transforms.points.compile`) and carries the facts along; here they are put into lists, one entry
per indicator, sum and service. Nothing is scored twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from expectations.source_model import Fact
from reports.statements.model import StatementRow
from transforms.clean.national_id import redact_ids_sql
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.expressions.fact_values import AWARD
from transforms.expressions.kinds import Kind
from transforms.expressions.language import parse_expression
from transforms.facts.corrections import CORRECTIONS_TYPE, FACT_PREFIX
from transforms.facts.measures import FACT_TYPES
from transforms.facts.sql import public_column
from transforms.points.columns import (
    ScoredIndicator,
    closed_by_column,
    list_score_columns,
    list_scored_indicators,
    points_column_name,
    rule_points_column,
    uncapped_column,
)
from transforms.points.compile import points_sql
from transforms.points.models import CITY, PointsVersion
from transforms.points.rule_sql import number_sql
from transforms.services.eligibility_sql import (
    amount_sql,
    condition_sql,
    points_short_sql,
    select_services_of,
    shown_score_sql,
)
from transforms.services.models import ServiceVersion
from transforms.services.ranks import has_ranks

_POINTS, _SUM, CODE = "DECIMAL(7, 2)", "DECIMAL(9, 2)", "statement_code"
_CHANGE_TYPE = f"STRUCT(total {_POINTS}, moved STRUCT(code VARCHAR, before {_POINTS})[])"
_SERVICE_TYPE = (
    f"STRUCT(code {CODE}, reached BOOLEAN, score {_SUM}, points_short {_POINTS},"
    " unmet INTEGER[], monthly_amount DECIMAL(12, 2))"
)
OBJECTIONS_TYPE = "STRUCT(case_id VARCHAR, target VARCHAR, due_on DATE)[]"
RANKS_TYPE = "STRUCT(code VARCHAR, rank_class VARCHAR, rank INTEGER)[]"
_LISTED_CONDITIONS = 6  # of so many conditions, all sets that may be unmet are listed beforehand
# Who has no row here has the points of the month before.
_CHANGED = """,
changed AS (
    SELECT resident_key, MAX(before) FILTER (WHERE item = 'total') AS total,
        BOOL_OR(item = 'total') AS total_moved,
        LIST_SORT(LIST({{'code': {code}, 'before': before}})) AS moved
    FROM changes GROUP BY resident_key
)"""
CHILDREN_TYPE = (
    "STRUCT(code VARCHAR, born_on DATE, level VARCHAR, district VARCHAR, reached BOOLEAN, score DECIMAL(9, 2),"
    " points_short DECIMAL(7, 2), monthly_amount DECIMAL(12, 2), guardians INTEGER,"
    " counted VARCHAR[], rank_class VARCHAR, rank INTEGER)[]"
)
_CHILD_FIELDS = (
    "code", "born_on", "level", "district", "reached", "score", "points_short", "monthly_amount", "guardians",
    "counted", "rank_class", "rank",
)  # fmt: skip
_PARENTS = f""",
parents AS (
    SELECT resident_key,
        LIST_SORT(LIST({{{", ".join(f"'{name}': {name}" for name in _CHILD_FIELDS)}}})) AS children
    FROM child_lines GROUP BY resident_key
)"""
_RANKED = """,
ranked AS (
    SELECT resident_key,
        LIST_SORT(LIST({'code': service, 'rank_class': rank_class, 'rank': rank})) AS ranks
    FROM ranks GROUP BY resident_key
)"""


@dataclass(frozen=True)
class StatementRules:
    """What the statements of a month are computed by: everything in force on the scoring date.

    Attributes:
        city: The city's points table.
        districts: The districts' points tables by code.
        services: The services by code.
        facts: All facts by name.
        names: What the expressions of services may name.
    """

    city: PointsVersion
    districts: Mapping[str, PointsVersion]
    services: Mapping[str, ServiceVersion]
    facts: Mapping[str, Fact]
    names: Mapping[str, Kind]

    def list_evidence_facts(self) -> list[str]:
        """Return the facts that some evidence sentence names, in declared order."""
        named: set[str] = set()
        for line in list_scored_indicators(self.city, self.districts):
            own = line.indicator.fact or ""
            own = "awards" if own.startswith(AWARD) else own
            names = line.indicator.placeholders or ["value"]
            named |= {own if name == "value" else name for name in names}
        return [name for name in self.facts if name in named]

    def list_names_of_services(self) -> set[str]:
        """Return the facts and points columns that the services read."""
        names: set[str] = set()
        for version in self.services.values():
            texts = [*(one.when for one in version.conditions), version.points.score]
            texts += [one.when for one in version.points.multipliers if one.when]
            texts += [version.amount.monthly] if version.amount else []
            for text in texts:
                names |= parse_expression(text, self.names).names
        return names


@dataclass(frozen=True)
class StatementCompiler:
    """Compiles the statements of each district from one scoring statement.

    Attributes:
        rules: The rules in force.
        corrected: The targets that some correction holds.
        compared: Whether the month before is published, so that changes are known.
        carried: Columns of `facts` that are at hand beside those that the rows need.
    """

    rules: StatementRules
    corrected: frozenset[str] = frozenset()
    compared: bool = False
    carried: tuple[str, ...] = ()

    def compile_district(self, district: str) -> Statement:
        """Return the statement of a district's rows, one per row of `facts`, in their order.

        It reads `facts` (see `facts_of_district`), `changes` (what differs from the month before),
        `open_objections` (resident_id, cases) and, where a service is ranked, `ranks`
        (resident_key, service, rank_class, rank), where one is of children, `child_lines` (a
        guardian's resident_key, and the fields of `ChildLine`); it needs the type CODE
        (`list_codes`).
        Parameters: $month, $as_of, $revision.
        """
        lines = self._list_indicators(district)
        indicators = ", ".join(_line_entry(line, line.target in self.corrected) for line in lines)
        sums = ", ".join(
            _struct(code=_code(code), before_cap=before_cap, points=points)
            for code, points, before_cap in self._list_sums(district)
        )
        services = ", ".join(self._services[code] for code in self._list_services(district))
        change, joined = f"CAST(NULL AS {_CHANGE_TYPE})", ""
        if self.compared:
            total = "CASE WHEN changed.total_moved THEN changed.total ELSE total_points END"
            whole = f"{{'total': {total}, 'moved': COALESCE(changed.moved, [])}}"
            change = f"CAST({whole} AS {_CHANGE_TYPE})"
            joined = " LEFT JOIN changed USING (resident_key)"
        further = ""
        if self.is_ranked:
            ranks = f"CAST(ranked.ranks AS {RANKS_TYPE})"
            further += f",\n    COALESCE({ranks}, CAST([] AS {RANKS_TYPE})) AS ranks"
            joined += " LEFT JOIN ranked USING (resident_key)"
        if self.has_children:
            children = f"CAST(parents.children AS {CHILDREN_TYPE})"
            further += f",\n    COALESCE({children}, CAST([] AS {CHILDREN_TYPE})) AS children"
            joined += " LEFT JOIN parents USING (resident_key)"
        sql = f"""{self._scored_sql(district)}
SELECT resident_id, name, {sql_literal(district)} AS district, CAST($month AS DATE) AS month,
    CAST($revision AS INTEGER) AS revision,
    [{indicators}] AS lines,
    [{sums}] AS sums,
    common_points, district_points, total_points,
    {change} AS change,
    {_facts_entry(self.rules)} AS facts,
    CAST([{services}] AS {_SERVICE_TYPE}[]) AS services,
    COALESCE(open_objections.cases, CAST([] AS {OBJECTIONS_TYPE})) AS open_objections{further}
FROM asked{joined} LEFT JOIN open_objections USING (resident_id)"""
        inputs = ["facts", "changes", "open_objections"]
        inputs += ["ranks"] * self.is_ranked + ["child_lines"] * self.has_children
        return Statement("statements", sql, tuple(inputs), "file")

    @property
    def columns(self) -> list[str]:
        """The columns of the rows: without ranks and children where no service has them."""
        absent = {"ranks"} if not self.is_ranked else set()
        absent |= {"children"} if not self.has_children else set()
        return [name for name in StatementRow.model_fields if name not in absent]

    @property
    def has_children(self) -> bool:
        """Whether any service in force is of children."""
        return bool(select_services_of(self.rules.services, "child"))

    @property
    def is_ranked(self) -> bool:
        """Whether any service in force has ranks."""
        return has_ranks(self.rules.services.values())

    def list_codes(self, district: str) -> list[str]:
        """Return the codes of indicators, sums and services that the rows of a district hold."""
        codes = [line.target for line in self._list_indicators(district)]
        codes += [code for code, *_ in self._list_sums(district)]
        return list(dict.fromkeys([*codes, *self._list_services(district)]))

    def _list_indicators(self, district: str) -> list[ScoredIndicator]:
        return list_scored_indicators(self.rules.city, self._own_table(district))

    def _own_table(self, district: str) -> dict[str, PointsVersion]:
        tables = self.rules.districts
        return {district: tables[district]} if district in tables else {}

    def _list_services(self, district: str) -> list[str]:
        services = sorted(self.rules.services.items())
        return [code for code, version in services if version.open_in(district)]

    def _list_sums(self, district: str) -> Iterator[tuple[str, str, str]]:
        """Yield code, column of points, column before the cap: groups, inner first, sections."""
        for authority, version in [(CITY, self.rules.city), *self._own_table(district).items()]:
            for code in [*(code for code, _ in version.inner_first()), *version.sections]:
                alone = len(version.sections) == 1 and version.floor is None
                own = authority != CITY and alone and code in version.sections
                points = "district_points" if own else points_column_name(authority, code)
                name = code if authority == CITY else f"{authority}:{code}"
                yield name, points, uncapped_column(authority, code)

    @cached_property
    def _services(self) -> dict[str, str]:
        rules = self.rules
        return {
            code: _service_entry(code, version, rules.names)
            for code, version in rules.services.items()
        }

    @cached_property
    def _carried(self) -> list[str]:
        """What evidence and services read of the fact table."""
        rules = self.rules
        named = {_public_name(name, rules.facts) for name in rules.list_evidence_facts()}
        named |= rules.list_names_of_services() & rules.facts.keys()
        return ["resident_id", "name", "corrected_facts", *self.carried, *sorted(named)]

    @cached_property
    def _asked(self) -> dict[str, str]:
        """What each service asks: bits of conditions that do not hold, and points short."""
        return {
            code: _service_columns(code, version, self.rules.names)
            for code, version in self.rules.services.items()
        }

    def _scored_sql(self, district: str) -> str:
        """Everyone's points and what services ask."""
        rules, here = self.rules, self._own_table(district)
        points = points_sql(
            rules.city,
            here,
            rules.facts,
            corrected=self.corrected,
            details=True,
            carried=self._carried,
        )
        columns = {*list_score_columns(rules.city, here), *rules.facts, "as_of", "district"}
        absent = sorted(rules.list_names_of_services() - columns)  # points of other districts
        asked = [f"CAST(NULL AS {_POINTS}) AS {name}" for name in absent]
        asked += [self._asked[code] for code in self._list_services(district)]
        lines = "".join(f",\n        {columns}" for columns in asked)
        changed = _CHANGED.format(code=_item_code_sql(rules)) if self.compared else ""
        return f"""WITH scored AS (
{points.strip()}
),
asked AS (
    SELECT *{lines}
    FROM scored
){changed}{_RANKED if self.is_ranked else ""}{_PARENTS if self.has_children else ""}"""


def facts_of_district(fact_table: str, district: str) -> str:
    """Return the relation `facts` of a district: its rows of the fact table, in their order.

    With `corrected_facts`: those corrections that replaced a fact.
    """
    # revisions of an older program know no levels
    listed = f"CAST(corrections AS {CORRECTIONS_TYPE})"
    of_facts = f"LIST_FILTER({listed}, LAMBDA one: one.target LIKE '{FACT_PREFIX}%')"
    return (
        f"(SELECT *, CASE WHEN ARRAY_LENGTH(corrections) > 0 THEN {of_facts} END AS corrected_facts"
        f" FROM {fact_table} WHERE district = {sql_literal(district)})"
    )


def _line_entry(line: ScoredIndicator, amended: bool) -> str:
    indicator, by_rule = line.indicator, rule_points_column(line)
    guarded = indicator.when or indicator.unless or line.replaced_in
    closed = closed_by_column(line) if guarded else "CAST(NULL AS VARCHAR)"
    capped = "FALSE"
    if indicator.cap is not None:
        capped = f"{by_rule} > {number_sql(indicator.cap)}"
        capped += f" AND {closed} IS NULL" if guarded else ""
    case = "CAST(NULL AS VARCHAR)"
    if amended:
        matching = f"LIST_FILTER(corrected, LAMBDA one: one.target = {sql_literal(line.target)})"
        found = f"LIST_MAX(LIST_TRANSFORM({matching}, LAMBDA one: one.case_id))"
        case = f"CASE WHEN ARRAY_LENGTH(corrected) > 0 THEN {found} END"
    return _struct(
        code=_code(line.target),
        rule_points=by_rule,
        points=line.column,
        closed_by=closed,
        capped=capped,
        case_id=case,
    )


def _item_code_sql(rules: StatementRules) -> str:
    """The code of an item of `changes`: of a district's with the district before it."""
    prefixes = ", ".join(sql_literal(f"d{code}_") for code in sorted(rules.districts))
    if not prefixes:
        return "item"
    own = "SUBSTRING(item, 2, 6) || ':' || SUBSTRING(item, 9)"
    return f"CASE WHEN SUBSTRING(item, 1, 8) IN ({prefixes}) THEN {own} ELSE item END"


def _service_columns(code: str, version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    unmet = " + ".join(
        f"CASE WHEN {condition_sql(one.when, names)} THEN 0 ELSE {1 << place} END"
        for place, one in enumerate(version.conditions)
    )
    return (
        f"CAST({unmet or '0'} AS INTEGER) AS {code}_unmet,"
        f" {points_short_sql(version, names)} AS {code}_short"
    )


def _service_entry(code: str, version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    amount = amount_sql(version, names)
    reached = f"{code}_unmet = 0 AND {code}_short = 0"
    if version.subject == "child":
        own = f"LAMBDA one: one.code = {sql_literal(code)} AND one.reached"
        reached = f"COALESCE(ARRAY_LENGTH(LIST_FILTER(parents.children, {own})), 0) > 0"
    return _struct(
        code=_code(code),
        reached=reached,
        score=shown_score_sql(version, names),
        points_short=f"{code}_short",
        unmet=_unmet_list(f"{code}_unmet", len(version.conditions)),
        monthly_amount=f"CASE WHEN {code}_unmet = 0 THEN {amount} END",
    )


def _unmet_list(bits: str, conditions: int) -> str:
    """Return the numbers of the conditions whose bits are set, from 1."""
    if conditions > _LISTED_CONDITIONS:
        places = ", ".join(map(str, range(1, conditions + 1)))
        return f"LIST_FILTER([{places}], LAMBDA place: {bits} >> (place - 1) & 1 = 1)"
    sets = (
        [place + 1 for place in range(conditions) if mask >> place & 1]
        for mask in range(1 << conditions)
    )
    listed = ", ".join(f"[{', '.join(map(str, places))}]" for places in sets)
    return f"LIST_EXTRACT(CAST([{listed}] AS INTEGER[][]), {bits} + 1)"


def _facts_entry(rules: StatementRules) -> str:
    """The facts of the evidence sentences, and what corrections made of facts."""
    entry = _struct(
        fact=f"SUBSTRING(one.target, {len(FACT_PREFIX) + 1})",
        case_id=redact_ids_sql("one.case_id"),
        value="COALESCE(one.level, CAST(one.value AS VARCHAR))",
    )
    corrected = f"LIST_TRANSFORM(corrected_facts, LAMBDA one: {entry})"
    kind = "STRUCT(fact VARCHAR, case_id VARCHAR, value VARCHAR)[]"
    values = {
        name: f"CAST({_public_name(name, rules.facts)} AS {FACT_TYPES[rules.facts[name].unit]})"
        for name in rules.list_evidence_facts()
    }
    return _struct(**values, corrected=f"CAST(COALESCE({corrected}, []) AS {kind})")


def _public_name(name: str, facts: Mapping[str, Fact]) -> str:
    """The column of the fact table that shows a fact without a department's own texts."""
    return public_column(name) if facts[name].unit == "points_by_key" else name


def _code(code: str) -> str:
    return f"CAST({sql_literal(code)} AS {CODE})"


def _struct(**fields: str) -> str:
    return "{" + ", ".join(f"'{name}': {sql}" for name, sql in fields.items()) + "}"
