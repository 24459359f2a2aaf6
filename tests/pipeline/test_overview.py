"""The overview of a root: made at each publication, never in its way; asked for by month."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.findings import FindingKind
from expectations.month import Month
from flows.commands.overview import make_overview
from flows.pipeline import overview
from flows.pipeline.overview import write_overview
from tests.support.held_city import NOVEMBER, OCTOBER, PEOPLE, copied, degrees, registry
from tests.support.world import World


@pytest.fixture(scope="module")
def town(october_town: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """October and November published."""
    town = copied(october_town, tmp_path_factory.mktemp("town") / "city")
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    town.run(NOVEMBER)
    return town


def months_of(page: Path) -> list[str]:
    """The months whose people the page's first chart shows."""
    data = page.read_text("utf-8").split('id="charts">')[1].split("</script>")[0]
    charts: list[dict[str, Any]] = json.loads(data)
    return [row["month"] for row in charts[0]["rows"]["city"]]


def test_publication_makes_the_page_of_all_months(town: World) -> None:
    page = town.root.overview / "index.html"
    assert months_of(page) == [OCTOBER, NOVEMBER]
    assert not any(person in page.read_text("utf-8") for person in PEOPLE)


def test_the_page_of_some_months_is_written_where_one_says(town: World, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    before = (town.root.overview / "index.html").read_bytes()
    assert make_overview(town.settings, [Month.parse(OCTOBER)], target) == target
    assert months_of(target) == [OCTOBER]
    assert (town.root.overview / "index.html").read_bytes() == before


def test_months_that_are_not_published_are_refused(town: World, tmp_path: Path) -> None:
    with pytest.raises(JifenError, match="没有发布") as caught:
        make_overview(town.settings, [Month.parse("2020-01")], tmp_path / "page.html")
    assert caught.value.code == ExitCode.USAGE and OCTOBER in caught.value.hint


def test_a_file_that_cannot_be_written_is_named(town: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JifenError) as caught:
        make_overview(town.settings, None, tmp_path / "file" / "page.html")
    assert caught.value.code == ExitCode.OTHER and "page.html" in str(caught.value)


def test_a_page_that_cannot_be_made_leaves_the_month_published_and_is_named(
    october_town: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = copied(october_town, tmp_path / "town")
    town.deliver(NOVEMBER, registry=registry(), education=degrees())

    def fail(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(overview, "write_overview", fail)
    run = town.run(NOVEMBER)
    assert town.revision(NOVEMBER).number == 1
    found = [one for one in run.findings if one.kind is FindingKind.OVERVIEW_NOT_MADE]
    assert len(found) == 1 and found[0].detail and "jifen overview" in found[0].way_out


def test_an_older_month_without_metrics_is_named(october_town: World, tmp_path: Path) -> None:
    town = copied(october_town, tmp_path / "town")
    (metrics,) = (town.revision(OCTOBER).path / "metrics").iterdir()
    metrics.unlink()
    page = write_overview(town.project, town.root)
    assert f"没有统计数据的月份：{OCTOBER}" in page.read_text("utf-8")


@pytest.mark.parametrize("place", ["cache", "file/below"])
def test_the_script_of_the_charts_is_made_once_also_where_the_cache_is_closed(
    october_town: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    town = copied(october_town, tmp_path / "town")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
    made = []
    monkeypatch.setattr(overview, "build_vega_script", lambda: made.append("x") or "// charts")
    for name in ("1.html", "2.html"):
        page = write_overview(town.project, town.root, out=tmp_path / name)
        assert "// charts" in page.read_text(encoding="utf-8")
    assert len(made) == 1
    kept = tmp_path / place / "jifen" if place == "cache" else town.root.tmp / "charts"
    assert [file.read_text("utf-8") for file in kept.iterdir()] == ["// charts"]
