"""Every rule form has its sentence, generated from the declaration itself."""

from __future__ import annotations

from typing import Any

import pytest

from expectations.source_loader import load_sources
from transforms.points.describe import collect_titles, describe_condition, describe_rule
from transforms.points.rules import Rule

NAMES = collect_titles(load_sources())
SENTENCES: dict[str, tuple[str | None, Any, str]] = {
    "bands": ("age", [{"from": "18", "to": "35", "points": "10"}, {"from": "36", "points": "8"}],
        "18 至 35 岁 10 分、36 岁及以上 8 分，其他 0 分"),
    "slope": (
        "age",
        {"start": "55", "points": "5", "each": "1", "direction": "below", "from": "18", "to": "60"},
        "55 岁 5 分，每低 1 岁加 1 分，不足 18 岁、超过 60 岁 0 分",
    ),
    "levels": ("degree", {"bachelor": "18", "master": "22"}, "本科 18 分、硕士 22 分，其他 0 分"),
    "each": ("blood_ml", {"points": "0.5", "unit": "100", "start": "200", "first": "1"},
        "达到 200 毫升计 1 分，此后每满 100 毫升加 0.5 分"),
    "tiers": (
        "permit_months",
        {"mode": "marginal", "unit": "12", "rates": [{"from": "1", "points": "4"}, {"from": "5", "points": "6"}]},
        "以 12 个月为一个单位，第 1 个起每个 4 分、第 5 个起每个 6 分，分段累计",
    ),
    "steps": ("permit_months", {"mode": "sum", "marks": {"36": "5", "60": "8"}}, "达到 36 个月 5 分、达到 60 个月 8 分，达到的各档相加"),
    "by_count": ("donations", {"1": "10", "2": "30"}, "1 次 10 分、2 次及以上 30 分"),
    "flat": ("shortage_job", "10", "符合即得 10 分"),
    "per_year": (
        "service_hours_by_year",
        {"cap": "5", "years": "5", "rule": {"each": {"unit": "10", "points": "1"}}},
        "每个自然年内每满 10 小时计 1 分，每年最高 5 分，近 5 个自然年相加",
    ),
    "counts": (None, {"dishonesty_general": "10", "dishonesty_serious": "30"}, "一般失信次数 × 10 分，严重失信次数 × 30 分"),
    "table": (
        None,
        {"down": {"fact": "degree"}, "across": {"fact": "age", "bands": {"young": {"below": "35"}}},
         "points": {"bachelor": {"young": "9"}}},
        "按最高学历与年龄对照，本科：不满 35 岁 9 分；其他 0 分",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", Rule.model_fields)
def test_every_rule_form_has_its_sentence(form: str) -> None:
    fact, content, sentence = SENTENCES[form]
    assert describe_rule(Rule.model_validate({form: content}), fact, NAMES) == sentence


@pytest.mark.parametrize(
    ("condition", "description"),
    [
        ("rental_registered", "租赁已备案"),
        ("pension_months >= 6 and not frozen", "养老保险缴费月数 ≥ 6 且 非 冻结"),
        ("tenure in ('rented', 'owned')", "居住方式 属于 (租赁，自有)"),
        ("permit_issued_on is null", "居住证签发日期 为 无记录"),
        ("tenure <> 'none' and age>=18", "居住方式 ≠ 无 且 年龄 ≥ 18"),
        ("tenure != 'none' AND NOT age IN (18)", "居住方式 ≠ 无 且 非 年龄 属于 (18)"),
    ],
)
def test_a_condition_is_described_with_the_titles_of_its_facts(
    condition: str, description: str
) -> None:
    assert describe_condition(condition, NAMES) == description
