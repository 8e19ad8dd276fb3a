"""Damaged recordings of runtimes: a sample of what `python -m tests.mutants` does at length."""

from __future__ import annotations

import pytest
from mutants import run


@pytest.mark.slow
@pytest.mark.parametrize(("family", "count", "found"), [("node", 210, "isolates"), ("java", 90, "machines")])
def test_damage_ends_in_a_map_that_proves_itself(family: str, count: int, found: str) -> None:
    ended = run(family, count, seed=0)
    assert ended["maps"] + ended["errors"] == count
    assert ended[found] > count // 2
