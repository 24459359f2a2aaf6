"""`jifen inspect`: the judgement that a run would pass, before a file is delivered, on any machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.commands.inspect import InspectionRequest, inspect_file
from flows.settings import Paths, Settings
from tests.support.command import jifen
from tests.support.world import national_id

IDS = [national_id(f"3302031990{1 + n % 12:02d}0100{n % 10}") for n in range(12)]
HEADER = "证书编号,公民身份号码,类别,等级,颁发日期,备注\n"
DECEMBER = Month.parse("2021-12")


def rows(level: str = "本科", day: str = "2010-06-30", count: int = 12) -> str:
    return "".join(f"A{n},{IDS[n]},学历,{level},{day},某人\n" for n in range(count))


def inspect(path: Path, **given: object) -> tuple[list[str], JifenError | None]:
    """Inspect a file without a root; nobody's ID or name is shown."""
    absent = path.parent / "no" / "root"
    settings = Settings(paths=Paths(root=absent, inbox=absent / "inbox"))
    request = InspectionRequest(path, month=DECEMBER, **given)  # type: ignore[arg-type]
    lines, failure = [], None
    try:
        for line in inspect_file(settings, request):
            lines.append(line)
    except JifenError as error:
        failure = error
    shown = "\n".join(lines) + str(failure)
    assert not [one for one in IDS if one in shown] and "某人" not in shown
    assert not absent.exists()
    return lines, failure


def test_a_valid_file_passes_and_says_how_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "某局导出.csv"
    path.write_text("学历统计表\n" + HEADER + rows(), encoding="gb18030")
    lines, failure = inspect(path)
    assert failure is None and lines[-1] == "入库检查  通过"
    shown = "\n".join(lines)
    assert "学历与职业技能（education），按列认出" in shown
    assert "GB18030 编码，表头在第 2 行" in shown
    assert "没有声明过的列，不使用：备注" in shown
    assert "收到 12：合格 12，退回 0，被取代 0" in shown


@pytest.mark.parametrize(
    ("place", "month"),
    [
        ("学历与职业技能_202112.csv", "2021-12，按文件名"),
        ("2021-11/education.csv", "2021-11，按所在文件夹"),
        ("2021年11月/education.csv", "2021-11，按所在文件夹"),
        ("education.csv", "即当前月份；交付别的月份用 --month 指定"),
    ],
)
def test_the_month_is_that_of_the_folder_or_of_the_name(
    tmp_path: Path, place: str, month: str
) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER + rows(), encoding="utf-8")
    settings = Settings(paths=Paths(root=tmp_path / "root", inbox=tmp_path / "inbox"))
    said = list(inspect_file(settings, InspectionRequest(path)))
    assert said[1].startswith("月份") and month in said[1]


REASONS = {
    "大学本科": ("level", "等级：不在取值范围内 12 行，例如 大学本科；应为：取值之一：小学、初中"),
    "30/6/2010": (
        "day",
        "颁发日期：日在前，应为年月日 12 行，例如 30/6/2010；应为：日期，如 2024-03-05",
    ),
    "40359": ("day", "序列号"),
    "4.0359E+4": ("day", "科学计数法"),
    "2010-06-30 08:00": ("day", "2010-06-30 08:00"),
}


@pytest.mark.parametrize("value", REASONS)
def test_a_refused_value_comes_with_example_form_and_cause(tmp_path: Path, value: str) -> None:
    column, message = REASONS[value]
    path = tmp_path / "education.csv"
    path.write_text(HEADER + rows(**{column: value}), encoding="utf-8")
    shown = "\n".join(inspect(path)[0])
    assert message in shown and f"例如 {value}" in shown


def test_a_value_that_may_be_a_persons_is_no_example(tmp_path: Path) -> None:
    """Columns are shifted: names stand where levels do, IDs and phones where dates do."""
    path = tmp_path / "education.csv"
    lines = [
        f"A{n},{IDS[n]},学历,{name},{place},某人\n"
        for n, (name, place) in enumerate(
            [("张三", IDS[0]), ("李四", "13905748888"), ("某人", "某人"), ("王五", IDS[1])]
        )
    ]
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    shown = "\n".join(inspect(path)[0])
    assert "等级：不在取值范围内 4 行；应为：" in shown
    assert not [one for one in ("张三", "李四", "王五", "13905748888") if one in shown]


def test_what_the_gate_would_turn_down_ends_with_12(tmp_path: Path) -> None:
    path = tmp_path / "education.csv"
    path.write_text(HEADER + rows(day="30/6/2010") * 4, encoding="utf-8")
    lines, failure = inspect(path)
    assert lines[-1] == "入库检查  不通过"
    assert failure and failure.code == ExitCode.GATE and "退回的行" in failure.message


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("education.csv", HEADER + 'A1,"x"y,,,,\n', ExitCode.EXTRACT),
        ("education.xls", "", ExitCode.EXTRACT),
        ("x.csv", "a,b\n1,2\n", ExitCode.EXTRACT),
        ("education.csv", "证书编号,类别\n1,2\n", ExitCode.GATE),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: str, code: ExitCode
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    _, failure = inspect(tmp_path / name)
    assert failure and failure.code == code and failure.hint


def test_the_command_ends_with_the_exit_code_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "education.csv"
    path.write_text(HEADER + rows(), encoding="utf-8")
    done = jifen(tmp_path, "inspect", "education.csv", "--source", "education")
    assert done.returncode == ExitCode.DONE and "由 --source 指定" in done.stdout
    assert list(tmp_path.iterdir()) == [path]
    assert jifen(tmp_path, "inspect", "nothing.csv").returncode == ExitCode.USAGE
