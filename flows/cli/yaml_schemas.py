"""JSON Schema of declarations, from their models: editors complete keys and underline mistakes.

A schema says which keys there are and what form their values have; what one key means for another
`jifen check` knows alone. Beside the models it knows what is written more shortly than it is read:
parts that take over an earlier version's (`as_in`), named rules, flat examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from expectations.source_model import Source
from transforms.points.models import PointsTable
from transforms.reminders.models import StandingReminder
from transforms.services.models import Service

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMES: Schema = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    "description": "与 as_in 一同写：不沿用的部分或键。",
}
_AS_IN: Schema = {
    "type": "string",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "description": "沿用更早版本（按其 from），只写不同之处。",
}
_FLAT: Schema = {"type": "array", "minItems": 1, "items": {"type": "object"}}
_NUMBER_OR_TEXT: Schema = {"type": ["number", "string", "boolean"]}


def build_schemas() -> dict[str, Schema]:
    """Return the schema of every kind of declaration, by the name of its file."""
    return {
        "points": _build_points_schema(),
        "service": _build_service_schema(),
        "reminder": _build_reminder_schema(),
        "source": _build_source_schema(),
    }


def render_schema(schema: Schema) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _build(model: type[BaseModel], title: str) -> Schema:
    schema = _without_internal(model.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, **schema, "title": title}


def _without_internal(node: Any) -> Any:
    """Return a schema without titles made from names, and with text where numbers are quoted."""
    if isinstance(node, list):
        return [_without_internal(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _without_internal(one) for name, one in value.items()}
        if key in ("properties", "$defs")
        else _without_internal(value)
        for key, value in node.items()
        if key != "title" and not (key == "default" and value in (None, [], {}))
    }


def _build_points_schema() -> Schema:
    schema = _build(PointsTable, "积分表")
    parts = schema["$defs"]
    for name in ("Section", "Group", "Indicator", "PointsVersion"):
        _take_over(parts[name], ["from"] if name == "PointsVersion" else [])
    version, indicator = parts["PointsVersion"]["properties"], parts["Indicator"]["properties"]
    rule = indicator["rule"]
    indicator["rule"] = {"anyOf": [rule, {"type": "string", "description": "rules 中的名称。"}]}
    indicator["examples"] = {"anyOf": [{"type": "object", "minProperties": 1}, _FLAT]}
    version["rules"] = {"type": "object", "additionalProperties": rule}
    share = parts["CapShare"]["properties"]
    share["of"] = {"anyOf": [{"type": "string"}, share["of"]]}
    _remove(parts, ["IndicatorExample"])
    return schema


def _build_service_schema() -> Schema:
    schema = _build(Service, "服务")
    parts = schema["$defs"]
    _take_over(parts["ServiceVersion"], ["from"], drop=False)
    parts["ServiceVersion"]["properties"]["examples"] = _FLAT
    needed = parts["PointsNeeded"]["properties"]
    needed["threshold"] = {"anyOf": [{"type": "number"}, needed["threshold"]]}
    keys = parts["Ranking"]["properties"]["by"]
    keys["items"] = {"anyOf": [{"type": "string"}, keys["items"]]}
    _remove(parts, ["ServiceExample"])
    return schema


def _build_reminder_schema() -> Schema:
    schema = _build(StandingReminder, "提醒")
    schema["properties"]["examples"] = _FLAT
    _remove(schema["$defs"], ["ReminderExample"])
    return schema


def _build_source_schema() -> Schema:
    schema = _build(Source, "来源")
    again = schema["$defs"]["Synthetic"]["properties"]["again"]
    again["anyOf"] = [again["items"], {"type": again.pop("type"), "items": again.pop("items")}]
    for part in (schema, *schema["$defs"].values()):
        _allow_plain(part)
    return schema


def _allow_plain(node: Any) -> None:
    """Let texts be written as YAML writes them: numbers, true and false, and one for a list."""
    for item in node.values() if isinstance(node, dict) else node:
        if isinstance(item, dict | list):
            _allow_plain(item)
    if not isinstance(node, dict):
        return
    if node.get("type") == "string" and not {"enum", "const", "pattern"} & node.keys():
        node["type"] = _NUMBER_OR_TEXT["type"]


def _take_over(part: Schema, always: list[str], *, drop: bool = True) -> None:
    """Let a part take over an earlier version's, and then leave out what it must have."""
    required = part.pop("required", [])
    part["properties"]["as_in"] = _AS_IN
    if drop:
        part["properties"]["without"] = _NAMES
    part["required"] = always
    part["anyOf"] = [{"required": required}, {"required": ["as_in"]}]


def _remove(parts: Schema, names: Iterable[str]) -> None:
    for name in names:
        parts.pop(name, None)
