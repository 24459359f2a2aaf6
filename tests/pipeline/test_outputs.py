"""Promises about what a month leaves behind, and how it is used, that nothing else holds."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import sqlglot
from typer.testing import CliRunner

from flows.cli.app import app
from flows.commands.demo import describe_results
from flows.pipeline.fingerprints import code_fingerprint
from flows.settings import OWN_DECLARATIONS
from flows.storage.files import hash_file
from flows.storage.keys import fingerprint_key
from tests.support.modes import FOR_ANALYSTS
from tests.support.synthetic_city import MONTHS
from tests.support.world import World, read_rows
from transforms.engine.sql import sql_literal
from transforms.outputs import FAMILIES, OUTPUTS, VIEWS, Output
from transforms.points.columns import ITEM_KINDS

PROJECT = Path(__file__).resolve().parents[2]
MARCH, APRIL = MONTHS
TABLES = ("scores", "facts", "eligibility", "changes")


@pytest.fixture(scope="module")
def city(synthetic_city: World) -> World:
    return synthetic_city


def parts(city: World, name: str) -> list[Path]:
    return sorted((city.revision(APRIL).path / name).glob("*.parquet"))


def table(city: World, name: str) -> Path:
    (file,) = parts(city, name)
    return file


def described(file: Path) -> dict[str, str]:
    return {
        name: kind for name, kind, *_ in duckdb.sql(f"DESCRIBE FROM {sql_literal(file)}").fetchall()
    }


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- the root ---


@pytest.mark.parametrize(
    "output", [one for one in OUTPUTS if one is not FAMILIES], ids=lambda output: output.folder
)
def test_every_output_has_its_declared_key_and_order(city: World, output: Output) -> None:
    keys: set[tuple[object, ...]] = set()
    rows = 0
    for file in parts(city, output.folder):
        read = pq.read_table(file)
        listed = read.select(list(output.order)).to_pylist()
        # nulls first, as each file of reminders has them
        order = [tuple((v is not None, v) for v in row.values()) for row in listed]
        assert order == sorted(order), file.name
        keys.update(tuple(row.values()) for row in read.select(list(output.key)).to_pylist())
        rows += read.num_rows
    assert rows == len(keys) > 0 or not output.key
    if output.aligned_with:
        mine, theirs = (
            pq.read_table(table(city, name)).column("resident_key")
            for name in (output.folder, output.aligned_with)
        )
        assert mine.equals(theirs)


@pytest.mark.promise("outputs-72", "Folders and files of a root and of a revision, as written")
@pytest.mark.promise("outputs-75", "clean, quarantine, defects by source, month received, delivery")
def test_a_root_and_a_revision_hold_what_is_written_of_them(city: World) -> None:
    root, revision = city.root.path, city.revision(APRIL).path
    made = {
        "raw",
        "clean",
        "quarantine",
        "defects",
        "months",
        "published",
        "runs",
        "tmp",
        "prefect",
        "delivered",
        "overview",
    }
    files = {"catalogue.duckdb", "catalogue.sql", "catalogue.seal.json", "secret.key"}
    assert names(root) - {"inbox"} == made | files
    assert names(revision) == {
        *FOR_ANALYSTS,
        *("restricted", "reminders", "exports"),
        *("manifest.json", ".mac"),
    }
    assert names(revision / "restricted") == {
        "identities",
        "over_quota",
        "facts",
        "statements",
        "returns",
    }
    for kind, name in (("clean", "00000"), ("quarantine", "rows"), ("defects", "rows")):
        assert (root / kind / "registry" / f"received={APRIL}" / "d1" / f"{name}.parquet").is_file()
    receipt = json.loads((root / "raw" / APRIL / "registry" / "d1" / "receipt.json").read_bytes())
    assert {"origin", "rows", "received_at", "parts"} <= receipt.keys()
    assert receipt["parts"][0].keys() >= {"bytes", "sha256"}


# --- the tables ---


@pytest.mark.promise("outputs-84", "identities: key, ID, name, phone, district, community")
@pytest.mark.promise(
    "outputs-113", "The key is the first 32 hex of HMAC-SHA256; same in every month"
)
def test_a_resident_key_is_the_first_half_of_the_hmac_of_the_id(city: World) -> None:
    people = [
        {row["resident_id"]: row for row in city.table(month, "restricted/identities")}
        for month in MONTHS
    ]
    for identities in people:
        for resident_id, row in identities.items():
            assert (
                row["resident_key"]
                == hmac.new(city.root.key(), resident_id.encode(), "sha256").hexdigest()[:32]
            )
    assert (
        len(people[0].keys() & people[1].keys()) > 40
    )  # the same person, the same key: it holds nothing of the month
    held = ["resident_key", "resident_id", "name", "phone", "district", "community"]
    assert list(described(table(city, "restricted/identities"))) == held


@pytest.mark.promise("outputs-81", "Permit dates, community, rents, children only in restricted/")
@pytest.mark.proves("outputs-80")
def test_published_facts_are_all_declared_ones_except_identifying_ones(city: World) -> None:
    published, restricted = (
        {*described(table(city, name))} for name in ("facts", "restricted/facts")
    )
    kept = {
        "permit_issued_on",
        "permit_valid_to",
        "registered_on",
        "rental_community",
        "rental_rent",
        "market_rent",
        "children_due",
    }
    assert restricted == {"resident_key", "corrections", *kept}
    assert published == {"month", "resident_key", "district", *city.project.facts} - kept
    facts, scores = (
        {row["resident_key"] for row in city.table(APRIL, name)} for name in ("facts", "scores")
    )
    assert facts == scores


@pytest.mark.promise("outputs-80", "scores, facts: the same residents, sorted by district and key")
@pytest.mark.promise("outputs-98", "ZSTD; statistics for district and key")
@pytest.mark.parametrize(
    "name", [*TABLES, "restricted/identities", "restricted/facts", "reminders"]
)
def test_parquet_is_compressed_and_says_what_a_filter_needs(city: World, name: str) -> None:
    assert len(read_rows(city.revision(APRIL).path / name)) >= 4
    for file in (file for file in parts(city, name) if pq.read_metadata(file).num_rows):
        metadata = f"FROM parquet_metadata({sql_literal(file)})"
        assert duckdb.sql(f"SELECT DISTINCT compression {metadata}").fetchall() == [("ZSTD",)]
        handles = {"district", "resident_key"} & described(file).keys()
        for handle in handles:
            found = duckdb.sql(
                f"SELECT stats_min, stats_max {metadata} WHERE path_in_schema = '{handle}'"
            ).fetchall()
            wanted = duckdb.sql(
                f"SELECT min({handle}), max({handle}) FROM {sql_literal(file)}"
            ).fetchall()
            assert found == wanted and found[0][0]
        places = duckdb.sql(
            f"SELECT {', '.join(sorted(handles))} FROM {sql_literal(file)}"
        ).fetchall()
        assert handles == {"resident_key"} or places == sorted(places)


@pytest.mark.promise("outputs-8", "Analyst: the same numbers in DuckDB, Arrow and pandas")
@pytest.mark.promise("outputs-44", "Money and points are decimals")
@pytest.mark.promise("outputs-101", "Maps are sorted lists of structs")
def test_every_reader_of_parquet_reads_the_same_numbers(city: World) -> None:
    """No floats, no maps: what DuckDB, Arrow and pandas read are the same decimals and lists."""
    for file in (file for name in TABLES for file in parts(city, name)):
        assert not [
            kind for kind in described(file).values() if re.search("DOUBLE|FLOAT|MAP", kind)
        ]
        arrow = pq.read_table(file)
        in_duckdb = duckdb.sql(f"FROM {sql_literal(file)}")
        assert arrow.to_pylist() == [
            dict(zip(in_duckdb.columns, row, strict=True)) for row in in_duckdb.fetchall()
        ]
        in_pandas = arrow.to_pandas()
        for column in (
            column for column, kind in described(file).items() if kind.startswith("DECIMAL")
        ):
            values = [None if value is None else str(value) for value in in_pandas[column]]
            assert values == [None if v is None else str(v) for v in arrow[column].to_pylist()]
    for row in city.table(APRIL, "facts"):
        for column, key in (("awards", "key"), ("service_hours_by_year", "year")):
            keys = [entry[key] for entry in row[column]]
            assert keys == sorted(set(keys))


# --- the manifest, and what is kept beside the tables ---


def schema(file: Path) -> str:
    columns = "\n".join(f"{name} {kind}" for name, kind in described(file).items())
    return hashlib.sha256(columns.encode()).hexdigest()[:12]


@pytest.mark.promise(
    "outputs-90",
    "Manifest: month, as_of, policy, deliveries, accounts, code, previous, fingerprint",
)
@pytest.mark.promise("outputs-94", "A change of columns is another version in the manifest")
def test_the_manifest_of_a_month_says_what_it_was_made_from(city: World) -> None:
    march, april = (city.revision(month) for month in MONTHS)
    manifest, project = april.manifest.to_values(), city.project
    month = april.month
    assert (manifest["month"], manifest["revision"], manifest["as_of"]) == (APRIL, 1, "2024-04-30")
    assert manifest["policy"] == {
        code: {"from": str(version.begins), "hash": version.hash}
        for code, version in project.in_force(month).items()
    }
    assert manifest["services"].keys() == project.services_in_force(month).keys()
    used = {(item["source"], item["month"], item["number"]) for item in manifest["deliveries"]}
    wanted = {
        (path.parent.name, path.parent.parent.name, 1) for path in city.root.raw.glob("*/*/d1")
    }
    snapshots = {name for name, source in project.sources.items() if source.delivery == "snapshot"}
    assert used == {item for item in wanted if item[0] not in snapshots or item[1] == APRIL}
    assert {(a["source"], a["month"], a["number"]) for a in manifest["accounts"]} == used
    assert all(
        a["received"] == a["clean"] + a["quarantined"] + a["superseded"]
        for a in manifest["accounts"]
    )
    assert manifest["code"]["hash"] == code_fingerprint(
        "expectations", "transforms", "reports", "flows"
    )
    assert manifest["previous"] == hash_file(march.path / "manifest.json")
    assert manifest["key_fingerprint"] == fingerprint_key(city.root.key())
    assert (manifest["held"], manifest["accepted"]) == ([], None)
    assert manifest["schema"] == {
        output.folder: schema(parts(city, output.folder)[0]) for output in VIEWS.values()
    }


@pytest.mark.promise(
    "outputs-88", "policy/: points tables, services, reminders, reference rows as used"
)
def test_the_policy_that_was_used_lies_beside_the_month(city: World) -> None:
    kept = city.revision(APRIL).path / "policy"
    for folder in ("points", "services", "reminders", "reference"):
        assert names(kept / folder) == {
            path.name for path in (OWN_DECLARATIONS / folder).glob("*.[yc]*")
        }
        for path in (kept / folder).iterdir():
            assert path.read_bytes() == (OWN_DECLARATIONS / folder / path.name).read_bytes()


def statements(city: World) -> dict[str, str]:
    folder = city.revision(APRIL).path / "sql"
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.sql")
    }


@pytest.mark.promise(
    "outputs-89", "sql/: facts, points, services; parameter names, no value, key, path"
)
def test_published_statements_name_parameters_and_hold_no_value_key_or_path(city: World) -> None:
    found = statements(city)
    stages = {
        "facts",
        "points",
        "services",
        "changes",
        "reminders",
        "statements",
        "metrics",
        "open",
    }
    assert {name.split("/")[0] for name in found} == stages
    text = "\n".join(found.values())
    assert "$as_of" in text and "$month" in text
    for secret in (city.root.key().hex(), APRIL, "2024-04-30", str(city.root.path), ".parquet"):
        assert secret not in text


@pytest.mark.promise("outputs-61", "sqlglot carries every published statement to Spark")
def test_every_published_statement_can_be_carried_to_spark(city: World) -> None:
    for name, sql in statements(city).items():
        carried = sqlglot.transpile(
            sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
        assert carried and all(carried), name


@pytest.mark.promise("outputs-60", "The SQL that scored a month is published with it")
@pytest.mark.proves("outputs-29")
def test_the_published_statement_gives_the_published_scores(city: World) -> None:
    """Run unchanged, by any DuckDB, on the published facts."""
    values = {
        "month": city.revision(APRIL).month.first_day,
        "as_of": city.revision(APRIL).month.last_day,
    }
    published, restricted = (
        sql_literal(table(city, name)) for name in ("facts", "restricted/facts")
    )
    sql = statements(city)["points/01_points.sql"]
    with duckdb.connect() as connection:
        joined = f"{published} AS a JOIN {restricted} AS b USING (resident_key)"
        connection.execute(f"CREATE VIEW facts AS SELECT * EXCLUDE (month) FROM {joined}")
        made = connection.execute(
            sql, {name: value for name, value in values.items() if f"${name}" in sql}
        )
        columns = [column[0] for column in made.description or []]
        scored = {
            row[columns.index("resident_key")]: dict(zip(columns, row, strict=True))
            for row in made.fetchall()
        }
    assert scored == {row["resident_key"]: row for row in city.table(APRIL, "scores")}


# --- the report ---


@pytest.mark.promise("outputs-46", "The report shows that account")
@pytest.mark.promise(
    "outputs-139", "What came, what was refused by source and reason, against last month"
)
@pytest.mark.promise(
    "outputs-140",
    "Distribution by district, movements, services, reminders, illustrative values, timings",
)
def test_the_report_has_every_figure_of_the_month_and_of_the_month_before(city: World) -> None:
    march, april = (city.revision(month).manifest.to_values() for month in MONTHS)
    page = (city.revision(APRIL).path / "report" / "index.html").read_text(encoding="utf-8")
    parts = {
        part.split("</h2>")[0].rpartition(">")[2]: rows(part) for part in page.split("<h2")[1:]
    }
    sources, districts = city.project.sources, city.project.reference.districts

    def figure(value: int | None) -> str:
        return "—" if value is None else f"{value:,}"

    def account(manifest: dict[str, Any], source: str) -> dict[str, Any]:
        return next(
            a
            for a in manifest["accounts"]
            if (a["source"], a["month"]) == (source, manifest["month"])
        )

    for name, source in sources.items():
        if source.optional:
            continue  # nothing of it came
        now, then = account(april, name), account(march, name)
        counts = [figure(now[part]) for part in ("received", "clean", "quarantined", "superseded")]
        came = f"{source.title}（{source.department}）"
        assert [
            came,
            "已交",
            *counts,
            figure(then["received"]),
            figure(then["quarantined"]),
        ] in parts["收到的数据"]
        for reason, refused in now["reasons"].items():
            column, was = (
                source.columns[reason.split(":")[0]].title,
                figure(then["reasons"].get(reason, 0)),
            )
            found = [
                line
                for line in parts["退回的数据"]
                if line[0] == source.title and line[1].startswith(f"{column}：")
            ]
            assert [figure(refused), was] in [[line[3], line[5]] for line in found]
    for code, line in april["figures"]["districts"].items():
        (shown,) = (row for row in parts["积分分布"] if row[0] == districts[code])
        assert shown[1] == figure(line["residents"]) and shown[4:] == [
            figure(people) for people in line["bands"]
        ]
    moved = [row[1:3] for row in parts["积分变动"][1:]]
    assert moved and sorted(moved) == sorted(
        [figure(m["up"]), figure(m["down"])] for m in april["figures"]["moved"].values()
    )
    for item, counted in april["figures"]["moved"].items():
        both = [
            r
            for r in city.table(APRIL, "changes")
            if r["item"] == item and None not in (r["before"], r["after"])
        ]
        steps = [row["after"] - row["before"] for row in both]
        assert (counted["up"], counted["down"]) == (
            sum(step > 0 for step in steps),
            sum(step < 0 for step in steps),
        )
    titles = {service.service: service.title for service in city.project.services}
    for code, people in april["eligible"].items():
        (shown,) = (row for row in parts["服务与金额"] if row[0] == titles[code])
        assert shown[1:3] == [figure(people), figure(march["eligible"].get(code, 0))]
    for kind, people in april["reminders"].items():
        (shown,) = (row for row in parts["提醒"] if row[0] == city.project.reminder_titles()[kind])
        assert shown[1] == figure(people)
    assert len(parts["用时"]) >= 10
    illustrative = sum(i.values == "illustrative" for v in city.project.in_force(city.revision(APRIL).month).values()
                       for i in v.indicators.values())  # fmt: skip
    (count,) = re.findall(r"仅为示例的取值：([0-9]+) 项", page)
    assert int(count) >= illustrative > 20


def rows(page: str) -> list[list[str]]:
    lines = re.findall(r"<tr>(.*?)</tr>", page)
    return [
        [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", line)]
        for line in lines
    ]


# --- the commands ---


@pytest.mark.promise(
    "outputs-158", "`demo` shows report, catalogue, export, one explanation, one query"
)
def test_the_demonstration_shows_where_to_look_one_person_and_one_question(city: World) -> None:
    revision = city.revision(APRIL)
    described = describe_results(city.settings, city.project, city.root, revision)
    text = "\n".join(described)
    for place in (
        revision.path / "report" / "index.html",
        revision.path / "exports" / "330212",
        city.root.catalogue,
    ):
        assert str(place) in text and place.exists()
    best = max(row["total_points"] for row in city.table(APRIL, "scores"))
    assert (
        re.search(rf"^  总分 {best} ＝ 共性分", text, re.MULTILINE)
        and "规则：" in text
        and "依据：" in text
    )
    (query,) = re.findall(r"SELECT .* GROUP BY 1", text)
    asked = CliRunner().invoke(app, ["sql", "--csv", query, "--root", str(city.root.path)])
    answer = [line.split(",") for line in asked.stdout.splitlines()[1:]]
    shown = re.findall(r"^  (\S+) +([0-9]+) +[0-9.]+$", text, re.MULTILINE)
    assert sorted(shown) == sorted(
        (city.project.reference.districts[code], people) for code, people, _ in answer
    )


def test_an_id_that_comes_through_a_pipe_is_not_shown(city: World) -> None:
    person = city.table(APRIL, "restricted/identities")[0]
    given = CliRunner().invoke(
        app, ["explain", "--root", str(city.root.path)], input=f"{person['resident_id']}\n"
    )
    assert (
        given.exit_code == 0
        and "总分" in given.stdout
        and person["resident_id"] not in given.stdout
    )


@pytest.mark.promise("outputs-169", "`explain`: change against last month")
def test_an_explanation_shows_what_changed_against_last_month(city: World) -> None:
    before = {row["resident_key"] for row in city.table(MARCH, "scores")}
    moved = [row for row in city.table(APRIL, "changes") if row["resident_key"] in before]
    key = moved[0]["resident_key"]
    (person,) = (
        row for row in city.table(APRIL, "restricted/identities") if row["resident_key"] == key
    )
    command = ["explain", "--resident", "-", "--root", str(city.root.path)]
    output = CliRunner().invoke(app, [*command, "--json"], input=person["resident_id"]).stdout
    changes = {
        change["item"]: (change["before"], change["after"])
        for change in json.loads(output)["changes"]
    }
    assert changes == {
        r["item"]: (str(r["before"]), str(r["after"])) for r in moved if r["resident_key"] == key
    }
    text = CliRunner().invoke(app, command, input=person["resident_id"]).stdout
    assert (
        f"与上月（{MARCH} r1）相比：" in text
        and f"{moved[0]['before']} → {moved[0]['after']}" in text
    )


def test_effects_of_each_kind_add_up_to_the_change_of_the_total(city: World) -> None:
    """Sections and the district's points do so exactly; indicators where no limit holds."""
    changes, exact = city.table(APRIL, "changes"), 0
    totals = {row["resident_key"]: row for row in changes if row["item"] == "total"}
    assert len(totals) > 20
    assert {row["kind"] for row in changes} == set(ITEM_KINDS)
    scored = [{r["resident_key"]: r for r in city.table(m, "scores")} for m in MONTHS]
    for key in {row["resident_key"] for row in changes}:
        own = [row for row in changes if row["resident_key"] == key]
        sums = {
            kind: sum(row["effect"] for row in own if row["kind"] == kind) for kind in ITEM_KINDS
        }
        then, now = (month.get(key, {}).get("total_points", 0) for month in scored)
        assert sums["total"] == now - then
        assert sums["section"] + sums["district"] == sums["common"] + sums["district"] == now - then
        exact += sums["indicator"] == now - then
        for row in own:
            sign = -1 if row["item"] == "deduction" else 1
            if row["kind"] == "section":
                assert row["effect"] == sign * ((row["after"] or 0) - (row["before"] or 0))
        (movement,) = {row["movement"] for row in own}
        places = [month.get(key, {}).get("district") for month in scored]
        assert movement == (
            "new" if places[0] is None else "gone" if places[1] is None
            else "stayed" if places[0] == places[1] else "moved"
        )  # fmt: skip
    assert exact > 10 and any(row["item"] == "deduction" for row in changes)


def test_thresholds_and_the_score_say_who_is_eligible(city: World) -> None:
    """A raised or lowered threshold is therefore a query."""
    thresholds = {
        (r["service"], r["district"]): r["points"] for r in city.table(APRIL, "thresholds")
    }
    rows = city.table(APRIL, "eligibility")
    assert len(rows) > 20 and any(row["eligible"] for row in rows)
    for row in rows:
        needed = thresholds[row["service"], row["district"]]
        assert row["points_short"] == max(needed - row["score"], 0)
        assert row["eligible"] == (row["score"] >= needed)
    assert {
        r["district"]: r["name"] for r in city.table(APRIL, "districts")
    } == city.project.reference.districts
    assert {r["service"] for r in city.table(APRIL, "services")} == {s for s, _ in thresholds}


def test_pandas_takes_decimals_the_way_that_the_guide_shows(city: World) -> None:
    guide = (PROJECT / "docs" / "guides" / "analysts.md").read_text(encoding="utf-8")
    example, _ = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)  # the other one: BI tools
    names: dict[str, Any] = {"root": city.root.path, "month": APRIL}
    exec(example, names)
    points = [(r["district"], r["total_points"]) for r in city.table(APRIL, "scores")]
    for district, mean in names["means"].items():
        here = [float(total) for code, total in points if code == district]
        assert mean == pytest.approx(sum(here) / len(here))
    assert names["summary"].total_points["mean"] == pytest.approx(
        float(sum(total for _, total in points) / len(points))
    )


def test_no_column_of_a_view_is_of_the_type_null(city: World) -> None:
    """BI tools know no such type: a column without values has the type of its declaration."""
    with duckdb.connect(str(city.root.catalogue), read_only=True) as catalogue:
        typed = catalogue.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    assert len(typed) > 200
    assert not [column for column in typed if "NULL" in column[2]]


@pytest.mark.promise("outputs-117", "In any DuckDB client")
@pytest.mark.proves("outputs-123")
def test_a_catalogue_for_another_mount_is_made_by_the_command(city: World, tmp_path: Path) -> None:
    shutil.copytree(city.root.path, tmp_path / "root", symlinks=True)
    made = CliRunner().invoke(
        app, ["catalogue", "--as-seen-from", "/mnt/jifen", "--root", str(tmp_path / "root")]
    )
    assert made.exit_code == 0
    script = (tmp_path / "root" / "catalogue.sql").read_text(encoding="utf-8")
    assert (
        f"'/mnt/jifen/months/{APRIL}/r1/scores/scores.parquet'" in script
        and str(tmp_path) not in script
    )
    with duckdb.connect(str(tmp_path / "root" / "catalogue.duckdb"), read_only=True) as catalogue:
        (tags,) = catalogue.execute(
            "SELECT tags FROM duckdb_databases() WHERE NOT internal"
        ).fetchone() or ({},)
    assert tags["storage_version"] == "v1.0.0+"  # what any client from DuckDB 1.0 on can open
