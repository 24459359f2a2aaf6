"""The header is found under whatever name and line a department writes it, or what is lacking is named."""

from __future__ import annotations

import pytest

from tests.support.world import SOURCES
from transforms.clean.headers import HeaderError, find_header

SOURCE = SOURCES["patents"]
TITLES = [column.title for column in SOURCE.columns.values()]
NAMES = list(SOURCE.columns)
SPELLINGS = {
    "as declared": lambda title: title,
    "blanks inside": lambda title: f"{title[:2]} 　{title[2:]}",
    "a line break inside": lambda title: f"{title[:2]}\n{title[2:]}",
    "a remark in full-width brackets": lambda title: f"{title}（必填）",
    "a remark in brackets": lambda title: f"{title}(18位)",
    "a star": lambda title: f"*{title}",
    "zero-width characters": lambda title: f"\ufeff{title}\u200b",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("names", [TITLES, NAMES], ids=["titles", "names"])
def test_what_does_not_matter_in_a_header_does_not_matter(spelling: str, names: list[str]) -> None:
    header = find_header(SOURCE, [[SPELLINGS[spelling](name) for name in names]])
    assert header.columns == {name: place for place, name in enumerate(NAMES)}


def test_full_width_and_upper_case_names_are_the_same() -> None:
    wide = ["".join(chr(ord(c) + 0xFEE0) for c in name.upper()) for name in NAMES]
    assert find_header(SOURCE, [wide]).columns.keys() == SOURCE.columns.keys()


@pytest.mark.parametrize("above", range(10))
def test_title_lines_may_stand_above(above: int) -> None:
    header = find_header(SOURCE, [["2021年12月专利统计表"]] * above + [TITLES, ["1"] * 5])
    assert (header.line, header.width) == (above, len(TITLES))


def test_ten_title_lines_are_too_many() -> None:
    with pytest.raises(HeaderError, match="前 10 行里没有表头"):
        find_header(SOURCE, [["专利统计表"]] * 10 + [TITLES])


def test_codes_above_titles_are_one_header_and_two_headers_are_refused() -> None:
    assert find_header(SOURCE, [NAMES, TITLES]).line == 1
    with pytest.raises(HeaderError, match="两行表头"):
        find_header(SOURCE, [TITLES, ["x"] * 5, TITLES])


def test_a_lacking_column_is_named_with_those_found_and_the_nearest() -> None:
    title = SOURCE.columns["granted_on"].title
    given = [name if name != title else f"{title[:-1]}期日" for name in TITLES]
    with pytest.raises(HeaderError) as caught:
        find_header(SOURCE, [given])
    assert f"缺少必需的列：granted_on（{title}）" in caught.value.message
    assert "、".join(given) in caught.value.message
    assert f"“{title[:-1]}期日”是否就是 {title}" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ([";".join(TITLES)], "分号"),
        (["\t".join(TITLES)], "制表符"),
        (["，".join(TITLES)], "全角逗号"),
        ([t.encode().decode("gb18030", "replace") for t in TITLES], "乱码"),
        ([t.encode("gb18030").decode("latin-1") for t in TITLES], "乱码"),
    ],
)
def test_the_likely_cause_is_named(line: list[str], hint: str) -> None:
    with pytest.raises(HeaderError) as caught:
        find_header(SOURCE, [line])
    assert hint in caught.value.hint
    assert len([one for one in TITLES if one in caught.value.message]) == len(
        [c for c in SOURCE.columns.values() if c.required]
    )


def test_an_id_among_the_cells_is_not_repeated() -> None:
    with pytest.raises(HeaderError) as caught:
        find_header(SOURCE, [[*TITLES[:2], "330203199001010010"]])
    assert "330203199001010010" not in caught.value.message + caught.value.hint
