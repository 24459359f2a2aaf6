"""The data dictionary: every column of every table that analysts see, generated from what is declared.

The facts are explained in the sources' declarations, the points in the points tables, and the columns that every month
has, whatever is declared, in `transforms/output_columns.csv`, where `*` stands for the declared ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from expectations.source_model import Fact, Source
from reports.catalogue.build import DICTIONARY
from transforms.comparison.metric_table import DECLARED_METRICS
from transforms.expressions.kinds import list_levels
from transforms.facts.measures import FACT_TYPES
from transforms.outputs import VIEWS, read_column_meanings
from transforms.points.columns import points_column_name
from transforms.points.models import CITY, Indicator, PointsTable, PointsVersion
from transforms.points.sums_sql import POINTS_TYPE

Row = dict[str, str]
_INSIDE_ZH, _INSIDE_EN = {True: "", False: "，不对外"}, {True: "", False: ", for analysts only"}
_POINTS = POINTS_TYPE.replace(" ", "")
UNITS = {
    "year": "公历年 calendar year",
    "years": "周岁 years",
    "whole_years": "年 years",
    "months": "月 months",
    "count": "次 count",
    "people": "人 people",
    "times": "次 times",
    "m2": "平方米 m²",
    "percent": "百分点 per cent",
    "number": "数 number",
    "hours": "小时 hours",
    "ml": "毫升 ml",
    "points": "分 points",
    "yuan": "元 yuan",
    "yes_no": "是否 yes/no",
    "level": "等级 level",
    "date": "日期 date",
    "month": "月份（当月 1 日） month (its first day)",
    "area": "区划代码 area code",
    "text": "文字 text",
    "code": "代码 code",
    "hours_by_year": "各年小时 hours by year",
    "times_by_year": "各年次数 times by year",
    "ml_by_year": "各年毫升 ml by year",
    "yuan_by_year": "各年金额 yuan by year",
    "points_by_key": "各指标分值 points by key",
    "children": "子女列表 list of children",
    "corrections": "更正列表 list of corrections",
    "yuan_month": "元/月 yuan a month",
}


def build_dictionary_rows(
    sources: Mapping[str, Source], tables: Mapping[str, PointsTable]
) -> list[Row]:
    """One row per column of every table of the catalogue, in the tables' own order; keys as in `DICTIONARY`.

    `tables`: the points tables by authority. Indicators and sections of all their versions are listed.
    """
    declared = {
        "scores": [*_indicators(tables), *_sections(tables[CITY])],
        "facts": list(_facts(sources)),
        "open_residents": list(_open_sections(tables[CITY])),
    }
    rows: list[Row] = []
    for view in VIEWS:
        for row in read_column_meanings(view):
            if row.column_name == "*":
                rows += ({"table_name": view, **column} for column in declared[view])
            else:
                rows.append({**asdict(row), "unit": UNITS[row.unit]})
    return [_list_metrics(row) if row["column_name"] == "metric" else row for row in rows]


def _list_metrics(row: Row) -> Row:
    """The column `metric` of `metrics`, with what each metric counts, its unit and its items."""
    zh = "；".join(
        f"{one.code} {one.title}（{UNITS[one.unit].split()[0]}{_INSIDE_ZH[one.leaves_bureau]}）"
        for one in DECLARED_METRICS
    )
    en = "; ".join(
        f"{one.code}: {one.meaning}{_INSIDE_EN[one.leaves_bureau]}"
        + (f" (item: {one.item})" if one.item else "")
        for one in DECLARED_METRICS
    )
    return row | {
        "meaning_zh": f"{row['meaning_zh']}：{zh}",
        "meaning_en": f"{row['meaning_en']}. {en}",
    }


def _row(
    name: str, title: str, measured: tuple[str, str], meaning: tuple[str, str], source: str
) -> Row:
    """A row without its table; `measured`: SQL type and unit; `meaning`: in Chinese, in English."""
    return dict(zip(list(DICTIONARY)[1:], (name, title, *measured, *meaning, source), strict=True))


def _facts(sources: Mapping[str, Source]) -> Iterator[Row]:
    for source in sources.values():
        origin = f"{source.title} {source.source}"
        for name, fact in source.facts.items():
            if not fact.restricted:
                zh, en = _levels(source, fact)
                measured = FACT_TYPES[fact.unit], UNITS[fact.unit]
                meaning = fact.meaning + zh, fact.meaning_en + en
                yield _row(name, fact.title, measured, meaning, origin)


def _levels(source: Source, fact: Fact) -> tuple[str, str]:
    """The levels of a level fact, lowest first, in both languages."""
    if not fact.ladder:
        return "", ""
    names = source.columns[str(fact.of)].values
    known = list_levels(fact)
    said = [f"{level} {names[level][0]}" if names.get(level) else level for level in known]
    return f"（由低到高：{'、'.join(said)}）", f" (lowest first: {', '.join(known)})"


def _indicators(tables: Mapping[str, PointsTable]) -> Iterator[Row]:
    """The city's indicators first, then district by district; one row for all versions of an indicator."""
    for authority in [CITY, *sorted(tables.keys() - {CITY})]:
        table = tables[authority]
        versions: dict[str, list[tuple[PointsVersion, Indicator]]] = {}
        for version in table.versions:
            for code, indicator in version.indicators.items():
                versions.setdefault(code, []).append((version, indicator))
        for code, held in versions.items():
            yield _indicator(table, code, held)


def _indicator(
    table: PointsTable, code: str, held: Sequence[tuple[PointsVersion, Indicator]]
) -> Row:
    title = held[-1][1].title
    own = table.authority != CITY
    zh = "；".join(
        f"{v.begins} 版：{_read(i)}，属“{_section_title(v, i.section)}”{_cap_zh(i)}"
        for v, i in held
    )
    en = "; ".join(
        f"version {v.begins}: from {_read(i, ', ')}, in section {i.section}{_cap_en(i)}"
        for v, i in held
    )
    elsewhere = (
        ("；其他区县居民为空", "; null for residents of other districts") if own else ("", "")
    )
    scored_by = f"district {table.authority}" if own else "city"
    return _row(
        points_column_name(table.authority, code),
        title,
        (_POINTS, UNITS["points"]),
        (
            f"指标“{title}”的得分（{table.title}）。{zh}{elsewhere[0]}",
            f"Points of indicator {code} ({scored_by}); {en}{elsewhere[1]}",
        ),
        f"{table.authority}.yaml：{held[-1][1].basis}",
    )


def _read(indicator: Indicator, comma: str = "、") -> str:
    return comma.join(indicator.facts)


def _section_title(version: PointsVersion, code: str) -> str:
    return version.groups[code].title if code in version.groups else version.sections[code].title


def _cap_zh(indicator: Indicator) -> str:
    return "" if indicator.cap is None else f"，最高 {indicator.cap} 分"


def _cap_en(indicator: Indicator) -> str:
    return "" if indicator.cap is None else f", at most {indicator.cap}"


def _sections(city: PointsTable) -> Iterator[Row]:
    """The city's sections over all versions."""
    versions: dict[str, list[PointsVersion]] = {}
    for version in city.versions:
        for code in version.sections:
            versions.setdefault(code, []).append(version)
    for code, held in versions.items():
        section = held[-1].sections[code]
        dates = [str(version.begins) for version in held]
        capped = [version.sections[code].cap for version in held]
        caps = {date: cap for date, cap in zip(dates, capped, strict=True) if cap is not None}
        zh = "".join(f"；{date} 版最高 {cap} 分" for date, cap in caps.items())
        en = "".join(f"; at most {cap} in version {date}" for date, cap in caps.items())
        subtracted = (
            ("，从共性分中减去", ", subtracted from the common points")
            if section.subtract
            else ("", "")
        )
        yield _row(
            points_column_name(CITY, code),
            section.title,
            (_POINTS, UNITS["points"]),
            (
                f"“{section.title}”各指标之和{subtracted[0]}（{'、'.join(dates)} 版）{zh}",
                f"Sum of the indicators of section {code}{subtracted[1]}"
                f" (versions {', '.join(dates)}){en}",
            ),
            f"{CITY}.yaml",
        )


def _open_sections(city: PointsTable) -> Iterator[Row]:
    """Yield the columns of the open layer for the city's sections that add, over all versions."""
    titles = {
        code: section.title
        for version in city.versions
        for code, section in version.sections.items()
        if not section.subtract
    }
    for code, title in titles.items():
        yield _row(
            f"{points_column_name(CITY, code)}_from",
            f"{title}（起）",
            ("INTEGER", UNITS["points"]),
            (
                f"“{title}”得分，5 分一档的下限；从第 2 步起 20 分一档，从第 4 步起为空",
                f"Points of section {code}: lower end of five points; 20 from step 2 on; null from"
                " step 4 on",
            ),
            f"{CITY}.yaml",
        )


def render_dictionary_markdown(rows: Iterable[Row]) -> str:
    """The dictionary as a page: one table per table of the catalogue, columns in the order of the files."""
    parts = [
        "# Data dictionary 数据字典\n",
        "Generated from the declarations (`reports/catalogue/dictionary.py`); do not edit. The column order and types are part of the\n"
        "contract. Columns of a points table version stand in the files of its months only.\n",
    ]
    by_table: dict[str, list[Row]] = {}
    for row in rows:
        by_table.setdefault(row["table_name"], []).append(row)
    shown = [column for column in DICTIONARY if column != "table_name"]
    for table, columns in by_table.items():
        parts.append(f"## {table}\n\n{' / '.join(VIEWS[table].row)}\n")
        lines = [f"| {' | '.join(shown)} |", f"| {' | '.join('---' for _ in shown)} |"]
        lines += [
            f"| {' | '.join(row[name].replace('|', '&#124;') for name in shown)} |"
            for row in columns
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
