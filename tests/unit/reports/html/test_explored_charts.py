"""The charts' script: put together once, kept where it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.html.explored_charts import load_vega_script


def test_the_script_is_kept_whole_and_read_again(tmp_path: Path) -> None:
    script = load_vega_script(tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.read_text(encoding="utf-8") == script and "</script" not in script
    kept.write_text("kept", encoding="utf-8")
    assert load_vega_script(tmp_path / "cache") == "kept"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    assert "vega" in load_vega_script(tmp_path / place)
    assert (tmp_path / "file").read_bytes() == b""
