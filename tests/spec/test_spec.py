"""The rule manual holds: every chapter on both engines, every mistake told once, and the page as it is committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.spec.both_engines import by_reference, by_sql
from tests.spec.chapters import FACTS, HERE, Case, chapters, expected, residents, tables, understood
from tests.spec.manual import PAGE, manual
from tests.spec.mistakes import SOUND, Mistake, mistakes, refused
from transforms.engine import EngineSettings, open_engine
from transforms.policy.rules import Rule

CASES = [case for chapter in chapters() for case in chapter.cases]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(EngineSettings("500MB", 1), tmp_path_factory.mktemp("spill")) as connection:
        yield connection


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_engines_give_the_points_that_the_manual_shows(
    case: Case, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert case.rows and all(map(understood, case.rows[0]))
    policy, people = tables(case, tmp_path), residents(case.rows)
    wanted = [expected(row) for row in case.rows]
    assert all(wanted), "a table without points proves nothing"
    for scored in (by_sql(engine, policy, FACTS, people), by_reference(policy, FACTS, people)):
        shown = [{name: row[name] for name in wanted[0]} for row in scored]
        assert shown == wanted


def test_every_rule_form_has_a_chapter_that_uses_it(tmp_path: Path) -> None:
    by_subject = {chapter.subject: chapter for chapter in chapters()}
    assert set(Rule.model_fields) <= by_subject.keys()
    for form in Rule.model_fields:
        assert by_subject[form].cases
        for case in by_subject[form].cases:
            (table,) = tables(case, tmp_path)
            assert form in {line.rule.form for line in table.versions[0].indicators.values()}, case.name


def test_nothing_in_a_chapter_is_left_unread() -> None:
    read = {case.fragment for case in CASES} | {HERE / "19_mistakes" / f"{name}.yaml" for name in ("sound", "mistakes")}
    assert set(HERE.glob("*/*.yaml")) == read


def test_the_table_that_the_mistakes_are_made_in_is_sound(engine: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert refused(SOUND, tmp_path, engine) == []


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: mistake.title)
def test_each_mistake_gives_one_message_with_its_key_and_what_was_meant(
    mistake: Mistake, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    found = refused(mistake.text, tmp_path, engine)
    assert len(found) == 1, [str(problem) for problem in found]
    assert found[0].found and found[0].meant and found[0].key


def test_all_mistakes_of_a_table_are_told_at_once(engine: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    titles = {"重复的键", "区间重叠", "不认识的等级", "没有写明算法", "日期不存在", "values 写错"}
    text = SOUND
    for mistake in (one for one in mistakes() if one.title in titles):
        text = text.replace(mistake.was, mistake.becomes, 1)
    assert len(refused(text, tmp_path, engine)) == len(titles)


def test_the_committed_manual_is_what_the_chapters_generate(engine: duckdb.DuckDBPyConnection) -> None:
    assert PAGE.read_text(encoding="utf-8") == manual(engine), "run `make docs`"
