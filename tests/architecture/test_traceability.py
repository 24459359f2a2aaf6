"""The page of promises says what the markers on the tests say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.traceability import (
    PAGE,
    SECTIONS,
    UNPROVED,
    load_promises,
    render_page,
)

STATED = 'import pytest\n\n@pytest.mark.promise("sources-1", "one")\ndef test_a() -> None: ...\n'


def write(folder: Path, **files: str) -> Path:
    (folder / "tests").mkdir()
    for name, text in files.items():
        (folder / "tests" / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def test_the_page_is_what_the_markers_say() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == render_page(load_promises()), "run `make docs`"


def test_every_section_begins_with_a_proved_promise() -> None:
    promises = load_promises()
    assert [one for one in SECTIONS if one not in promises and one not in UNPROVED] == []
    assert promises.keys() & UNPROVED.keys() == set()


def test_all_tests_of_a_promise_are_listed(tmp_path: Path) -> None:
    more = STATED.replace('promise("sources-1", "one")', 'proves("sources-1")')
    (promise,) = load_promises(write(tmp_path, test_x=more, test_y=STATED)).values()
    assert promise.sentence == "one"
    assert promise.tests == ["tests/test_x.py::test_a", "tests/test_y.py::test_a"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (STATED, "sources-1 is stated twice"),
        (STATED.replace('promise("sources-1", "one")', 'proves("sources-2")'), "states sources-2"),
    ],
)
def test_a_promise_is_stated_once(tmp_path: Path, other: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_promises(write(tmp_path, test_x=STATED, test_y=other))
