"""The analysts' notebook: every cell runs, and says what the tables say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.world import World

PROJECT = Path(__file__).parents[2]
NOTEBOOK = PROJECT / "docs" / "analysts.ipynb"


def read_cells(kind: str) -> list[dict[str, Any]]:
    """The cells of one kind, in order."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


@pytest.fixture(scope="module")
def found(
    synthetic_city: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What the notebook's names hold after all cells ran on two months of a generated city."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        patch.setenv("JIFEN_ROOT", str(synthetic_city.root.path))
        patch.setenv("JIFEN_QUERIES", str(PROJECT / "reports" / "queries"))
        for number, cell in enumerate(read_cells("code"), 1):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    yield names
    names["catalogue"].close()


def test_it_answers_ten_questions(found: dict[str, Any]) -> None:
    titles = [
        line for cell in read_cells("markdown") for line in cell["source"] if line.startswith("## ")
    ]
    assert [int(re.findall(r"\d+", title)[0]) for title in titles] == list(range(1, 11))
    for name in ("by_age", "near", "change", "history", "means", "course"):
        assert len(found[name]), name
    # so small a city pays nobody enough to be listed
    assert list(found["budget"]) == [
        "service", "eligible", "with_amount", "yuan_a_year", "more_if_near_qualify",
    ]  # fmt: skip
    assert {"service", "raised_by_5"} <= set(found["raised"])


def test_the_cohorts_are_everyone_by_year_of_registration(found: dict[str, Any]) -> None:
    """So small a city has no year of ten people: the same query with all of them."""
    (query,) = re.findall(
        r'cohorts = ask\("""(.*?)"""\)',
        "".join("".join(cell["source"]) for cell in read_cells("code")),
        re.DOTALL,
    )
    assert query.count("count(*) >= 10") == 1
    cohorts = found["ask"](query.replace("count(*) >= 10", "count(*) > 0"))
    scored = found["ask"]("SELECT count(*) AS people, sum(total_points) AS points FROM scores")
    assert cohorts.people.sum() == scored.people[0] and len(cohorts) > 4
    assert (cohorts.people * cohorts["mean"]).sum() == pytest.approx(float(scored.points[0]))


def test_the_changes_of_the_mean_come_to_the_whole(found: dict[str, Any]) -> None:
    """Of those in both months the total's effect is the difference of their totals."""
    differences = found["ask"]("""
        SELECT sum(now.total_points - before.total_points) AS points
        FROM latest_scores AS now JOIN scores AS before USING (resident_key)
        WHERE before.month = now.month - INTERVAL 1 MONTH""").points[0]
    effects = dict(zip(found["kinds"].kind, found["kinds"].effect, strict=True))
    assert effects["total"] == pytest.approx(differences)


def test_metrics_say_what_the_scores_say(found: dict[str, Any]) -> None:
    direct = found["ask"]("""
        SELECT count(*) AS people, avg(total_points) AS mean, stddev_pop(total_points) AS deviation
        FROM scores GROUP BY month ORDER BY month""")
    assert list(found["course"].people) == list(direct.people)
    for name in ("mean", "deviation"):
        assert list(found["course"][name]) == pytest.approx(list(direct[name]), abs=0.01)


@pytest.mark.parametrize("name", ["distribution", "certainty", "trend"])
def test_its_charts_can_be_drawn(found: dict[str, Any], name: str) -> None:
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(found[name].to_dict())
    assert drawn.count('role="graphics-symbol"') >= 2


def test_it_holds_no_output_and_no_path_of_a_machine() -> None:
    for cell in read_cells("code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None
    assert not re.search(r"/(home|work|tmp|root|Users)/", NOTEBOOK.read_text(encoding="utf-8"))
