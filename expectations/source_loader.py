"""Load every source declaration, check each against the others, and report all mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from expectations.errors import DeclarationError, Diagnostic, did_you_mean
from expectations.fact_model import Divisor
from expectations.fact_validation import validate_fact, validate_spell
from expectations.naming import normalise_name
from expectations.reference_tables import TABLES
from expectations.source_model import Check, Column, Fact, Outcomes, Source, Span
from expectations.synthetic_model import ATTRIBUTES, Synthetic, Value
from expectations.yaml_document import Loaded, Path_, YamlDocument

BUILTIN_SOURCES = Path(__file__).parent / "sources"


def load_sources(folder: Path = BUILTIN_SOURCES) -> dict[str, Source]:
    """Return the sources of a folder by name (see `read_sources`)."""
    return {source.source: source for source in read_sources(folder).items}


def read_sources(folder: Path = BUILTIN_SOURCES, draft: Path | None = None) -> Loaded[Source]:
    """Return all sources of a folder, in the order of their files.

    Args:
        folder: Where the files are.
        draft: A folder whose files are added, or stand in place of those of the same name.

    Raises:
        DeclarationError: With every mistake of every file.
    """
    problems: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    paths = {path.name: path for path in folder.glob("*.yaml")}
    paths |= {path.name: path for path in draft.glob("*.yaml")} if draft else {}
    files = [YamlDocument(path) for _, path in sorted(paths.items())]
    for file in files:
        path = file.path
        source = file.parse(Source) if not file.problems else None
        if source:
            _check_source(file, source)
            if source.source != path.stem:
                file.add_error(("source",), source.source, f"应与文件名一致：{path.stem}")
            _check_names(file, source, sources.values())
            sources[source.source] = source
    complete = not any(file.problems for file in files)
    for file, source in zip(files, sources.values(), strict=True) if complete else ():
        _check_lookups(file, source, collect_facts(sources))
        _check_spells(file, source, sources)
    for file in files:
        problems += file.problems
    for role in ("corrects", "objects", "outcomes"):
        if not problems and sum(bool(getattr(one, role)) for one in sources.values()) > 1:
            problems.append(Diagnostic(folder, 1, role, f"多于一个来源声明 {role}", "只留一个"))
    if not problems and sum(bool(source.spine) for source in sources.values()) != 1:
        problems.append(
            Diagnostic(folder, 1, "spine", "没有或多于一个登记来源", "须有且只有一个来源声明 spine")
        )
    if problems:
        raise DeclarationError(problems)
    return Loaded(list(sources.values()), [one for file in files for one in file.warnings])


def add_aliases(source: Source, aliases: Mapping[str, Mapping[str, list[str]]]) -> Source:
    """Return the source with further value aliases (column -> value -> names) from the settings."""
    columns = dict(source.columns)
    for name, values in aliases.items():
        known = {
            value: [*names, *values.get(value, [])] for value, names in columns[name].values.items()
        }
        columns[name] = columns[name].model_copy(update={"values": known})
    return source.model_copy(update={"columns": columns})


def collect_facts(sources: Mapping[str, Source]) -> dict[str, Fact]:
    """Return every declared fact by name, in the order of the files."""
    return {name: fact for source in sources.values() for name, fact in source.facts.items()}


def find_spine(sources: Mapping[str, Source]) -> Source:
    """Return the registry: the source whose people are scored."""
    return next(source for source in sources.values() if source.spine)


def _check_names(file: YamlDocument, source: Source, others: Iterable[Source]) -> None:
    for other in others:
        for name in source.facts.keys() & other.facts.keys():
            file.add_error(("facts", name), f"与 {other.source} 的指标数据重名", "请改名")


def _check_source(file: YamlDocument, source: Source) -> None:
    _check_quota(file, source)
    for where, names in _named_columns(source):
        for name in names:
            if name is not None and name not in source.columns:
                file.add_error(where, name, f"没有这一列；{did_you_mean(name, source.columns)}")
    if source.person not in source.columns or source.columns[source.person].type != "id":
        file.add_error(("person",), source.person, "应为类型是 id 的列")
    _check_delivery(file, source)
    _check_bounds(file, source)
    for where, of, values in _named_values(source):
        _check_values(file, source, where, of, values)
    _check_tables(file, source)
    for name, column in source.columns.items():
        _check_column(file, source, name, column)
    _check_facts(file, source)
    if source.synthetic:
        _check_synthetic(file, source.columns, source.synthetic)


def _check_delivery(file: YamlDocument, source: Source) -> None:
    if source.carry_forward and source.delivery == "increment":
        file.add_error(
            ("carry_forward",), str(source.carry_forward), "只有全量（snapshot）可以沿用"
        )
    if source.optional and (source.spine or source.delivery != "increment"):
        file.add_error(("optional",), "true", "只有增量（increment）可以不交")
    if source.from_districts and len(source.list_columns_of("district")) > 1:
        file.add_error(("from_districts",), "true", "类型是 district 的列至多一列：行属于哪个区县")


def _check_bounds(file: YamlDocument, source: Source) -> None:
    named = source.columns.get(source.key[0]) if source.key else None
    if source.bounds.name_refused and (named is None or named.type != "text"):
        file.add_error(("bounds", "name_refused"), "true", "key 的第一列须是文本：退回的行以它指称")


def _check_facts(file: YamlDocument, source: Source) -> None:
    for name, fact in source.facts.items():
        for key, found, expected in validate_fact(source, name, fact):
            file.add_error(("facts", name, *key), found, expected)


def _named_columns(source: Source) -> Iterator[tuple[Path_, Iterable[str | None]]]:
    """Yield every place of a declaration that names columns, with the names."""
    yield ("key",), source.key
    yield ("prefer",), [source.prefer]
    yield ("standing",), source.standing
    if source.spine:
        spine = source.spine
        yield ("spine",), [*spine.where, spine.district, spine.community, spine.name, spine.phone]
    if source.corrects:
        found = source.corrects
        yield (
            ("corrects",),
            [found.target, found.value, *found.holds, found.decided, *_ends(found.valid)],
        )
    if source.outcomes:
        answer = source.outcomes
        yield ("outcomes",), [answer.reminder, answer.outcome, answer.date]
    if source.objects:
        case = source.objects
        yield ("objects",), [case.target, case.filed, case.channel, case.claim]
    if source.form:
        yield ("form", "answers"), source.form.answers
    if source.ledger:
        yield (
            ("ledger",),
            [*source.ledger.per, source.ledger.newest, *source.ledger.tie, *source.ledger.holds],
        )
    if source.quota:
        quota = source.quota
        yield ("quota",), [quota.per, quota.date, quota.of, *quota.order, *quota.unless]
    for name, column in source.columns.items():
        yield ("columns", name), [column.not_before, column.by, *column.required_when]
    for name, fact in source.facts.items():
        yield ("facts", name), _fact_columns(fact)


def _named_values(source: Source) -> Iterator[tuple[Path_, str, Iterable[str]]]:
    """Yield every place of a declaration that names values of a column, with the column."""
    chosen: list[tuple[Path_, Mapping[str, str]]] = [(("standing",), source.standing)]
    chosen += [(("spine", "where"), source.spine.where)] if source.spine else []
    chosen += [(("corrects", "holds"), source.corrects.holds)] if source.corrects else []
    chosen += [(("quota", "unless"), source.quota.unless)] if source.quota else []
    if source.ledger:
        chosen += [
            (("ledger", "tie"), source.ledger.tie),
            (("ledger", "holds"), source.ledger.holds),
        ]
    chosen += [
        (("columns", name, "required_when"), column.required_when)
        for name, column in source.columns.items()
    ]
    for where, values in chosen:
        for column_name, value in values.items():
            yield (*where, column_name), column_name, [value]
    yield from _named_outcomes(source.outcomes)
    for name, fact in source.facts.items():
        texts = {
            column: asked for column, asked in fact.where.items() if not isinstance(asked, Check)
        }
        chosen_by: list[tuple[str, Mapping[str, Iterable[str]]]] = [
            ("where", texts),
            ("weights", fact.weights),
        ]
        for key, by_column in chosen_by:
            yield from (
                (("facts", name, key, column_name), column_name, listed)
                for column_name, listed in by_column.items()
            )
        for day, by_column in (fact.weights_from.dates if fact.weights_from else {}).items():
            for column_name, given in by_column.items():
                yield ("facts", name, "weights_from", "dates", day, column_name), column_name, given
        if fact.of:
            yield (
                ("facts", name, "ladder"),
                fact.of,
                [level for step in fact.ladder for level in step],
            )


def _named_outcomes(declared: Outcomes | None) -> Iterator[tuple[Path_, str, Iterable[str]]]:
    if declared:
        for key in ("again", "wrong_number", "ends"):
            yield ("outcomes", key), declared.outcome, getattr(declared, key)


def _named_tables(source: Source) -> Iterator[tuple[Path_, str, Iterable[str]]]:
    """Yield every reference table that a declaration names, with the columns that it asks for."""
    if source.quota:
        quota = source.quota
        yield ("quota", "table"), quota.table, [quota.per, "year", quota.number]
    for name, fact in source.facts.items():
        if fact.listed:
            yield ("facts", name, "listed"), fact.listed.table, [fact.listed.column, "year"]
        if fact.lookup:
            look = fact.lookup
            yield ("facts", name, "lookup"), look.table, [*look.match, look.newest, look.value]


def _check_values(
    file: YamlDocument, source: Source, where: Path_, column: str, values: Iterable[str]
) -> None:
    declared = source.columns[column].values if column in source.columns else {}
    for value in values:
        if declared and value not in declared:
            file.add_error(where, value, f"不是 {column} 的取值；{did_you_mean(value, declared)}")


def _check_tables(file: YamlDocument, source: Source) -> None:
    for where, table, names in _named_tables(source):
        for name in names if table in TABLES else [table]:
            if table not in TABLES or name not in TABLES[table][1]:
                file.add_error(where, name, f"没有这个参考表或列；参考表：{'、'.join(TABLES)}")


def _check_lookups(file: YamlDocument, source: Source, facts: Collection[str]) -> None:
    for name, fact in source.facts.items():
        for of in fact.lookup.match.values() if fact.lookup else ():
            if of not in facts:
                file.add_error(
                    ("facts", name, "lookup", "match"),
                    of,
                    f"没有这个指标数据；{did_you_mean(of, facts)}",
                )


def _check_spells(file: YamlDocument, source: Source, sources: Mapping[str, Source]) -> None:
    for name, fact in source.facts.items():
        for key, spells in (("spells", fact.spells), ("without", fact.without)):
            for index, spell in enumerate(spells):
                for place, found, expected in validate_spell(sources, source, spell):
                    file.add_error(("facts", name, key, index, *place), found, expected)


def _ends(span: Span) -> tuple[str, str]:
    return span.begins, span.ends


def _header_names(name: str, column: Column) -> set[str]:
    return {normalise_name(text) for text in (name, column.title, *column.headers)}


def _check_quota(file: YamlDocument, source: Source) -> None:
    quota = source.quota
    if quota and (quota.of is None) != quota.people:
        file.add_error(
            ("quota",), "of 与 people", "写 of（按这一列的合计）或 people: true（按人数）"
        )
    elif quota and quota.share is not None and not quota.people:
        file.add_error(("quota", "share"), str(quota.share), "只与 people: true 一同写")


def _check_column(file: YamlDocument, source: Source, name: str, column: Column) -> None:
    where: Path_ = ("columns", name)
    headers = _header_names(name, column)
    for other, another in source.columns.items():
        same = headers & _header_names(other, another) if other != name else set()
        for header in sorted(same):
            file.add_error(where, header, f"{other} 列也用这个表头")
    if (column.type == "set") != bool(column.values):
        file.add_error((*where, "values"), column.type, "类型 set 须列出 values，其他类型不得有")
    if bool(column.by) != bool(column.checks):
        file.add_error(where, "by 与 checks", "须同时给出")
    for given in column.checks:
        _check_values(file, source, (*where, "checks", given), column.by or "", [given])


def _fact_columns(fact: Fact) -> list[str | None]:
    spans = [span for span in (fact.current, fact.open) if span]
    return [
        fact.of,
        *fact.where,
        *fact.pick,
        *fact.keys,
        *fact.weights,
        *(column for span in spans for column in _ends(span)),
        *(window.of for window in (fact.within, fact.turns, fact.weights_from) if window),
        *fact.once_per,
        fact.greatest,
        fact.times,
        fact.divided_by.of if isinstance(fact.divided_by, Divisor) else None,
        *(
            column
            for weights in (fact.weights_from.dates.values() if fact.weights_from else ())
            for column in weights
        ),
        fact.listed.column if fact.listed else None,
    ]


def _check_synthetic(file: YamlDocument, columns: Mapping[str, Column], block: Synthetic) -> None:
    """Check that every column, attribute and value that the block names exists."""
    for where, name, known in _synthetic_names(columns, block):
        if name not in known:
            file.add_error(
                ("synthetic", *where), name, f"没有这个名称；{did_you_mean(name, known)}"
            )
    for where, name, given in _synthetic_values(block):
        declared = columns[name].values if name in columns else {}
        for value in given:
            if declared and value not in declared:
                file.add_error(
                    ("synthetic", *where),
                    value,
                    f"不是 {name} 的取值；{did_you_mean(value, declared)}",
                )


def _synthetic_names(
    columns: Collection[str], block: Synthetic
) -> Iterator[tuple[Path_, str, Collection[str]]]:
    """Yield every name of the block, with those that can stand there."""
    attributes = ATTRIBUTES[block.rows.each]
    if block.rows.on:
        yield ("rows", "on"), block.rows.on.after, attributes
    for name in block.rows.fan:
        yield ("rows", "fan"), name, columns
    for index, again in enumerate(block.again):
        for name in again.where:
            yield ("again", index, "where"), name, columns
    for where, name, value in _made(block):
        yield where, name, columns
        if value.by:
            yield where, value.by, columns
        if value.after:
            yield where, value.after, (*columns, *attributes)
        for field in re.findall(r"\{(\w+)\}", value.text or ""):
            yield where, field, (*columns, "number", "choice")


def _synthetic_values(block: Synthetic) -> Iterator[tuple[Path_, str, Iterable[str]]]:
    """Yield every list of values in the block, with the column that they are values of."""
    for name, given in block.rows.fan.items():
        yield ("rows", "fan"), name, given
    for index, again in enumerate(block.again):
        for name, value in again.where.items():
            yield ("again", index, "where"), name, [value]
    for where, name, made in _made(block):
        if made.by:
            yield where, made.by, made.weights
        tables = [weight for weight in made.weights.values() if isinstance(weight, dict)]
        yield (
            where,
            name,
            [value for table in tables for value in table] if made.by else made.weights,
        )


def _made(block: Synthetic) -> Iterator[tuple[Path_, str, Value]]:
    """Yield each value that the block generates, with its column."""
    for name, value in block.columns.items():
        yield ("columns", name), name, value
    for index, again in enumerate(block.again):
        for name, value in again.set.items():
            yield ("again", index, "set", name), name, value
