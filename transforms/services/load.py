"""Services and reminders read from their folders: everything that is wrong, in all files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from expectations.errors import DeclarationError, Diagnostic
from expectations.source_model import Fact
from expectations.yaml_document import Loaded, YamlDocument
from transforms.points.models import PointsTable
from transforms.points.validate import Mistake, describe_unknown
from transforms.reminders.models import StandingReminder
from transforms.services.models import Service, ServiceVersion
from transforms.services.proofread import proofread_service_version
from transforms.services.validate import (
    ValidationScope,
    validate_service,
    validate_standing_reminder,
    validate_version,
)
from transforms.versions import Place

Declared = TypeVar("Declared")
_INVALID_VERSION = ServiceVersion.model_validate(
    {
        **{
            "from": "1900-01-01",
            "basis": "-",
            "districts": "all",
            "conditions": [],
            "points": {"threshold": "0"},
        },
        "values": dict.fromkeys(("districts", "conditions", "points"), "illustrative"),
        "window": "school_calendar",
        "examples": [{"district": "-", "eligible": "false"}],
    }
)
"""Replaces a version whose mistakes were reported already, so that the rest can still be read."""


def load_services(
    folder: Path,
    facts: Mapping[str, Fact],
    tables: Mapping[str, PointsTable] | None,
    districts: Mapping[str, str],
) -> list[Service]:
    """Return the services of a folder (see `read_services`)."""
    return read_services(folder, facts, tables, districts).items


def read_services(
    folder: Path,
    facts: Mapping[str, Fact],
    tables: Mapping[str, PointsTable] | None,
    districts: Mapping[str, str],
) -> Loaded[Service]:
    """Return every service of a folder (`<code>.yaml`), sorted by code.

    Args:
        folder: Where the files are.
        facts: All facts declared, by name.
        tables: The points tables by authority. None, since they are mistaken themselves: what
            versions say of facts and points is not checked.
        districts: Names by code.

    Raises:
        DeclarationError: With every mistake found in any of the files.
    """
    known = ValidationScope(facts, tables or {}, districts)
    return _load(folder, lambda file: _read_service(file, known, points_known=tables is not None))


def load_reminders(
    folder: Path,
    facts: Mapping[str, Fact],
    districts: Mapping[str, str],
    services: Iterable[Service],
) -> list[StandingReminder]:
    """Return the standing reminders of a folder (see `read_reminders`)."""
    return read_reminders(folder, facts, districts, services).items


def read_reminders(
    folder: Path,
    facts: Mapping[str, Fact],
    districts: Mapping[str, str],
    services: Iterable[Service],
) -> Loaded[StandingReminder]:
    """Return every reminder that no service declares (`<kind>.yaml`), sorted by kind.

    Raises:
        DeclarationError: With every mistake found in any of the files.
    """
    known = ValidationScope(facts, {}, districts)
    taken = {service.reminder.kind for service in services if service.reminder}
    return _load(folder, lambda file: _read_reminder(file, known, taken))


def select_services_in_force(
    services: Iterable[Service], as_of: dt.date
) -> dict[str, ServiceVersion]:
    """Return the version in force of every service that has one on a day, sorted by code."""
    versions = {service.service: service.in_force(as_of) for service in services}
    return {code: version for code, version in sorted(versions.items()) if version is not None}


def _load(folder: Path, read: Callable[[YamlDocument], Declared | None]) -> Loaded[Declared]:
    problems: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    found: list[Declared] = []
    if not folder.is_dir():
        problems.append(Diagnostic(folder, 1, "(文件夹)", "不存在", "没有声明时请留一个空文件夹"))
    for path in sorted(folder.glob("*.y*ml")):
        file = YamlDocument(path)
        declared = read(file) if not file.problems and file.require_values(file.data) else None
        if path.suffix != ".yaml":
            file.add_error((), path.name, "文件名应以 .yaml 结尾")
        problems += dict.fromkeys(file.problems)
        warnings += dict.fromkeys(file.warnings)
        found += [] if declared is None else [declared]
    if problems:
        raise DeclarationError(problems)
    return Loaded(found, warnings)


def _read_reminder(
    file: YamlDocument, known: ValidationScope, taken: Collection[str]
) -> StandingReminder | None:
    reminder = file.parse(StandingReminder)
    if reminder is not None:
        _add_mistakes(file, validate_standing_reminder(reminder, known))
        if reminder.kind != file.path.stem:
            file.add_error(("kind",), reminder.kind, f"应与文件名一致：{file.path.stem}")
        if reminder.kind in taken:
            file.add_error(("kind",), reminder.kind, "已是某项服务的提醒，请换一个代码")
    return reminder


def _read_service(
    file: YamlDocument, known: ValidationScope, *, points_known: bool
) -> Service | None:
    """Return the service; each version is read by itself: a mistake in one hides no other."""
    if not isinstance(file.data, dict) or not isinstance(file.data.get("versions"), list):
        return file.parse(Service)
    versions = [_VersionReader(file, index) for index in range(len(file.data["versions"]))]
    for index, version in enumerate(versions):
        version.read(versions[:index])
    service = file.parse(
        Service,
        {**file.data, "versions": [version.model or _INVALID_VERSION for version in versions]},
    )
    if file.data.get("service") not in (None, file.path.stem):
        file.add_error(("service",), f"{file.data['service']}", f"应与文件名一致：{file.path.stem}")
    valid = [(version, version.model) for version in versions if version.model is not None]
    for version, model in valid if points_known else ():
        ends = min(
            (other.begins for _, other in valid if other.begins > model.begins), default=dt.date.max
        )
        for place, found, meant in validate_version(model, ends, known):
            file.add_error(version.origin(place), found, meant)
        for place, found, meant in proofread_service_version(model):
            file.add_warning(version.origin(place), found, meant)
    for (_, before), (version, model) in pairwise(valid):
        if model.begins <= before.begins:
            file.add_error(
                (*version.place, "from"),
                f"{model.begins} 不晚于前一个版本",
                "版本按日期从早到晚排列",
            )
    if service is not None:
        _add_mistakes(file, validate_service(service, known))
    return service


class _VersionReader:
    """One version of a file: as written, or as an earlier one (`as_in`) with other keys given."""

    def __init__(self, file: YamlDocument, index: int) -> None:
        self.file = file
        self.place: Place = ("versions", index)
        self.written: Any = file.data["versions"][index]
        own = self.written if isinstance(self.written, dict) else {}
        self.origins: dict[str, Place] = {key: (*self.place, key) for key in own}
        self.model: ServiceVersion | None = None

    def read(self, earlier: Sequence[_VersionReader]) -> None:
        """Take over what `as_in` names, and check the whole; mistakes there are reported once."""
        if isinstance(self.written, dict) and "as_in" in self.written:
            named = str(self.written["as_in"])
            dated = {
                str(version.written.get("from")): version for version in earlier if version.origins
            }
            base = dated.get(named)
            if base is None:
                self.file.add_error(
                    (*self.place, "as_in"), *describe_unknown("更早的版本", named, dated)
                )
                return
            own = {key: value for key, value in self.written.items() if key != "as_in"}
            taken = {
                key: value for key, value in base.written.items() if key not in ("from", "amends")
            }
            self.written = {**taken, **own}
            self.origins = {**base.origins, **self.origins}
            if base.model is None:
                return
        self.model = self.file.parse(ServiceVersion, self.written, self.place)

    def origin(self, place: Place) -> Place:
        """Where a part was written: in this version, or in the one it was taken over from."""
        return (
            (*self.origins.get(str(place[0]), (*self.place, place[0])), *place[1:])
            if place
            else self.place
        )


def _add_mistakes(file: YamlDocument, mistakes: Iterable[Mistake]) -> None:
    for place, found, meant in mistakes:
        file.add_error(place, found, meant)
