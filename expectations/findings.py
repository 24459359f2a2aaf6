"""Findings: everything of a run that people must know of, as data.

Whatever the program refuses, empties, replaces, ignores, carries or waives becomes one `Finding`:
what happened, to which source, month and column, how many, of how many, and what to do. The stages
of a month produce them; the run report, the last lines of a run, `jifen status` and the
notification show the same list. Every kind has its title, unit, level and usual way out here, once.

A finding never holds anything about one person: counts, titles, dates, set values, file names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Any


class FindingLevel(IntEnum):
    """How much a finding weighs; lists are sorted by it, the heaviest first."""

    BLOCKING = 0  # the month is not published because of it
    ACTION = 1  # somebody has to do something, or to confirm that it is right
    NOTICE = 2  # to be known; nothing to do


class FindingKind(StrEnum):
    """What happened."""

    # deliveries
    MISSING = "missing"
    UNREADABLE = "unreadable"
    REJECTED = "rejected"
    UNKNOWN_FILE = "unknown_file"
    SEVERAL_FILES = "several_files"
    SAME_CONTENT = "same_content"
    SMALLER_REDELIVERY = "smaller_redelivery"
    FEWER_VALUES = "fewer_values"
    CARRIED = "carried"
    ALLOWED_MISSING = "allowed_missing"
    OPTIONAL_ABSENT = "optional_absent"
    ALLOWED_SAME = "allowed_same"
    REDELIVERED = "redelivered"
    IGNORED_FILE = "ignored_file"
    IGNORED_SHEET = "ignored_sheet"
    UNDECLARED_COLUMN = "undeclared_column"
    MISSING_COLUMN = "missing_column"
    UNENDED_FILE = "unended_file"
    EMPTY_DELIVERY = "empty_delivery"
    EMPTY_COLUMN = "empty_column"
    ENCODING = "encoding"
    # rows and values
    REFUSED_ROWS = "refused_rows"
    REFUSED_CASES = "refused_cases"
    EMPTIED_VALUES = "emptied_values"
    PLACEHOLDERS = "placeholders"
    UNANSWERED_ROWS = "unanswered_rows"
    CLEANED_TEXTS = "cleaned_texts"
    REPLACED_ROWS = "replaced_rows"
    REPLACED_OTHER_PERSON = "replaced_other_person"
    UNMATCHED_ROWS = "unmatched_rows"
    OVER_QUOTA = "over_quota"
    UNKNOWN_CODES = "unknown_codes"
    CORRECTIONS_WITHOUT_TARGET = "corrections_without_target"
    AMOUNT_UNKNOWN = "amount_unknown"
    # what came back from districts
    WRONG_NUMBERS = "wrong_numbers"
    UNKNOWN_REMINDERS = "unknown_reminders"
    REMINDED_IN_VAIN = "reminded_in_vain"
    # objections
    OVERDUE_CASES = "overdue_cases"
    OPEN_CASES = "open_cases"
    LATE_DECISIONS = "late_decisions"
    UNKNOWN_CALENDAR = "unknown_calendar"
    # against the month before, and other months
    DRIFT = "drift"
    EXPLAINED_DRIFT = "explained_drift"
    ACCEPTED = "accepted"
    PREVIOUS_ACCEPTED = "previous_accepted"
    NOT_COMPARED = "not_compared"
    NEW_VERSION = "new_version"
    AMENDED_VERSION = "amended_version"
    STALE_MONTH = "stale_month"
    CHANGED_SINCE_HELD = "changed_since_held"
    CHANGED_PROGRAM = "changed_program"
    ILLUSTRATIVE = "illustrative"
    FINISHED_PUBLICATION = "finished_publication"
    STOPPED_BEFORE = "stopped_before"
    UNDELIVERED = "undelivered"
    WORKING_FILES = "working_files"
    OVERVIEW_NOT_MADE = "overview_not_made"
    DISCLOSURE = "disclosure"
    OTHER = "other"


@dataclass(frozen=True)
class KindText:
    """How findings of one kind read: title, unit of `count`, level, and what to do by default."""

    title: str
    unit: str
    level: FindingLevel
    hint: str = ""


_B, _A, _N = FindingLevel.BLOCKING, FindingLevel.ACTION, FindingLevel.NOTICE
KIND_TEXTS: Mapping[FindingKind, KindText] = {
    FindingKind.MISSING: KindText("缺报", "个月", _B, "请部门补交后再运行"),
    FindingKind.UNREADABLE: KindText("无法读取", "份", _B, "请部门重新提供"),
    FindingKind.REJECTED: KindText("未通过检查", "份", _B, "请部门核对后重新提供"),
    FindingKind.UNKNOWN_FILE: KindText(
        "收件目录中有不认识的文件", "个", _B,
        "以来源代码或中文名命名后再运行；不属于交付的请移走，或写入 jifen.toml [inbox] ignore",
    ),
    FindingKind.SEVERAL_FILES: KindText("同一来源有多份文件", "个", _B, "只留一份后再运行"),
    FindingKind.SAME_CONTENT: KindText(
        "内容与以前月份的相同", "行", _B, "请部门交付本月的数据；确实没有变化的用 --same 来源=原因"
    ),
    FindingKind.SMALLER_REDELIVERY: KindText(
        "重新交付的行数比所取代的少很多", "行", _B,
        "增量须完整交付，不可只交补充部分；确属实情的用 --accept 原因",
    ),
    FindingKind.FEWER_VALUES: KindText(
        "比应有的值少一半以上", "个", _B,
        "请部门核对该列是否漏导、改名，重新提供；确属实情的用 --accept 原因",
    ),
    FindingKind.CARRIED: KindText("本月未交，沿用以前月份的数据", "个月", _A, "请催交"),
    FindingKind.ALLOWED_MISSING: KindText("缺报，操作员准许", "个月", _A, "请催交，补交后重新运行"),
    FindingKind.OPTIONAL_ABSENT: KindText("本月未交，按没有新记录计算", "个月", _A, "请核对是否确实没有"),
    FindingKind.ALLOWED_SAME: KindText("内容与以前月份的相同，未拦截", "行", _A, "请核对原因"),
    FindingKind.REDELIVERED: KindText("重新交付，取代以前的交付", "行", _N),
    FindingKind.IGNORED_FILE: KindText("按规则忽略的文件", "个", _N),
    FindingKind.IGNORED_SHEET: KindText("工作表未使用", "张", _A, "请核对其中是否有应交的数据"),
    FindingKind.UNDECLARED_COLUMN: KindText("没有声明过的列，未使用", "列", _A, "请核对是否需要"),
    FindingKind.MISSING_COLUMN: KindText(
        "文件中没有这一列，按空值处理", "行", _A, "请部门补上这一列；改了名的请改回，或在来源声明加 headers"
    ),
    FindingKind.UNENDED_FILE: KindText(
        "最后一行没有换行，可能不完整", "份", _A, "请与部门核对行数，不全的重新提供"
    ),
    FindingKind.EMPTY_COLUMN: KindText("以前有值，本次全空", "个", _A, "请部门核对该列是否漏导"),
    FindingKind.EMPTY_DELIVERY: KindText("只有表头，没有记录", "份", _N),
    FindingKind.ENCODING: KindText("文字编码", "份", _N),
    FindingKind.REFUSED_ROWS: KindText("整行退回", "行", _A, "请部门按退回清单更正"),
    FindingKind.REFUSED_CASES: KindText("逐件登记的记录退回，未生效", "件", _A, "请逐件更正后补交"),
    FindingKind.EMPTIED_VALUES: KindText("舍去的值", "个", _A, "请部门更正"),
    FindingKind.PLACEHOLDERS: KindText("占位值，按空值处理", "个", _N),
    FindingKind.UNANSWERED_ROWS: KindText("名单中没有填写的行，未使用", "行", _N),
    FindingKind.CLEANED_TEXTS: KindText("文字中看不见的字符，已去除", "个", _N),
    FindingKind.REPLACED_ROWS: KindText("同一记录以较新的为准，被取代", "行", _N),
    FindingKind.REPLACED_OTHER_PERSON: KindText(
        "记录被另一个人的同号记录取代", "行", _A, "请部门核对记录编号是否重复或被截断"
    ),
    FindingKind.UNMATCHED_ROWS: KindText("不在登记人口之内，未使用", "行", _N),
    FindingKind.OVER_QUOTA: KindText(
        "超出配额，未计分", "行", _A, "请核对；明细在该修订版的 restricted/over_quota"
    ),
    FindingKind.UNKNOWN_CODES: KindText(
        "用了区县积分表都没有的代码，未计分", "项", _A, "请核对代码"
    ),
    FindingKind.CORRECTIONS_WITHOUT_TARGET: KindText(
        "异议处理结果所指的项目或取值无效，未生效", "件", _A, "请核对异议处理结果"
    ),
    FindingKind.AMOUNT_UNKNOWN: KindText(
        "达标，但金额算不出", "人", _A, "请补充参考表（例如小区平均租金）后重新运行"
    ),
    FindingKind.WRONG_NUMBERS: KindText(
        "区县报告电话号码有误，登记尚未更正", "人", _A, "请登记部门按退回清单更正，更正后再次提醒"
    ),
    FindingKind.UNKNOWN_REMINDERS: KindText(
        "办理结果所指的提醒没有发过", "条", _A, "请区县核对提醒编号"
    ),
    FindingKind.REMINDED_IN_VAIN: KindText(
        "提醒 3 次仍未联系上或没有结果，不再列入", "条", _N
    ),
    FindingKind.OVERDUE_CASES: KindText(
        "异议逾期没有决定", "件", _A, "请催办；各部门的异议办理单在该修订版的 restricted/objections"
    ),
    FindingKind.OPEN_CASES: KindText(
        "异议待决定", "件", _A, "把该修订版 restricted/objections 中的异议办理单交各部门"
    ),
    FindingKind.LATE_DECISIONS: KindText("异议的决定晚于期限", "件", _N),
    FindingKind.UNKNOWN_CALENDAR: KindText(
        "程序还没有该年的节假日安排，按周一至周五算期限", "年", _A, "安排公布后更新程序，再核对期限"
    ),
    FindingKind.DRIFT: KindText("与上月相差超出限度", "项", _B, "请核对"),
    FindingKind.EXPLAINED_DRIFT: KindText(
        "因新版本而超出限度，不扣留", "项", _A, "确认这些变化正是新版本的本意"
    ),
    FindingKind.ACCEPTED: KindText(
        "超出限度，经核准发布", "项", _A, "把核准的理由告知区县和相关部门"
    ),
    FindingKind.PREVIOUS_ACCEPTED: KindText("上月超出限度，经核准发布", "项", _N),
    FindingKind.NOT_COMPARED: KindText("没有上月可比", "", _A, "浏览各节，确认数字合理"),
    FindingKind.NEW_VERSION: KindText("换了新版本，变化照列，不扣留", "张", _N),
    FindingKind.AMENDED_VERSION: KindText("版本内容经更正", "张", _A, "确认受影响的人和金额"),
    FindingKind.STALE_MONTH: KindText("已发布的月份已过期", "个月", _A, "请重新运行"),
    FindingKind.CHANGED_SINCE_HELD: KindText("待核以后有变化，已重新计算", "项", _N),
    FindingKind.CHANGED_PROGRAM: KindText("程序与上月不同", "", _N),
    FindingKind.ILLUSTRATIVE: KindText(
        "取值仅为示例", "项", _A, "正式使用前须由主管部门核定（见“口径”）"
    ),
    FindingKind.FINISHED_PUBLICATION: KindText("上次中断的发布已完成", "个修订版", _N),
    FindingKind.WORKING_FILES: KindText(
        "工作文件与写成时不同，未采用，已由原始交付重新计算", "处", _A, "请查明谁改动过，并运行 jifen verify"
    ),
    FindingKind.STOPPED_BEFORE: KindText("上次运行中断，没有完成", "次", _N),
    FindingKind.UNDELIVERED: KindText("已发布，未送达接收方", "", _A, "处理后运行 jifen deliver"),
    FindingKind.OVERVIEW_NOT_MADE: KindText(
        "数据驾驶舱没有重新生成，月份已发布", "", _A, "请运行 jifen overview"
    ),
    FindingKind.DISCLOSURE: KindText(
        "分档数据可能指认个人", "人", _A, "先停止提供该修订版的 open 文件夹和分析目录，并报告开发人员"
    ),
    FindingKind.OTHER: KindText("其他", "项", _A, "请核对"),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing of a run that people must know of.

    Attributes:
        kind: What happened.
        source: The source's code; empty where it is about no source.
        month: The month that it is about, `YYYY-MM`: of the delivery, or another published month.
        column: The column's name, or the item's: an indicator, a service, a points table.
        count: How many (unit: that of the kind); 0 where there is nothing to count.
        total: Of how many, in the same unit; 0 where a share says nothing.
        detail: What exactly: the reason, an example of a value that is no person's, a file's name.
        hint: What to do, where the kind's own way out is not it.
    """

    kind: FindingKind
    source: str = ""
    month: str = ""
    column: str = ""
    count: int = 0
    total: int = 0
    detail: str = ""
    hint: str = ""

    @property
    def level(self) -> FindingLevel:
        """How much it weighs."""
        return KIND_TEXTS[self.kind].level

    @property
    def share(self) -> float | None:
        """`count` as a share of `total`, 0 to 1."""
        return self.count / self.total if self.total else None

    @property
    def way_out(self) -> str:
        """What to do; empty where there is nothing to do."""
        return self.hint or KIND_TEXTS[self.kind].hint

    def to_record(self) -> dict[str, Any]:
        """Return plain values for a manifest or a run record, without those that say nothing."""
        return {name: value for name, value in asdict(self).items() if value not in ("", 0)}


def read_findings(records: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return the findings that `Finding.to_record` wrote; kinds of a newer program as `OTHER`."""
    known = set(FindingKind)
    return [
        Finding(**{**record, "kind": FindingKind(record["kind"])})
        if record["kind"] in known
        else Finding(FindingKind.OTHER, detail=f"{record['kind']} {record.get('detail', '')}")
        for record in records
    ]


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without repetitions, the heaviest level first, then by kind and count."""
    order = {kind: place for place, kind in enumerate(FindingKind)}
    return sorted(dict.fromkeys(findings), key=lambda one: (one.level, order[one.kind], -one.count))


def is_blocking(finding: Finding) -> bool:
    """Return whether the month is not published because of it."""
    return finding.level == FindingLevel.BLOCKING


def is_action_needed(findings: Iterable[Finding]) -> bool:
    """Return whether there is anything to do: only if not may a report say that there is not."""
    return any(finding.level != FindingLevel.NOTICE for finding in findings)
