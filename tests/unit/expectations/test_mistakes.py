"""A writer's mistakes in sources and reference tables: each refused at its place, all of them at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from expectations.errors import DeclarationError
from expectations.reference_tables import load_reference
from expectations.source_loader import BUILTIN_SOURCES, load_sources
from flows.project import load_project
from flows.settings import OWN_DECLARATIONS, Paths, Settings

SOURCES = load_sources()
WRONG_ROWS = {
    "community_rents": [
        ("330203,甲,2021-13,1000", "from_month"),
        ("330203,甲,2021-10,1e3", "average_rent"),
        ("330203,,2021-10,1000", "community"),
        ("330203,甲,2021-10", "(行)"),
        ("330203,甲,2021-10,1000\n330203,甲,2021-10,1001", "330203,甲,2021-10"),
    ],
    "school_calendar": [
        ("330203,2022,primary,2022-02-30,2022-06-30", "opens_on"),
        ("330203,2022,senior,2022-05-01,2022-06-30", "level"),
    ],
    "award_quotas": [("V,21,10", "year"), ("V,2021,-", "points")],
    "districts": [
        ("330203,海曙区,Haishu,ssh-rsa", "recipient"),
        ("330203,海曙区,Haishu,\n330205,海曙区,Jiangbei,", "name"),
    ],
}


@pytest.mark.promise("sources-138", "a writer's mistakes in reference tables")
@pytest.mark.parametrize(
    ("table", "row", "key"), [(t, *wrong) for t, listed in WRONG_ROWS.items() for wrong in listed]
)
def test_mistakes_in_reference_tables_are_refused_at_their_line(
    tmp_path: Path, table: str, row: str, key: str
) -> None:
    shutil.copytree(OWN_DECLARATIONS / "reference", tmp_path / "reference")
    path = tmp_path / "reference" / f"{table}.csv"
    path.write_text(
        path.read_text(encoding="utf-8").splitlines()[0] + f"\n{row}\n", encoding="utf-8"
    )
    with pytest.raises(DeclarationError) as caught:
        load_reference(tmp_path / "reference")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.key) == (path, 2 + row.count("\n"), key)


@pytest.mark.parametrize("spelling", [str, str.lower, lambda key: f" {key}", lambda key: key + "x"])
def test_a_secret_key_where_a_public_one_belongs_is_not_repeated(
    tmp_path: Path, spelling: Callable[[str], str]
) -> None:
    shutil.copytree(OWN_DECLARATIONS / "reference", tmp_path / "reference")
    secret = str(pyrage.x25519.Identity.generate())
    path = tmp_path / "reference" / "districts.csv"
    header = path.read_text(encoding="utf-8").splitlines()[0]
    path.write_text(f"{header}\n330203,海曙区,Haishu,{spelling(secret)}\n", encoding="utf-8")
    with pytest.raises(DeclarationError) as caught:
        load_reference(tmp_path / "reference")
    message = str(caught.value)
    assert "这是私钥" in message and "districts.csv:2" in message
    assert secret[20:40].lower() not in message.lower()


@pytest.mark.proves("sources-138")
def test_all_unreadable_reference_tables_are_reported_at_once(tmp_path: Path) -> None:
    shutil.copytree(OWN_DECLARATIONS / "reference", tmp_path / "reference")
    folder = tmp_path / "reference"
    (folder / "districts.csv").write_bytes(
        "code,name,name_en,recipient\n330203,海曙区,Haishu,\n".encode("gb18030")
    )
    (folder / "award_quotas.csv").write_text("grantor,year,points\n")
    (folder / "community_rents.csv").unlink()
    with pytest.raises(DeclarationError) as caught:
        load_reference(folder)
    assert [one.file.stem for one in caught.value.problems] == [
        "award_quotas",
        "community_rents",
        "districts",
    ]


# source, original text, replacement, reported key
MISTAKES = [
    ("patents", "key: [patent_no]", "key: [patent_no]\ncolour: red", "colour"),
    ("patents", "key: [patent_no]", "key: [patent_no]\nkey: [kind]", "key"),
    ("patents", "key: [patent_no]", "key: [number]", "key"),
    ("patents", "delivery: increment", "delivery: weekly", "delivery"),
    ("patents", "delivery: increment", "delivery: increment\ncarry_forward: 3", "carry_forward"),
    ("housing", "carry_forward: 3", "carry_forward: -1", "carry_forward"),
    ("patents", "source: patents", "source: patent", "source"),
    ("patents", "person: resident_id", "person: patent_no", "person"),
    ("patents", "standing: {status: valid}", "standing: {state: valid}", "standing"),
    ("patents", "standing: {status: valid}", "standing: {status: ok}", "standing.status"),
    ("patents", "title: 专利号", "title: 公民身份号码", "columns.patent_no"),
    ("patents", "type: date, required: true", "type: day, required: true", "columns.granted_on.type"),
    ("patents", "type: date, required: true", "type: date, required: yes", "columns.granted_on.required"),
    ("patents", "type: date, required: true", "type: date, values: {a: b}", "columns.granted_on.values"),
    ("patents", "type: date, required: true", "type: date, not_before: other", "columns.granted_on"),
    ("housing", "check: {min: 0}", "check: {minimum: 0}", "columns.monthly_rent.check.minimum"),
    ("volunteer", "by: kind", "by: sort", "columns.quantity"),
    ("volunteer", "platelets: {one_of", "plates: {one_of", "columns.quantity.checks.plates"),
    ("registry", "where: {status: resident}", "where: {status: here}", "spine.where.status"),
    ("social_security", "newest: posted_on", "newest: posted", "ledger"),
    ("social_security", "holds: {kind: paid}", "holds: {kind: payed}", "ledger.holds.kind"),
    ("social_security", "tie: {kind: reversed}", "tie: {kind: back}", "ledger.tie.kind"),
    ("social_security", "of: month", "of: posted_on", "facts.pension_months.of"),
    ("local_awards", "per: grantor_id", "per: grantor", "quota"),
    ("local_awards", "table: award_quotas", "table: quotas", "quota.table"),
    ("local_awards", "unless: {grantor_kind: district}", "unless: {grantor_kind: city}", "quota.unless.grantor_kind"),
    ("local_awards", "个性指标, type: text", "个性指标, type: district", "from_districts"),
    ("corrections", "holds: {decision: upheld}", "holds: {decision: yes}", "corrects.holds.decision"),
    ("corrections", "required_when: {decision: upheld}", "required_when: {decision: so}", "columns.value.required_when.decision"),
    ("employment", "table: shortage_occupations", "table: shortages", "facts.shortage_job.listed"),
    ("housing", "table: community_rents", "table: rents", "facts.market_rent.lookup"),
    ("housing", "newest: from_month", "newest: month", "facts.market_rent.lookup"),
    ("housing", "match: {district: rental_district", "match: {district: rented", "facts.market_rent.lookup.match"),
    ("housing", "pick: [from_on, record_id]", "pick: [from, record_id]", "facts.rental_registered"),
    ("volunteer", "weights: {kind: {platelets: 200}}", "weights: {kind: {plates: 200}}", "facts.blood_ml.weights.kind"),
    ("education", "ladder: [primary,", "ladder: [prim,", "facts.degree.ladder"),
    ("children", "levels: {primary: children_due_primary", "levels: {primary: due", "facts.children_due.levels"),
    ("patents", "measure: count", "measure: counts", "facts.patents_invention.measure"),
    ("patents", "measure: count", "measure: sum", "facts.patents_invention"),
    ("patents", "where: {kind: invention}", "where: {kind: discovery}", "facts.patents_invention.where.kind"),
    ("patents", "unit: count", "unit: pieces", "facts.patents_invention.unit"),
    ("housing", "pick: [from_on, record_id]", "pick: []", "facts.rental_registered.pick"),
    ("employment", "of: jobs_created", "of: occupation", "facts.jobs_created.of"),
    ("education", "of: level", "of: resident_id", "facts.degree.of"),
    ("patents", "unit: count", "unit: yes_no", "facts.patents_invention.unit"),
    ("patents", "measure: count", "measure: count\n    clip: {max: 3}", "facts.patents_invention.clip"),
    ("patents", "measure: count", "measure: count\n    keys: [kind]", "facts.patents_invention.keys"),
    ("housing", "lookup:", "where: {tenure: [rented]}\n    lookup:", "facts.market_rent.where"),
    ("credit", "within: {of: on_date", "within: {of: kind", "facts.honours_national.within.of"),
    ("credit", "last_months: 60", "last_months: 0", "facts.honours_national.within.last_months"),
    ("credit", "derive: dishonesty_serious > 0 or", "derive: dishonest > 0 or", "facts.frozen.derive"),
    ("credit", "derive: dishonesty_serious > 0 or", "derive: dishonesty_serious > or", "facts.frozen.derive"),
    ("credit", "derive: dishonesty_serious > 0 or crimes_120m > 0", "derive: crimes_120m + 1", "facts.frozen.derive"),
]  # fmt: skip


@pytest.mark.promise(
    "sources-9", "a declared name, value or expression that is not there is refused at load"
)
@pytest.mark.promise("sources-137", "a writer's mistakes in sources")
@pytest.mark.proves("sources-154")
@pytest.mark.parametrize(
    ("name", "was", "becomes", "key"), MISTAKES, ids=[f"{m[0]}-{m[2]}" for m in MISTAKES]
)
def test_each_mistake_in_a_source_is_refused_at_its_key(
    tmp_path: Path, name: str, was: str, becomes: str, key: str
) -> None:
    policy = tmp_path / "policy"
    shutil.copytree(BUILTIN_SOURCES, policy / "sources")
    for part in ("points", "services", "reminders"):
        (policy / part).symlink_to(OWN_DECLARATIONS / part)
    path = policy / "sources" / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert was in text
    path.write_text(text.replace(was, becomes, 1), encoding="utf-8")
    with pytest.raises(DeclarationError) as caught:
        load_project(Settings(paths=Paths(root=tmp_path, inbox=tmp_path, policy=policy)))
    problem = caught.value.problems[0]
    assert (problem.file, problem.key) == (path, key) and problem.found and problem.expected
    assert problem.line > 1 or key == "source"


@pytest.mark.proves("sources-137")
def test_mistakes_in_all_sources_are_reported_at_once(tmp_path: Path) -> None:
    for path in BUILTIN_SOURCES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("delivery: increment", "delivery: often")
        (tmp_path / path.name).write_text(
            text.replace("carry_forward: 3", "carry_forward: N"), encoding="utf-8"
        )
    with pytest.raises(DeclarationError) as caught:
        load_sources(tmp_path)
    assert {problem.file.stem for problem in caught.value.problems} == set(SOURCES) - {"registry"}


@pytest.mark.promise("outputs-40", "All problems of all kinds of files at once")
def test_mistakes_in_all_policy_files_are_reported_at_once(tmp_path: Path) -> None:
    wrong = [
        Path("points/330206.yaml"),
        Path("reminders/insurance_gap.yaml"),
        Path("services/rent_subsidy.yaml"),
    ]
    for part in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / part, tmp_path / part)
    for file in wrong:
        with (tmp_path / file).open("a", encoding="utf-8") as text:
            text.write("\ncolour: red\n")
    with pytest.raises(DeclarationError) as caught:
        load_project(Settings(paths=Paths(root=tmp_path, inbox=tmp_path, policy=tmp_path)))
    assert [(one.file.relative_to(tmp_path), one.key) for one in caught.value.problems] == [
        (file, "colour") for file in wrong
    ]
