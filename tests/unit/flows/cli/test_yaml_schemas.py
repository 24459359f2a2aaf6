"""The schemas hold for every declaration of the project, and underline mistakes in any key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from flows.cli.yaml_schemas import build_schemas

PROJECT = Path(__file__).parents[4]
POLICIES = PROJECT / "tests" / "acceptance" / "policies"
SCHEMAS = {name: Draft202012Validator(schema) for name, schema in build_schemas().items()}
FOLDERS = {"points": "points", "service": "services", "reminder": "reminders", "source": "sources"}
DECLARED = [
    (kind, path)
    for kind, folder in FOLDERS.items()
    for top in (PROJECT / "data", PROJECT / "expectations", *sorted(POLICIES.iterdir()))
    for path in sorted((top / folder).glob("*.yaml"))
]


def read_yaml(path: Path) -> Any:
    """Return a file as an editor reads it: dates are texts."""
    return _plain(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))


_NAMES = {True: "true", False: "false", None: "null"}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_NAMES.get(key, str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def find_models(value: Any, schema: Any, top: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping of a declaration whose keys the schema closes."""
    schema = top["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for way in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if way.get("required") is None:
            yield from find_models(value, way, top)
    if isinstance(value, dict):
        if schema.get("additionalProperties") is False:
            yield value
        for key, item in value.items():
            below = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if isinstance(below, dict):
                yield from find_models(item, below, top)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            yield from find_models(item, schema["items"], top)


def test_there_are_declarations_of_every_kind() -> None:
    assert {kind for kind, _ in DECLARED} == set(SCHEMAS)


@pytest.mark.parametrize(("kind", "path"), DECLARED, ids=lambda one: getattr(one, "stem", one))
def test_every_declaration_meets_its_schema_and_no_misspelt_key_does(kind: str, path: Path) -> None:
    data, validator = read_yaml(path), SCHEMAS[kind]
    assert [error.message for error in validator.iter_errors(data)] == []
    models = list(find_models(data, validator.schema, validator.schema))
    assert models
    for model in models:
        model["no_such_key"] = 1
        assert not validator.is_valid(data)
        del model["no_such_key"]
