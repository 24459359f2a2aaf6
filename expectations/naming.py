"""How names that people type are compared: those of columns and of files."""

from __future__ import annotations

import re
import unicodedata

_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】|<[^<>]*>|〔[^〔〕]*〕|\*")


def normalise_name(text: str) -> str:
    """Return a name without what does not matter: width, case, blanks, line breaks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf")


def strip_remarks(name: str) -> str:
    """Return a normalised name without remarks in brackets: `身份证号(18位)`."""
    return _REMARK.sub("", name) or name
