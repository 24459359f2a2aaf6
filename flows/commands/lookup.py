"""Looking a person up: who may, for which purpose, and the note of it in the access log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.settings import Settings
from flows.storage.keys import fingerprint_key
from flows.storage.revisions import Revision
from flows.storage.root import Root
from transforms.clean import national_id
from transforms.engine.session import Session
from transforms.facts.pseudonyms import compute_pseudonym


@dataclass(frozen=True)
class Reason:
    """Why data of single people are asked for.

    Attributes:
        purpose: What it is for; empty: not said.
        case: The number of the case in which it is asked; empty: not said.
    """

    purpose: str = ""
    case: str = ""

    def list_given(self) -> dict[str, str]:
        """Return what was said of it, for the access log."""
        said = {"purpose": self.purpose, "case": self.case}
        return {name: text for name, text in said.items() if text}


@dataclass(frozen=True)
class PersonQuery:
    """What is asked about a person.

    Attributes:
        given: The person's ID, written as departments write it.
        month: The month or revision (`2024-03/r1`); None is the newest published month.
        purpose: Why it is asked.
        case: The number of the case in which it is asked.
    """

    given: str
    month: str | None = None
    purpose: str = ""
    case: str = ""

    @property
    def reason(self) -> Reason:
        """Return why it is asked."""
        return Reason(self.purpose, self.case)


@dataclass(frozen=True)
class Person:
    """A person who was found by their ID.

    Attributes:
        number: The ID as clean rows have it: 17 digits.
        resident_id: The normalised ID.
        resident_keys: The pseudonyms by key, the oldest first: fingerprint -> pseudonym.
    """

    number: int
    resident_id: str
    resident_keys: Mapping[str, str]

    @property
    def resident_key(self) -> str:
        """The pseudonym by the newest key."""
        return list(self.resident_keys.values())[-1]

    def key_in(self, revision: Revision) -> str:
        """Return the pseudonym by the key that a revision was made with."""
        return self.resident_keys.get(revision.manifest.key_fingerprint, self.resident_key)


def require_purpose(settings: Settings, root: Root, reason: Reason) -> None:
    """Refuse who may not ask, or does not give the reason that the settings want.

    Raises:
        JifenError: Exit 2.
    """
    root.operator.require_named()
    given = reason.list_given()
    absent = [f"--{name}" for name in ("purpose", "case") if name not in given]
    if settings.access.require_purpose and absent:
        raise JifenError(
            ExitCode.USAGE,
            f"查询个人或明细数据须写明用途和办件编号，缺少 {'、'.join(absent)}",
            where="jifen.toml [access] require_purpose",
            hint="加上 --purpose 用途 --case 编号",
        )


def find_person(session: Session, root: Root, query: PersonQuery, month: Month) -> Person:
    """Return the person of an ID, read by the rules of the cleaning.

    Raises:
        JifenError: Exit 2, it is no valid ID; the message never quotes it.
    """
    text, number = national_id.normalise_sql("given"), national_id.to_number_sql("text")
    valid = national_id.is_valid_sql("text", "person", month.last_day)
    person, resident_id, is_valid = session.execute(
        f"""
        SELECT person, {national_id.to_text_sql("person")}, {valid}
        FROM (
            SELECT *, {number} AS person
            FROM (SELECT {text} AS text FROM (SELECT CAST(? AS VARCHAR) AS given))
        )""",
        [query.given],
    ).fetchall()[0]
    if person is None or not is_valid:
        raise JifenError(
            ExitCode.USAGE, "公民身份号码不合规则（位数、出生日期或校验码）", hint="核对号码后再查"
        )
    keys = root.keys()
    found = {
        fingerprint_key(key): compute_pseudonym(str(resident_id), *keys[:number])
        for number, key in enumerate(keys, start=1)
    }
    return Person(int(person), str(resident_id), found)


def log_lookup(
    root: Root, action: str, person: Person, query: PersonQuery, **facts: str | int
) -> None:
    """Note in the access log that a person is looked up, by whom, for which purpose."""
    given = query.reason.list_given()
    root.access_log(action, resident_key=person.resident_key, **given, **facts)
