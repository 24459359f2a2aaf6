"""The catalogues: DuckDB files of views that name the published revisions' files one by one.

`catalogue.duckdb` has the views of the open layer, `catalogue-exact.duckdb` all of them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.engine.sql import sql_literal
from transforms.outputs import OPEN_VIEWS, VIEWS, Output

DICTIONARY = {
    "table_name": "表名 / table",
    "column_name": "列名 / column",
    "title_zh": "中文名 / title in Chinese",
    "type": "类型 / type",
    "unit": "单位 / unit",
    "meaning_zh": "含义 / meaning in Chinese",
    "meaning_en": "英文含义 / meaning in English",
    "source": "来源 / source",
}
# Written so that DuckDB clients older than ours can open the file as well.
STORAGE = "v1.0.0"


@dataclass(frozen=True)
class Catalogue:
    """A catalogue: the name of its files, and the outputs that it has views of."""

    name: str
    views: Mapping[str, Output]


OPEN_CATALOGUE = Catalogue("catalogue", OPEN_VIEWS)
EXACT_CATALOGUE = Catalogue("catalogue-exact", VIEWS)


def build_catalogue(
    root: Path,
    revisions: Sequence[tuple[str, Path]],
    dictionary_rows: Sequence[Mapping[str, str | None]],
    as_seen_from: Path | None = None,
    prepare: Callable[[Path], None] | None = None,
    catalogue: Catalogue = EXACT_CATALOGUE,
) -> None:
    """Make a catalogue of a root, `<name>.duckdb` and `<name>.sql`, aside, and rename them in.

    `revisions`: (YYYY-MM, folder of the revision in force inside the root), ascending. `dictionary_rows`: one mapping
    per column with the keys of `DICTIONARY`. `as_seen_from`: the path under which readers see the root; the views
    then cannot be bound here, so the columns' comments are in the script and in the table `dictionary` only.
    `prepare` is called on each file before it is renamed in, to give it its readers.
    """
    aside = root / "tmp" / "catalogue"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    draft, script = (aside / f"{catalogue.name}.{kind}" for kind in ("duckdb", "sql"))
    seen = as_seen_from or root
    deferred = seen != root
    known = [
        row for row in dictionary_rows if row["table_name"] in catalogue.views or _is_item(row)
    ]
    meanings = {(row["table_name"], row["column_name"]): _meaning(row) for row in known}
    with open_engine(EngineSettings(), aside / "spill") as session:
        views = list(_views(session, root, revisions, catalogue))
        tables = list(_dictionary(known))
        columns = [line for view in views for line in _column_comments(view, meanings)]
        session.execute(
            f"ATTACH {sql_literal(draft)} AS catalogue (STORAGE_VERSION {sql_literal(STORAGE)})"
        )
        session.execute("USE catalogue")
        creations = [
            line for view in views for line in _creation(view, root, seen, deferred=deferred)
        ]
        session.execute(
            "BEGIN"
        )  # as one: hundreds of comments are not each written through to the disk
        for line in [*tables, *creations, *([] if deferred else columns)]:
            session.execute(line)
        session.execute("COMMIT")
        session.execute("USE memory")
        session.execute("DETACH catalogue")
    creations = [line for view in views for line in _creation(view, root, seen, deferred=False)]
    script.write_text(
        "".join(f"{line};\n\n" for line in [*tables, *creations, *columns]), encoding="utf-8"
    )
    for file in (draft, script):
        if prepare:
            prepare(file)
        with file.open("rb") as written:
            os.fsync(written.fileno())
        # Of a catalogue that somebody wrote into: it would be applied to the new one.
        (root / f"{file.name}.wal").unlink(missing_ok=True)
        file.replace(root / file.name)
    shutil.rmtree(aside)


def _is_item(row: Mapping[str, str | None]) -> bool:
    """Return whether a column of scores is an item of the metrics too, which have its title here."""
    return row["table_name"] == "scores" and (row["column_name"] or "").endswith("_points")


@dataclass(frozen=True)
class View:
    """One view to be: its name, what one row is, the files of each month (month, has a month column), its columns."""

    name: str
    row: str
    months: tuple[tuple[str, bool, tuple[Path, ...]], ...]
    columns: tuple[str, ...]


def _views(
    session: Session, root: Path, revisions: Sequence[tuple[str, Path]], catalogue: Catalogue
) -> Iterator[View]:
    """The views that the revisions' folders allow, over all months and over the newest one."""
    for name, output in catalogue.views.items():
        months = []
        for month, path in revisions:
            files = tuple(sorted((path / output.folder).glob("*.parquet")))
            if files:
                months.append((month, "month" in _columns(session, _read(files)), files))
        newest = [part for part in months if part[0] == revisions[-1][0]]
        for view, parts, note in (
            (name, months, ""),
            (f"latest_{name}", newest, "（只有最新发布的月份 / newest month only）"),
        ):
            if parts:
                columns = _columns(session, _select(parts))
                yield View(view, " / ".join(output.row) + note, tuple(parts), columns)


def _columns(session: Session, relation: str) -> tuple[str, ...]:
    return tuple(row[0] for row in session.execute(f"DESCRIBE {relation}").fetchall())


def _select(months: Sequence[tuple[str, bool, tuple[Path, ...]]]) -> str:
    """All months under one another. The month is a constant of each part: other months' files are not even opened."""
    parts = []
    for month, has_month, files in months:
        value = f"DATE '{month}-01' AS month"
        parts.append(
            f"SELECT {f'* REPLACE ({value})' if has_month else f'{value}, *'}\n{_read(files)}"
        )
    return "\nUNION ALL BY NAME\n".join(parts)


def _read(files: Sequence[Path]) -> str:
    return f"FROM {read_parquet_sql(*files, union_by_name='true')}"


def _creation(view: View, root: Path, seen: Path, *, deferred: bool) -> Iterator[str]:
    moved = [
        (month, has_month, tuple(seen / file.relative_to(root) for file in files))
        for month, has_month, files in view.months
    ]
    option = " WITH (DEFER_BINDING)" if deferred else ""
    yield f"CREATE VIEW {view.name}{option} AS\n{_select(moved)}"
    yield f"COMMENT ON VIEW {view.name} IS {sql_literal(view.row)}"


def _column_comments(
    view: View, meanings: Mapping[tuple[str | None, str | None], str]
) -> Iterator[str]:
    table = view.name.removeprefix("latest_")
    for column in view.columns:
        if meaning := meanings.get((table, column)):
            yield f'COMMENT ON COLUMN {view.name}."{column}" IS {sql_literal(meaning)}'


def _meaning(row: Mapping[str, str | None]) -> str:
    """`中文名 [单位]：含义 / meaning [unit]`, as far as the dictionary has them; its units are written `周岁 years`."""
    unit, in_english = (*re.split(" (?=[a-z])", row["unit"] or "", maxsplit=1), "")[:2]
    title = f"{row['title_zh']} [{unit}]" if unit else row["title_zh"]
    meaning = (
        f"{row['meaning_en']} [{in_english}]"
        if row["meaning_en"] and in_english
        else row["meaning_en"]
    )
    chinese = "：".join(text for text in (title, row["meaning_zh"]) if text)
    return " / ".join(text for text in (chinese, meaning) if text)


def _dictionary(rows: Sequence[Mapping[str, str | None]]) -> Iterator[str]:
    """The table `dictionary`: one row per column of every table."""
    yield f"CREATE TABLE dictionary ({', '.join(f'{column} VARCHAR' for column in DICTIONARY)})"
    yield "COMMENT ON TABLE dictionary IS '数据字典：每张表的每一列一行 / Data dictionary: one row per column of every table'"
    for column, meaning in DICTIONARY.items():
        yield f"COMMENT ON COLUMN dictionary.{column} IS {sql_literal(meaning)}"
    if rows:
        values = (", ".join(_literal(row[column]) for column in DICTIONARY) for row in rows)
        yield "INSERT INTO dictionary VALUES\n" + ",\n".join(f"({line})" for line in values)


def _literal(text: str | None) -> str:
    return "NULL" if text is None else sql_literal(text)
