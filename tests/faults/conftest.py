"""One city for all faults: each test leaves its root with both months published, as it found it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.city import City


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    before = os.umask(0o022)
    yield City(tmp_path_factory.mktemp("city"))
    os.umask(before)
