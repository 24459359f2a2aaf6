from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from reports.catalogue.build import DICTIONARY, build_catalogue
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.sql import sql_literal


def write(root: Path, file: str, select: str) -> None:
    path = root / "months" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_engine(EngineSettings("200MB", 1), root / "tmp") as connection:
        connection.execute(f"COPY ({select}) TO {sql_literal(path)}")


@contextmanager
def opened(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(
        EngineSettings("200MB", 1), file.parent / "tmp", file, read_only=True
    ) as connection:
        yield connection


def described(
    table: str, column: str, title: str, unit: str | None = None, meaning: str = ""
) -> dict[str, str | None]:
    row: dict[str, str | None] = dict.fromkeys(DICTIONARY)
    return {
        **row,
        "table_name": table,
        "column_name": column,
        "title_zh": title,
        "unit": unit,
        "meaning_zh": meaning,
    }


ROWS = [
    described("scores", "age_points", "年龄", "分", "年龄的得分"),
    described("scores", "gone_points", "已取消", "分"),
    {
        **described("facts", "age", "年龄", "周岁 years", "不引号'也不中断"),
        "meaning_en": "Age on the scoring date",
    },
    {
        **described(
            "facts", "month", "月份", "月份（当月 1 日） month (its first day)", "计分的月份"
        ),
        "meaning_en": "The month scored",
    },
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two months under two policies (other columns); scores in two files; October was revised."""
    root = tmp_path / "it's a root"
    dated = "DATE '{}-01' AS month"
    for month, revision, column in (
        ("2021-10", "r2", "age_points"),
        ("2021-11", "r1", "residence_points"),
    ):
        for part, key in enumerate(("ab", "cd")):
            select = f"SELECT {dated.format(month)}, '{key}' AS resident_key, 1.5::DECIMAL(7,2) AS {column}"
            write(root, f"{month}/{revision}/scores/part-{part}.parquet", select)
        write(root, f"{month}/{revision}/facts/a.parquet", "SELECT 'ab' AS resident_key, 41 AS age")
        write(
            root, f"{month}/{revision}/restricted/identities/a.parquet", "SELECT 'x' AS resident_id"
        )
    write(
        root,
        "2021-10/r1/scores/part-0.parquet",
        "SELECT DATE '2021-10-01' AS month, 'old' AS resident_key",
    )
    write(root, "2021-10/r2/changes/a.parquet", "SELECT 'ab' AS resident_key, 'age' AS indicator")
    return root


def in_force(root: Path) -> list[tuple[str, Path]]:
    return [("2021-10", root / "months/2021-10/r2"), ("2021-11", root / "months/2021-11/r1")]


@pytest.mark.promise("outputs-5", "Analyst: SQL over any month")
def test_views_hold_all_months_whatever_columns_their_policies_had(root: Path) -> None:
    build_catalogue(root, in_force(root), ROWS)
    with opened(root / "catalogue-exact.duckdb") as catalogue:
        scores = catalogue.execute(
            "SELECT month::VARCHAR, resident_key, age_points, residence_points FROM scores ORDER BY ALL"
        ).fetchall()
        assert [row[:2] for row in scores] == [
            ("2021-10-01", "ab"),
            ("2021-10-01", "cd"),
            ("2021-11-01", "ab"),
            ("2021-11-01", "cd"),
        ]
        assert [row[2] is None for row in scores] == [False, False, True, True]
        assert [row[3] is None for row in scores] == [True, True, False, False]


@pytest.mark.promise("outputs-118", "Four views over all months with `month`, and `latest_*`")
def test_every_view_has_a_month_column_of_type_date(root: Path) -> None:
    build_catalogue(root, in_force(root), ROWS)
    with opened(root / "catalogue-exact.duckdb") as catalogue:
        facts = catalogue.execute(
            "SELECT month::VARCHAR, typeof(month), age FROM facts ORDER BY ALL"
        ).fetchall()
    assert facts == [("2021-10-01", "DATE", 41), ("2021-11-01", "DATE", 41)]


@pytest.mark.proves("outputs-118")
def test_views_exist_for_existing_tables_and_the_latest_month(root: Path) -> None:
    build_catalogue(root, in_force(root), ROWS)
    with opened(root / "catalogue-exact.duckdb") as catalogue:
        views = catalogue.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        assert [name for (name,) in views] == [
            "facts",
            "latest_facts",
            "latest_scores",
            "score_changes",
            "scores",
        ]
        assert catalogue.execute(
            "SELECT DISTINCT month::VARCHAR FROM latest_scores"
        ).fetchall() == [("2021-11-01",)]
        columns = catalogue.execute("DESCRIBE latest_scores").fetchall()
    assert [column[0] for column in columns] == ["month", "resident_key", "residence_points"]


@pytest.mark.promise("outputs-119", "`dictionary`, comments on tables and columns")
def test_tables_and_columns_carry_their_meaning(root: Path) -> None:
    build_catalogue(root, in_force(root), ROWS)
    with opened(root / "catalogue-exact.duckdb") as catalogue:
        comments = dict(
            catalogue.execute(
                "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL"
            ).fetchall()
        )
        tables = catalogue.execute(
            "SELECT comment FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        dictionary = catalogue.execute(
            "SELECT table_name, column_name, meaning_zh FROM dictionary"
        ).fetchall()
    assert comments["scores.age_points"] == "年龄 [分]：年龄的得分"
    assert comments["facts.age"] == "年龄 [周岁]：不引号'也不中断 / Age on the scoring date [years]"
    assert comments["latest_facts.age"] == comments["facts.age"]
    assert (
        comments["facts.month"]
        == "月份 [月份（当月 1 日）]：计分的月份 / The month scored [month (its first day)]"
    )
    assert all(text for (text,) in tables) and len(tables) == 5
    assert len(dictionary) == 4 and ("facts", "age", "不引号'也不中断") in dictionary


@pytest.mark.proves("outputs-120")
def test_the_script_makes_the_same_catalogue(root: Path, tmp_path: Path) -> None:
    build_catalogue(root, in_force(root), ROWS)
    with open_engine(EngineSettings(), tmp_path / "spill") as connection:
        connection.execute((root / "catalogue-exact.sql").read_text(encoding="utf-8"))
        made = connection.execute("SELECT * FROM scores ORDER BY ALL").fetchall()
        comments = connection.execute("SELECT count(comment) FROM duckdb_columns()").fetchone()
    with opened(root / "catalogue-exact.duckdb") as catalogue:
        assert (
            catalogue.execute("SELECT * FROM scores ORDER BY ALL").fetchall() == made
            and len(made) == 4
        )
        assert (
            catalogue.execute("SELECT count(comment) FROM duckdb_columns()").fetchone() == comments
        )


@pytest.mark.promise(
    "outputs-120", "Views name revision folders one by one; catalogue.sql says the same"
)
def test_views_name_each_revision_folder_and_nothing_restricted(root: Path) -> None:
    build_catalogue(root, in_force(root), ROWS)
    script = (root / "catalogue-exact.sql").read_text(encoding="utf-8")
    escaped = str(root).replace("'", "''")
    assert f"'{escaped}/months/2021-10/r2/scores/part-1.parquet'" in script
    assert "*.parquet" not in script and "published/" not in script and "restricted" not in script
    assert "2021-10/r1" not in script


@pytest.mark.promise("outputs-116", "The catalogue opens read-only from anywhere")
def test_it_does_not_matter_where_a_reader_stands(root: Path, tmp_path: Path) -> None:
    build_catalogue(root, in_force(root), ROWS)
    query = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql('FROM scores').fetchall())"
    command = [sys.executable, "-c", query, str(root / "catalogue-exact.duckdb")]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.count("'ab'") == 2


def test_a_catalogue_for_another_mount_names_files_as_seen_there(
    root: Path, tmp_path: Path
) -> None:
    mount = tmp_path / "mnt"
    build_catalogue(root, in_force(root), ROWS, as_seen_from=mount)
    file = root / "catalogue-exact.duckdb"
    with opened(file) as catalogue, pytest.raises(duckdb.IOException, match="mnt"):
        catalogue.execute("FROM scores")
    mount.symlink_to(root)  # what mounting does
    root.chmod(0o700)
    with opened(mount / "catalogue-exact.duckdb") as catalogue:
        assert len(catalogue.execute("FROM scores").fetchall()) == 4
    script = (root / "catalogue-exact.sql").read_text(encoding="utf-8")
    assert (
        str(root) not in script and "COMMENT ON COLUMN scores" in script and "DEFER" not in script
    )


def test_a_root_without_published_months_has_a_dictionary(tmp_path: Path) -> None:
    build_catalogue(tmp_path, [], [])
    with opened(tmp_path / "catalogue-exact.duckdb") as catalogue:
        assert catalogue.execute("FROM dictionary").fetchall() == []


def test_the_log_of_an_older_catalogue_goes_with_it(root: Path, tmp_path: Path) -> None:
    """A session that changed the catalogue was killed: its log would be applied to the new one."""
    build_catalogue(root, in_force(root), ROWS)
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute(\"CREATE OR REPLACE VIEW latest_scores AS SELECT 'old' AS resident_key\"); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(root / "catalogue-exact.duckdb")], check=True)
    assert (root / "catalogue-exact.duckdb.wal").exists()
    build_catalogue(root, in_force(root), ROWS)
    with opened(root / "catalogue-exact.duckdb") as connection:
        assert connection.execute(
            "SELECT DISTINCT resident_key FROM latest_scores ORDER BY 1"
        ).fetchall() == [("ab",), ("cd",)]


def test_files_get_their_readers_before_they_are_seen(root: Path) -> None:
    shared: list[tuple[str, bool]] = []
    build_catalogue(
        root,
        in_force(root),
        ROWS,
        prepare=lambda file: shared.append((file.name, (root / file.name).exists())),
    )
    assert shared == [("catalogue-exact.duckdb", False), ("catalogue-exact.sql", False)]
    assert not (root / "tmp" / "catalogue").exists()


@pytest.mark.promise("outputs-121", "Rebuilt aside, renamed in; open sessions see whole months")
def test_sessions_see_a_whole_catalogue_while_it_is_rebuilt(root: Path) -> None:
    build_catalogue(root, in_force(root)[:1], ROWS)
    done = threading.Event()
    seen: list[int] = []

    def analyst() -> None:
        query = "SELECT count(*) FROM scores"
        with opened(root / "catalogue-exact.duckdb") as session:
            while not done.is_set():
                seen.append(session.execute(query).fetchall()[0][0])

    reader = threading.Thread(target=analyst)
    reader.start()
    before = (root / "catalogue-exact.duckdb").stat().st_ino
    for _ in range(5):
        build_catalogue(root, in_force(root), ROWS)
    done.set()
    reader.join()
    assert set(seen) == {2} and (root / "catalogue-exact.duckdb").stat().st_ino != before
    with opened(root / "catalogue-exact.duckdb") as session:
        assert session.execute("SELECT count(*) FROM scores").fetchall() == [(4,)]
