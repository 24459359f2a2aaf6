"""Statements: what every resident sees agrees with the published tables and the reference engine."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flows.commands.explain import load_statement
from flows.project import PROJECT_FOLDER, load_declared_sources
from reports.explain.text import format_explanation
from reports.published_rules import load_published_rules
from reports.statements.model import SCHEMA_VERSION, StatementRow, StatementTexts
from reports.statements.read import RevisionFiles, compute_statement
from tests.support.page_renderer import render_lines
from tests.support.statement_reference import StatementReference
from tests.support.world import World, read_rows
from transforms.engine.session import open_engine

MONTHS = ("2024-03", "2024-04")


def statements_of(world: World, month: str) -> list[dict[str, Any]]:
    """Every row of a month, in the order of the tables."""
    return read_rows(world.revision(month).path / "restricted" / "statements")


def texts_of(world: World, month: str) -> StatementTexts:
    folder = world.revision(month).path / "restricted" / "statements"
    return StatementTexts.model_validate_json((folder / "texts.json").read_bytes())


def examples_of(world: World, month: str) -> list[dict[str, Any]]:
    folder = world.revision(month).path / "restricted" / "statements"
    return [
        json.loads(line) for line in (folder / "examples.jsonl").read_text("utf-8").splitlines()
    ]


@pytest.mark.parametrize("month", MONTHS)
def test_everybody_has_a_statement_in_the_order_of_the_tables(
    synthetic_city: World, month: str
) -> None:
    rows = statements_of(synthetic_city, month)
    identities = synthetic_city.table(month, "restricted/identities")
    # no service of the project is ranked or of children
    fields = [one for one in StatementRow.model_fields if one not in ("ranks", "children")]
    assert [list(row) for row in rows] == [fields] * len(rows)
    handles = ("resident_id", "name", "district")
    assert [[row[name] for name in handles] for row in rows] == [
        [person[name] for name in handles] for person in identities
    ]
    manifest = synthetic_city.revision(month).manifest
    assert (manifest.statements, manifest.statement_schema) == (len(rows), SCHEMA_VERSION)
    folder = synthetic_city.revision(month).path / "restricted" / "statements"
    districts = {path.stem for path in folder.glob("*.parquet")}
    assert districts == set(synthetic_city.project.reference.districts)


@pytest.mark.promise("points-118", "Each condition has its Chinese sentence of what is lacking")
@pytest.mark.proves("points-131")
@pytest.mark.parametrize("month", MONTHS)
def test_services_and_points_by_rule_are_those_of_the_reference_with_every_unmet_condition(
    synthetic_city: World, month: str
) -> None:
    reference = StatementReference(synthetic_city.project, synthetic_city.revision(month).month)
    unmet_conditions = reached = 0
    tables = ("scores", "facts", "restricted/facts", "restricted/identities")
    people = zip(*(synthetic_city.table(month, table) for table in tables), strict=True)
    for row, (scores, *others) in zip(statements_of(synthetic_city, month), people, strict=True):
        facts = {name: value for table in others for name, value in table.items()}
        assert list(reference.find_differences(row, facts, scores)) == []
        unmet_conditions += sum(len(one["unmet"]) for one in row["services"])
        reached += sum(one["reached"] for one in row["services"])
    assert unmet_conditions and reached


def test_the_change_is_that_of_the_published_tables(synthetic_city: World) -> None:
    assert all(row["change"] is None for row in statements_of(synthetic_city, MONTHS[0]))
    before = {row["resident_key"]: row for row in synthetic_city.table(MONTHS[0], "scores")}
    scores = synthetic_city.table(MONTHS[1], "scores")
    published: dict[str, dict[str, Decimal]] = {}
    for change in synthetic_city.table(MONTHS[1], "changes"):
        item = change["item"]
        code = f"{item[1:7]}:{item[8:]}" if item[1:7].isdigit() else item
        published.setdefault(change["resident_key"], {})[code] = change["before"]
    moved = 0
    for row, score in zip(statements_of(synthetic_city, MONTHS[1]), scores, strict=True):
        change = row["change"]
        earlier = before.get(score["resident_key"])
        assert change["total"] == (earlier["total_points"] if earlier else None)
        found = {one["code"]: one["before"] for one in change["moved"]}
        assert found == published.get(score["resident_key"], {})
        moved += len(found)
    assert moved


@pytest.mark.parametrize("month", MONTHS)
def test_a_statement_computed_later_is_the_one_that_was_published(
    synthetic_city: World, month: str
) -> None:
    """What `explain` does for revisions of programs that wrote no statements."""
    revision = synthetic_city.revision(month)
    sources = load_declared_sources(synthetic_city.settings)
    rules = load_published_rules(revision.path / "policy", revision.month.last_day, sources)
    files = RevisionFiles(revision.path, revision.number, revision.manifest.compared_with)
    settings, spill = synthetic_city.settings.engine_settings, synthetic_city.root.tmp / "spill"
    with open_engine(settings, spill) as session:
        for place in range(0, len(synthetic_city.table(month, "scores")), 5):
            published = load_statement(session, sources, revision, place)
            computed = compute_statement(session, files, place, rules, sources)
            assert computed.row == published.row
            assert computed.texts == published.texts


def test_the_examples_are_rendered_as_they_say(synthetic_city: World) -> None:
    texts, examples = texts_of(synthetic_city, MONTHS[1]), examples_of(synthetic_city, MONTHS[1])
    assert len(examples) == 100
    for example in examples:
        row = StatementRow.model_validate(example["row"])
        assert format_explanation(row, texts) == example["text"]
    everything = "\n".join(line for example in examples for line in example["text"])
    for sentence in ("规则：", "未计：", "超过上限", "异议更正：", "异议更正数据：", "异议办理中：",
                     "无记录", "已达到，每月", "积分需达到", "—", "没有变化"):  # fmt: skip
        assert sentence in everything


def test_the_examples_are_rendered_by_the_page_alone(synthetic_city: World) -> None:
    for month in MONTHS:
        folder = synthetic_city.revision(month).path / "restricted" / "statements"
        texts = json.loads((folder / "texts.json").read_text("utf-8"))
        for example in examples_of(synthetic_city, month):
            assert render_lines(example["row"], texts) == example["text"]


def test_rows_and_texts_are_as_the_json_schema_says(synthetic_city: World) -> None:
    schema = json.loads(
        Path(PROJECT_FOLDER / "docs/reference/statement.schema.json").read_text("utf-8")
    )
    row, texts = ({**schema, "$ref": f"#/$defs/{name}"} for name in ("row", "texts"))
    for example in examples_of(synthetic_city, MONTHS[1]):
        jsonschema.validate(example["row"], row)
    folder = synthetic_city.revision(MONTHS[1]).path / "restricted" / "statements"
    jsonschema.validate(json.loads((folder / "texts.json").read_text("utf-8")), texts)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**examples_of(synthetic_city, MONTHS[1])[0]["row"], "phone": ""}, row)
