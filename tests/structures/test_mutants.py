"""Damaged recordings of runtimes: a sample of what `python -m tests.mutants` does at length."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutants import foreign, intact_claims, main, run
from support.scenes import map_of
from synth.process import ProcessBuilder

from dumpmap.api import RegionMap
from dumpmap.model.recognised import Found, LabelledRange


@pytest.mark.slow
@pytest.mark.parametrize(("family", "count", "found"), [("node", 98, "isolates"), ("java", 45, "machines")])
def test_damage_ends_in_a_map_that_proves_itself(family: str, count: int, found: str) -> None:
    ended = run(family, count, seed=0)
    assert ended["maps"] + ended["errors"] == count
    assert ended[found] > count // 2
    assert not [name for name in ended if name.startswith("foreign")]


def test_the_number_that_is_printed_is_that_of_the_mutants_that_ran(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("python", 8, seed=0, seconds=0, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.split()[1:4] == ["0", "of", "2"] for line in lines)
    monkeypatch.setattr("sys.argv", ["mutants", "python", "1000", "--seconds", "0"])
    assert main() == 0
    assert "0 mutants of 1,000: {}" in capsys.readouterr().out


@pytest.mark.parametrize("size", [0x200000, 0x180000])
def test_a_claim_is_judged_by_the_regions_of_the_mutant(size: int) -> None:
    """What an owner has of a larger allocation is its own where the list of regions says so."""

    def taken(reserved: int, *parts: tuple[int, int]) -> RegionMap:
        process = ProcessBuilder("x64").furnish()
        base = process.allocate(reserved, base=0x50000000)
        region_map = map_of(process)
        ranges = tuple(LabelledRange(base + at, end - at, "part", "word", owner="Wine") for at, end in parts)
        structures = replace(region_map.structures, found=(Found(ranges=ranges),))
        return replace(region_map, structures=structures)

    whole = taken(0x200000, (0, 0x100000))
    intact = intact_claims(whole)
    assert not foreign(whole, whole, intact)
    mutant = taken(size, (0, 0x180000))
    assert foreign(mutant, whole, intact) == {f"{'foreign' if size == 0x200000 else 'redrawn'} part": 1}
