"""YAML read strictly: duplicate keys refused, scalars kept as written, every line remembered.

Scalars stay text so that the declaration models decide their type: `0.2` becomes an exact decimal,
`no` stays `no`, and `2021-02-30` is refused as a date instead of becoming a string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from expectations.errors import MEANT, Diagnostic, did_you_mean, expected_text

Path_ = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")
DEEPEST = 100


def _yes_or_no(value: Any) -> Any:
    """Return the switch that a text is: only `true` and `false` are."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_yes_or_no), Field(strict=True)]


@dataclass(frozen=True)
class Loaded(Generic[Item]):
    """What was read from a folder, and remarks on what is allowed there but seldom meant."""

    items: list[Item]
    warnings: list[Diagnostic]


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
    "did not find expected alphabetic or numeric character": (
        "值不能以 * 或 & 开头；属于文字的，加上引号"
    ),
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
        self.warnings: list[Diagnostic] = []
        self.repeated: list[tuple[Path_, Any]] = []
        self.data: Any = None
        self._nodes: set[int] = set()
        self._text: list[str] = []
        try:
            text = path.read_text(encoding="utf-8-sig")
            self._text = text.splitlines()
            _refuse_deep(text)
            node = YAML(typ="safe").compose(text)
            self.data = self._plain(node, ()) if node is not None else None
        except UnicodeDecodeError:
            self.add_error((), "不是 UTF-8 文本", "请以 UTF-8 保存")
        except RecursionError:
            self.add_error((), "嵌套过深", "请检查缩进和括号")
        except MarkedYAMLError as error:
            line, why = _locate_mistake(error, self._text)
            self.lines[()] = line
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
        self.problems.append(self.describe(where, found, expected))

    def describe(self, where: Path_, found: str, expected: str) -> Diagnostic:
        """Return a mistake at a place of the file."""
        return Diagnostic(
            self.path, self.line(where), join_path(where) or "(文件)", found, expected
        )

    def add_warning(self, where: Path_, found: str, expected: str) -> None:
        """Note at a place of the file what is allowed, but seldom meant."""
        self.warnings.append(self.describe(where, found, expected))

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
        if not node.style:
            self._warn_of_cut(node, where)
        return None if not node.style and node.value in ("", "~", "null") else node.value

    def _warn_of_cut(self, node: ScalarNode, where: Path_) -> None:
        """Warn where ` #` begins a comment in what looks like a text (`第2条 #3`)."""
        line = self._text[node.end_mark.line] if node.end_mark.line < len(self._text) else ""
        cut = re.match(r"\s+(#\S.*)$", line[node.end_mark.column :])
        if node.value and cut:
            self.add_warning(
                where, f"{cut[1]!r} 之前有空格，成了注释，不在值中", "属于文字的，整段加上引号"
            )

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
            if node.flow_style and known and self._lacks_colon(key_node, value_node):
                self._refuse_comma(where, line, list(data)[-1:], data, key)
                continue
            if meaning in known:
                found = (
                    f"重复的键（第 {self.lines[(*where, known[meaning])]} 行已有 {known[meaning]}）"
                )
                self.problems.append(
                    Diagnostic(self.path, line, join_path(place), found, "只留一个")
                )
                count = len(self.problems)
                self.repeated.append((place, self._plain(value_node, place)))
                del self.problems[count:]
                continue
            known[meaning] = key
            self.lines[place] = line
            data[key] = self._plain(value_node, place)
        return data

    def _lacks_colon(self, key: Node, value: Node) -> bool:
        """Return whether a key in braces has neither a value nor a colon: `{a: 1, b}`."""
        if not isinstance(value, ScalarNode) or value.style or value.value:
            return False
        rest = self._text[key.end_mark.line][key.end_mark.column :]
        return not rest.lstrip().startswith(":")

    def _refuse_comma(
        self, where: Path_, line: int, before: list[str], data: Mapping[str, Any], key: str
    ) -> None:
        """Note a key without a value in braces: a comma has cut a text or a number in two."""
        start = str(data[before[0]]) if before else ""
        number = re.fullmatch(r"-?[0-9]+", start) and re.fullmatch(r"[0-9]{3}.*", key)
        expected = (
            f"数值不写千分位的逗号：{start}{key}"
            if number
            else f'值中有逗号的，加上引号："{start}, {key}"'
        )
        place = (*where, *before)
        found = f"花括号里的逗号把值分成了两段：{start} | {key}"
        self.problems.append(Diagnostic(self.path, line, join_path(place), found, expected))


# Mistakes that the YAML library notices only lines later, or names in words of its own.
_MISTAKES = [
    (r"^ *\t", "缩进中有制表符；请改用空格"),
    (r"^\s*(- )?[\w.]+：", "冒号是全角的；请用半角冒号，后面空一格"),
    (r"^\s*(- )?[a-z][a-z0-9_]*:[^\s:]", "冒号后面没有空格"),
]


def _locate_mistake(error: MarkedYAMLError, lines: list[str]) -> tuple[int, str]:
    """Return the line of a typing mistake and what it is, from what the library reports.

    The library reports where it could go no further: the mistake is on that line or before it.
    """
    at = error.problem_mark.line if error.problem_mark else 0
    near = [n for n in range(min(at, len(lines) - 1), max(at - 4, -1), -1) if lines[n].strip()]
    for number in near[:3]:
        for pattern, why in _MISTAKES:
            if re.match(pattern, lines[number]):
                return number + 1, why
    problem = str(error.problem)
    for number in near[:2]:
        if _lacks_dash(number, lines):
            return number + 1, "列表中的这一行没有以“- ”开头"
    return at + 1, _NOT_YAML.get(problem, problem)


def _lacks_dash(number: int, lines: list[str]) -> bool:
    """Return whether a line stands between items of a list, indented like them, without a dash."""

    def indent(text: str) -> int:
        return len(text) - len(text.lstrip())

    own = lines[number]
    before = next((text for text in lines[number - 1 :: -1] if text.strip()), "") if number else ""
    return (
        before.lstrip().startswith("- ")
        and not own.lstrip().startswith("-")
        and indent(own) == indent(before)
    )


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
    models = _models(model)
    for part in loc:
        below: list[type[BaseModel]] = []
        for one in models:
            by_name = {field.alias or name: field for name, field in one.model_fields.items()}
            if str(part) in by_name:
                below += _models(by_name[str(part)].annotation)
        models = below or models  # an index, a code, or the name of a union's member
    return {field.alias or name for one in models[-1:] for name, field in one.model_fields.items()}


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the closed models anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]
