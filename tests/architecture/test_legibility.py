"""The code stays legible: names, parameters, length of lines, and one term per thing."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.architecture.dropped_words import ALLOWED, find_dropped_words, find_files, is_allowed
from tests.architecture.measure_legibility import (
    PROJECT,
    Measures,
    Place,
    measure_folder,
)


@pytest.fixture(scope="module")
def measures() -> Measures:
    return measure_folder(PROJECT)


def show(places: list[Place]) -> list[str]:
    return [f"{place.path.relative_to(PROJECT)}:{place.line}: {place.text}" for place in places]


def test_all_modules_are_measured(measures: Measures) -> None:
    assert measures.unparsed == []
    assert len(measures.modules) > 100


def test_most_public_functions_start_with_a_verb(measures: Measures) -> None:
    assert measures.verb_share >= 0.7, show(measures.without_verb)


def test_few_public_functions_have_names_of_one_word(measures: Measures) -> None:
    assert measures.one_word_share <= 0.1, show(measures.one_word)


def test_few_lines_are_longer_than_100_characters(measures: Measures) -> None:
    assert measures.long_line_share <= 0.01, Counter(
        str(place.path.relative_to(PROJECT)) for place in measures.long_lines
    ).most_common()


def test_no_function_has_seven_parameters(measures: Measures) -> None:
    assert show(measures.many_parameters) == []


def test_few_f_strings_stand_in_another(measures: Measures) -> None:
    assert len(measures.nested_fstrings) <= 40, show(measures.nested_fstrings)


def test_dropped_words_do_not_come_back() -> None:
    found = [
        f"{finding.path.relative_to(PROJECT)}:{finding.line}: {finding.word} -> {finding.term}"
        for path in find_files()
        for finding in find_dropped_words(path)
        if not is_allowed(finding)
    ]
    assert found == []


@pytest.mark.slow
def test_every_exception_is_needed() -> None:
    """An entry of the list of allowed words that allows nothing any more is to be deleted."""
    unused = set(ALLOWED)
    for path in find_files():
        name = path.relative_to(PROJECT).as_posix()
        words = {finding.word for finding in find_dropped_words(path)}
        unused -= {
            (place, word)
            for place, word in unused
            if place == name and ((word == "*" and words) or word in words)
        }
    assert unused == set()
