"""A month from a database, an SFTP server, an object store and a share is the month from files, byte for byte."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import xlsxwriter

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.extract.pull import pull_up_to
from flows.pipeline.ingest import build_cleaning_job
from flows.pipeline.staleness import find_stale_months
from flows.settings import SourceSettings
from tests.support.servers import S3, Postgres, Sftp
from tests.support.world import SOURCES, Rows, World, national_id, no_key_twice, write_csv
from transforms.clean.delivery import clean_delivery
from transforms.engine.session import EngineSettings, open_engine

PEOPLE = [national_id(f"510102198501011{n:02d}") for n in range(10, 40)]
COMPARED = ("scores", "facts", "eligibility", "restricted", "sql")


def registry(people: list[str]) -> Rows:
    return [
        {
            "resident_id": person,
            "residence_district": "330203",
            "registered_on": "2015-01-15",
            "status": "resident",
        }
        for person in people
    ]


def postings(month: str) -> Rows:
    return [
        {
            "resident_id": person,
            "insurance": insurance,
            "month": month,
            "district": "330203",
            "employer_id": "E1",
            "base": f"{4000 + n}.5",
            "kind": "paid",
            "posted_on": f"{month}-15",
        }
        for n, person in enumerate(PEOPLE)
        for insurance in ("pension", "medical")
    ]


def honours(month: str, kind: str = "honour") -> Rows:
    return [
        {
            "event_id": f"{month}-{n}",
            "resident_id": person,
            "kind": kind,
            "level": "city",
            "on_date": f"{month}-05",
            "status": "valid",
        }
        for n, person in enumerate(PEOPLE[::3])
    ]


def degrees() -> Rows:
    return [
        {
            "certificate_no": f"00{n}",
            "resident_id": person,
            "kind": "degree",
            "level": "bachelor",
            "awarded_on": "2010-06-30",
        }
        for n, person in enumerate(PEOPLE[::2])
    ]


def as_csv(source: str, rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(SOURCES[source].columns), restval="")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def in_table(database: Postgres, month: str, rows: Rows) -> None:
    """The postings as a department has them: typed columns, no order."""
    columns = list(SOURCES["social_security"].columns)
    values = ", ".join("(" + ", ".join(f"'{row[name]}'" for name in columns) + ")" for row in rows)
    database.execute(
        f'DROP TABLE IF EXISTS "ss_{month}"',
        f"""CREATE TABLE "ss_{month}" AS SELECT resident_id, insurance, month, district, employer_id,
        base::numeric(14,4) AS base, kind, posted_on::date AS posted_on
        FROM (VALUES {values}) v ({", ".join(columns)}) ORDER BY md5(resident_id)""",
        f'GRANT SELECT ON "ss_{month}" TO reader',
    )


def from_elsewhere(world: World, **origins: SourceSettings) -> None:
    world.settings = world.settings.model_copy(update={"sources": origins})


def without_files(world: World, *sources: str) -> None:
    for file in world.inbox.rglob("*.csv"):
        if file.stem in sources:
            file.unlink()


@pytest.mark.promises(
    {
        "sources-5": "`jifen.toml` may add value aliases; for what nobody declared they are refused",
        "sources-17": "the same month comes out of every kind of origin",
        "outputs-20": "Pull from files, databases, SFTP (and object stores)",
        "outputs-154": "Origins, encodings and aliases per source",
    }
)
def test_the_month_from_every_kind_of_origin_is_the_month_from_files(
    tmp_path: Path, sftp: Sftp, s3: S3, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = ("2021-10", "2021-11")
    given_here = ("registry", "social_security", "credit", "education")
    files, origins = (
        World(tmp_path / "files", only=given_here),
        World(tmp_path / "origins", only=given_here),
    )
    origins.root.key_file.write_bytes(files.root.key_file.read_bytes() if files.root.key() else b"")
    from_elsewhere(
        origins,
        registry=SourceSettings(
            origin=f"sftp://reader@127.0.0.1:{sftp.port}/out/{{month}}/registry_*.csv"
        ),
        social_security=SourceSettings(origin=postgres.uri("reader"), table="ss_{month}"),
        credit=SourceSettings(
            origin="s3://reader@platform/{month}",
            endpoint=f"http://127.0.0.1:{s3.port}",
            aliases={"kind": {"honour": ["市级表彰"]}},
        ),
        education=SourceSettings(origin=str(tmp_path / "share" / "edu-{month}.xlsx")),
    )
    for source, secret in (
        ("REGISTRY", "s3cret"),
        ("CREDIT", "s3cret"),
        ("SOCIAL_SECURITY", "s3cret/@:"),
    ):
        monkeypatch.setenv(f"JIFEN_{source}_PASSWORD", secret)
    (tmp_path / "share").mkdir()
    for month in months:
        given = {
            "registry": registry(PEOPLE),
            "social_security": postings(month),
            "credit": honours(month),
            "education": degrees(),
        }
        for world in (files, origins):
            world.deliver(month, **given)
        without_files(origins, *given)
        write_csv(
            sftp.files / "out" / month / "registry_1.csv",
            list(SOURCES["registry"].columns),
            registry(PEOPLE[:9]),
        )
        write_csv(
            sftp.files / "out" / month / "registry_2.csv",
            list(SOURCES["registry"].columns),
            registry(PEOPLE[9:]),
        )
        in_table(postgres, month, given["social_security"])
        events = honours(month, kind="市级表彰")
        s3.put(f"{month}/part-1.csv", as_csv("credit", events[:4]))
        s3.put(f"{month}/part-2.csv", as_csv("credit", events[4:]))
        with xlsxwriter.Workbook(tmp_path / "share" / f"edu-{month}.xlsx") as book:
            sheet = book.add_worksheet()
            for number, row in enumerate(
                [list(SOURCES["education"].columns), *(row.values() for row in degrees())]
            ):
                sheet.write_row(number, 0, row)
        files.run(month)
        origins.run(month)
        assert origins.hashes(month, *COMPARED) == files.hashes(month, *COMPARED)
    assert {row["pension_months"] for row in origins.table("2021-11", "facts")} == {2}
    assert origins.run("2021-11").unchanged  # nothing on the servers has changed


@pytest.mark.proves("sources-129")
def test_last_months_rows_block_and_rows_that_change_are_a_second_delivery(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_SOCIAL_SECURITY_PASSWORD", "s3cret/@:")
    world = World(tmp_path, only=("registry", "social_security"))
    from_elsewhere(
        world, social_security=SourceSettings(origin=postgres.uri("reader"), table="ss_{month}")
    )
    for month in ("2021-10", "2021-11"):
        world.deliver(month, registry=registry(PEOPLE))
        without_files(world, "social_security")
        in_table(postgres, month, postings("2021-10"))
    world.run("2021-10")
    with pytest.raises(JifenError, match="以前月份的文件") as caught:
        world.run("2021-11")
    assert caught.value.code == ExitCode.GATE
    in_table(postgres, "2021-11", postings("2021-11"))
    assert world.run("2021-11").published
    in_table(postgres, "2021-10", postings("2021-10")[2:])
    world.run("2021-10")
    assert world.revision("2021-10").number == 2
    assert sorted(row["pension_months"] for row in world.table("2021-10", "facts")) == [0] + [1] * (
        len(PEOPLE) - 1
    )
    assert find_stale_months(world.root, list(SOURCES)) == [Month.parse("2021-11")]


@pytest.mark.promise("sources-61", "from a database the greatest canonical text wins")
def test_of_two_rows_with_one_key_in_a_database_the_one_whose_text_is_greater_wins(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "s3cret/@:")
    world = World(tmp_path)
    from_elsewhere(
        world, credit=SourceSettings(origin=postgres.uri("reader"), table="credit_{month}")
    )
    event = honours("2021-10")[0]
    rows = [{**event, "status": "void"}, {**event, "status": "valid"}]
    values = ", ".join(
        "(" + ", ".join(f"'{value}'" for value in row.values()) + ")" for row in rows
    )
    postgres.execute(
        'DROP TABLE IF EXISTS "credit_2021-10"',
        f'CREATE TABLE "credit_2021-10" AS SELECT * FROM (VALUES {values}) v ({", ".join(event)})',
        'GRANT SELECT ON "credit_2021-10" TO reader',
    )
    [delivery] = pull_up_to(world.root, world.settings, ["credit"], Month.parse("2021-10"))
    with open_engine(EngineSettings("500MB", 1), tmp_path / "spill") as connection:
        job = build_cleaning_job(world.project, delivery)
        account = clean_delivery(
            connection,
            job,
            world.root.path,
            tmp_path / "work",
            no_key_twice(connection, job.source),
        )
    assert (account.received, account.clean, account.superseded) == (2, 1, 1)
    assert [row["status"] for row in world.kept("clean", "credit")] == ["void"]
