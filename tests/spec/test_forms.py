"""Every form seen in cities' tables can be written as the manual says, and nothing is remarked."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from expectations.fact_validation import validate_fact, validate_spell
from expectations.source_loader import BUILTIN_SOURCES, read_sources
from expectations.yaml_document import YamlDocument
from tests.parity.reference.fact_forms import make_source
from tests.spec.chapters import FACTS, HERE
from tests.spec.forms import OUTSIDE, Form, read_forms
from transforms.points.load import read_tables
from transforms.services.models import Condition, Guardians, PointsNeeded, Ranking

FORMS = read_forms(HERE / "20_cannot" / "forms.yaml")
DISTRICT = "330211"
WORDS = {"title": "数据", "meaning": "义", "meaning_en": "one"}
LINE = "title: 指标\nsection: base\nbasis: 第1条\nvalues: published\nevidence: 依据"
ONE = "fact: shortage_job\nrule: {flat: 1}\nexamples: {true: 1}"
HEAD = "title: 积分表\npurpose: 目的\nlegal_basis: 依据\neffect: [loan]\nversions:\n  - from: 2021-09-08\n"


def read(text: str, folder: Path) -> Any:
    path = folder / "fragment.yaml"
    path.write_text(text, encoding="utf-8")
    file = YamlDocument(path)
    assert file.problems == []
    return file.data


def indent(text: str, depth: int) -> str:
    return "\n".join(" " * depth + line for line in text.splitlines())


def write_table(folder: Path, form: Form) -> None:
    """Write a points table with the form in its place."""
    place, text = form.place, form.text
    line = (
        f"{LINE}\n{ONE}" if place != "indicator" else f"{LINE}\n{text}\nexamples: [{{points: 0}}]"
    )
    if "section:" in text:
        line = line.replace("section: base\n", "", 1)
    version = {"basis": "basis: 文号"} | ({"version": text} if place == "version" else {})
    if "basis:" in version.get("version", ""):
        version.pop("basis")
    parts = [
        *version.values(),
        "sections:",
        f"  base: {text if place == 'section' else '{title: 基础分}'}",
        "  bonus: {title: 加分}",
        "  minus: {title: 扣分, subtract: true}",
        *([f"groups:\n  together: {text}"] if place == "group" else []),
        "indicators:",
    ]
    codes = {"one": line, "more": f"{LINE}\n{ONE}".replace("section: base", "section: bonus")}
    codes["less"] = f"{LINE}\n{ONE}".replace("section: base", "section: minus")
    codes["education"] = f"{LINE}\n{ONE}"
    if place == "group":
        codes["together_one"] = f"{LINE}\n{ONE}".replace("section: base", "section: together")
    for code, own in codes.items():
        parts += [f"  {code}:", indent(own, 4)]
    table = f"authority: city\n{HEAD}{indent(chr(10).join(parts), 4)}\n"
    (folder / "city.yaml").write_text(table, encoding="utf-8")
    own = f"{LINE}\n{text}\nexamples: [{{points: 0}}]" if place == "district" else f"{LINE}\n{ONE}"
    own = own.replace("section: base", "section: district")
    district = ["basis: 文号", "sections: {district: {title: 个性分}}", "indicators:"]
    district += ["  village:", indent(own, 4)]
    named = f'authority: "{DISTRICT}"\n{HEAD}{indent(chr(10).join(district), 4)}\n'
    (folder / f"{DISTRICT}.yaml").write_text(named, encoding="utf-8")


def check_facts(written: Any, folder: Path) -> None:
    facts = {name: {**WORDS, **fact} for name, fact in written.items()}
    source = make_source("forms", "snapshot", facts)
    for name, fact in source.facts.items():
        assert list(validate_fact(source, name, fact)) == []
        for spell in fact.every_spell:
            assert list(validate_spell({"forms": source}, source, spell)) == []


def check_source(written: Any, folder: Path) -> None:
    shutil.copytree(BUILTIN_SOURCES, folder / "sources")
    path = folder / "sources" / "local_awards.yaml"
    whole = {**YamlDocument(path).data, **written}
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    assert read_sources(folder / "sources").warnings == []


def check_service(written: Any, folder: Path) -> None:
    for condition in written.get("conditions", ()):
        Condition.model_validate(condition)
    parts = {"points": PointsNeeded, "rank": Ranking, "guardians": Guardians}
    for name, model in parts.items():
        if name in written:
            model.model_validate(written[name])


CHECKS = {"facts": check_facts, "source": check_source, "service": check_service}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.title.split()[0])
def test_every_form_is_written_as_the_manual_says(form: Form, tmp_path: Path) -> None:
    if form.place == OUTSIDE:
        assert form.text.startswith("是")
    elif form.place in CHECKS:
        CHECKS[form.place](read(form.text, tmp_path), tmp_path)
    else:
        write_table(tmp_path, form)
        loaded = read_tables(tmp_path, FACTS, [DISTRICT])
        remarks = [one for one in loaded.warnings if ".examples" not in one.key]
        assert [str(one) for one in remarks] == []


def test_the_list_has_all_forms() -> None:
    numbers: list[int] = []
    for form in FORMS:
        first, *more = map(int, re.findall(r"\d+", form.title.split()[0]))
        last = more[-1] if more else first
        numbers += range(first, last + 1)
    assert numbers == list(range(1, 75))
    outside = [form for form in FORMS if form.place == OUTSIDE]
    assert len(outside) <= 3
