"""Pages about models: one table per model, one row per key, from fields and their docstrings.

The docstring of a field is the string literal below it, or its entry in the `Attributes:` of its
class. A field without one has no page: what nobody explains is not offered.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel

Schema = Mapping[str, Any]
_ATTRIBUTES = re.compile(r"^Attributes:((?:\n(?:    .*)?)+)", re.MULTILINE)


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
        "any": "anything",
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
        "any": "任意",
    },
)


def render_models(
    root: type[BaseModel], wording: Wording, explained_by: Sequence[type[BaseModel]] = ()
) -> str:
    """Return a section with a table for `root` and every model that its fields lead to.

    `explained_by` are models that explain keys of the same names.
    """
    schema = root.model_json_schema()
    others = {name: text for model in explained_by for name, text in read_meanings(model).items()}
    parts = []
    for model in collect_models(root):
        own = schema if model is root else schema["$defs"][model.__name__]
        summary = _ATTRIBUTES.sub("", inspect.cleandoc(model.__doc__ or "")).strip()
        parts.append(f"## {model.__name__}\n\n{summary}\n")
        parts.append(render_table(model, own, wording, {**others, **read_meanings(model)}))
    return "\n".join(parts)


def render_table(
    model: type[BaseModel],
    schema: Schema,
    wording: Wording,
    meanings: Mapping[str, str],
    defaults: Mapping[str, str] | None = None,
) -> str:
    """Return the table of one model: key, meaning, type, default.

    `defaults` holds defaults that the model does not know, or that differ from machine to machine.

    Raises:
        ValueError: A field has no docstring.
    """
    lines = [f"| {' | '.join(wording.headings)} |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if name not in meanings:
            raise ValueError(f"{model.__name__}.{name}: no docstring")
        key = str(field.validation_alias or field.alias or name)
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


def read_meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return field -> its docstring, for the fields of a model and its bases that have one."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel):
            (defined,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(defined, ast.ClassDef)
            found |= dict(_read_attributes(base)) | dict(_read_literals(defined))
    return found


def _read_attributes(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    section = _ATTRIBUTES.search(inspect.cleandoc(vars(model).get("__doc__") or ""))
    for entry in re.split(r"\n    (?=\w)", section[1]) if section else ():
        name, _, text = entry.partition(":")
        yield name.strip(), " ".join(text.split())


def _read_literals(defined: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(defined.body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield field.target.id, " ".join(str(below.value.value).split())


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
    kind = wording.types[schema.get("type", "any")]
    if schema.get("type") == "array":
        held = schema.get("items") or {"anyOf": schema.get("prefixItems", [{"type": "string"}])}
        return kind.format(_type(held, wording))
    if schema.get("type") == "object":
        held = schema.get("additionalProperties")
        if held is None:
            held = next(iter(schema.get("patternProperties", {}).values()), {"type": "string"})
        held = held if isinstance(held, dict) else {}
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
