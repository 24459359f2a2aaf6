"""Nobody of a town whose every identity is known is found in anything that months leave behind for others.

The months are run by the command, under an open umask, with a home and a temporary folder of their own; among them
bad rows of every kind with somebody's name in them, a blocked month, a killed one, a held one. What the commands print
is searched as well. `outputs.md` says where people may be, and who may read what.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from expectations.errors import ExitCode
from tests.support.leaks import Person, leaks, leaks_below, sought
from tests.support.modes import wrong_modes
from tests.support.world import STRANGER, World, national_id

# the command is started some ten times: 312 s beside other tests
pytestmark = pytest.mark.timeout(900)
OCTOBER, NOVEMBER, DECEMBER = "2021-10", "2021-11", "2021-12"
SETTINGS = '[paths]\nroot = "root"\ninbox = "root/inbox"\n[policy]\nallow_illustrative = true\n'
LIMITS = """[drift]
residents = 0.3
residents_min = 5
rows = 1.0
mean_points = 1.0
mean_points_min = 99.0
[gate]
quarantine_limit = 0.5
"""
IDENTIFIED = {
    "inbox",
    "raw",
    "clean",
    "quarantine",
    "defects",
    "tmp",
}  # tmp: spill, and builds
IN_REVISION = {"restricted", "reminders", "exports"}
RNG = random.Random(7)
SURNAMES, GIVEN = ["欧阳", "上官", "司马", "诸葛", "尉迟", "公孙"], "澹璟珩翊霁岫淼湜懿翀昶晟"
Rows = list[dict[str, str]]


def person(number: int) -> Person:
    """Somebody as nobody else is: born in 1985 or so, a name of four characters."""
    body = (
        f"3{RNG.randrange(10**5):05d}19{RNG.randrange(80, 99)}"
        f"{RNG.randrange(1, 13):02d}{RNG.randrange(1, 28):02d}"
    )
    name = SURNAMES[number % len(SURNAMES)] + "".join(RNG.sample(GIVEN, 2))
    return Person(
        national_id(f"{body}{RNG.randrange(1000):03d}"), name, f"139{RNG.randrange(10**8):08d}"
    )


PEOPLE = [person(number) for number in range(30)]
CHILDREN = [person(number) for number in range(5)]
REFUSED = [person(number) for number in range(8)]  # known from refused rows only
SOUGHT = sought([*PEOPLE, *CHILDREN, *REFUSED, Person(STRANGER)])


def row(who: Person, **more: str) -> dict[str, str]:
    given = {
        "resident_id": who.resident_id, "name": str(who.name), "phone": str(who.phone), "status": "resident",
        "residence_district": "330212", "residence_community": "东湖花园", "registered_on": "2015-01-15",
        "permit_issued_on": "2017-01-10", "permit_valid_to": "2021-12-01",
    }  # fmt: skip
    return {**given, **more}


def bad_rows() -> Rows:
    """Somebody's ID, name or phone in every place where it is wrong."""
    one, two, three, four, five, six, seven, eight = REFUSED
    return [
        row(one, resident_id=one.resident_id[:17]),
        row(two, resident_id=two.resident_id[:6] + two.resident_id[8:17]),
        row(three, resident_id=f"{three.resident_id} {three.name}"),
        row(four, residence_district=str(four.name)),
        row(five, status=f"{five.name} {five.phone}"),
        row(six, registered_on=six.resident_id),
        row(seven, permit_valid_to=str(seven.phone)),
        row(eight, residence_community=f"{eight.name}家 {eight.phone}"),
    ]


def deliver(town: World, month: str, registry: Rows, levels: Sequence[str] = ("bachelor",)) -> None:
    """Everybody, with something in every extract; texts of the departments hold people too."""

    def about(key: str, places: int, /, **common: str) -> Rows:
        return [
            {**common, key: f"{key}-{month}-{n}", "resident_id": p.resident_id}
            for n, p in enumerate(PEOPLE[:places])
        ]

    who = PEOPLE[0]
    upheld = {
        "target": "education",
        "decision": "upheld",
        "value": "18",
        "valid_from": "2021-01-01",
        "decided_on": "2021-02-01",
    }
    education = about("certificate_no", 30, kind="degree", awarded_on="2010-06-30")
    for number, line in enumerate(education):
        line["level"] = levels[number % len(levels)]
    town.deliver(
        month,
        registry=registry,
        education=[*education, {**education[0], "certificate_no": who.resident_id, "level": str(who.name)}],
        housing=about("record_id", 20, tenure="rented", district="330212", community="东湖花园", registered="是",
                      from_on="2016-11-15", monthly_rent="1000"),
        employment=[{**line, "employer_id": PEOPLE[n].resident_id} for n, line in enumerate(
            about("contract_id", 20, occupation=str(who.name), started_on="2014-01-06"))],
        children=[{"child_id": child.resident_id, "guardian_id": PEOPLE[n].resident_id, "enrolled": "none"}
                  for n, child in enumerate(CHILDREN)],
        social_security=about("employer_id", 30, insurance="pension", month="2021-09", district="330212", base="4000",
                              kind="paid", posted_on=f"{month}-20"),
        volunteer=about("event_id", 10, kind="service", on_date="2021-05-01", quantity="24", status="valid"),
        credit=about("event_id", 5, kind="honour", level="city", on_date="2019-12-01", status="valid"),
        patents=about("patent_no", 2, kind="invention", granted_on="2019-12-01", status="valid"),
        local_awards=about("award_id", 5, district="330212", indicator=str(who.name), grantor_kind="district",
                           grantor_id="330212", points="2", on_date="2021-03-01", status="valid"),
        corrections=[
            *about("case_id", 4, note=f"{who.name} {who.phone}", **upheld),
            {"case_id": f"{who.resident_id}号", "resident_id": who.resident_id, **upheld},
        ],
    )  # fmt: skip
    children = town.inbox / month / "children.csv"  # a column whose title is somebody
    lines = children.read_text(encoding="utf-8").splitlines()
    children.write_text(
        "\n".join([f"{lines[0]},{who.name}", *(f"{line}," for line in lines[1:])]), encoding="utf-8"
    )


@dataclass
class Office:
    """A folder where the command is used, and everything it has printed there."""

    folder: Path
    said: list[str] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        private = {name: str(self.folder / name) for name in ("HOME", "TMPDIR")}
        for place in private.values():
            Path(place).mkdir(exist_ok=True)
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "jifen"), *arguments], cwd=self.folder, umask=0, text=True,
            env={**os.environ, **private}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def jifen(self, *arguments: str, code: int = 0) -> None:
        with self.start(*arguments) as process:
            said = process.communicate(timeout=240)
        self.said += said
        assert process.returncode == code, said

    def kill_at(self, step: str, *arguments: str) -> None:
        """Run until something of this step is on disk, then kill the process."""
        with self.start(*arguments) as process:
            made = self.folder / "root" / "tmp" / "build"
            while process.poll() is None and not list(made.glob(f"*/**/{step}/*")):
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            self.said += process.communicate()
        assert process.returncode == -signal.SIGKILL, self.said[-2:]


def may_hold_people(path: Path) -> bool:
    """Whether a place of the working folder is one of those that `outputs.md` keeps for people."""
    match path.parts:
        case ("root", part, *_) if part in IDENTIFIED:
            return True
        case ("root", "months", _, _, part, *_):
            return part in IN_REVISION
    return False


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A month with bad rows; one that is blocked, then killed, then published; one that is held; questions asked."""
    folder = tmp_path_factory.mktemp("office")
    (folder / "jifen.toml").write_text(SETTINGS + LIMITS, encoding="utf-8")
    before = os.umask(0)
    town, office = World(tmp_path_factory.mktemp("departments")), Office(folder)
    town.inbox = folder / "root" / "inbox"
    everybody = [row(who) for who in PEOPLE]
    deliver(town, OCTOBER, everybody + bad_rows())
    office.jifen("run", "--month", OCTOBER)
    deliver(
        town, NOVEMBER, everybody + bad_rows() + [row(REFUSED[4], status=str(REFUSED[4].name))] * 80
    )
    office.jifen("run", "--month", NOVEMBER, code=ExitCode.GATE)
    deliver(
        town,
        NOVEMBER,
        [*everybody[1:], row(PEOPLE[0], residence_district="330203")],
        ("bachelor", "doctor"),
    )
    office.kill_at("scores", "run", "--month", NOVEMBER)
    assert leaks_below(folder, SOUGHT, may_hold_people) == []
    office.jifen("run", "--month", NOVEMBER)
    deliver(town, DECEMBER, everybody[:15])
    office.jifen("run", "--month", DECEMBER, code=ExitCode.HELD)
    office.jifen("status")
    office.jifen("sql", "SELECT * FROM latest_scores JOIN latest_facts USING (resident_key)")
    office.jifen("diff", OCTOBER, NOVEMBER)
    with office.start(
        "explain", "--resident", "-", "--records"
    ) as process:  # what it prints is about somebody
        assert "总分" in process.communicate(PEOPLE[1].resident_id)[0]
    yield office
    os.umask(before)


@pytest.fixture(scope="module")
def found(office: Office) -> list[str]:
    return leaks_below(office.folder, SOUGHT, lambda path: False)


@pytest.mark.proves("sources-152")
def test_the_search_finds_them_where_they_may_be(found: list[str]) -> None:
    """Else the next proves nothing: each place that is left out does hold somebody."""
    places = {Path(line).parts[1] for line in found if line.startswith("root/")}
    assert places == {*IDENTIFIED, "months"}
    assert {Path(line).parts[4] for line in found if line.startswith("root/months/")} == IN_REVISION
    assert {line.rsplit(": ", 1)[1] for line in found} == SOUGHT.kinds


@pytest.mark.promises(
    {
        "sources-151": "nobody in logs, errors, reports, Prefect's database, catalogue, Parquet",
        "outputs-6": "Analyst: no national ID",
        "outputs-52": "No ID, name or phone in logs, errors, report, Prefect, catalogue",
        "outputs-191": "14 held",
    }
)
def test_nobody_is_in_anything_else(found: list[str]) -> None:
    assert [line for line in found if not may_hold_people(Path(line.rsplit(": ", 1)[0]))] == []


@pytest.mark.proves("sources-151", "outputs-52")
def test_nobody_is_in_what_was_printed(office: Office) -> None:
    assert len(office.said) == 2 * 8 and all(office.said[::2])
    assert [
        leaks(text.encode(), SOUGHT) for text in office.said if leaks(text.encode(), SOUGHT)
    ] == []


@pytest.mark.promise("outputs-96", "Files 0600; restricted, reminders, exports 0700")
@pytest.mark.proves("sources-143")
def test_nothing_is_open_to_others_though_the_umask_was(office: Office) -> None:
    assert wrong_modes(office.folder / "root", None) == []
