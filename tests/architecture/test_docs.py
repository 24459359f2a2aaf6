"""Check the documentation: links resolve, and the files and commands that a page names exist."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from flows.cli.app import app

PROJECT = Path(__file__).parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
CODE = sorted(
    path
    for top in ("flows", "reports", "transforms", "expectations", "data")
    for path in PROJECT.glob(f"{top}/**/*.py")
)
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
WITNESS = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
NAMED_FILE = re.compile(
    r"`((?:flows|reports|transforms|expectations|data|tests|docs)/[\w./-]*)(?:::\w+)?`"
)
NAMED_PAGE = re.compile(r"\bdocs/[\w/-]+\.md")
COMMAND = re.compile(r"\bjifen ([a-z]+)(?![\w-])((?: [^`|\n]*)?)")
OPTION = re.compile(r"(?<![\w-])--[a-z-]+")
CHINESE_TERMS = {  # what is no longer written -> the term of the glossary
    "收件夹": "收件目录",
    "缺月": "缺报",
    "缺数": "缺报",
    "拒收": "退回",
    "被替代": "被取代",
    "补跑": "补充运行",
    "重跑": "重新运行",
    "搬动": "迁移",
    "跑完": "运行结束",
    "够得着": "可申请",
    "看这里": "结果位置",
    "积分应用": "服务",
    "故障处置": "异常处置",
    "帐号": "账号",
    "数据依据": "依据数据",
    "问题数据": "退回的行",
}
POLICY_WORDS = {  # where a policy is quoted, or the glossary says so
    "积分应用": [
        "data/reminders/insurance_gap.yaml",
        "docs/concepts/glossary.md",
        "docs/guides/policy-writers.md",
    ],
}
by_path = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))


def text_of(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    titles = (
        re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).lower()
        for title in HEADING.findall(text_of(page))
    )
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@by_path
def test_every_link_of_a_page_resolves(page: Path) -> None:
    broken = []
    for link in LINK.findall(text_of(page)):
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@by_path
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = NAMED_FILE.findall(text_of(page))
    assert [name for name in named if not (PROJECT / name).exists()] == []


@by_path
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    unknown = []
    for name, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        known = (
            {option for parameter in commands[name].params for option in parameter.opts}
            if name in commands
            else set()
        )
        unknown += [
            f"{name} {option}"
            for option in OPTION.findall(rest)
            if option not in {*known, "--help", "--debug"}
        ]
        unknown += [] if name in commands else [name]
    assert unknown == []


def test_every_page_that_the_code_names_exists() -> None:
    named = {name for path in CODE for name in NAMED_PAGE.findall(path.read_text(encoding="utf-8"))}
    assert sorted(name for name in named if not (PROJECT / name).exists()) == []


def test_the_patterns_find_something() -> None:
    texts = [text_of(page) for page in PAGES]
    for pattern in (LINK, NAMED_FILE, COMMAND):
        assert sum(len(pattern.findall(text)) for text in texts) > 20


@pytest.mark.parametrize("name", ["security", "reliability"])
def test_every_test_that_a_page_names_exists(name: str) -> None:
    text = (PROJECT / "docs" / "assurance" / f"{name}.md").read_text(encoding="utf-8")
    named = WITNESS.findall(text)
    assert len(named) >= 20
    assert len(named) == text.count("::test_")
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (PROJECT / file).is_file()
        or f"def {test}(" not in (PROJECT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


@pytest.mark.parametrize("dropped", CHINESE_TERMS)
def test_users_read_one_chinese_term_for_each_thing(dropped: str) -> None:
    code = [path for path in CODE if path.suffix == ".py"]
    policy = sorted(PROJECT.glob("data/*/*.yaml"))
    templates = sorted(PROJECT.glob("reports/**/*.j2"))
    quoted = {PROJECT / name for name in POLICY_WORDS.get(dropped, [])}
    read = {*PAGES, *code, *policy, *templates} - quoted
    found = sorted(path for path in read if dropped in path.read_text("utf-8"))
    assert found == [], f"write {CHINESE_TERMS[dropped]}: docs/concepts/glossary.md"
