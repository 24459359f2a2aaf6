"""National IDs (GB 11643-1999) the plain way: normalise, check, read the birth date. Text in, text or None out."""

from __future__ import annotations

import datetime as dt
import re

# Unicode's White_Space, and the two invisible characters that exports leave behind.
BLANKS = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff\u200b"
)
FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def trim_text(text: str | None) -> str | None:
    """The text without blanks around it; None when nothing is left."""
    stripped = (text or "").strip(BLANKS)
    return stripped or None


def compute_check_character(first_17: str) -> str:
    """ISO 7064 MOD 11-2, summed from the left with the standard's weights."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(first_17))
    return "10X98765432"[total % 11]


def normalise_id(text: str, received_last_day: dt.date) -> str | None:
    """The 18-character ID meant by the text, or None when it is no ID of a person born by that day."""
    compact = "".join(c for c in text.translate(FULL_WIDTH) if c not in BLANKS).replace("x", "X")
    if re.fullmatch(r"[0-9]{15}", compact):
        longer = compact[:6] + "19" + compact[6:]
        compact = longer + compute_check_character(longer)
    if (
        not re.fullmatch(r"[0-9]{17}[0-9X]", compact)
        or compute_check_character(compact[:17]) != compact[17]
    ):
        return None
    try:
        born = parse_birth_date(compact)
    except ValueError:
        return None
    return compact if dt.date(1900, 1, 1) <= born <= received_last_day else None


def parse_birth_date(resident_id: str) -> dt.date:
    """The birth date in an 18-character ID; ValueError when there is no such day."""
    return dt.date(int(resident_id[6:10]), int(resident_id[10:12]), int(resident_id[12:14]))


def to_full_width(text: str) -> str:
    """The same text as a Chinese input method writes it: the other direction, for generators."""
    return "".join(chr(ord(c) + 0xFEE0) if 0x21 <= ord(c) <= 0x7E else c for c in text)
