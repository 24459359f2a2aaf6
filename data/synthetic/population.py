"""One shared model of a synthetic city: persons, their children, homes and jobs.

Every source derives its rows from it. Four tables, one row per thing, each with `e` (its number),
`p` (its person's number), `id`, `born`, `since`, `until` (the days between which it exists) and the
same as month ordinals. Everything is a function of seed, number and first month, so what is true of
a month does not depend on how many months are generated. Where somebody lives in a month is a
closed formula of the person; the table `home` only lists it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.synthetic.hash_random import HashRandom
from data.synthetic.names import GIVEN, PHONE_PREFIX, PROVINCES, SURNAMES
from expectations.month import Month
from expectations.synthetic_model import Each
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

MONTHS_HERE = 67  # the average resident of the first month has been here so long
ARRIVALS_PER_MONTH = 0.009  # share of the residents of the first month; as many leave
WORKING_SHARE = 0.595
HOMES_PER_DISTRICT = 5  # every fifth move crosses a district's border
LOCAL_AREAS = [
    "330203",
    "330205",
    "330206",
    "330211",
    "330212",
    "330225",
    "330226",
    "330281",
    "330282",
]

MACROS = """
CREATE OR REPLACE MACRO month_of(d) AS (year(d) * 12 + month(d) - 1)::BIGINT;
CREATE OR REPLACE MACRO first_day(m) AS make_date((m // 12)::INTEGER, (m % 12 + 1)::INTEGER, 1);
"""

# ISO 7064 MOD 11-2: the digit k places before the check character weighs 2^k mod 11.
_WEIGHTED_SUM = " + ".join(f"(n17 // {10 ** (k - 1)} % 10) * {2**k % 11}" for k in range(1, 18))
ID_FROM_NUMBER = f"n17::VARCHAR || substr('10X98765432', (({_WEIGHTED_SUM}) % 11 + 1)::INTEGER, 1)"


@dataclass(frozen=True)
class City:
    """The model's settings: who is drawn, and between which places they move."""

    random: HashRandom
    residents: int
    first: Month
    last: Month
    communities: dict[str, list[str]]  # by district code

    @classmethod
    def read(
        cls,
        session: Session,
        reference: Path,
        random: HashRandom,
        residents: int,
        months: list[Month],
    ) -> City:
        """Take the districts and their communities from the reference tables."""
        districts, rents = (
            f"read_csv({sql_literal(reference / name)}, header = true, all_varchar = true)"
            for name in ("districts.csv", "community_rents.csv")
        )
        rows = session.execute(
            f"""SELECT d.code, list_sort(list(DISTINCT r.community)) FROM {districts} d
                LEFT JOIN {rents} r ON r.district = d.code GROUP BY d.code ORDER BY d.code"""
        ).fetchall()
        communities = {code: [name for name in names if name] for code, names in rows}
        return cls(random, residents, months[0], months[-1], communities)

    def district(self, month: str) -> str:
        """Return the district where person p lives in a month, as SQL."""
        weighted = [
            code for code, names in self.communities.items() for _ in range(max(1, len(names)))
        ]
        drawn = f"p * 1024 + (({month} + shift) // stay + drift) // {HOMES_PER_DISTRICT}"
        return self.random.uniform_choice(drawn, "district", weighted)

    def community(self, district: str, month: str) -> str:
        """Return the community of the home in that district in a month, as SQL.

        It is null in a district without communities in the reference tables.
        """
        pairs = (
            (sql_literal(code), ", ".join(map(sql_literal, names)))
            for code, names in self.communities.items()
            if names
        )
        choices = "MAP {" + ", ".join(f"{code}: [{names}]" for code, names in pairs) + "}"
        listed = f"({choices})[{district}]"
        place = self.random.integer(
            f"p * 1024 + ({month} + shift) // stay", "community", 1, f"len({listed})"
        )
        return f"CASE WHEN len({listed}) > 0 THEN ({listed})[{place}] END"

    def home_start(self, number: str) -> str:
        """Return the day when a person's home with this number begins, as SQL."""
        day = self.random.integer(f"p * 1024 + {number}", "moving day", 0, 27)
        return f"(first_day(({number}) * stay - shift) + {day}::INTEGER)"

    def populate(self, session: Session) -> None:
        """Create the four tables."""
        session.execute(MACROS)
        for statement in (self._persons(), self._children(), self._homes(), self._jobs()):
            session.execute(statement)

    def _persons(self) -> str:
        random, first, arrivals = (
            self.random,
            self.first.ordinal,
            max(1, round(self.residents * ARRIVALS_PER_MONTH)),
        )
        later = arrivals * (self.last.ordinal - first)
        age = random.choice(
            "p",
            "age group",
            {
                random.integer("p", "age 0", 0, 15): 7,
                random.integer("p", "age 16", 16, 19): 5,
                random.integer("p", "age 20", 20, 35): 40,
                random.integer("p", "age 36", 36, 50): 32,
                random.integer("p", "age 51", 51, 60): 12,
                random.integer("p", "age 61", 61, 80): 4,
            },
        )
        area = " || ".join(
            [
                random.choice(
                    "p",
                    "province",
                    {sql_literal(code): weight for code, weight in PROVINCES.items()},
                ),
                f"lpad({random.integer('p', 'city', 1, 12)}::VARCHAR, 2, '0')",
                f"{random.integer('p', 'county', 21, 29)}::VARCHAR",
            ]
        )
        given = random.uniform_choice("p", "given", GIVEN)
        two, last = random.bernoulli("p", "two", 0.7), random.uniform_choice("p", "second", GIVEN)
        second = f"CASE WHEN {two} THEN {last} ELSE '' END"
        return f"""
CREATE TABLE person AS
WITH drawn AS (
    SELECT p,
        CASE WHEN p < {self.residents} THEN {first}
            ELSE {first + 1} + (p - {self.residents}) // {arrivals} END AS ref,
        CASE WHEN p < {self.residents}
            THEN least(288, {MONTHS_HERE} * -ln(1 - {random.uniform("p", "arrival")}))::INTEGER
                ELSE 0 END AS back,
        {age} AS age, {area} AS area
    FROM range({self.residents + later}) t(p)
), lives AS (
    SELECT *, (first_day(ref) - (age * 365.2425
        + {random.integer("p", "birthday", 0, 364)})::INTEGER)::DATE AS born
    FROM drawn
), stays AS (
    SELECT *, greatest(born,
        first_day(ref - back) + {random.integer("p", "arrival day", 0, 27)}::INTEGER) AS since,
        ref - 2 * (p < {self.residents})::INTEGER
            + least(1200, -ln(1 - {random.uniform("p", "leaving")}) /
                {ARRIVALS_PER_MONTH})::INTEGER AS leaving
    FROM lives
), ended AS (
    SELECT *, first_day(greatest(leaving,
        month_of(since) + 1)) + {random.integer("p", "leaving day", 0, 27)}::INTEGER
            AS until
    FROM stays
), numbered AS (
    SELECT *, {_number17("p", random, "serial", 0)} AS n17 FROM ended
)
SELECT p AS e, p, {ID_FROM_NUMBER} AS id, area, born, since, until,
    month_of(since) AS since_m, month_of(until) AS until_m,
    {random.uniform_choice("p", "surname", SURNAMES)} || {given} || {second} AS name,
    {sql_literal(PHONE_PREFIX)} || lpad({random.integer("p", "phone", 0, 999_999_999)}::VARCHAR, 9,
        '0') AS phone,
    {random.bernoulli("p", "death", 0.03)} AS died,
    {random.integer("p", "stay", 36, 84)} AS stay, {random.integer("p", "shift", 0, 83)} AS shift,
    {random.integer("p", "drift", 0, HOMES_PER_DISTRICT - 1)} AS drift,
    CASE WHEN {random.bernoulli("p", "permit", 0.78)} THEN since
        + {random.integer("p", "permit day", 20, 500)}::INTEGER END
        AS permit_on
FROM numbered"""

    def _children(self) -> str:
        random, guardians = self.random, "person.p * 4 + k"
        brood = random.choice("person.p", "children", {"0": 55, "1": 26, "2": 16, "3": 3})
        area = f"""CASE WHEN {random.bernoulli("e", "born at home", 0.5)} THEN parent_area
            ELSE {random.uniform_choice("e", "birth place", LOCAL_AREAS)} END"""
        return f"""
CREATE TABLE child AS
WITH brood AS (
    SELECT person.p * 4 + k AS e, p AS parent, area AS parent_area,
        born + (365 * 22 + {random.integer(guardians, "child", 0, 4400)} + k * 900)::INTEGER AS born
    FROM person, unnest(range({brood})) t(k)
), placed AS (
    SELECT e, parent, born, {area} AS area FROM brood
), numbered AS (
    SELECT e, parent, born, {_number17("e", random, "child serial", 2)} AS n17 FROM placed
), named AS (
    SELECT *, {ID_FROM_NUMBER} AS child_id FROM numbered
), guardian AS (
    SELECT e * 2 AS e, parent AS p, child_id, born, 0 AS age_difference FROM named
    UNION ALL
    SELECT named.e * 2 + 1, xor(parent, 1), child_id, named.born, abs(date_diff('year', first.born,
        second.born))
    FROM named JOIN person first ON first.p = parent JOIN person second ON second.p = xor(parent, 1)
    WHERE {random.bernoulli("parent", "spouse", 0.9)}
)
SELECT guardian.e, person.p, person.id, child_id, guardian.born, greatest(guardian.born,
    person.since) AS since, until,
    month_of(greatest(guardian.born, person.since)) AS since_m, until_m, stay, shift, drift
FROM guardian JOIN person USING (p) WHERE age_difference < 12"""

    def _homes(self) -> str:
        last = f"least(until_m, {self.last.ordinal})"
        return f"""
CREATE TABLE home AS
WITH numbered AS (
    SELECT *, unnest(range((since_m + shift) // stay,
        ({last} + shift) // stay + 1)) AS h FROM person
), dated AS (
    SELECT * REPLACE (
        greatest(since, {self.home_start("h")}) AS since, least(until,
            {self.home_start("h + 1")} - 1) AS until,
        p * 1024 + h AS e)
    FROM numbered
), placed AS (
    SELECT *, {self.district("(h * stay - shift)")} AS district FROM dated WHERE since <= until
)
SELECT e, p, id, born, since, until, month_of(since) AS since_m, month_of(until) AS until_m,
    district,
    {self.community("district", "(h * stay - shift)")} AS community
FROM placed"""

    def _jobs(self) -> str:
        random = self.random
        gap = random.choice(
            "e",
            "gap",
            {
                "0": 62,
                random.integer("e", "short gap", 1, 3): 22,
                random.integer("e", "long gap", 4, 12): 9,
                "NULL": 7,
            },
        )
        adult = f"month_of(born) + {random.integer('p', 'first job', 12 * 18, 12 * 24)}"
        serial = random.integer("e", "employer", 1, max(10, self.residents // 120))
        employer = f"'91' || district || lpad({serial}::VARCHAR, 9, '0') || 'X'"
        return f"""
CREATE TABLE job AS
WITH worker AS (
    SELECT *, greatest(since_m, {adult}) + {random.integer("p", "search", 0, 8)} AS starts,
        month_of(born) + 720 AS retires,
        {random.integer("p", "job length", 14, 60)} AS length
    FROM person WHERE {random.bernoulli("p", "career", WORKING_SHARE)}
), slot AS (
    SELECT worker.* EXCLUDE (e, since, until), until AS gone, p * 1024 + n AS e, n
    FROM worker, unnest(range((least(retires, until_m,
        {self.last.ordinal}) - starts) // length + 1)) t(n)
    WHERE starts < least(retires, until_m)
), timed AS (
    SELECT *, {gap} AS gap FROM slot
), dated AS (
    SELECT *, first_day(starts + n * length + gap)
        + {random.integer("e", "first day", 0, 27)}::INTEGER AS since,
        least(gone, first_day(starts + (n + 1) * length - 1
            + {random.bernoulli("e", "overlap", 0.25)}::INTEGER)
            + {random.integer("e", "last day", 5, 27)}::INTEGER) AS until
    FROM timed WHERE gap IS NOT NULL
), placed AS (
    SELECT *, {self.district("month_of(since)")} AS district FROM dated WHERE since <= until
)
SELECT e, p, id, born, since, until, month_of(since) AS since_m, month_of(until) AS until_m,
    district,
    CASE WHEN {random.bernoulli("e", "employed", 0.95)} THEN {employer} END AS employer,
    (3957 + 18000 * pow({random.uniform("e", "wage")}, 3))::INTEGER AS wage
FROM placed"""


def _number17(number: str, random: HashRandom, purpose: str, lane: int) -> str:
    """Return the first 17 digits of an ID as SQL, unique in the city.

    People of one area and birth date are counted, those of each table in numbers of their own
    (`lane`).
    """
    serial = f"""((row_number() OVER (PARTITION BY area, born ORDER BY {number}) - 1) * 4 + {lane}
        + ({random.uint64(number, purpose)} % 2)::BIGINT + 4 * (hash(area,
            born) % 250)::BIGINT) % 1000"""
    return f"area::BIGINT * 100000000000 + strftime(born, '%Y%m%d')::BIGINT * 1000 + {serial}"


def attribute_sql(city: City, each: Each, name: str, month: str, seen: str) -> str:
    """Return an attribute of a row's thing as SQL: of `month`, as known on the day `seen`."""
    if name == "district" and each in ("person", "child"):
        return city.district(f"least({month}, until_m)")
    if name == "stage":
        return _stage(city.random, seen)
    if each != "person" or name not in _STATES:
        return name
    lived = f"least({month}, until_m)"
    years = f"date_sub('year', permit_on, {seen})"
    lapsed = city.random.bernoulli(f"p * 128 + {years}", "lapse", 0.07)
    renewed = f"({years} = 0 OR NOT {lapsed})::INTEGER"
    valid_to = f"(permit_on + to_years(({years} + {renewed})::INTEGER))::DATE - 1"
    home = city.home_start(f"(({lived} + shift) // stay)")
    status = "WHEN died THEN 'deceased' ELSE 'left' END"
    return {
        "community": city.community(city.district(lived), lived),
        "status": f"CASE WHEN until > {seen} THEN 'resident' {status}",
        "permit_issued_on": f"CASE WHEN permit_on <= {seen} THEN permit_on END",
        "permit_valid_to": f"CASE WHEN permit_on <= {seen} THEN {valid_to} END",
        "updated_on": f"""greatest(since, {home},
            CASE WHEN permit_on <= {seen} THEN (permit_on + to_years({years}::INTEGER))::DATE END,
            CASE WHEN until <= {seen} THEN until END)""",
    }[name]


_STATES = frozenset({"community", "status", "permit_issued_on", "permit_valid_to", "updated_on"})


def _stage(random: HashRandom, seen: str) -> str:
    """Return where a child is at school: by its age when the school year began; null once grown up.

    A few are later than most.
    """
    age = f"(year({seen}) - (month({seen}) < 9)::INTEGER - year(born) - (month(born) > 8)::INTEGER)"
    late, at_home = (
        random.bernoulli("e // 2", "late at school", 0.04),
        random.bernoulli("e // 2", "no kindergarten", 0.12),
    )
    return f"""CASE WHEN {age} < 3 THEN 'none'
        WHEN {age} < 6 THEN (CASE WHEN {at_home} THEN 'none' ELSE 'kindergarten' END)
        WHEN {age} < 12 THEN (CASE WHEN {age} = 6 AND {late} THEN 'kindergarten' ELSE 'primary' END)
        WHEN {age} < 15 THEN (CASE WHEN {age} = 12 AND {late} THEN 'primary'
            ELSE 'junior_middle' END)
        WHEN {age} < 18 AND {random.bernoulli("e // 2", "senior school", 0.75)}
            THEN 'senior_middle' END"""
