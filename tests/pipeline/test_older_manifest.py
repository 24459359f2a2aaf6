"""A month after one that an older program published, whose manifest has nothing to compare with."""

from __future__ import annotations

import json
from pathlib import Path

from flows.storage.files import to_canonical_json
from tests.support.held_city import NOVEMBER, OCTOBER, copied, degrees, registry
from tests.support.world import World


def without_figures(town: World) -> None:
    """October's manifest as a program wrote it that measured nothing yet."""
    path = town.revision(OCTOBER).path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["figures"], manifest["schema_version"]
    path.chmod(0o644)
    path.write_bytes(to_canonical_json(manifest))


def test_the_month_is_published_and_its_report_says_why_nothing_was_compared(
    october_town: World, tmp_path: Path
) -> None:
    town = copied(october_town, tmp_path / "town")
    without_figures(town)
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    run = town.run(NOVEMBER)
    assert not run.drift
    text = (town.revision(NOVEMBER).path / "report" / "index.html").read_text(encoding="utf-8")
    assert (
        f"上月由旧版程序发布，没有留下可比的数字；要比对，请先重新运行 {OCTOBER}"
        in text.split("</section>")[0]
    )
