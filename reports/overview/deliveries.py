"""What departments delivered: refused rows and months not delivered in time, from the manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expectations.source_model import Source
from reports.disclosure import round_people
from reports.html import explored_charts
from reports.overview.sections import (
    ExploredChart,
    KeyedTable,
    OverviewSection,
    Row,
    format_people,
)

Manifest = Mapping[str, Any]


def build_deliveries(
    manifests: Mapping[str, Manifest], sources: Mapping[str, Source]
) -> OverviewSection:
    """Return refused and late data by department, over all months.

    Args:
        manifests: Month -> manifest of the revision in force.
        sources: The sources declared; data of others are listed under their codes.
    """
    accounts = {month: _collect_accounts(month, one) for month, one in manifests.items()}
    codes = [*sources, *sorted({code for one in accounts.values() for code in one} - set(sources))]
    by_source: list[Row] = []
    refused: dict[str, int] = {}
    late: dict[str, int] = {}
    for code in codes:
        title, department = _name(code, sources)
        counts = [one[code] for one in accounts.values() if code in one]
        received, quarantined = (
            sum(count[kind] for count in counts) for kind in ("received", "quarantined")
        )
        absent = [month for month, one in manifests.items() if is_late(one, code)]
        refused[department] = refused.get(department, 0) + quarantined
        late[department] = late.get(department, 0) + len(absent)
        share = f"{100 * quarantined / received:.2f} %" if quarantined and received else "—"
        by_source.append(
            (department, title, count_rows(received), count_rows(quarantined),
             share if quarantined >= 10 else "—", len(absent), "、".join(absent) or "没有")
        )  # fmt: skip
    by_month: list[Row] = [
        (month, *(_describe(manifests[month], one, code) for code in codes))
        for month, one in accounts.items()
    ]
    heads = [_name(code, sources)[0] for code in codes]
    return OverviewSection(
        "deliveries",
        "退回和迟交的数据",
        [
            ExploredChart(
                "refused-chart",
                "各部门退回的行数，全部月份",
                [],
                explored_charts.specify_bars("行", len(refused)),
                {"": [_bar(name, number, "行") for name, number in refused.items()]},
            ),
            ExploredChart(
                "late-chart",
                "各部门没有按时交的次数，全部月份",
                [],
                explored_charts.specify_bars("次", len(late)),
                {
                    "": [
                        {"name": name, "value": number, "label": f"{number} 次"}
                        for name, number in late.items()
                    ]
                },
            ),
        ],
        [
            KeyedTable(
                ("部门", "来源", "收到（行）", "退回（行）", "占比", "迟交（次）", "迟交的月份"),
                [],
                {"": by_source},
            ),
            KeyedTable(("月份", *heads), [], {"": by_month}),
        ],
        [
            "迟交：该月没有交，沿用以前月份的数据，或经准许缺报。",
            "第二张表是各月退回的行数；“未交”指该月没有交，“重新发布”后以最新的修订版为准。",
        ],
    )


def is_late(manifest: Manifest, source: str) -> bool:
    """Return whether a month was computed without the source's own delivery of the month."""
    missing = manifest["missing"].get(source, {}).get("months", [])
    return source in manifest["carried"] or manifest["month"] in missing


def count_rows(rows: int) -> str:
    """Return a number of rows as the page shows it: none is 0, and fewer than ten are few."""
    return "0" if rows == 0 else format_people(round_people(rows))


def _collect_accounts(month: str, manifest: Manifest) -> dict[str, Mapping[str, int]]:
    """Return the counts of what every source delivered in the month itself."""
    return {one["source"]: one for one in manifest["accounts"] if one["month"] == month}


def _describe(manifest: Manifest, accounts: Mapping[str, Mapping[str, int]], code: str) -> str:
    if code not in accounts:
        return "未交"
    return count_rows(accounts[code]["quarantined"])


def _name(code: str, sources: Mapping[str, Source]) -> tuple[str, str]:
    source = sources.get(code)
    return (source.title, source.department) if source else (code, code)


def _bar(name: str, rows: int, unit: str) -> dict[str, Any]:
    return {"name": name, "value": round_people(rows) or 0, "label": f"{count_rows(rows)} {unit}"}
