"""Who has looked at me: answered for everybody in a town, with where their data went."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from flows.access_settings import AccessSettings
from flows.commands.access import report_accesses
from flows.commands.explain import explain_person
from flows.commands.lookup import PersonQuery
from flows.commands.statement import write_statement_page
from flows.commands.verify import verify_months
from flows.settings import Settings
from flows.storage.verify import verify_root
from tests.support.delivering import arrived, deliver, in_folder, with_destinations
from tests.support.held_city import (
    HAISHU,
    JIANGBEI,
    OCTOBER,
    PEOPLE,
    copied,
    degrees,
    registry,
)
from tests.support.leaks import Person, leaks, sought
from tests.support.world import World, national_id

OPERATORS = {"wangfang": "王芳", "liming": "李明"}
FEW = PEOPLE[20:30]
"""Four live in one district, six in another."""
STRANGER = national_id("51010219860101901")
BAD = {**degrees()[0], "certificate_no": "BAD", "level": "无此学历", "resident_id": FEW[7]}


def with_access(settings: Settings, **given: Any) -> Settings:
    return settings.model_copy(update={"access": AccessSettings(**given)})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Ten people of two districts, one month; read only."""
    town = World(tmp_path_factory.mktemp("access") / "town", only=("registry", "education"))
    town.deliver(OCTOBER, registry=registry(FEW), education=degrees(FEW))
    town.run(OCTOBER)
    return town


@pytest.fixture
def town(built: World, tmp_path: Path) -> World:
    town = copied(built, tmp_path / "town")
    town.settings = with_access(town.settings, operators=OPERATORS)
    return town


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`asking("wangfang")`: who works at the terminal from now on."""

    def take(account: str) -> None:
        monkeypatch.setenv("SUDO_USER", account)

    take("wangfang")
    return take


def ask(town: World, resident_id: str, **query: str) -> dict[str, Any]:
    lines: list[str] = []
    report_accesses(town.settings, PersonQuery(resident_id, **query), lines.append, as_json=True)
    return dict(json.loads(lines[0]))


def describe(town: World, resident_id: str) -> str:
    lines: list[str] = []
    report_accesses(town.settings, PersonQuery(resident_id), lines.append, as_json=False)
    return "\n".join(lines)


def explain(town: World, query: PersonQuery, *, records: bool = False) -> None:
    explain_person(town.settings, query, lambda line: None, as_json=False, records=records)


def test_everybody_is_answered_who_looked_at_them_and_why(town: World, asking: Any) -> None:
    rng = random.Random(0)
    done: dict[str, list[tuple[str, ...]]] = {person: [] for person in FEW}
    for number in range(10):
        account, person = rng.choice(list(OPERATORS)), rng.choice(FEW[:5])
        asking(account)
        query = PersonQuery(person, OCTOBER, f"受理异议 {number}", f"2021-{number:04d}")
        if action := rng.choice(["", "explain", "explain", "statement"]):
            if action == "explain":
                explain(town, query)
            else:
                write_statement_page(town.settings, query, None, lambda line: None)
            done[person].append((OPERATORS[account], account, action, query.purpose, query.case))
    fields = ("by", "account", "action", "purpose", "case")
    for person in FEW:
        found = ask(town, person)["lookups"]
        assert [tuple(one[name] for name in fields) for one in found] == done[person]
    assert sum(map(len, done.values())) > 5
    log = town.root.runs / "access.log"
    assert leaks(log.read_bytes(), sought(map(Person, FEW))) == set()
    assert verify_root(town.root, town.root.key()) == []


def test_the_question_itself_is_logged_and_the_next_answer_has_it(town: World, asking: Any) -> None:
    assert ask(town, FEW[0], purpose="答复本人")["lookups"] == []
    asking("liming")
    (before,) = ask(town, FEW[0])["lookups"]
    assert (before["by"], before["action"], before["purpose"]) == ("王芳", "access", "答复本人")
    assert ask(town, FEW[1])["lookups"] == []


def test_everybody_is_answered_where_their_data_went(
    town: World, asking: Any, tmp_path: Path
) -> None:
    """A second revision; packages of two districts, one delivered; the portal's of r2; returns."""
    town.deliver(OCTOBER, registry=registry(FEW), education=[*degrees(FEW[:8]), BAD])
    town.run(OCTOBER)
    out = tmp_path / "out"
    town.settings = with_destinations(
        town.settings,
        portal=in_folder(out, "portal"),
        d330205=in_folder(out, "jiangbei"),
        education=in_folder(out, "education"),
    )
    assert arrived(deliver(town, number=2))
    for place, person in enumerate(FEW):
        district = HAISHU if place < 4 else JIANGBEI
        found = [
            (one["revision"], one["what"], one["recipient"])
            for one in ask(town, person)["outflows"]
        ]
        name = town.project.reference.rows["districts"]
        title = next(row[1] for row in name if row[0] == district)
        made = f"为{title}（{district}）制作"
        expected = [
            (f"{OCTOBER}/r1", "区县导出包", made),
            (f"{OCTOBER}/r2", "区县导出包", made),
            (f"{OCTOBER}/r2", "个人积分单", "送交门户（portal）"),
        ]
        if district == JIANGBEI:
            expected.append((f"{OCTOBER}/r2", "区县导出包", f"送交{title}（{district}）"))
        if place == 7:
            department = town.project.sources["education"].department
            expected.append((f"{OCTOBER}/r2", "退回清单", f"送交{department}"))
        assert sorted(found) == sorted(expected), place
    nobody = ask(town, STRANGER)
    assert (nobody["lookups"], nobody["outflows"]) == ([], [])


def test_the_package_says_for_whom_it_was_made(town: World) -> None:
    package = town.revision(OCTOBER).path / "exports" / HAISHU / "manifest.json"
    about = json.loads(package.read_bytes())
    names = {row[0]: row[1] for row in town.project.reference.rows["districts"]}
    assert (about["district"], about["name"]) == (HAISHU, names[HAISHU])


def test_the_answer_as_text_names_entries_that_cannot_be_verified(town: World, asking: Any) -> None:
    key = town.score(OCTOBER, FEW[0])["resident_key"]
    old = {"at": "2020-01-02T03:04:05+08:00", "uid": 999, "action": "explain", "resident_key": key}
    log = town.root.runs / "access.log"
    log.unlink()
    (town.root.runs / "access.head.json").unlink()
    log.write_text(json.dumps(old) + "\n", encoding="utf-8")
    explain(town, PersonQuery(FEW[0], None, "受理异议", "2021-7"), records=True)
    text = describe(town, FEW[0])
    assert "查询此人的记录：2 条" in text
    assert "uid 999  查看积分解释  未写用途（写于有校验以前，无法核对）" in text
    assert (
        "王芳（wangfang）  查看积分解释及依据数据  2021-10  用途：受理异议  办件编号：2021-7"
        in text
    )
    assert "访问记录中有 1 条写于有校验以前，无法核对" in text
    (note,) = verify_months(town.settings, None).notes
    assert note == "访问记录 2 条，链和校验码无误；另有 1 条写于有校验以前，无法核对"
    assert "王芳（wangfang）  查询访问记录" in describe(town, FEW[0])


def test_a_removed_line_is_found_by_verify_and_said_in_the_answer(town: World, asking: Any) -> None:
    explain(town, PersonQuery(FEW[0]))
    log = town.root.runs / "access.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert any("访问记录的末尾缺少" in one for one in verify_root(town.root, town.root.key()))
    assert describe(town, FEW[0]).startswith("访问记录有 1 处异常，以下可能不全")


def test_a_log_that_is_gone_with_its_head_is_missed_by_the_published_months(town: World) -> None:
    for name in ("access.log", "access.head.json"):
        (town.root.runs / name).unlink()
    town.root.access_log("simulate")
    assert verify_root(town.root, town.root.key()) == []  # the export was the first line
    town.deliver(OCTOBER, registry=registry(FEW), education=degrees(FEW[:8]))
    town.run(OCTOBER)
    for name in ("access.log", "access.head.json"):
        (town.root.runs / name).unlink()
    (finding,) = verify_root(town.root, town.root.key())
    assert finding == f"访问记录只到第 0 号；{OCTOBER} r2 发布时已有第 2 号"


def test_only_named_operators_look_people_up(town: World, asking: Any) -> None:
    asking("guest")
    before = (town.root.runs / "access.log").read_bytes()
    query, none = PersonQuery(FEW[0]), lambda line: None
    for work in (
        lambda: explain(town, query),
        lambda: write_statement_page(town.settings, query, None, none),
        lambda: report_accesses(town.settings, query, none, as_json=False),
    ):
        with pytest.raises(JifenError) as refused:
            work()
        assert refused.value.code == ExitCode.USAGE and "guest" in refused.value.message
    assert (town.root.runs / "access.log").read_bytes() == before


def test_where_the_settings_ask_for_a_purpose_nobody_is_shown_without(
    town: World, asking: Any
) -> None:
    town.settings = with_access(town.settings, require_purpose=True)
    with pytest.raises(JifenError) as refused:
        explain(town, PersonQuery(FEW[0], purpose="受理异议"))
    assert refused.value.code == ExitCode.USAGE
    assert "缺少 --case" in refused.value.message and "--purpose" in refused.value.hint
    explain(town, PersonQuery(FEW[0], None, "受理异议", "2021-1"))
