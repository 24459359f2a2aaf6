"""A new district is one row of districts.csv and one points table; a new indicator or value is one place of one file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.settings import OWN_DECLARATIONS
from tests.support.world import World, national_id

PERSON = national_id("33020319850101101")


@pytest.mark.promise("points-2", "A new district is a row of the CSV and its points table")
@pytest.mark.promise("outputs-16", "Developer: a district is one row and one file")
@pytest.mark.proves("sources-101")
def test_a_new_district_is_one_row_and_one_file(tmp_path: Path) -> None:
    policy, reference = tmp_path / "policy", tmp_path / "reference"
    for name in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / name, policy / name)
    shutil.copytree(OWN_DECLARATIONS / "reference", reference)
    table = (policy / "points" / "330203.yaml").read_text(encoding="utf-8")
    (policy / "points" / "330299.yaml").write_text(
        table.replace("330203", "330299"), encoding="utf-8"
    )
    with (reference / "districts.csv").open("a", encoding="utf-8") as rows:
        rows.write("330299,新设区,Xinshe,\n")
    world = World(tmp_path, only=("registry", "local_awards"), policy=policy, reference=reference)
    resident = {
        "resident_id": PERSON,
        "residence_district": "330299",
        "registered_on": "2019-01-15",
        "status": "resident",
    }
    award = {
        "award_id": "A", "resident_id": PERSON, "district": "330299", "indicator": "mentoring", "grantor_kind": "district",
        "grantor_id": "330299", "points": "3", "on_date": "2021-10-01", "status": "valid",
    }  # fmt: skip
    world.deliver("2021-10", registry=[resident], local_awards=[award])
    world.run("2021-10")
    assert world.score("2021-10", PERSON)["d330299_mentoring_points"] == 3
    assert (world.revision("2021-10").path / "exports" / "330299" / "scores.csv").is_file()
