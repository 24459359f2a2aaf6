"""Promises about deliveries that nothing else holds: repeated files, gaps, encodings, aliases; where libraries work."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.yaml_document import YamlDocument
from flows.extract.base import is_hidden
from flows.pipeline.context import RunContext
from flows.project import BUILTIN_SOURCES, load_project
from flows.settings import OWN_DECLARATIONS, SourceSettings
from tests.support.imports import PROJECT
from tests.support.people import OCTOBER, OTHER, PERSON, facts, person
from tests.support.programs import child
from tests.support.world import SOURCES, World

NOVEMBER = "2021-11"


def service(number: str, day: str) -> dict[str, str]:
    event = {
        "event_id": number,
        "resident_id": PERSON,
        "kind": "service",
        "quantity": "3",
        "status": "valid",
    }
    return {**event, "on_date": day}


def blocked(world: World, month: str) -> JifenError:
    with pytest.raises(JifenError) as caught:
        world.run(month)
    return caught.value


# --- deliveries ---


@pytest.mark.proves("sources-30")
def test_an_increment_blocks_too_when_its_like_comes_later_for_an_earlier_month(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, only=("registry", "volunteer"))
    early, late = [service("V1", "2021-09-02")], [service("V2", "2021-09-03")]
    world.deliver(OCTOBER, registry=[person()], volunteer=early)
    world.deliver(NOVEMBER, registry=[person()], volunteer=late)
    world.run(OCTOBER)
    world.run(NOVEMBER)
    world.deliver(OCTOBER, registry=[person()], volunteer=late)
    world.run(OCTOBER)
    for _ in range(2):  # every time, not only while it is cleaned
        error = blocked(world, NOVEMBER)
        assert (error.code, "volunteer" in error.message, "2021-10" in error.message) == (
            ExitCode.GATE,
            True,
            True,
        )
    assert world.revision(NOVEMBER).number == 1
    world.deliver(OCTOBER, registry=[person()], volunteer=early)
    world.run(OCTOBER)
    world.run(NOVEMBER)
    assert world.revision(NOVEMBER).number == 2
    assert facts(world, NOVEMBER)[PERSON]["service_hours_24m"] == 6


@pytest.mark.promise("sources-8", "an undeclared column is reported as drift")
@pytest.mark.promise("sources-31", "empty increments may repeat")
@pytest.mark.promise("sources-32", "a run pulls every month of the inbox up to its own")
@pytest.mark.proves("sources-35")
def test_a_gap_stops_the_run_until_a_reason_is_given_and_what_is_carried_is_reported(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    for month in ("2021-09", OCTOBER, NOVEMBER):
        world.deliver(month, registry=[person()])
    (world.inbox / OCTOBER / "credit.csv").unlink()
    (world.inbox / NOVEMBER / "housing.csv").unlink()
    (world.inbox / NOVEMBER / "patents.csv").write_text(
        ",".join([*SOURCES["patents"].columns, "remarks"]) + "\n"
    )
    error = blocked(world, NOVEMBER)
    assert (error.code, "credit" in error.message, OCTOBER in error.message) == (
        ExitCode.EXTRACT,
        True,
        True,
    )
    world.run(NOVEMBER, allowed={"credit": "信用办停机"})
    manifest = world.revision(NOVEMBER).manifest.to_values()
    assert manifest["missing"] == {"credit": {"months": [OCTOBER], "reason": "信用办停机"}}
    assert manifest["carried"] == {"housing": OCTOBER}
    report = (world.revision(NOVEMBER).path / "report" / "index.html").read_text(encoding="utf-8")
    assert "信用办停机" in report and "住房（住建）本月未交，沿用 2021-10 的数据" in report
    assert "专利（市场监管）的交付中有没有声明过的列" in report and "remarks" not in report
    # every month of the inbox was pulled, and empty increments, the same every month, block nothing
    assert sorted(path.name for path in world.root.raw.iterdir()) == ["2021-09", OCTOBER, NOVEMBER]
    assert {one["month"] for one in manifest["deliveries"]} == {"2021-09", OCTOBER, NOVEMBER}


# --- what a declaration and jifen.toml say of a file ---


def own_declarations(folder: Path, source: str, *changes: tuple[str, str]) -> Path:
    """A policy folder like the city's, with one source's declaration changed."""
    policy = folder / "policy"
    policy.mkdir(parents=True)
    for part in ("points", "services", "reminders"):
        (policy / part).symlink_to(OWN_DECLARATIONS / part)
    (policy / "sources").mkdir()
    for path in BUILTIN_SOURCES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for old, new in changes if path.stem == source else ():
            assert old in text
            text = text.replace(old, new, 1)
        (policy / "sources" / path.name).write_text(text, encoding="utf-8")
    return policy


@pytest.mark.promise("sources-4", "a declaration may add header aliases and value aliases")
@pytest.mark.promise("sources-21", "GB18030 by the declaration or by `jifen.toml`, which wins")
def test_header_aliases_value_aliases_and_the_encoding_of_a_declaration_are_read(
    tmp_path: Path,
) -> None:
    policy = own_declarations(
        tmp_path,
        "education",
        ("carry_forward: 3", "carry_forward: 3\nencoding: gb18030"),
        (
            "{title: 证书编号, type: text",
            "{title: 证书编号, headers: [毕业证号, diploma], type: text",
        ),
        ("bachelor: 本科", "bachelor: [本科, 大学本科, 学士]"),
    )
    world = World(tmp_path, only=("registry", "education"), policy=policy)
    world.deliver(OCTOBER, registry=[person(), person(OTHER)])
    rows = f"毕业证号,颁发日期,公民身份号码,类别,等级\nA1,20100630,{PERSON},学历,大学本科\nA2,20100630,{OTHER},学历,学士\n"
    (world.inbox / OCTOBER / "education.csv").write_bytes(rows.encode("gb18030"))
    world.run(OCTOBER)
    assert [known["degree"] for known in facts(world).values()] == ["bachelor", "bachelor"]
    settings = world.settings.model_dump() | {"sources": {"education": {"encoding": "utf-8"}}}
    world.settings = type(world.settings).model_validate(
        settings
    )  # jifen.toml wins over the declaration
    assert "gb18030" in str(blocked(world, OCTOBER))


@pytest.mark.proves("sources-5")
def test_an_alias_for_what_nobody_declared_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    for aliases in (
        {"kind": {"honor": ["表彰"]}},
        {"sort": {"honour": ["表彰"]}},
        {"event_id": {"a": ["b"]}},
    ):
        sources = {"credit": SourceSettings(aliases=aliases)}
        with pytest.raises(JifenError) as caught:
            load_project(world.settings.model_copy(update={"sources": sources}))
        assert (
            caught.value.code == ExitCode.DECLARATIONS and "[sources.credit]" in caught.value.where
        )


# --- what is open meanwhile ---


@pytest.mark.promise("sources-126", "a report open meanwhile")
def test_a_report_that_is_open_stays_whole_while_its_month_is_published_again(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, only=("registry",))
    world.deliver(OCTOBER, registry=[person()])
    world.run(OCTOBER)
    page = world.root.published / OCTOBER / "report" / "index.html"
    whole = page.read_text(encoding="utf-8")
    with page.open(encoding="utf-8") as opened:
        begun = opened.read(1000)
        world.deliver(OCTOBER, registry=[person(), person(OTHER)])
        world.run(OCTOBER)
        assert begun + opened.read() == whole
    assert world.revision(OCTOBER).number == 2 and page.read_text(encoding="utf-8") != whole
    assert (world.root.months / OCTOBER / "r1" / "report" / "index.html").read_text(
        encoding="utf-8"
    ) == whole


# --- where libraries keep files, and what they may send ---


@pytest.mark.promise("sources-145", "spill under root/tmp, Prefect's home under root/prefect")
@pytest.mark.promise("sources-146", "Prefect's telemetry off")
def test_libraries_keep_files_in_the_root_and_send_no_telemetry(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    run = RunContext(world.project, world.root, b"key", Month.parse(OCTOBER))
    with run.engine() as connection:
        (spill,) = connection.execute("SELECT current_setting('temp_directory')").fetchone() or (
            "",
        )
    assert Path(spill).is_relative_to(world.root.path / "tmp")
    program = (
        "import sys; from pathlib import Path\n"
        "from flows.orchestration.environment import prefect_environment\n"
        "with prefect_environment(Path(sys.argv[1])):\n"
        "    from prefect.settings import get_current_settings; known = get_current_settings()\n"
        "print(known.home, known.server.analytics_enabled, known.telemetry.enable_resource_metrics, known.logging.to_api.enabled)"
    )
    said, _ = child(program, str(world.root.path), cwd=PROJECT).communicate(timeout=100)
    assert said.split() == [str(world.root.path / "prefect"), "False", "False", "False"]


@pytest.mark.proves("sources-156")
def test_a_file_that_a_server_names_outside_its_folder_is_not_asked_for() -> None:
    assert all(
        is_hidden(name) for name in ("../a.csv", "b/../../a.csv", ".a.csv", "b/.a.csv", "..")
    )
    assert not any(is_hidden(name) for name in ("a.csv", "b/a.csv", "a..csv"))


# --- the second implementation ---


@pytest.mark.proves("sources-1")
def test_sources_are_read_from_yaml_only() -> None:
    assert {path.suffix for path in BUILTIN_SOURCES.iterdir()} == {".yaml"}
    assert {YamlDocument(path).data["source"] for path in BUILTIN_SOURCES.iterdir()} == set(SOURCES)
