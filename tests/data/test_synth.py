"""The made-up city: the same for the same seed, believable, sound where it should be, and spoilt where it says so."""

from __future__ import annotations

import csv
import filecmp
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from stdnum.cn import ric

from data.synth.extracts import make_extracts
from data.synth.faults import spelled, with_check_character
from expectations.declarations import load_sources
from expectations.month import Month
from expectations.source import Source
from expectations.synthetic import Synthetic
from expectations.yaml_file import YamlFile
from transforms.clean.cleaning import Account, Job, clean_delivery
from transforms.engine import EngineSettings, open_engine

SOURCES = load_sources()
REFERENCE = Path(__file__).parents[2] / "data" / "reference"
FIRST, SECOND = Month.parse("2021-10"), Month.parse("2021-11")
RESIDENTS = 20_000
REASONS = {"bad_id", "missing", "bad_value", "not_in_set", "out_of_range", "in_future", "too_early"}


def make(out: Path, residents: int, months: list[Month], sources: dict[str, Source] = SOURCES, **options: Any) -> Path:
    threads = options.pop("threads", 2)
    make_extracts(
        residents,
        months,
        out,
        sources=sources,
        reference=REFERENCE,
        settings=EngineSettings(memory="1GB", threads=threads),
        spill=out.parent / f"spill-{out.name}",
        progress=lambda line: None,
        **options,
    )
    return out


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(EngineSettings(memory="1GB"), tmp_path_factory.mktemp("spill")) as connection:
        yield connection


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, engine: duckdb.DuckDBPyConnection) -> Cleaned:
    return Cleaned(engine, make(tmp_path_factory.mktemp("city") / "inbox", RESIDENTS, [FIRST, SECOND]))


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory, engine: duckdb.DuckDBPyConnection) -> Cleaned:
    inbox = make(tmp_path_factory.mktemp("spoilt") / "inbox", RESIDENTS, [FIRST, SECOND], faults=True)
    return Cleaned(engine, inbox)


class Cleaned:
    """Extracts taken through the real cleaning, source by source and month by month."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, inbox: Path) -> None:
        self.engine, self.inbox, self.root = engine, inbox, inbox.parent
        self.accounts: dict[tuple[str, Month], Account] = {}
        districts = frozenset(row["code"] for row in table(REFERENCE / "districts.csv"))
        for month in (FIRST, SECOND):
            for name, source in SOURCES.items():
                job = Job(source, month, 1, tuple(parts(inbox, month, name)), "utf-8", districts, "synth")
                work = self.root / "work"
                self.accounts[name, month] = clean_delivery(engine, job, self.root, work, lambda staged: [])

    def rows(self, kind: str, name: str, month: Month) -> str:
        return f"'{self.root}/{kind}/{name}/received={month}/d1/rows.parquet'"

    def one(self, sql: str) -> Any:
        return self.engine.execute(sql).fetchall()[0][0]

    def refused(self) -> dict[tuple[str, str, str, int], set[str]]:
        return self._listed("quarantine", "reasons")

    def slips(self) -> dict[tuple[str, str, str, int], set[str]]:
        return self._listed("defects", "defects")

    def _listed(self, kind: str, column: str) -> dict[tuple[str, str, str, int], set[str]]:
        found: dict[tuple[str, str, str, int], set[str]] = {}
        for name, month in self.accounts:
            for file, record, listed in self.engine.execute(
                f"SELECT file, record, {column} FROM {self.rows(kind, name, month)}"
            ).fetchall():
                found[str(month), name, file, record] = set(listed)
        return found


def parts(inbox: Path, month: Month, name: str) -> list[Path]:
    folder = inbox / str(month)
    return sorted((folder / name).iterdir()) if (folder / name).is_dir() else list(folder.glob(f"{name}.*"))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_the_same_arguments_give_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    once = make(tmp_path / "a", 2000, [FIRST, SECOND], faults=True, threads=1)
    again = make(tmp_path / "b", 2000, [FIRST, SECOND], faults=True, threads=2)
    assert len(files(once)) == 2 * len(SOURCES) + 1
    assert filecmp.cmpfiles(once, again, files(once), shallow=False)[1:] == ([], [])


def test_a_month_does_not_depend_on_the_months_after_it(tmp_path: Path) -> None:
    short = make(tmp_path / "a", 2000, [FIRST])
    long = make(tmp_path / "b", 2000, Month.span(FIRST, FIRST + 3))
    assert filecmp.cmpfiles(short, long, files(short), shallow=False)[1:] == ([], [])


def test_another_seed_gives_other_people(tmp_path: Path) -> None:
    one, two = (make(tmp_path / str(seed), 500, [FIRST], seed=seed) for seed in (1, 2))
    ids = [{row["公民身份号码"] for row in table(out / "2021-10" / "registry.csv")} for out in (one, two)]
    assert len(ids[0] & ids[1]) < 5


def test_every_value_is_sound_when_no_faults_are_asked_for(city: Cleaned) -> None:
    for account in city.accounts.values():
        assert (account.quarantined, account.superseded) == (0, 0), account
        assert not account.reasons and not account.defects and not account.undeclared, account
    assert all(city.accounts[name, FIRST].received > 50 for name in SOURCES)


def test_ids_are_valid_and_unique(city: Cleaned) -> None:
    people = table(city.inbox / "2021-11" / "registry.csv")
    assert len({row["公民身份号码"] for row in people}) == len(people)
    assert len({row["公民身份号码"][:2] for row in people}) > 25
    children = {row["子女身份号码"] for row in table(city.inbox / "2021-11" / "children.csv")}
    assert not children & {row["公民身份号码"] for row in people}
    checked = list(children)[:500] + [row["公民身份号码"] for row in people[:500]]
    assert all(ric.calc_check_digit(number) == number[-1] for number in checked)


def test_the_registry_is_a_living_city(city: Cleaned) -> None:
    before, now = (
        {row["公民身份号码"]: row for row in table(city.inbox / str(month) / "registry.csv")}
        for month in (FIRST, SECOND)
    )
    assert Counter(row["状态"] for row in now.values())["在住"] > 0.95 * RESIDENTS
    assert {row["状态"] for row in now.values()} == {"在住", "离开", "死亡"}
    assert min(Counter(row["居住区县"] for row in now.values()).values()) > 0.02 * RESIDENTS
    assert len({row["居住区县"] for row in now.values()}) == 10
    moved = sum(row["居住区县"] != now[number]["居住区县"] for number, row in before.items())
    assert 0.001 * RESIDENTS < moved < 0.01 * RESIDENTS
    assert len(now.keys() - before.keys()) > 0.002 * RESIDENTS
    ages = [2021 - int(number[6:10]) for number in now]
    assert min(ages) >= 0 and max(ages) <= 82
    assert sum(18 <= age <= 60 for age in ages) > 0.8 * len(ages)
    assert sum(row["居住证有效期至"].startswith("2021-12") for row in now.values()) > 5


def test_postings_come_in_the_proportions_of_the_reference_load(city: Cleaned) -> None:
    """228 million in history and 4 million a month, for 5.1 million people."""
    history, month = (city.accounts["social_security", m].received / RESIDENTS for m in (FIRST, SECOND))
    assert 0.93 < history / (228 / 5.1) < 1.07
    assert 0.9 < month / (4 / 5.1) < 1.1
    rows = city.rows("clean", "social_security", FIRST)
    assert city.one(f"SELECT avg((insurance IN ('pension', 'medical'))::INTEGER) FROM {rows}") > 0.98
    assert 0.001 < city.one(f"SELECT avg((kind = 'reversed')::INTEGER) FROM {rows}") < 0.01
    late = f"SELECT count(*) FROM {city.rows('clean', 'social_security', SECOND)} WHERE month < {SECOND.ordinal}"
    assert city.one(late) > 20
    assert city.one(late.replace("<", ">")) > 20  # paid in advance
    changed = f"""SELECT count(*) FROM (SELECT resident_id FROM {rows} WHERE insurance = 'pension'
        GROUP BY resident_id, month HAVING count(DISTINCT employer_id) = 2)"""
    assert city.one(changed) > 100
    assert city.one(f"SELECT count(*) FROM {rows} WHERE employer_id IS NULL") > 100


def test_postings_arrive_unsorted_by_person(city: Cleaned) -> None:
    part = parts(city.inbox, FIRST, "social_security")[0]
    ids = [row[0] for row in city.engine.execute(f"SELECT resident_id FROM '{part}' LIMIT 2000").fetchall()]
    assert sum(a == b for a, b in itertools.pairwise(ids)) < 20


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("volunteer", "kind"),
        ("education", "level"),
        ("housing", "tenure"),
        ("children", "enrolled"),
        ("patents", "kind"),
        ("corrections", "decision"),
    ],
)
def test_every_value_of_a_set_occurs(city: Cleaned, name: str, column: str) -> None:
    found = city.engine.execute(f"SELECT DISTINCT {column} FROM {city.rows('clean', name, FIRST)}").fetchall()
    assert {value for (value,) in found} == set(SOURCES[name].columns[column].values)


def test_every_indicator_has_somebody(city: Cleaned) -> None:
    assert city.one(f"SELECT count(DISTINCT (kind, level)) FROM {city.rows('clean', 'credit', FIRST)}") == 9
    assert (
        city.one(f"SELECT count(DISTINCT (district, indicator)) FROM {city.rows('clean', 'local_awards', FIRST)}") == 18
    )
    shortage = [row["occupation"] for row in table(REFERENCE / "shortage_occupations.csv") if row["year"] == "2021"]
    jobs = city.rows("clean", "employment", FIRST)
    assert city.one(f"SELECT count(*) FROM {jobs} WHERE occupation IN {tuple(shortage)}") > 100
    assert city.one(f"SELECT max(jobs_created) FROM {jobs}") > 50
    communities = {(row["district"], row["community"]) for row in table(REFERENCE / "community_rents.csv")}
    homes = city.engine.execute(
        f"SELECT DISTINCT district, community FROM {city.rows('clean', 'housing', FIRST)} WHERE community IS NOT NULL"
    ).fetchall()
    assert set(homes) <= communities and ("330212", "东湖花园") in homes
    quotas = {row["grantor_id"] for row in table(REFERENCE / "award_quotas.csv")}
    awards = (
        f"SELECT DISTINCT grantor_id FROM {city.rows('clean', 'local_awards', FIRST)} WHERE grantor_kind <> 'district'"
    )
    assert {grantor for (grantor,) in city.engine.execute(awards).fetchall()} <= quotas


def test_events_are_taken_back_in_later_months(city: Cleaned) -> None:
    first, second = (city.rows("clean", "volunteer", month) for month in (FIRST, SECOND))
    void = f"SELECT count(*) FROM {second} JOIN {first} b USING (event_id)"
    assert city.one(f"{void} WHERE b.status = 'valid'") == city.one(void) > 0
    assert city.one(f"SELECT count(*) FROM {city.rows('clean', 'credit', FIRST)} WHERE cleared_on IS NOT NULL") > 20


def test_children_stand_at_the_edges_of_enrolment(city: Cleaned) -> None:
    """Enrolment year 2022: children born in the school years that turn 6 and 12; many have two guardians."""
    rows = city.rows("clean", "children", FIRST)
    born = "(child_id // 1000) % 100000000"
    due = f"SELECT count(*) FROM {rows} WHERE enrolled IN ('none', 'kindergarten')"
    assert city.one(f"{due} AND {born} BETWEEN 20150901 AND 20160831") > 0.005 * RESIDENTS
    middle = f"SELECT count(*) FROM {rows} WHERE enrolled = 'primary'"
    assert city.one(f"{middle} AND {born} BETWEEN 20090901 AND 20100831") > 0.0025 * RESIDENTS
    assert city.one(f"SELECT count(*) FROM (FROM {rows} SELECT child_id GROUP BY child_id HAVING count(*) = 2)") > 500


def test_what_was_planted_is_refused_for_the_reason_listed_and_nothing_else_is(spoilt: Cleaned) -> None:
    planted = table(spoilt.inbox / "planted.csv")
    wanted = {place(row): f"{row['column']}:{row['reason']}" for row in planted if row["kind"] == "refused"}
    refused = spoilt.refused()
    assert refused.keys() == wanted.keys()
    assert all(reason in refused[where] for where, reason in wanted.items())


def test_slips_copies_and_odd_spellings_are_kept_as_listed(spoilt: Cleaned, city: Cleaned) -> None:
    planted = table(spoilt.inbox / "planted.csv")
    kinds = {kind: {place(row) for row in planted if row["kind"] == kind} for kind in {row["kind"] for row in planted}}
    assert kinds.keys() == {"refused", "defect", "superseded", "unmatched", "accepted"}
    assert spoilt.slips().keys() == kinds["defect"]
    for (name, month), account in spoilt.accounts.items():
        own = {kind: sum(where[:2] == (str(month), name) for where in places) for kind, places in kinds.items()}
        assert account.superseded == own["superseded"] == bool(SOURCES[name].key)
        assert account.clean == city.accounts[name, month].clean + own["unmatched"]


def test_every_kind_of_fault_is_planted_in_every_source_where_it_applies(spoilt: Cleaned) -> None:
    planted = table(spoilt.inbox / "planted.csv")
    found = {(row["source"], row["column"], row["reason"]) for row in planted}
    for name, source in SOURCES.items():
        assert {(name, source.person, "bad_id"), (name, source.person, "missing")} <= found
        for title, column in source.columns.items():
            wanted = {"missing"} if column.required or column.required_when else set()
            wanted |= {"in_future"} if column.type == "date" and not column.future else set()
            wanted |= (
                {"bad_value"} if column.type in ("date", "month", "amount", "integer", "yes_no", "area") else set()
            )
            wanted |= {"not_in_set"} if column.type in ("set", "district") else set()
            wanted |= {"too_early"} if column.not_before else set()
            wanted |= {"out_of_range"} if column.check else set()
            assert {(name, title, reason) for reason in wanted} <= found
    assert {row["reason"] for row in planted} - {""} == REASONS


def test_the_list_of_faults_holds_nobody(spoilt: Cleaned) -> None:
    listed = (spoilt.inbox / "planted.csv").read_text(encoding="utf-8")
    assert not any(field.isdigit() and len(field) > 4 for line in listed.splitlines() for field in line.split(","))
    assert (
        max(account.quarantined / account.received for account in spoilt.accounts.values() if account.received > 2000)
        < 0.02
    )
    assert all(account.quarantined <= max(20, 0.02 * account.received) for account in spoilt.accounts.values())


def test_a_new_source_needs_only_its_declaration(tmp_path: Path) -> None:
    declared = tmp_path / "sources"
    declared.mkdir()
    (declared / "tax.yaml").write_text(
        """
source: tax
title: 纳税
department: 税务
delivery: increment
person: resident_id
key: [slip_no]
columns:
  slip_no: {title: 税单号, type: text, required: true}
  resident_id: {title: 公民身份号码, type: id, required: true}
  kind: {title: 税种, type: set, required: true, values: {income: 个人所得税, business: 经营税}}
  band: {title: 档次, type: set, required: true, values: {low: 低, high: 高}, by: kind,
         checks: {income: {one_of: low}, business: {one_of: [low, high]}}}
  paid: {title: 金额, type: amount, required: true, check: {above: 0, max: 900}}
  paid_on: {title: 日期, type: date, required: true}
  period: {title: 所属月份, type: month, required: true}
  persons: {title: 人数, type: integer}
  online: {title: 网上办理, type: yes_no, required: true}
  office: {title: 区县, type: district, required: true}
  remark: {title: 备注, type: text}
synthetic:
  rows: {each: person, share: 0.5, monthly: 0.2, years: 1}
""",
        encoding="utf-8",
    )
    source = Source.model_validate(read(declared / "tax.yaml"))
    out = make(tmp_path / "inbox", 1000, [FIRST, SECOND], {"tax": source})
    first, second = (table(out / str(month) / "tax.csv") for month in (FIRST, SECOND))
    assert len(first) > 8 * len(second) > 0
    assert list(first[0]) == list(source.columns)
    assert {(row["kind"], row["band"]) for row in first} == {
        ("income", "low"),
        ("business", "low"),
        ("business", "high"),
    }
    assert all(0 < float(row["paid"]) <= 900 and row["paid_on"][:7] == row["period"] for row in first)
    assert {row["paid_on"][:7] for row in second} == {"2021-11"}


def read(path: Path) -> Any:
    return YamlFile(path).data


@pytest.mark.parametrize(
    "columns",
    [
        {"a": {"of": "wage"}},
        {"a": {"of": "id", "text": "x"}},
        {"a": {}},
        {"a": {"weights": {"x": 0}}},
        {"a": {"weights": {"x": 1}, "by": "b"}},
    ],
)
def test_a_block_that_cannot_be_meant_is_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Synthetic.model_validate({"rows": {"each": "person"}, "columns": columns})


def test_odd_spellings_are_of_the_same_id() -> None:
    number = with_check_character("34122619850101123")
    assert spelled(number, "15 digits") == "341226850101123"
    assert spelled("11010519491231002X", "lower-case x") == "11010519491231002x"
    assert spelled(number, "lower-case x") is None
    assert str(spelled(number, "inner blanks")).replace("\u3000", " ").replace(" ", "") == number


def place(row: dict[str, str]) -> tuple[str, str, str, int]:
    return row["month"], row["source"], Path(row["file"]).name, int(row["record"])
