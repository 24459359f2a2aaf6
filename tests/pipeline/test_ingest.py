"""Every delivery of a month is judged before one that is no good ends the run: the operator calls all departments at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from tests.support.people import PERSON, person
from tests.support.world import World

HOME = {
    "record_id": "1", "resident_id": PERSON, "tenure": "rented", "district": "330203", "registered": "是",
    "from_on": "2020-01-01",
}  # fmt: skip


def blocked(world: World, month: str = "2021-10") -> JifenError:
    with pytest.raises(JifenError) as caught:
        world.run(month)
    assert not (world.root.published / month).exists()
    return caught.value


def page(world: World) -> str:
    """The newest page that was kept of a month that is not published."""
    return max(world.root.runs.glob("*.html"), key=lambda path: path.stat().st_mtime_ns).read_text(
        encoding="utf-8"
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A month with three troubles: refused rows, a missing column, and a file that is cut off within a row."""
    world = World(tmp_path)
    world.deliver("2021-10", registry=[person()], education=[], housing=[HOME])
    inbox = world.inbox / "2021-10"
    (inbox / "patents.csv").write_text("patent_no,resident_id,kind,status\n", encoding="utf-8")
    columns = "event_id,resident_id,kind,on_date,quantity,status"
    row = f"V1,{PERSON},service,2021-10-02,3,valid"
    (inbox / "volunteer.csv").write_text(f"{columns}\n{row}\n{row[:30]}\n", encoding="utf-8")
    return world


def test_all_problems_are_reported_together_and_unreadable_files_set_the_code(
    world: World,
) -> None:
    error = blocked(world)
    assert error.code == ExitCode.EXTRACT
    assert error.message.startswith("3 份交付缺少或未通过")
    assert all(f"（{source}）" in error.message for source in ("education", "patents", "volunteer"))
    assert PERSON not in str(error)
    lines = error.message.splitlines()
    named = lines.index(next(line for line in lines if "education" in line))
    assert lines[named + 2].startswith("    处理：请部门")  # each has its own way out


def test_all_sources_that_lack_the_month_are_reported_together(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver("2021-10", registry=[person()])
    for source in ("credit", "patents"):
        (world.inbox / "2021-10" / f"{source}.csv").unlink()
    error = blocked(world)
    assert error.code == ExitCode.EXTRACT
    assert error.message.startswith("2 个来源缺少 2021-10 的数据")
    assert "（credit）" in error.message and "（patents）" in error.message
    assert page(world).count("✖ 缺报") == 2


@pytest.mark.parametrize("source", ["credit", "patents", "children"])
def test_a_missing_delivery_hides_no_broken_one(tmp_path: Path, source: str) -> None:
    """A run looks at every delivery there is before it stops, whatever else is missing."""
    world = World(tmp_path)
    world.deliver("2021-10", registry=[person()])
    (world.inbox / "2021-10" / f"{source}.csv").unlink()
    (world.inbox / "2021-10" / "education.csv").write_text("nothing,known\n1,2\n")
    error = blocked(world)
    assert error.code == ExitCode.EXTRACT
    assert f"（{source}）缺少 2021-10" in error.message
    assert "（education）未通过检查" in error.message
    assert page(world).count("✖ 缺报") == 1
    assert page(world).count("✖ 未通过") == 1


def test_the_page_shows_every_trouble_and_what_each_department_should_do(world: World) -> None:
    blocked(world)
    text = page(world)
    verdict = text.split("</section>")[0]
    titles = ("学历与职业技能", "专利", "志愿服务与捐献")
    assert "须处理（3 项）" in verdict and all(title in verdict for title in titles)
    assert "请部门按约定的列重新导出" in verdict and "请部门核对后重新提供" in verdict
    assert text.count("✖ 未通过") == 3 and "尚未检查" not in text
    assert PERSON not in text


def test_what_is_clean_stays_clean_and_the_next_run_takes_only_what_was_mended(
    world: World,
) -> None:
    blocked(world)
    clean = {
        path.parts[-3]
        for path in (world.root.path / "clean").glob("*/*/d1")
        if (path / "account.json").exists()
    }
    assert "housing" in clean and not clean & {"education", "patents", "volunteer"}
    world.deliver("2021-10", registry=[person()], housing=[HOME])
    progress: list[str] = []
    world.run("2021-10", report_progress=progress.append)
    cleaned = {line.split()[-1] for line in progress if line.startswith("清洗")}
    assert cleaned == {"education", "patents", "volunteer"}
    assert world.revision("2021-10").number == 1


def test_a_single_problem_keeps_its_message_and_refused_rows_fail_the_gate(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.deliver("2021-10", registry=[person()], education=[])
    error = blocked(world)
    assert error.code == ExitCode.GATE and "份交付" not in error.message
    assert "未通过检查" in page(world)


def test_every_month_of_a_first_delivery_is_judged(tmp_path: Path) -> None:
    world = World(tmp_path)
    for month in ("2021-10", "2021-11"):
        world.deliver(month, registry=[person()])
        (world.inbox / month / "patents.csv").write_text(
            "patent_no,resident_id,kind,status\n" * int(month[-1] + "1")
        )
    error = blocked(world, "2021-11")
    assert error.code == ExitCode.GATE and "缺少必需的列：granted_on" in error.message
    places = [f"raw/{month}/patents/d1/patents.csv" for month in ("2021-10", "2021-11")]
    assert error.where == "、".join(places)
