"""Random office accidents: what happens to departments' files before they reach the inbox.

Case number n is always the same: one to three accidents, drawn by a generator with n in its seed,
each to one source's file of the second month. An accident changes the rows, the way they are
written, the bytes, or the file's name and place. Left out is what nobody could see in any file: two
people's values of one column exchanged, one column sorted by itself, a correct-looking wrong value.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.office_files import NEVER_A_NUMBER, OfficeFile, Workbook, parse_day
from tests.support.world import GENERATED

FIRST, SECOND = "2024-03", "2024-04"


# --- the accidents: each returns what it did, or nothing where it cannot be done ---

Accident = Callable[[OfficeFile, random.Random], str | None]


def _some(file: OfficeFile, rng: random.Random, place: int | None = None) -> list[int]:
    """Draw rows: one to five, a third, or all; with a value in a column."""
    having = [n for n, row in enumerate(file.rows) if place is None or row[place]]
    if not having:
        return []
    share = rng.random()
    if share < 0.4:
        return rng.sample(having, min(len(having), rng.randint(1, 5)))
    return rng.sample(having, max(1, len(having) // 3)) if share < 0.6 else having


def rename(file: OfficeFile, rng: random.Random) -> str:
    source, month = file.source, rng.choice(("202404", "2024-04", "2024年4月", "4月", ""))
    department = rng.choice(source.department.split("、"))
    title = rng.choice((source.title, source.source, source.source.upper()))
    file.stem = rng.choice(
        (
            title, f"{title}_{month}", f"{department}_{title}_{month}", f"{department}局{title}{month}",
            f"{month}{title}", f"{title}(1)", f"{title} - 副本", f"{title}数据_{month}", f"{title}表",
            f"{title}明细{month}", f"{month}{title}汇总表", f"{title}（{month}）", f"【{department}】{title}",
        )
    )  # fmt: skip
    return file.stem


def unknown_name(file: OfficeFile, rng: random.Random) -> str:
    file.stem = rng.choice(
        (
            "新建 Microsoft Excel 工作表",
            "人社_202404",
            "data",
            "导出结果",
            "1",
            "4月数据",
            "最终版",
            "附件2",
        )
    )
    return file.stem


def name_of_another_month(file: OfficeFile, rng: random.Random) -> str:
    file.stem = f"{file.source.title}_{rng.choice(('202403', '2024年3月', '2023-04', '3月'))}"
    return file.stem


def wrong_month_folder(file: OfficeFile, rng: random.Random) -> str:
    file.month = rng.choice((FIRST, "2024-05", "202404", "2024年4月", "旧"))
    return file.month


def not_delivered(file: OfficeFile, rng: random.Random) -> str:
    file.missing = True
    return ""


def second_file(file: OfficeFile, rng: random.Random) -> str:
    name = rng.choice((f"{file.source.source}(1).csv", f"{file.source.title}.csv", "copy.csv"))
    file.after_writing.append(lambda path: shutil.copy(path, path.with_name(name)))
    return name


def with_by_products(file: OfficeFile, rng: random.Random) -> str:
    name = rng.choice(
        ("Thumbs.db", ".DS_Store", f"~${file.stem}.xlsx", "desktop.ini", ".~lock.a.csv#")
    )
    file.after_writing.append(lambda path: path.with_name(name).touch())
    return name


def another_sources_file(file: OfficeFile, rng: random.Random) -> str:
    other = rng.choice([name for name in GENERATED if name != file.source.source])

    def replace(path: Path) -> None:
        shutil.copy(file.previous.with_name(f"{other}.csv"), path)

    file.after_writing.append(replace)
    file.suffix, file.wrapping = "csv", ""
    return other


def last_months_file(file: OfficeFile, rng: random.Random) -> str:
    with file.previous.open(encoding="utf-8", newline="") as text:
        header, *rows = list(csv.reader(text))
    places = [header.index(name) if name in header else None for name in file.columns]
    file.rows = [["" if place is None else row[place] for place in places] for row in rows]
    if rng.random() < 0.5:
        rng.shuffle(file.rows)
    return f"{len(rows)} rows"


def encode(file: OfficeFile, rng: random.Random) -> str | None:
    if file.suffix not in ("csv", "tsv"):
        return None
    file.encoding = rng.choice(
        ("gb18030", "gbk", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "big5")
    )
    if file.encoding == "utf-16-be" and rng.random() < 0.5:
        file.changes.insert(0, lambda content: b"\xfe\xff" + content)
    return file.encoding


def mojibake(file: OfficeFile, rng: random.Random) -> str | None:
    if file.suffix not in ("csv", "tsv"):
        return None
    right, wrong = rng.choice((("utf-8", "gb18030"), ("gb18030", "latin-1"), ("utf-8", "cp1252")))
    file.changes.insert(
        0,
        lambda content: (
            content.decode(file.encoding).encode(right).decode(wrong, "replace").encode()
        ),
    )
    return f"{right} read as {wrong}"


def mixed_encodings(file: OfficeFile, rng: random.Random) -> str | None:
    if file.suffix != "csv" or file.encoding != "utf-8":
        return None

    def change(content: bytes) -> bytes:
        lines = content.split(b"\n")
        cut = rng_place % max(len(lines), 1)
        return b"\n".join(
            line if n < cut else line.decode("utf-8", "replace").encode("gb18030", "replace")
            for n, line in enumerate(lines)
        )

    rng_place = rng.randrange(1, 1000)
    file.changes.append(change)
    return ""


def save_as(file: OfficeFile, rng: random.Random) -> str | None:
    if file.changes or file.encoding != "utf-8":
        return None
    file.suffix = rng.choice(("tsv", "xlsx", "xlsx", "parquet"))
    file.delimiter = "\t" if file.suffix == "tsv" else ","
    if file.suffix in ("xlsx", "parquet"):
        file.delimiter = ","
    return file.suffix


def compress(file: OfficeFile, rng: random.Random) -> str:
    file.wrapping = rng.choice(
        ("zip", "zip" if file.suffix == "xlsx" else rng.choice(("gz", "zst")))
    )
    return file.wrapping


def wrong_suffix(file: OfficeFile, rng: random.Random) -> str:
    suffix = rng.choice(("csv", "xlsx", "parquet", "tsv", "xls", "txt", "CSV", "ods"))
    file.after_writing.insert(
        0,
        lambda path: (
            path.rename(path.with_name(f"{file.stem}.{suffix}")) if path.exists() else None
        ),
    )
    return suffix


def other_delimiter(file: OfficeFile, rng: random.Random) -> str | None:
    if file.suffix != "csv":
        return None
    file.delimiter = rng.choice((";", "\t", "|"))
    return repr(file.delimiter)


def other_line_ends(file: OfficeFile, rng: random.Random) -> str:
    file.line_end = rng.choice(("\r\n", "\r"))
    file.quote_all = rng.random() < 0.5
    return repr(file.line_end)


DATE_WRITINGS = (
    "{y}/{m}/{d}", "{y}.{m}.{d}", "{y}年{m}月{d}日", "{y}{m:02d}{d:02d}", "{y}-{m}-{d}",
    "{y}-{m:02d}-{d:02d} 00:00:00", "{y}/{m}/{d} 0:00", "{y}-{m:02d}-{d:02d}T00:00:00",
    "{d:02d}/{m:02d}/{y}", "{m:02d}/{d:02d}/{y}", "{d}.{m}.{y}", "{d}-{m}-{y}", "{m}/{d}/{s:02d}",
    "{s:02d}-{m:02d}-{d:02d}", "{s:02d}/{m}/{d}", "{s:02d}{m:02d}{d:02d}", "{d:02d}{m:02d}{y}",
    "{serial}", "{serial}.0", "{epoch}", "{epoch}000", "{d}-{month}-{y}", "{month} {d}, {y}", "{y}-{m:02d}",
    "{y}", "{y}-{m:02d}-{d:02d} 08:30:00", "{y}-{m:02d}-{d:02d}T00:00:00+08:00", "{y}-{m:02d}-{d:02d}T16:00:00Z",
    "民国{roc}年{m}月{d}日", "{y}-{m:02d}-32", "{y}－{m:02d}－{d:02d}", "'{y}-{m:02d}-{d:02d}", "{y}年{m}月",
)  # fmt: skip


def write_dates(file: OfficeFile, rng: random.Random) -> str | None:
    places = file.places("date", "month")
    if not places:
        return None
    place, writing = rng.choice(places), rng.choice(DATE_WRITINGS)
    for n in _some(file, rng, place):
        day = parse_day(file.rows[n][place]) or parse_day(f"{file.rows[n][place]}-01")
        if day:
            file.rows[n][place] = writing.format(
                y=day.year, m=day.month, d=day.day, s=day.year % 100, roc=day.year - 1911,
                serial=(day - dt.datetime(1899, 12, 30)).days, month=day.strftime("%b"),
                epoch=int(day.replace(tzinfo=dt.UTC).timestamp()),
            )  # fmt: skip
    return f"{file.columns[place]} {writing}"


def stand_in_dates(file: OfficeFile, rng: random.Random) -> str | None:
    places = file.places("date")
    if not places:
        return None
    place = rng.choice(places)
    day = rng.choice(("1900-01-01", "1899-12-30", "0001-01-01", "1970-01-01", "1900/1/1", "0000-00-00",
                      "1900-01-00", "1970-01-01 00:00:00", "19000101"))  # fmt: skip
    for n in _some(file, rng, place):
        file.rows[n][place] = day
    return f"{file.columns[place]} {day}"


NUMBER_WRITINGS: Sequence[Callable[[str], str]] = (
    lambda text: f"{float(text):.1f}", lambda text: f"{float(text):.2f}", lambda text: f"{float(text):.6f}",
    lambda text: f"{float(text):E}", lambda text: f"{float(text):.2E}", lambda text: f"{float(text):,}",
    lambda text: f"{float(text):,.2f}", lambda text: f"￥{text}", lambda text: f"{text}元", lambda text: f"+{text}",
    lambda text: f" {text} ", lambda text: text.translate(FULL_WIDTH),
    lambda text: text.replace(".", ","), lambda text: f"{float(text):.0f}.", lambda text: f"'{text}",
    lambda text: f"{float(text) / 100:.2%}", lambda text: f"{float(text) + 1e-9:.12f}", lambda text: f"0{text}",
    lambda text: f'="{text}"', lambda text: "∞",
)  # fmt: skip
FULL_WIDTH = str.maketrans("0123456789.-/", "０１２３４５６７８９．－／")


def write_numbers(file: OfficeFile, rng: random.Random) -> str | None:
    places = file.places("amount", "integer")
    if not places:
        return None
    place, number = rng.choice(places), rng.randrange(len(NUMBER_WRITINGS))
    for n in _some(file, rng, place):
        try:
            file.rows[n][place] = NUMBER_WRITINGS[number](file.rows[n][place])
        except ValueError:
            continue
    return f"{file.columns[place]} writing {number}"


def full_width(file: OfficeFile, rng: random.Random) -> str:
    place = rng.randrange(len(file.columns))
    for n in _some(file, rng, place):
        file.rows[n][place] = file.rows[n][place].translate(FULL_WIDTH)
    return file.columns[place]


ID_WRITINGS: Sequence[Callable[[str], str]] = (
    lambda text: f"{int(text[:17]) * 10:.5E}".replace("E+0", "E+"), lambda text: f"{text[:15]}000", lambda text: text[:17],
    str.lower, lambda text: f"'{text}", lambda text: f'="{text}"', lambda text: f"\t{text}",
    lambda text: f"{text[:6]} {text[6:14]} {text[14:]}", lambda text: f"{text[:6]}********{text[14:]}",
    lambda text: f"{text[:6]}{text[8:17]}" if text[6:8] == "19" else text, lambda text: f"{text}.0",
    lambda text: text.translate(FULL_WIDTH), lambda text: f"{text[:6]}-{text[6:14]}-{text[14:]}",
    lambda text: f"\u200b{text}\ufeff", lambda text: text.replace("X", "×").replace("7", "T"), lambda text: f"ID{text}",
)  # fmt: skip


CUT = 1  # of a number with 15 digits left one in eleven is somebody's: a whole column is seen


def write_ids(file: OfficeFile, rng: random.Random) -> str | None:
    places = file.places("id")
    if not places:
        return None
    place, number = rng.choice(places), rng.randrange(len(ID_WRITINGS))
    for n in _some(file, rng, place) if number != CUT else range(len(file.rows)):
        text = file.rows[n][place]
        if text[:17].isascii() and text[:17].isdigit():
            file.rows[n][place] = ID_WRITINGS[number](text)
    return f"{file.columns[place]} writing {number}"


PLACEHOLDERS = (
    "NULL", "null", "(null)", "\\N", "#N/A", "NaN", "nan", "None", "无", "-", "--", "N/A", "暂无", "/", "NaT", "#REF!",
    "不详", "未知", "空", "待补", "?", ".", "#NAME?", "——", "…", "undefined", "[]", "NULL ", "<null>", "缺失", "无数据",
)  # fmt: skip


def placeholders(file: OfficeFile, rng: random.Random) -> str:
    place, word = rng.randrange(len(file.columns)), rng.choice(PLACEHOLDERS)
    empty = [n for n, row in enumerate(file.rows) if not row[place]]
    for n in _some(file, rng, place) if rng.random() < 0.5 else empty:
        file.rows[n][place] = word
    return f"{file.columns[place]} {word}"


def emptied(file: OfficeFile, rng: random.Random) -> str | None:
    places = [n for n, name in enumerate(file.columns) if name and file.column(n).required]
    place = rng.choice(places)
    for n in _some(file, rng, place):
        file.rows[n][place] = rng.choice(("", " ", "\u3000"))
    return file.columns[place]


CONTROLS = (
    "\0", "\x01", "\x07", "\x0b", "\x1a", "\x7f", "\u200b", "\u200e", "\xa0", "\ufeff", "\xad", "\u202c", "\u2028", "\x85",
    "\u2060", "\u200d", "_x000D_", "\t", "\n", "\r\n", "\ufffd",
)  # fmt: skip


def control_characters(file: OfficeFile, rng: random.Random) -> str:
    place, character = rng.randrange(len(file.columns)), rng.choice(CONTROLS)
    where = rng.random()
    for n in _some(file, rng, place):
        text = file.rows[n][place]
        at = 0 if where < 0.3 else len(text) if where < 0.7 else len(text) // 2
        file.rows[n][place] = text[:at] + character + text[at:]
    return f"{file.columns[place]} {character!r}"


def other_words(file: OfficeFile, rng: random.Random) -> str | None:
    """Write values of a set, a yes or no, or an area otherwise."""
    places = file.places("set", "yes_no", "district", "area")
    if not places:
        return None
    place = rng.choice(places)
    change = rng.choice(
        (str.upper, lambda text: f"{text} ", lambda text: f"{text}（见备注）", lambda text: f"{text}类", lambda text: text[:-1],
         lambda text: {"true": "1", "false": "0", "是": "Y", "否": "N"}.get(text, f"0{text}"),
         lambda text: {"true": "TRUE", "false": "FALSE"}.get(text, f"{text}.0"), lambda text: f"{text}000000")
    )  # fmt: skip
    for n in _some(file, rng, place):
        file.rows[n][place] = change(file.rows[n][place])
    return file.columns[place]


def duplicate_rows(file: OfficeFile, rng: random.Random) -> str:
    again = [list(file.rows[n]) for n in _some(file, rng)]
    file.rows += again
    if rng.random() < 0.5:
        rng.shuffle(file.rows)
    return f"{len(again)} rows"


def twice_in_one_file(file: OfficeFile, rng: random.Random) -> str:
    file.rows = [*file.rows, list(file.header), *[list(row) for row in file.rows]]
    return ""


def sort_rows(file: OfficeFile, rng: random.Random) -> str:
    place = rng.randrange(len(file.columns))
    file.rows.sort(key=lambda row: row[place], reverse=rng.random() < 0.5)
    return file.columns[place]


def _arrange(file: OfficeFile, order: Sequence[int]) -> None:
    file.rows = [[row[place] for place in order] for row in file.rows]
    file.header = [file.header[place] for place in order]
    file.columns = [file.columns[place] for place in order]


def sort_columns(file: OfficeFile, rng: random.Random) -> str:
    order = list(range(len(file.columns)))
    rng.shuffle(order)
    _arrange(file, order)
    return ""


def extra_columns(file: OfficeFile, rng: random.Random) -> str:
    title = rng.choice(("序号", "备注", "", "审核人", "resident_name", "更新时间", "Unnamed: 0"))
    at = rng.choice((0, len(file.header)))
    file.header.insert(at, title)
    file.columns.insert(at, "")
    for n, row in enumerate(file.rows):
        row.insert(at, str(n + 1) if rng.random() < 0.9 else "")
    return title


def column_twice(file: OfficeFile, rng: random.Random) -> str:
    place = rng.randrange(len(file.columns))
    file.header.append(file.header[place])
    file.columns.append("")
    for row in file.rows:
        row.append(row[place])
    return file.columns[place]


def rename_column(file: OfficeFile, rng: random.Random) -> str:
    place = rng.randrange(len(file.columns))
    title = file.column(place).title if file.columns[place] else "备注"
    file.header[place] = rng.choice(
        (title, f"{title}（必填）", f" {title[:1]} {title[1:]}", f"{title}\n", f"*{title}", title.upper(),
         f"{title}信息", title[:-1], f"人员{title}", "字段1", "", title[::-1])
    )  # fmt: skip
    return f"{file.columns[place]} as {file.header[place]!r}"


def blank_column(file: OfficeFile, rng: random.Random) -> str | None:
    """Leave a column that may be empty without any value, as an export that lost a join does."""
    places = [n for n, name in enumerate(file.columns) if name and not file.column(n).required]
    if not places:
        return None
    place = rng.choice(places)
    for row in file.rows:
        row[place] = ""
    return file.columns[place]


def drop_column(file: OfficeFile, rng: random.Random) -> str | None:
    place = rng.randrange(len(file.columns))
    if len(file.columns) < 3:
        return None
    name = file.columns[place]
    _arrange(file, [n for n in range(len(file.columns)) if n != place])
    return name


def title_lines(file: OfficeFile, rng: random.Random) -> str:
    lines = rng.choice((1, 2, 3, 12))
    width = len(file.header)
    texts = [f"{file.source.title}统计表", "制表单位：", "2024年4月", "", *["说明"] * 10]
    file.above = [[text, *[""] * (width - 1)] for text in texts[:lines]]
    return f"{lines} lines"


def lines_below(file: OfficeFile, rng: random.Random) -> str:
    width = len(file.header)
    what = rng.choice(("", "合计", "制表人：", "共 {n} 条", "\x1a", "…"))
    file.below = [[what.format(n=len(file.rows)), *[""] * (width - 1)]] + [
        [""] * width
    ] * rng.randint(0, 30)
    return what


def stray_quote(file: OfficeFile, rng: random.Random) -> str | None:
    if file.suffix not in ("csv", "tsv"):
        return None
    places = [rng.random() for _ in range(rng.choice((1, 1, 2)))]

    def change(content: bytes) -> bytes:
        for share in sorted(places, reverse=True):
            at = int(share * len(content))
            content = content[:at] + b'"' + content[at:]
        return content

    file.changes.append(change)
    return f"{len(places)}"


def stray_delimiter(file: OfficeFile, rng: random.Random) -> str | None:
    if file.suffix != "csv":
        return None
    share, insert = rng.random(), rng.choice((b",", b"\n", b",,", b"\r"))

    def change(content: bytes) -> bytes:
        at = int(share * len(content))
        return content[:at] + insert + content[at:]

    file.changes.append(change)
    return repr(insert)


def cut_off(file: OfficeFile, rng: random.Random) -> str:
    share = rng.uniform(0.05, 0.99)
    file.changes.append(lambda content: content[: max(1, int(len(content) * share))])
    return f"{share:.0%}"


def header_only(file: OfficeFile, rng: random.Random) -> str:
    file.rows = []
    return ""


def empty_file(file: OfficeFile, rng: random.Random) -> str:
    content = rng.choice((b"", b"\n", b"\xef\xbb\xbf", b" ", b"\0" * 100))
    file.changes.append(lambda _: content)
    return repr(content)


def flipped_bytes(file: OfficeFile, rng: random.Random) -> str | None:
    """Damage a packed file on its way; of plain text nobody could see it."""
    if file.suffix not in ("xlsx", "parquet"):
        return None
    places = [rng.random() for _ in range(3)]

    def change(content: bytes) -> bytes:
        damaged = bytearray(content)
        for share in places:
            damaged[int(share * len(damaged))] ^= 0x55
        return bytes(damaged)

    file.changes.append(change)
    return ""


def values_in_the_wrong_column(file: OfficeFile, rng: random.Random) -> str | None:
    """Exchange two columns' values in two rows; columns of different types, or it cannot be seen."""
    kinds = {n: file.column(n).type for n, name in enumerate(file.columns) if name}
    pairs = [(a, b) for a in kinds for b in kinds if a < b and kinds[a] != kinds[b]]
    if not pairs or not file.rows:
        return None
    first, second = rng.choice(pairs)
    for n in rng.sample(range(len(file.rows)), min(2, len(file.rows))):
        row = file.rows[n]
        row[first], row[second] = row[second], row[first]
    return f"{file.columns[first]} and {file.columns[second]}"


def shifted_row(file: OfficeFile, rng: random.Random) -> str | None:
    """Move a row's values one cell on, as an inserted cell does, some required one among them."""
    required = [n for n, name in enumerate(file.columns) if n and name and file.column(n).required]
    if not file.rows or not required:
        return None
    for n in rng.sample(range(len(file.rows)), min(3, len(file.rows))):
        at = rng.randint(1, required[-1])
        row = file.rows[n]
        file.rows[n] = [*row[:at], "", *row[at:-1]]
    return ""


def _as_workbook(file: OfficeFile) -> Workbook | None:
    if file.changes or file.encoding != "utf-8" or file.suffix not in ("csv", "xlsx"):
        return None
    file.suffix, file.wrapping = "xlsx", file.wrapping if file.wrapping == "zip" else ""
    return file.workbook


def reopened(file: OfficeFile, rng: random.Random) -> str | None:
    """Opened as a table and saved: what looks like a number is one, dates are dates."""
    book = _as_workbook(file)
    if book is None:
        return None
    book.numbers = rng.random() < 0.7
    book.dates = rng.choice(
        (
            "",
            "yyyy-mm-dd",
            "yyyy/m/d",
            "m/d/yy",
            'yyyy"年"m"月"d"日"',
            "[$-804]aaaa",
            "d-mmm-yy",
            "0",
        )
    )
    return f"numbers {book.numbers}, dates {book.dates}"


def reopened_csv(file: OfficeFile, rng: random.Random) -> str | None:
    """Opened as a table and saved as CSV: long numbers and leading zeros are lost."""
    if file.suffix != "csv":
        return None
    for row in file.rows:
        for place, text in enumerate(row):
            day = parse_day(text)
            if day:
                row[place] = f"{day.year}/{day.month}/{day.day}"
            elif not NEVER_A_NUMBER.search(text) or (text.isascii() and text.isdigit()):
                row[place] = f"{float(text):.5E}" if len(text) > 11 else f"{float(text):.10g}"
            elif text in ("true", "false"):
                row[place] = text.upper()
    return ""


def formulas(file: OfficeFile, rng: random.Random) -> str | None:
    book = _as_workbook(file)
    if book is None:
        return None
    book.formulas = (rng.randrange(len(file.columns)), rng.choice(("", "0")))
    return file.columns[book.formulas[0]]


def formulas_in_text(file: OfficeFile, rng: random.Random) -> str:
    place = rng.randrange(len(file.columns))
    form = rng.choice(('="{}"', "={}", "=VLOOKUP(A2,Sheet2!A:B,2,0)", "=B{}"))
    for n in _some(file, rng, place):
        file.rows[n][place] = form.format(file.rows[n][place])
    return file.columns[place]


def _mark_column(file: OfficeFile, rng: random.Random, mark: str) -> str | None:
    book = _as_workbook(file)
    if book is None:
        return None
    place = rng.randrange(len(file.columns))
    setattr(book, mark, place)
    return file.columns[place]


def merged_cells(file: OfficeFile, rng: random.Random) -> str | None:
    return _mark_column(file, rng, "merged")


def error_cells(file: OfficeFile, rng: random.Random) -> str | None:
    return _mark_column(file, rng, "errors")


def several_sheets(file: OfficeFile, rng: random.Random) -> str | None:
    book = _as_workbook(file)
    if book is None:
        return None
    match rng.randrange(4):
        case 0:
            book.hidden_first = True
        case 1:
            book.split = len(file.rows) // 3
        case 2:
            book.note = True
        case _:
            book.again = True
    return f"{book}"


ACCIDENTS: dict[str, Accident] = {
    one.__name__: one
    for one in (
        rename, unknown_name, name_of_another_month, wrong_month_folder, not_delivered, second_file,
        with_by_products, another_sources_file, last_months_file, encode, mojibake, mixed_encodings, save_as, compress,
        wrong_suffix, other_delimiter, other_line_ends, write_dates, stand_in_dates, write_numbers, full_width,
        write_ids, placeholders, emptied, control_characters, other_words, duplicate_rows, twice_in_one_file, sort_rows,
        sort_columns, extra_columns, column_twice, rename_column, drop_column, blank_column, title_lines, lines_below, stray_quote,
        stray_delimiter, cut_off, header_only, empty_file, flipped_bytes, values_in_the_wrong_column, shifted_row,
        reopened, reopened_csv, formulas, formulas_in_text, merged_cells, error_cells, several_sheets,
    )
}  # fmt: skip
BY_BYTES = (
    "stray_quote",
    "stray_delimiter",
    "cut_off",
    "empty_file",
    "flipped_bytes",
    "mixed_encodings",
)
"""These change the bytes as written: they come last."""


@dataclass(frozen=True)
class Planned:
    """An accident of a case: what happens to which source, and the seed of its own draws."""

    name: str
    source: str
    seed: str


def plan_case(number: int) -> list[Planned]:
    """Return the one to three accidents of a case."""
    rng = random.Random(f"office {number}")
    drawn: list[Planned] = []
    for n in range(rng.choice((1, 1, 2, 2, 3))):
        # every accident in turn, so that few cases try them all
        names = list(ACCIDENTS)
        name = names[number % len(names)] if n == 0 else rng.choice(names)
        same = drawn and rng.random() < 0.5
        source = drawn[-1].source if same else rng.choice(sorted(GENERATED))
        drawn.append(Planned(name, source, f"{number} {n}"))
    return sorted(drawn, key=lambda one: one.name in BY_BYTES)
