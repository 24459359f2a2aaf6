"""Packages as real months leave them, for districts that all have a key: their own residents, their own key, sums that hold."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pyrage
import pytest

from flows.settings import OWN_DECLARATIONS
from tests.support.held_city import HAISHU, JIANGBEI, NOVEMBER, OCTOBER, PEOPLE, degrees, registry
from tests.support.packages import new_key
from tests.support.world import World, national_id, read_rows

TO_JIANGBEI, TO_HAISHU, GONE = PEOPLE[:3], PEOPLE[24:26], PEOPLE[3]
NEW = national_id("51010219850103001")
LISTS = {
    "scores.csv",
    "scores.parquet",
    "eligibility.csv",
    "reminders.csv",
    "reminders.xlsx",
    "summary.html",
    "contents.json",
}
ID = "公民身份号码"


def lived(month: str) -> dict[str, str]:
    """Who lives where: ID -> district."""
    people = {person: HAISHU if number < 24 else JIANGBEI for number, person in enumerate(PEOPLE)}
    if month == OCTOBER:
        return people
    people |= (
        dict.fromkeys(TO_JIANGBEI, JIANGBEI) | dict.fromkeys(TO_HAISHU, HAISHU) | {NEW: JIANGBEI}
    )
    del people[GONE]
    return people


@dataclass
class City:
    """Two published months, and the secret of every district."""

    world: World
    secrets: dict[str, pyrage.x25519.Identity]

    def folder(self, month: str, district: str) -> Path:
        return self.world.revision(month).path / "exports" / district

    def opened(self, month: str, district: str) -> dict[str, bytes]:
        """What the district finds in its package: name without `.age` -> content."""
        files = sorted(self.folder(month, district).glob("*.age"))
        return {
            file.stem: pyrage.decrypt(file.read_bytes(), [self.secrets[district]]) for file in files
        }


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    folder = tmp_path_factory.mktemp("city")
    shutil.copytree(OWN_DECLARATIONS / "reference", folder / "reference")
    secrets = {}
    with (folder / "reference" / "districts.csv").open(encoding="utf-8", newline="") as file:
        districts = list(csv.DictReader(file))
    for line in districts:
        secrets[line["code"]], line["recipient"] = new_key()
    with (folder / "reference" / "districts.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(districts[0]))
        table.writeheader()
        table.writerows(districts)
    world = World(folder, only=("registry", "education"), reference=folder / "reference")
    person = registry()[0]
    for month in (OCTOBER, NOVEMBER):
        rows = [
            {
                **person,
                "resident_id": who,
                "residence_district": district,
                "permit_valid_to": "2021-12-20",
            }
            for who, district in lived(month).items()
        ]
        world.deliver(month, registry=rows, education=degrees())
        world.run(month)
    return City(world, secrets)


def listed(content: dict[str, bytes]) -> dict[str, list[str]]:
    """The IDs in each list of a package."""
    found = {}
    for name in ("scores.csv", "eligibility.csv", "reminders.csv"):
        rows = csv.DictReader(io.StringIO(content[name].decode("utf-8-sig"), newline=""))
        found[name] = [str(row[ID]).removeprefix("\t") for row in rows]
    headers, *lines = (
        openpyxl.load_workbook(io.BytesIO(content["reminders.xlsx"])).worksheets[0].values
    )
    found["reminders.xlsx"] = [str(line[headers.index(ID)]) for line in lines]
    return found


@pytest.mark.promise("outputs-10", "Clerk: own residents only, in lists that spreadsheets open")
@pytest.mark.parametrize("month", [OCTOBER, NOVEMBER])
def test_every_resident_is_in_the_package_of_their_district_and_in_no_other(
    city: City, month: str, tmp_path: Path
) -> None:
    where: dict[str, list[str]] = {}
    for district in city.secrets:
        content = city.opened(month, district)
        assert content.keys() == LISTS
        (tmp_path / "scores.parquet").write_bytes(content["scores.parquet"])
        here = [str(row["resident_id"]) for row in read_rows(tmp_path)]
        assert listed(content)["scores.csv"] == here
        assert {*listed(content)["reminders.csv"], *listed(content)["eligibility.csv"]} <= {*here}
        assert listed(content)["reminders.xlsx"] == listed(content)["reminders.csv"]
        for person in here:
            where.setdefault(person, []).append(district)
    assert where == {person: [district] for person, district in lived(month).items()}


@pytest.mark.proves("points-172")
def test_those_who_moved_are_reminded_by_where_they_live_now(city: City) -> None:
    reminded = {
        district: {*listed(city.opened(NOVEMBER, district))["reminders.csv"]}
        for district in city.secrets
    }
    assert reminded[JIANGBEI] >= {*TO_JIANGBEI} and not reminded[JIANGBEI] & {*TO_HAISHU}
    assert reminded[HAISHU] >= {*TO_HAISHU} and not reminded[HAISHU] & {*TO_JIANGBEI, GONE}


def test_a_package_opens_with_no_other_districts_key(city: City) -> None:
    for district in (HAISHU, JIANGBEI):
        for file in city.folder(NOVEMBER, district).glob("*.age"):
            for other in city.secrets.keys() - {district}:
                with pytest.raises(pyrage.DecryptError):
                    pyrage.decrypt(file.read_bytes(), [city.secrets[other]])


def test_the_manifest_of_every_package_holds(city: City) -> None:
    for district in city.secrets:
        folder = city.folder(NOVEMBER, district)
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = manifest["files"]
        assert manifest["revision"] == city.world.revision(NOVEMBER).number
        assert {path.name for path in folder.iterdir()} == {*files, "manifest.json"}
        for name, facts in files.items():
            content = (folder / name).read_bytes()
            assert facts == {"sha256": hashlib.sha256(content).hexdigest()}
        opened = city.opened(NOVEMBER, district)
        contents = json.loads(opened["contents.json"])["files"]
        lists = listed(opened)
        assert {name: contents[f"{name}.age"]["rows"] for name in lists} == {
            name: len(ids) for name, ids in lists.items()
        }
        assert contents.keys() == files.keys() - {"contents.json.age"}


LARGE = """
import resource, sys
from pathlib import Path
from reports.packages.encryption import open_for_delivery
from transforms.engine.session import EngineSettings, open_engine
target, recipient, rows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
select = "SELECT i AS number, md5(i::VARCHAR) AS text, sha256(i::VARCHAR) AS more FROM range({}) AS t(i)"
with open_engine(EngineSettings("200MB", 1), target.parent / "spill") as connection:
    def write(rows):
        with open_for_delivery(target, recipient) as pipe:
            connection.execute(f"COPY ({select.format(rows)}) TO '{pipe}' (FORMAT csv, USE_TMP_FILE false)")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(write(100), write(rows))
"""


def test_a_large_list_is_encrypted_while_it_is_written_in_little_memory(tmp_path: Path) -> None:
    identity, recipient = new_key()
    rows = 1_600_000
    command = [sys.executable, "-c", LARGE, str(tmp_path / "list.csv"), recipient, str(rows)]
    small, large = map(
        int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    )
    made = tmp_path / "list.csv.age"
    assert not (tmp_path / "list.csv").exists() and made.stat().st_size > 160 * 2**20
    assert large - small < 80  # MiB; the list is twice as large
    with made.open("rb") as encrypted, (tmp_path / "plain.csv").open("wb") as plain:
        pyrage.decrypt_io(encrypted, plain, [identity])
    with (tmp_path / "plain.csv").open("rb") as lines:
        assert sum(1 for _ in lines) == rows + 1
