"""What changed between two published months or revisions: people, points, tables, deliveries. For operators: exact numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session
from transforms.points.columns import list_points_columns, strip_points_suffix

Manifest = Mapping[str, Any]


def compare_revisions(
    session: Session,
    before: tuple[Path, Manifest],
    after: tuple[Path, Manifest],
) -> dict[str, Any]:
    """Plain data, ready for JSON: people, points (item, up, down, mean change of those), policy, deliveries.

    Revisions as (folder, manifest). Points are compared for people who are in both.
    """
    (then, then_says), (now, now_says) = before, after
    return {
        "before": _name(then_says),
        "after": _name(now_says),
        "people": _people(session, then, now),
        "points": _points(session, then, now),
        "policy": list(_changed_keys(then_says["policy"], now_says["policy"])),
        "services": list(_changed_keys(then_says["services"], now_says["services"])),
        "deliveries": list(_deliveries(then_says, now_says)),
        "code": {"before": then_says["code"]["version"], "after": now_says["code"]["version"]}
        | {"changed": then_says["code"]["hash"] != now_says["code"]["hash"]},
    }


def _name(manifest: Manifest) -> str:
    return f"{manifest['month']}/r{manifest['revision']}"


def _scores(folder: Path) -> str:
    return read_folder_sql(folder / "scores")


def _people(session: Session, then: Path, now: Path) -> list[dict[str, Any]]:
    """By district: people before and after, newly scored, no longer scored, moved in and out within the city."""
    rows = session.execute(f"""
        WITH moved AS (
            SELECT b.district AS old, a.district AS new, count(*) AS people
            FROM (SELECT CAST(resident_key AS UUID) AS id, district FROM {_scores(now)}) AS a
            FULL JOIN (SELECT CAST(resident_key AS UUID) AS id, district FROM {_scores(then)}) AS b USING (id)
            GROUP BY ALL
        ),
        districts AS (SELECT old AS district FROM moved UNION SELECT new FROM moved)
        SELECT district,
            sum(people) FILTER (old = district), sum(people) FILTER (new = district),
            sum(people) FILTER (new = district AND old IS NULL), sum(people) FILTER (old = district AND new IS NULL),
            sum(people) FILTER (new = district AND old <> district), sum(people) FILTER (old = district AND new <> district)
        FROM districts, moved WHERE district IS NOT NULL GROUP BY district ORDER BY district""").fetchall()
    names = ("before", "after", "arrived", "left", "moved_in", "moved_out")
    return [
        {"district": code} | {n: int(v or 0) for n, v in zip(names, row, strict=True)}
        for code, *row in rows
    ]


def _points(session: Session, then: Path, now: Path) -> list[dict[str, Any]]:
    """Every points column that changed for anybody: how many went up and down, and by how much in the mean."""
    old, new = (
        list_points_columns(session, _scores(then)),
        list_points_columns(session, _scores(now)),
    )
    items = list(dict.fromkeys([*new, *old]))

    def change(item: str) -> str:
        after = f"coalesce(a.{item}, 0)" if item in new else "0"
        before = f"coalesce(b.{item}, 0)" if item in old else "0"
        return f"({after} - {before})"

    sums = ", ".join(
        f"count(*) FILTER ({change(item)} > 0), count(*) FILTER ({change(item)} < 0), sum({change(item)})"
        for item in items
    )
    row = session.execute(
        f"SELECT {sums} FROM {_scores(now)} AS a JOIN {_scores(then)} AS b ON a.resident_key = b.resident_key"
    ).fetchall()[0]
    found = zip(items, row[0::3], row[1::3], row[2::3], strict=True)
    return [
        {
            "item": strip_points_suffix(item),
            "up": up,
            "down": down,
            "mean": f"{total / (up + down):.2f}",
        }
        for item, up, down, total in found
        if up or down
    ]


def _changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Points tables whose version or content is not the same."""
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            old, new = before.get(name, {}), after.get(name, {})
            amended = bool(old) and old.get("from") == new.get("from")
            reason = new.get("amends") if amended else None
            yield {
                "authority": name,
                "before": old.get("from"),
                "after": new.get("from"),
                "amended": amended,
                "amends": reason,
            }


def _deliveries(then: Manifest, now: Manifest) -> Iterator[dict[str, Any]]:
    """Deliveries that only one of the two was made from."""
    sides = [
        {(d["source"], d["month"], d["number"]) for d in manifest["deliveries"]}
        for manifest in (then, now)
    ]
    for source, month, number in sorted(sides[0] ^ sides[1]):
        used = "before" if (source, month, number) in sides[0] else "after"
        yield {"source": source, "month": month, "number": number, "only_in": used}


def format_tables(
    found: Mapping[str, Any], items: Mapping[str, str], districts: Mapping[str, str]
) -> Iterator[Table | str]:
    """The difference for a terminal; `items` and `districts`: titles by code."""
    yield f"{found['before']} → {found['after']}"
    people = found["people"]
    rows = [
        (districts.get(line["district"], line["district"]), *_counts(list(line.values())[1:]))
        for line in people
    ]
    totals = [sum(line[name] for line in people) for name in list(people[0])[1:]] if people else []
    yield _table(
        "人员",
        ("区县", "原", "现", "新登记", "不再登记", "迁入", "迁出"),
        [*rows, ("全市", *_counts(totals))],
    )
    changed = [
        (
            items.get(line["item"], line["item"]),
            *_counts([line["up"], line["down"]]),
            f"{float(line['mean']):+.2f}",
        )
        for line in found["points"]
    ]
    yield (
        _table("积分（两边都在的人）", ("项目", "增加", "减少", "变化者平均"), changed)
        if changed
        else "积分没有变化"
    )
    for group, title in (("policy", "积分表"), ("services", "服务")):
        versions = [_describe_version(line) for line in found[group]]
        head = (title, "原", "现", "内容")
        yield _table(f"{title}版本", head, versions) if versions else f"{title}没有变化"
    sides = {"before": "只用于前者", "after": "只用于后者"}
    used = [
        (d["source"], d["month"], f"d{d['number']}", sides[d["only_in"]])
        for d in found["deliveries"]
    ]
    yield _table("交付", ("来源", "月份", "次", ""), used) if used else "所用的交付相同"
    if found["code"]["changed"]:
        yield f"程序有改动（{found['code']['before']} → {found['code']['after']}）"


def _describe_version(line: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return a table or service whose version changed, and whether the version was amended."""
    reason = f"，原因：{line['amends']}" if line["amends"] else ""
    content = f"经更正{reason}" if line["amended"] else "换了版本"
    return line["authority"], line["before"] or "—", line["after"] or "—", content


def _counts(numbers: Sequence[int]) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table
