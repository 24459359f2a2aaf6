"""What stands beside a person's points: the change against the month before, and the services with what is lacking."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from reports.explain.model import ScoreChange, ServiceState
from reports.explain.published_rules import PublishedRules
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session


def load_changes(
    session: Session,
    revision: Path,
    titles: Mapping[str, str],
    district: str,
    resident_key: str,
) -> list[ScoreChange]:
    """The person's rows of the revision's `changes`, in the order of the titles (`item_titles`)."""
    order = {item: place for place, item in enumerate(titles)}
    rows = session.execute(
        f"SELECT item, before, after FROM {read_folder_sql(revision / 'changes')} WHERE district = ? AND resident_key = ?",
        [district, resident_key],
    ).fetchall()
    rows.sort(key=lambda row: order.get(row[0], len(order)))
    return [
        ScoreChange(item, titles.get(item, item), before, after) for item, before, after in rows
    ]


def load_service_states(
    session: Session, revision: Path, rules: PublishedRules
) -> list[ServiceState]:
    """Every service in force for the one person in `scored`: reached, or what is lacking; with what it pays, as published."""
    if not rules.services_in_force:
        return []
    asked = session.execute(
        rules.lacking, {"as_of": rules.as_of} if "$as_of" in rules.lacking else None
    ).fetchall()
    district, key = session.execute("SELECT district, resident_key FROM scored").fetchall()[0]
    amounts = dict(
        session.execute(
            f"SELECT service, monthly_amount FROM {read_folder_sql(revision / 'eligibility')}"
            " WHERE district = ? AND resident_key = ?",
            [district, key],
        ).fetchall()
    )
    titles = {service.service: service.title for service in rules.services}
    states = []
    for code, rows in groupby(asked, key=lambda row: str(row[1])):
        lacking = [(place, sentence) for _, _, place, _, holds, sentence in rows if not holds]
        here = [
            sentence for place, sentence in lacking if place == 0
        ]  # not open in the district: nothing else matters
        sentences = here or [sentence for _, sentence in lacking]
        states.append(ServiceState(code, titles[code], not sentences, sentences, amounts.get(code)))
    return states
