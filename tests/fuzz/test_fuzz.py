"""A short run of every harness, and the mutator itself."""

from __future__ import annotations

import random

import pytest
from support.hostile import within

from fuzz.harnesses import HARNESSES
from fuzz.mutation import mutated


@pytest.mark.parametrize("name", HARNESSES)
def test_seeds_and_some_mutants(name: str) -> None:
    harness = HARNESSES[name]
    seeds = harness.seeds()
    generator = random.Random(name)
    for data in (*seeds, *(mutated(generator.choice(seeds), generator, seeds) for _ in range(60))):
        with within(10):
            harness.run(data)


def test_mutants_differ_and_one_seed_gives_one_run() -> None:
    data = bytes(range(256)) * 4
    first = [mutated(data, random.Random(n), [data]) for n in range(200)]
    assert first == [mutated(data, random.Random(n), [data]) for n in range(200)]
    assert len(set(first)) > 150
