"""Pages about closed models: one table per model, one row per key, from fields and their docstrings.

The docstring of a field is the string literal below it. A field without one has no page: what
nobody explains is not offered.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Wording:
    """Words of a page in its language: the headings of its tables, and names of types."""

    headings: tuple[str, str, str, str]
    required: str
    types: Mapping[str, str]


ENGLISH = Wording(
    ("key", "meaning", "type", "default"),
    "required",
    {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "`true`, `false`",
        "array": "list of {0}",
        "object": "map to {0}",
    },
)
CHINESE = Wording(
    ("键", "含义", "类型", "默认"),
    "必填",
    {
        "string": "文本",
        "integer": "整数",
        "number": "数",
        "boolean": "`true`、`false`",
        "array": "{0}的列表",
        "object": "映射（值为{0}）",
    },
)


def render_models(root: type[BaseModel], wording: Wording) -> str:
    """Return a section with a table for `root` and every model that its fields lead to."""
    schema = root.model_json_schema()
    parts = []
    for model in collect_models(root):
        own = schema if model is root else schema["$defs"][model.__name__]
        summary = inspect.cleandoc(model.__doc__ or "")
        parts.append(f"## {model.__name__}\n\n{summary}\n")
        parts.append(render_table(model, own, wording))
    return "\n".join(parts)


def render_table(
    model: type[BaseModel],
    schema: Schema,
    wording: Wording,
    defaults: Mapping[str, str] | None = None,
) -> str:
    """Return the table of one model: key, meaning, type, default.

    `defaults` holds defaults that the model does not know, or that differ from machine to machine.

    Raises:
        ValueError: A field has no docstring.
    """
    meanings = read_field_docstrings(model)
    lines = [f"| {' | '.join(wording.headings)} |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if name not in meanings:
            raise ValueError(f"{model.__name__}.{name}: no docstring below the field")
        key = field.alias or name
        value = schema["properties"][key]
        default = wording.required if field.is_required() else _default(value)
        default = (defaults or {}).get(key, default)
        lines.append(f"| `{key}` | {meanings[name]} | {_type(value, wording)} | {default} |")
    return "\n".join(lines) + "\n"


def collect_models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """Return `root` and every model that its fields lead to, each once, in the order of fields."""
    found = [root]
    for model in found:
        for field in model.model_fields.values():
            found += [one for one in find_models(field.annotation) if one not in found]
    return found


def read_field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return field -> the string literal below it, for the fields that have one."""
    (defined,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(defined, ast.ClassDef)
    found = {}
    for field, below in pairwise(defined.body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = inspect.cleandoc(str(below.value.value))
    return found


def find_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type annotation names."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from find_models(argument)


def _type(schema: Schema, wording: Wording) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        ways = [way for way in schema["anyOf"] if way.get("type") != "null"]
        numbers = [way for way in ways if way.get("type") == "number"]
        return " / ".join(dict.fromkeys(_type(way, wording) for way in numbers or ways))
    kind = wording.types[schema["type"]]
    if schema["type"] == "array":
        held = schema.get("items") or {"anyOf": schema.get("prefixItems", [{"type": "string"}])}
        return kind.format(_type(held, wording))
    if schema["type"] == "object":
        held = schema.get("additionalProperties") or next(
            iter(schema.get("patternProperties", {}).values()), {"type": "string"}
        )
        return kind.format(_type(held, wording))
    return kind + _bounds(schema)


def _bounds(schema: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {schema[word]}" for word, sign in signs.items() if word in schema]
    return f" {', '.join(found)}" if found else ""


def _default(schema: Schema) -> str:
    value = schema.get("default")
    if value in (None, [], {}, ""):
        return ""
    return f"`{re.sub(chr(34), '', json.dumps(value, ensure_ascii=False))}`"
