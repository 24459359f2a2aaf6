"""LibreOffice as a clerk has it, without its windows: a list is opened, and saved in another format to be looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# What its import dialog proposes for a CSV with a byte order mark: cells parted at commas, semicolons and TABs, texts in
# double quotes, UTF-8, the rest as it is set. Without windows there is no dialog, and nothing looks for the mark.
CSV_DEFAULTS = "CSV:44/59/9,34,UTF8"
TO_CSV = "csv:Text - txt - csv (StarCalc):44,34,UTF8"
SECONDS = 200


def soffice() -> str:
    """The command. In CI a missing one fails the test; elsewhere `make test` needs nothing but Python."""
    found = shutil.which("soffice")
    if not found and not os.environ.get("CI"):
        pytest.skip("no LibreOffice: apt-get install libreoffice-calc")
    assert found, "no LibreOffice: apt-get install libreoffice-calc"
    return found


def converted(files: list[Path], to: str, out: Path) -> list[Path]:
    """Open each file (a CSV as the dialog proposes) and save it as `to`; where the results are."""
    opening = [f"--infilter={CSV_DEFAULTS}"] if files[0].suffix == ".csv" else []
    profile = f"-env:UserInstallation={(out / 'profile').as_uri()}"
    command = [
        soffice(),
        profile,
        "--headless",
        *opening,
        "--convert-to",
        to,
        "--outdir",
        str(out),
        *map(str, files),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
    return [out / f"{file.stem}.{to.split(':')[0]}" for file in files]
