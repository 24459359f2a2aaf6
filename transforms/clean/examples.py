"""Examples of refused values that are no person's, for those who have to mend the file."""

from __future__ import annotations

import re

from expectations.source_model import Source
from transforms.engine.session import Session

_WRITTEN = re.compile(r"[0-9０-９年月日号时分秒/／.．:：\-+T ,E]{1,30}", re.IGNORECASE)
_PERSONAL = re.compile(r"[0-9]{9,}|(?<![0-9])1[3-9][0-9]{9}")
_MIN_PEOPLE = 10  # who have a word: a name in the wrong column is of fewer, however many its rows
_MAX_WORDS = 20  # of a column: more of them are no vocabulary, and may be names
_MAX_LENGTH = 20
_NUMERIC = ("date", "month", "amount", "integer")
_WORDS = ("set", "yes_no", "district", "area")


def find_examples(session: Session, source: Source) -> dict[str, str]:
    """Return `column:code` -> the most frequent refused or emptied value, of the view `staged`.

    Only of columns of dates, numbers and declared values; nothing that looks like an ID or a phone,
    and no word that may be a name in the wrong column.
    """
    rows = session.execute(f"""
        WITH noted AS (
            SELECT unnest(list_concat(coalesce(reasons, []), coalesce(defects, []))) AS note, raw
            FROM staged WHERE reasons IS NOT NULL OR defects IS NOT NULL
        ),
        counted AS (
            SELECT note, trim(raw ->> ('$.' || split_part(note, ':', 1))) AS delivered,
                count(*) AS rows, count(DISTINCT raw ->> '$.{source.person}') AS people
            FROM noted GROUP BY ALL
        )
        SELECT note, arg_max(delivered, (rows, delivered)),
            arg_max(people, (rows, delivered)), count(*)
        FROM counted WHERE delivered <> '' GROUP BY note ORDER BY note""").fetchall()
    return {
        str(note): str(value)
        for note, value, people, words in rows
        if _may_show(source, str(note), str(value), int(people), int(words))
    }


def _may_show(source: Source, note: str, value: str, people: int, words: int) -> bool:
    column = source.columns.get(note.partition(":")[0])
    if column is None or len(value) > _MAX_LENGTH or _PERSONAL.search(value):
        return False
    if column.type in _NUMERIC and _WRITTEN.fullmatch(value):
        return True
    is_word = column.type in (*_NUMERIC, *_WORDS)
    return is_word and people >= _MIN_PEOPLE and words <= _MAX_WORDS
