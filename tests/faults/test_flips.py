"""A single flipped byte anywhere in what is published or was received is found, and the file is named."""

from __future__ import annotations

import random

import pytest

from tests.faults.city import City
from tests.faults.flips import findings, flip, is_seal, named, published_files, received_files
from tests.faults.kills import jifen


@pytest.mark.parametrize("seed", range(5))
def test_a_byte_flipped_in_every_file_is_found_in_every_file(city: City, seed: int) -> None:
    rng = random.Random(seed)
    intact = {
        file: file.read_bytes()
        for file in [*published_files(city.root), *received_files(city.root)]
    }
    flipped = [file for file in intact if not is_seal(city.root, file)]
    assert len(flipped) > 250
    for file in flipped:
        flip(file, rng)
    found = findings(city.root)
    assert [file for file in flipped if not named(city.root, file, found)] == []
    for file, content in intact.items():
        file.write_bytes(content)
    assert findings(city.root) == []


def test_a_byte_flipped_in_a_seal_is_found_wherever_it_is(city: City) -> None:
    rng = random.Random(0)
    seals = [file for file in published_files(city.root) if is_seal(city.root, file)]
    assert len(seals) == 4
    for file in seals * 10:
        content = file.read_bytes()
        flip(file, rng)
        assert named(city.root, file, findings(city.root))
        file.write_bytes(content)


def test_the_command_ends_with_15_and_names_the_file(city: City) -> None:
    file = next(path for path in published_files(city.root) if path.suffix == ".xlsx")
    content = file.read_bytes()
    flip(file, random.Random(0))
    process = jifen(city, "verify")
    _, stderr = process.communicate()
    file.write_bytes(content)
    assert process.returncode == 15
    assert "/".join(file.parts[-3:]) in stderr and "备份" in stderr and "Traceback" not in stderr
