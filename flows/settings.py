"""What an operator sets in `jifen.toml`: closed, checked at load, every problem named at once."""

from __future__ import annotations

import itertools
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

import data
from expectations.errors import (
    MEANT,
    DeclarationError,
    Diagnostic,
    ExitCode,
    JifenError,
    did_you_mean,
    expected_text,
)
from flows.access_settings import AccessSettings, RetentionSettings
from flows.address_settings import Closed, Text, refuse_blank
from flows.address_settings import DestinationSettings as DestinationSettings
from flows.address_settings import SourceSettings as SourceSettings
from transforms.engine.session import EngineSettings

FILE_NAME = "jifen.toml"
OWN_DECLARATIONS = Path(data.__file__).resolve().parent


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Folder = Annotated[Path, Field(strict=False), BeforeValidator(refuse_blank)]


class Paths(Closed):
    """Where things are (absolute), and the groups that may read what analysts may see."""

    root: Folder
    """根目录。命令选项 `--root` 和环境变量 `JIFEN_ROOT` 优先。"""
    inbox: Folder
    """收件目录。"""
    policy: Folder = OWN_DECLARATIONS
    """积分表、服务、提醒（以及本市的来源声明）所在目录。"""
    reference: Folder = OWN_DECLARATIONS / "reference"
    """参考表所在目录。"""
    analysts_group: Text | None = None
    """可读分档数据、统计、数据驾驶舱和分析目录的用户组；不写则只有本用户可读。"""
    exact_group: Text | None = None
    """可读明细数据（积分、指标数据、服务资格、变化）和明细目录的用户组，其成员也应在 analysts_group 中；
    不写则只有本用户可读。"""


class Engine(Closed):
    """How much of the machine the engine may use."""

    memory: Annotated[
        str, Field(pattern=r"^(0*[1-9][0-9]*(\.[0-9]+)?|0+\.0*[1-9][0-9]*)(K|M|G|T)i?B$")
    ] = EngineSettings.memory
    """计算引擎可用的内存；结果与此无关。"""
    threads: Annotated[int, Field(ge=1)] = EngineSettings.threads
    """线程数；结果与此无关。"""


class Policy(Closed):
    """Whether a run accepts point values that are only illustrative."""

    allow_illustrative: bool = False
    """允许示例分值。只用于演示和测试。"""


class Gate(Closed):
    """The share of a delivery's rows that may be refused before the gate blocks."""

    quarantine_limit: Share = 0.02
    """一份交付退回的行超过这一比例（且多于 20 行）即不通过，退出码 12。"""


class Drift(Closed):
    """A month is held when a change is over the relative limit, the absolute one (`_min`) and noise.

    Noise is so many standard errors of an ordinary month's movement: it grows as the root of a
    city's size, so that the same limits fit a county and a province.
    """

    residents: Share = 0.05
    """全市和各区县计分人数的变化比例。"""
    rows: Share = 0.30
    """各来源行数的变化比例。"""
    mean_points: Share = 0.05
    """各区县、各指标平均分的变化比例。"""
    eligible: Share = 0.20
    """各服务已达标人数的变化比例。"""
    residents_min: Count = 20
    """人；平均分也只比较两个月都不少于这么多人的。"""
    rows_min: Count = 20
    """行。"""
    mean_points_min: Annotated[float, Field(ge=0)] = 0.5
    """分。"""
    eligible_min: Count = 20
    """人。"""
    standard_errors: Annotated[float, Field(ge=0)] = 3.0
    """平常一个月的变动（标准误）的几倍以内不算超出：限度随城市大小而变。"""


class Exports(Closed):
    """Whether a district without a key stops the run."""

    require_encryption: bool = False
    """有区县没有加密公钥即不运行，退出码 10。"""


class ObjectionSettings(Closed):
    """How long departments have to decide on an objection."""

    objection_days: Annotated[int, Field(ge=1, le=250)] = 15
    """异议自申请次日起须在几个工作日内作出决定（按国务院公布的节假日和调休安排）。"""


class ScheduleSettings(Closed):
    """When operators are reminded of sources that are not here yet."""

    remind_days: list[Annotated[int, Field(ge=1, le=27)]] = [3, 1]
    """由 `jifen serve` 运行时，在截止前几天通知尚缺的来源；`[]` 不通知。"""


class Notify(Closed):
    """Where the end of a run is reported: an address, a command, both, or nothing.

    The address gets an HTTP POST of JSON, the command (its argv) the JSON on stdin. An address that
    holds a secret is not written here but given in JIFEN_NOTIFY_WEBHOOK, which wins.
    """

    webhook: Text | None = None
    """通知地址，HTTP POST，正文是 JSON。含密钥的地址改用环境变量 `JIFEN_NOTIFY_WEBHOOK`。"""
    command: Annotated[list[Text], Field(min_length=1)] | None = None
    """通知命令及其参数，不经过 shell；JSON 由标准输入传入。"""

    @field_validator("webhook")
    @classmethod
    def _address_without_secret(cls, webhook: str | None) -> str | None:
        parts = urlsplit(webhook or "http://none")
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.password is not None
        ):
            raise ValueError(
                "应为 http:// 或 https:// 地址，不含密码；含密钥的地址放在环境变量 JIFEN_NOTIFY_WEBHOOK 中"
            )
        return webhook


class InboxSettings(Closed):
    """What lies in the inbox and is no delivery."""

    ignore: list[Text] = []
    """不是交付的文件或文件夹：名字或相对路径，可用 `*`、`?`。其余不认识的使运行停下，退出码 11。"""


class Settings(Closed):
    """Everything an operator can set; the defaults are those of the manual."""

    paths: Paths
    """位置。相对路径以设置文件所在目录为准。"""
    engine: Engine = Engine()
    """可用的机器资源。"""
    inbox: InboxSettings = InboxSettings()
    """收件目录中不属于交付的东西。"""
    policy: Policy = Policy()
    """示例分值。"""
    gate: Gate = Gate()
    """入库检查。"""
    drift: Drift = Drift()
    """与上月相差超过比例、超过数量（`_min`）、并且超过平常变动的，待核，退出码 14。"""
    exports: Exports = Exports()
    """区县导出包。"""
    objections: ObjectionSettings = ObjectionSettings()
    """异议的办理期限。"""
    schedule: ScheduleSettings = ScheduleSettings()
    """截止前的提醒。"""
    access: AccessSettings = AccessSettings()
    """谁在查询：访问记录中的人员、用途和双人核准，见[个人信息的查询和保存](../guides/operators/personal-data.md)。"""
    retention: RetentionSettings = RetentionSettings()
    """个人信息保留几个月，由 `jifen prune` 清理，见[个人信息的查询和保存](../guides/operators/personal-data.md#保存期限)。"""
    notify: Notify = Notify()
    """运行结束时的通知，见[每月运行流程](../guides/operators/monthly-run.md#通知)。"""
    sources: dict[str, SourceSettings] = {}
    """某个来源的地址和写法，见[数据来源](../guides/operators/extracts.md)。"""
    deliver: dict[str, DestinationSettings] = {}
    """接收方的地址：`portal` 得到个人积分单，区县代码得到该区县的导出包，来源代码得到该来源的退回清单。
    见[送交](../guides/operators/deliver.md)。"""

    @property
    def engine_settings(self) -> EngineSettings:
        return EngineSettings(self.engine.memory, self.engine.threads)

    @model_validator(mode="after")
    def _places_of_their_own(self) -> Self:
        for (one, given), (another, other) in itertools.combinations(self.deliver.items(), 2):
            if given.overlaps(other):
                raise ValueError(
                    f"[deliver.{one}] 与 [deliver.{another}] 的 address 相同，或一个在另一个之中"
                )
        return self

    def refuse_unknown_sources(self, declared: Iterable[str]) -> None:
        """Refuse (exit 10) a `[sources.X]` that no declaration knows: a typing mistake."""
        unknown = sorted(self.sources.keys() - set(declared))
        if unknown:
            keys = "、".join(f"[sources.{name}]" for name in unknown)
            hint = f"已声明的数据来源：{'、'.join(sorted(declared))}"
            what, where = "没有声明过的数据来源", f"{FILE_NAME} {keys}"
            raise JifenError(ExitCode.DECLARATIONS, what, where=where, hint=hint)


def load_settings(
    config: Path | None, root: Path | None = None, inbox: Path | None = None
) -> Settings:
    """Read `config`, or `jifen.toml` of the working directory, or nothing but defaults.

    Relative paths in the file are relative to the file. `root` and `inbox` (command options) win
    over JIFEN_ROOT, which wins over the file; the inbox lies in the root unless it is set itself.

    Raises:
        JifenError: Exit 10, with every problem; exit 2, a file that was named does not exist.
    """
    file = config or Path(FILE_NAME)
    if config is not None and not config.is_file():
        raise JifenError(
            ExitCode.USAGE, "找不到设置文件", where=str(config), hint="检查 --config 的路径"
        )
    text = _text(file) if file.is_file() else ""
    given = _tables(file, text)
    root = root or (Path(os.environ["JIFEN_ROOT"]) if os.environ.get("JIFEN_ROOT") else None)
    _place(given, file.resolve().parent, root, inbox)
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise DeclarationError(
            [_problem(file, text, item) for item in error.errors(include_url=False)]
        ) from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DeclarationError(
            [Diagnostic(file, 1, "(文件)", "不是 UTF-8 文本", "请以 UTF-8 保存")]
        ) from None


def _tables(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        number = int(line[1]) if line else len(text.splitlines())
        raise DeclarationError(
            [Diagnostic(file, number, "(文件)", "不是合法的 TOML", "检查引号、等号和重复的键")]
        ) from None


def _place(given: dict[str, Any], base: Path, root: Path | None, inbox: Path | None) -> None:
    """Make the paths of the file absolute, then let the options win."""
    paths = given.setdefault("paths", {})
    if not isinstance(paths, dict):
        return
    for name in ("root", "inbox", "policy", "reference"):
        if _has_text(paths.get(name)):
            paths[name] = (base / paths[name]).resolve()
    paths.update(
        {
            name: path.resolve()
            for name, path in (("root", root), ("inbox", inbox))
            if path is not None
        }
    )
    paths.setdefault("root", base / "var")
    paths.setdefault("inbox", Path(str(paths["root"])) / "inbox")
    for tables, key in (("sources", "origin"), ("deliver", "address")):
        found = given.get(tables)
        for table in found.values() if isinstance(found, dict) else ():
            if isinstance(table, dict) and _has_text(table.get(key)) and "://" not in table[key]:
                table[key] = os.path.normpath(base / table[key])


def _has_text(given: Any) -> bool:
    return isinstance(given, str) and bool(given.strip())


_MEANT = {
    **MEANT,
    "float_type": "应为数",
    "finite_number": "应为有限的数",
    "path_type": "应为文本（路径）",
    "list_type": "应为列表",
    "dict_type": "应为表",
    "model_type": "应为表，写成 [{key}]",
    "missing": "请补上",
    "too_short": "不可为空",
    "string_pattern_mismatch": "写法如 2.5GB",
}


def _problem(file: Path, text: str, item: Any) -> Diagnostic:
    place = tuple(str(part) for part in item["loc"])
    key, kind = ".".join(place), item["type"]
    if kind == "extra_forbidden":
        return Diagnostic(
            file,
            _line(text, place),
            key,
            "不认识的键",
            did_you_mean(place[-1], _known(place[:-1]), "的键"),
        )
    # What the model itself refuses may be a secret: it is not repeated.
    given = item["input"] if kind != "value_error" else None
    found = repr(given) if isinstance(given, str | int | float) else "值不合要求"
    return Diagnostic(file, _line(text, place), key, found, expected_text(item, _MEANT, key=key))


def _known(place: tuple[str, ...]) -> list[str]:
    model: Any = Settings
    if place[:1] in (("sources",), ("deliver",)):
        model = SourceSettings if place[0] == "sources" else DestinationSettings
    elif place:
        model = Settings.model_fields[place[0]].annotation
    return list(model.model_fields)


def _line(text: str, place: tuple[str, ...]) -> int:
    """Return the line of a key under its [table], else of the table, else 1.

    tomllib does not report lines.
    """
    table, found = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = header[1].replace(" ", "")
            found = number if ".".join(place).startswith(table) else found
        elif key := re.match(r"\s*([\w-]+)\s*=", line):
            path = f"{table}.{key[1]}" if table else key[1]
            if ".".join(place) == path or ".".join(place).startswith(path + "."):
                return number
    return found
