"""Promises about districts' lists that nothing else holds."""

from __future__ import annotations

import duckdb
import pytest

from reports.packages.csv_cells import ListColumn


@pytest.mark.proves("outputs-132")
@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "'=", "''\r"])
def test_each_character_that_could_run_gets_an_apostrophe_before_it(begin: str) -> None:
    cell = f"SELECT {ListColumn('name', '姓名', 'text').cell} FROM (SELECT ? AS name)"
    with duckdb.connect() as connection:
        guarded, left_alone = (
            connection.execute(cell, [text]).fetchall()[0][0]
            for text in (f"{begin}1+1", f"甲{begin}1+1")
        )
    assert (guarded, left_alone) == (f"'{begin}1+1", f"甲{begin}1+1")
