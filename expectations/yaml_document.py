"""YAML read strictly: duplicate keys refused, scalars kept as written, every line remembered.

Scalars stay text so that the declaration models decide their type: `0.2` becomes an exact decimal,
`no` stays `no`, and `2021-02-30` is refused as a date instead of becoming a string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from expectations.errors import MEANT, Diagnostic, did_you_mean, expected_text

Path_ = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
DEEPEST = 100


def _yes_or_no(value: Any) -> Any:
    """Return the switch that a text is: only `true` and `false` are."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_yes_or_no), Field(strict=True)]


class ClosedModel(BaseModel):
    """A part of a declaration: an unknown key is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_MEANT = {
    **MEANT,
    "string_pattern_mismatch": "应以小写字母开头，只含小写字母、数字和下划线",
    "decimal_parsing": "应为数",
    "decimal_type": "应为数",
    "greater_than": "应大于 {gt}",
    "list_type": "应为列表，写成 [甲, 乙]",
    "dict_type": "应为一组“键: 值”",
    "model_type": "应为一组“键: 值”",
    "model_attributes_type": "应为一组“键: 值”",
    "too_short": "至少要有 {min_length} 项",
}


_NOT_YAML = {  # what libyaml says, in a writer's words
    "mapping values are not allowed in this context": "这里不能再有冒号；属于文字的，加上引号",
    "found unexpected ':'": "冒号后面没有空格；属于文字的，加上引号",
    "could not find expected ':'": "缺少冒号",
    "found character that cannot start any token": "值不能以这个字符开头；属于文字的，加上引号",
    "found a tab character that violates indentation": "缩进中有制表符",
    "did not find expected key": "缩进不齐",
    "did not find expected '-' indicator": "列表中有一行没有以“- ”开头，或缩进不齐",
    "block sequence entries are not allowed in this context": "列表要另起一行",
    "did not find expected ',' or ']'": "方括号没有闭合，或少了逗号",
    "did not find expected ',' or '}'": "花括号没有闭合，或少了逗号",
    "found unexpected end of stream": "引号没有闭合",
    "found undefined alias": "值不能以 * 开头；属于文字的，加上引号",
    "but found another document": "一个文件中只能有一份，不能有 ---",
}


def _empty(entry: Any, place: Path_) -> Iterator[Path_]:
    """Yield keys and items without a value; in examples null is a value: unknown."""
    items = (
        entry.items()
        if isinstance(entry, dict)
        else enumerate(entry)
        if isinstance(entry, list)
        else ()
    )
    for key, value in items:
        if value is None:
            yield (*place, key)
        elif key != "examples":
            yield from _empty(value, (*place, key))


class YamlDocument:
    """One YAML file: its plain data, the line of each value, and the problems met in reading it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Path_, int] = {}
        self.problems: list[Diagnostic] = []
        self.data: Any = None
        self._nodes: set[int] = set()
        try:
            text = path.read_text(encoding="utf-8-sig")
            _refuse_deep(text)
            node = YAML(typ="safe").compose(text)
            self.data = self._plain(node, ()) if node is not None else None
        except UnicodeDecodeError:
            self.add_error((), "不是 UTF-8 文本", "请以 UTF-8 保存")
        except RecursionError:
            self.add_error((), "嵌套过深", "请检查缩进和括号")
        except MarkedYAMLError as error:
            line = (error.problem_mark.line + 1) if error.problem_mark else 1
            self.lines[()] = line
            why = _NOT_YAML.get(str(error.problem), error.problem)
            self.add_error(
                (),
                f"不是合法的 YAML（{why}）",
                "请检查缩进（只用空格）、引号和括号；冒号、逗号用半角，冒号后空一格",
            )
        except YAMLError:
            self.add_error((), "不是合法的 YAML", "请检查文件中的控制字符")

    def line(self, where: Path_) -> int:
        """Return the line of a value, or of the nearest enclosing value that has one."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def add_error(self, where: Path_, found: str, expected: str) -> None:
        """Note a mistake at a place of the file."""
        self.problems.append(
            Diagnostic(self.path, self.line(where), join_path(where) or "(文件)", found, expected)
        )

    def parse(self, model: type[Model], data: Any = None, where: Path_ = ()) -> Model | None:
        """Return a part of the file as its closed model; on mistakes note them and return None."""
        value = self.data if data is None and not where else data
        if value is None:
            self.add_error(where, "空", f"应为 {model.__name__} 声明")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                self._note(model, where, item)
            return None

    def _note(self, model: type[BaseModel], where: Path_, item: Any) -> None:
        place = self._existing(where + tuple(item["loc"]))
        kind, given = item["type"], item.get("input")
        if kind == "extra_forbidden":
            known = sorted(_fields(model, tuple(item["loc"][:-1])))
            hint = did_you_mean(str(item["loc"][-1]), known, "的键") if known else "请删去"
            self.add_error(where + tuple(item["loc"]), "不认识的键", hint)
        elif kind == "missing":
            self.add_error(where + tuple(item["loc"]), "缺少这个键", "请补上")
        else:
            found = f"{given!r}" if isinstance(given, str) else "值不合要求"
            self.add_error(place, found, expected_text(item, _MEANT))

    def require_values(self, entry: Any, place: Path_ = ()) -> bool:
        """Return whether every key has a value, and note those that have none.

        A key without a value is a typing mistake, never a wish for the default.
        """
        empty = list(_empty(entry, place))
        for where in empty:
            self.add_error(where, "没有值", "请填写，或删去这一行")
        return not empty

    def _existing(self, where: Path_) -> Path_:
        """Drop the parts of a pydantic location that name a union member, not a key."""
        kept: Path_ = ()
        for part in where:
            if (*kept, part) in self.lines:
                kept = (*kept, part)
        return kept

    def _plain(self, node: Node, where: Path_) -> Any:
        self.lines.setdefault(where, node.start_mark.line + 1)
        if id(node) in self._nodes:  # ten lines of references unfold to billions of values
            self.add_error(where, "引用了别处的值（& 和 *）", "请把值写全")
            return None
        self._nodes.add(id(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, where)
        if isinstance(node, SequenceNode):
            return [self._plain(child, (*where, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return None if not node.style and node.value in ("", "~", "null") else node.value

    def _mapping(self, node: MappingNode, where: Path_) -> dict[str, Any]:
        data: dict[str, Any] = {}
        known: dict[str | Decimal, str] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.lines[(*where, "?")] = key_node.start_mark.line + 1
                self.add_error((*where, "?"), "键不是文本", "键只写一个词")
                continue
            key = str(key_node.value)
            place = (*where, key)
            line, meaning = key_node.start_mark.line + 1, _meaning(key)
            if meaning in known:
                found = (
                    f"重复的键（第 {self.lines[(*where, known[meaning])]} 行已有 {known[meaning]}）"
                )
                self.problems.append(
                    Diagnostic(self.path, line, join_path(place), found, "只留一个")
                )
                continue
            known[meaning] = key
            self.lines[place] = line
            data[key] = self._plain(value_node, place)
        return data


def _meaning(key: str) -> str | Decimal:
    """Return what a key means: 36 and 36.0 are one, and readers of numbers would keep the last."""
    return Decimal(key) if re.fullmatch(r"-?\d+(\.\d+)?", key) else key


def _refuse_deep(text: str) -> None:
    """Raise RecursionError beyond the depth of any declaration, which the library cannot take."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError


def join_path(where: Path_) -> str:
    """Return a place in a file as text: `columns.status.values`."""
    return ".".join(str(part) for part in where)


def _fields(model: Any, loc: Path_) -> set[str]:
    """Return the keys that a closed model has at a pydantic location, for hints only."""
    for part in loc:
        if isinstance(part, int) or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        field = model.model_fields.get(str(part))
        if field is None:
            return set()
        arguments = [a for a in getattr(field.annotation, "__args__", ()) if isinstance(a, type)]
        candidates = [
            a
            for a in [field.annotation, *arguments]
            if isinstance(a, type) and issubclass(a, BaseModel)
        ]
        model = candidates[-1] if candidates else None
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {field.alias or name for name, field in model.model_fields.items()}
    return set()
