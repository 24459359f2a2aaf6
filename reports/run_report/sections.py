"""What the sections of the run report show: rows of charts and tables, from two months' manifests.

Numbers stay numbers (the template writes them); None is a number that there is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from expectations.refusals import describe_reason
from expectations.source_model import Source
from reports.html.charts import Bar, Histogram, Move, draw_bands, draw_histograms, draw_moves
from reports.numbers import (
    NO_VALUE,
    format_count,
    format_points,
    format_signed,
    format_with_previous,
)
from reports.run_report.drift_text import KINDS, ReportNames, format_amount, format_percent
from transforms.comparison.drift import DriftChange, Manifest, count_delivered_rows
from transforms.comparison.metrics import compute_mean, list_band_names
from transforms.facts.corrections import FACT_PREFIX
from transforms.outputs import VIEWS

MOVED_MOST = 15
COUNTS = ("received", "clean", "quarantined", "superseded")

Row = Sequence[str | int | None]


@dataclass(frozen=True)
class ChartAndTable:
    """The bars of a section's chart, and the rows of the table that follows it."""

    chart: Sequence[Bar]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Comparison:
    """One kind of number of the drift check: one row per number, and how many exceed the limits."""

    title: str
    rows: Sequence[Row]
    beyond: int


@dataclass(frozen=True)
class Distribution:
    """People by total points: charts of the city and of its districts, one row per district."""

    bands: Sequence[str]
    city: str
    districts: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Movements:
    """People who gained and lost points: chart of the indicators that moved most; all items."""

    chart: str
    indicators: int
    rows: Sequence[Row]


def find_month_account(manifest: Manifest | None, source: str) -> Manifest | None:
    """Return the account of what a source delivered in the month itself."""
    if manifest is None:
        return None
    month = manifest["month"]
    found = [a for a in manifest["accounts"] if (a["source"], a["month"]) == (source, month)]
    return dict(found[-1]) if found else None


def build_intake(now: Manifest, before: Manifest | None, names: ReportNames) -> ChartAndTable:
    """Return what came in from every source."""
    chart, rows = [], []
    for code in names.sources:
        today, then = find_month_account(now, code), find_month_account(before, code)
        came = today["received"] if today else 0
        was = then["received"] if then else None
        chart.append(_intake_bar(came, was, before, names, code))
        counts = [today[count] if today else None for count in COUNTS]
        refused = then["quarantined"] if then else None
        rows.append((names.source(code), _describe_delivery(now, code), *counts, was, refused))
    return ChartAndTable(chart, rows)


def _intake_bar(
    came: int, was: int | None, before: Manifest | None, names: ReportNames, code: str
) -> Bar:
    """A first delivery of an incremental source holds its whole history: not comparable."""
    delivery = names.sources[code].delivery
    if before and was is not None and count_delivered_rows(before, code, delivery) is None:
        return Bar(names.source(code), came, f"{format_count(came)}（上月首次交付，含历史）", came)
    label = format_with_previous(came, was)
    return Bar(names.source(code), came, label, max(came, was or 0), was)


def _describe_delivery(now: Manifest, source: str) -> str:
    if source in now["carried"]:
        return f"未交，沿用 {now['carried'][source]}"
    if source in now["missing"]:
        return f"缺 {'、'.join(now['missing'][source]['months'])}"
    return "已交" if find_month_account(now, source) else "未交"


def build_refusals(now: Manifest, before: Manifest | None, names: ReportNames) -> ChartAndTable:
    """Return refused rows, and values left out of valid rows, by source and reason."""
    bars: list[tuple[str, int, str]] = []
    rows: list[Row] = []
    for code, source in sorted(
        names.sources.items(), key=lambda item: _rank_refusals(now, item[0])
    ):
        today, then = find_month_account(now, code), find_month_account(before, code)
        if today and today["quarantined"]:
            refused, was = today["quarantined"], then["quarantined"] if then else None
            share = f"{100 * refused / today['received']:.2f} %"
            previous = f"（上月 {format_count(was)} 行）" if then else ""
            label = f"{format_count(refused)} 行，占 {share}{previous}"
            bars.append((names.source(code), refused, label))
            rows.append((source.title, "合计", "整行退回", refused, share, was))
        rows += list_reasons(source, today, then)
    full = max((refused for _, refused, _ in bars), default=1)
    return ChartAndTable([Bar(*bar, full) for bar in bars], rows)


def list_return_files(now: Manifest, names: ReportNames) -> list[Row]:
    """Return the files of what departments have to mend: source, rows, place below the root."""
    rows: list[Row] = []
    for code in names.sources:
        account = find_month_account(now, code)
        if account and (account["quarantined"] or account["defects"] or account["superseded"]):
            delivery = f"received={now['month']}/d{account['number']}"
            place = f"quarantine/{code}/{delivery}/returns/rows.parquet"
            rows.append((names.source(code), account["quarantined"], place))
    return rows


def list_return_workbooks(now: Manifest) -> list[Row]:
    """Return the departments' workbooks: department, rows to mend, place in the revision."""
    returns = now.get("returns") or {}
    return [(name, rows, f"restricted/returns/{name}.xlsx") for name, rows in returns.items()]


def list_cases(now: Manifest, names: ReportNames) -> list[Row]:
    """Return objections by what they are about: open, due, overdue, upheld, rejected, late."""
    states = ("open", "due", "overdue", "upheld", "rejected", "late")
    facts = {
        f"{FACT_PREFIX}{fact}": one.title
        for source in names.sources.values()
        for fact, one in source.facts.items()
    }
    return [
        (_case_title(target, names, facts), *(counts[state] for state in states))
        for target, counts in (now.get("cases") or {}).items()
    ]


def _case_title(target: str, names: ReportNames, facts: Mapping[str, str]) -> str:
    """Return the title of a target; what is no target may hold anything, and is not repeated."""
    district, _, code = target.rpartition(":")
    item = f"d{district}_{code}" if district else code
    return facts.get(target) or names.items.get(item) or "（没有这个指标或数据）"


OUTCOME_TITLES = {"unanswered": "没有结果"}


def list_open_tables(now: Manifest) -> list[Row]:
    """Return whom each table of the open layer singles out: rows, linked, few, withheld."""
    return [
        (
            VIEWS[view].row[0].partition("：")[0],
            one["rows"],
            f"{one['linked']} 人（{_format_part(one['linked'], one['rows'])}）",
            *(one["few"][known] for known in ("three", "five", "all")),
            one["deducted_few"],
            one["withheld"],
        )
        for view, one in (now.get("open_layer") or {}).items()
    ]


def list_generalised(now: Manifest) -> list[Row]:
    """Return what was generalised of the open layer: table, step, rows, their share."""
    return [
        (VIEWS[view].row[0].partition("：")[0], step, rows, _format_part(rows, one["rows"]))
        for view, one in (now.get("open_layer") or {}).items()
        for step, rows in one["generalised"]
        if rows
    ]


def _format_part(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else NO_VALUE


def list_outcomes(now: Manifest, names: ReportNames) -> list[Row]:
    """Return what districts reported this month by outcome, and who is reminded again after it."""
    source = next((one for one in names.sources.values() if one.outcomes), None)
    if source is None or source.outcomes is None:
        return []
    values = source.columns[source.outcomes.outcome].values
    titles = {code: next(iter(words), code) for code, words in values.items()} | OUTCOME_TITLES
    reported, again = now.get("outcomes") or {}, now.get("reminders_again") or {}
    return [
        (title, reported.get(code, 0), again.get(code, 0))
        for code, title in titles.items()
        if reported.get(code) or again.get(code)
    ]


def _rank_refusals(now: Manifest, source: str) -> tuple[int, int]:
    """Return what puts the sources with the most refused rows, then emptied values, first."""
    account = find_month_account(now, source)
    if account is None:
        return 0, 0
    return -account["quarantined"], -sum(account["defects"].values())


def list_reasons(source: Source, today: Manifest | None, then: Manifest | None) -> Iterator[Row]:
    """Yield one row per reason of either month, the most frequent first."""
    for kind, handled in (("reasons", "整行退回"), ("defects", "只舍去该值")):
        now, before = (dict(side[kind]) if side else {} for side in (today, then))
        for reason in sorted({*now, *before}, key=lambda one: (-now.get(one, 0), one)):
            was = before.get(reason, 0) if then else None
            text, count = describe_reason(source, reason), now.get(reason, 0)
            share = (
                f"{100 * count / today['received']:.2f} %" if today and today["received"] else ""
            )
            yield source.title, text, _handled(reason, handled), count, share, was


def _handled(reason: str, otherwise: str) -> str:
    """Return what became of a value that was only noted; otherwise what is usual."""
    code = reason.rpartition(":")[2]
    return {"placeholder": "按空值处理", "stand_in": "按空值处理", "cleaned": "已去除"}.get(
        code, otherwise
    )


def build_comparison(found: Sequence[DriftChange], names: ReportNames) -> list[Comparison]:
    """Return everything that the drift check looked at, by kind."""
    kinds = {kind: [one for one in found if one.kind == kind] for kind in KINDS}
    return [
        Comparison(
            KINDS[kind],
            [_comparison_row(change, names) for change in changes],
            sum(change.over for change in changes),
        )
        for kind, changes in kinds.items()
        if changes
    ]


def _comparison_row(change: DriftChange, names: ReportNames) -> Row:
    before, after = format_amount(change, change.before), format_amount(change, change.after)
    return names.subject(change), before, after, format_percent(change), _judge(change)


def _judge(change: DriftChange) -> str:
    if change.holds:
        return "▲ 超出限度"
    return "△ 超出限度，因有新版本不扣留" if change.over else "正常"


def build_distribution(now: Manifest, before: Manifest | None, names: ReportNames) -> Distribution:
    """Return people by total points, in the city and in every district."""
    bands = list(list_band_names().values())
    districts = now["figures"]["districts"]
    earlier = before["figures"]["districts"] if before else {}
    nobody = [0] * len(bands)
    city, was = _sum_bands(districts) or nobody, _sum_bands(earlier)
    histograms: list[Histogram] = []
    rows: list[Row] = []
    for code, line in districts.items():
        name, mean = names.districts.get(code, code), compute_mean(line, "total")
        previous_mean = compute_mean(earlier[code], "total") if code in earlier else None
        label = f"{format_count(line['residents'])} 人，平均 {format_points(mean)}"
        histograms.append(Histogram(name, label, line["bands"]))
        means = (format_points(mean), format_points(previous_mean))
        rows.append((name, line["residents"], *means, *line["bands"]))
    rows.append(_city_row("全市", now, before, city))
    if before:
        rows.append(_city_row("全市（上月）", before, None, was))
    return Distribution(
        bands, draw_bands(bands, city, was), draw_histograms(bands, histograms), rows
    )


def _sum_bands(districts: Mapping[str, Manifest]) -> list[int]:
    return [
        sum(people) for people in zip(*(one["bands"] for one in districts.values()), strict=True)
    ]


def _city_row(name: str, now: Manifest, before: Manifest | None, bands: Sequence[int]) -> Row:
    means = [
        format_points(compute_mean(month["figures"]["items"]["total"])) if month else NO_VALUE
        for month in (now, before)
    ]
    return name, now["residents"], *means, *bands


def build_movements(now: Manifest, before: Manifest, names: ReportNames) -> Movements:
    """Return who gained and lost points, by item."""
    moved = now["figures"]["moved"]

    def count_moved(item: str) -> int:
        return int(moved[item]["up"]) + int(moved[item]["down"])

    indicators = [item for item in moved if item in names.fed_by]
    most = sorted(indicators, key=count_moved, reverse=True)[:MOVED_MOST]
    total = [item for item in moved if item == "total"]
    chart = [_move(names.items.get(item, item), moved[item]) for item in [*total, *most]]
    rows = [_movement_row(item, now, before, names) for item in names.items if item in moved]
    return Movements(draw_moves(chart) if rows else "", len(most), rows)


def _move(name: str, moved: Manifest) -> Move:
    up, down = moved["up"], moved["down"]
    return Move(name, up, down)


def _movement_row(item: str, now: Manifest, before: Manifest, names: ReportNames) -> Row:
    moved = now["figures"]["moved"][item]
    means = [
        format_points(compute_mean(month["figures"]["items"][item]))
        if item in month["figures"]["items"]
        else NO_VALUE
        for month in (before, now)
    ]
    points = format_signed(Decimal(moved["points"]))
    return names.items.get(item, item), moved["up"], moved["down"], points, *means


def build_services(now: Manifest, before: Manifest | None, names: ReportNames) -> ChartAndTable:
    """Return people eligible for each service, and the money that this means a month."""
    was = {code: before["eligible"].get(code, 0) for code in before["services"]} if before else {}
    today = {code: now["eligible"].get(code, 0) for code in now["services"]}
    titles = {code: names.services.get(code, code) for code in today}
    unknown = now["figures"]["amount_unknown"]
    rows = [
        (
            titles[code], people, was.get(code),
            _format_yuan(now, code), _format_yuan(before, code), unknown.get(code) or "",
        )
        for code, people in today.items()
    ]  # fmt: skip
    return ChartAndTable(_bars(titles, today, was), rows)


def _format_yuan(manifest: Manifest | None, service: str) -> str:
    found = manifest["monthly_amounts"].get(service) if manifest else None
    return format_count(Decimal(found)) if found else NO_VALUE


def build_reminders(now: Manifest, before: Manifest | None, names: ReportNames) -> ChartAndTable:
    """Return reminders by kind."""
    found = now["reminders"]
    was = before["reminders"] if before and before["told"] else None
    kinds = sorted({*found, *(was or {})}, key=lambda kind: -found.get(kind, 0))
    today = {kind: found.get(kind, 0) for kind in kinds}
    then = {kind: was.get(kind, 0) for kind in kinds} if was is not None else {}
    titles = {kind: names.reminders.get(kind, kind) for kind in kinds}
    added = now["reminders_added"]
    rows = [(titles[kind], today[kind], then.get(kind), added.get(kind, 0)) for kind in kinds]
    return ChartAndTable(_bars(titles, today, then), rows)


def _bars(
    titles: Mapping[str, str], now: Mapping[str, int], before: Mapping[str, int]
) -> list[Bar]:
    full = max([*now.values(), *before.values(), 1])
    return [
        Bar(titles[code], n, format_with_previous(n, before.get(code)), full, before.get(code))
        for code, n in now.items()
    ]


def build_timings(seconds: Mapping[str, float]) -> ChartAndTable:
    """Return the seconds of every stage."""
    full = max(seconds.values(), default=1.0)
    chart = [Bar(stage, took, f"{took:.1f} 秒", full) for stage, took in seconds.items()]
    return ChartAndTable(chart, [(stage, f"{took:.1f}") for stage, took in seconds.items()])


def list_unmatched(now: Manifest, names: ReportNames) -> list[Row]:
    """Return rows of people who are not in the registry, by source."""
    return [(names.source(code), rows) for code, rows in now["unmatched"].items() if rows]
