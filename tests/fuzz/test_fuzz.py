"""Every harness under Hypothesis, the inputs that fuzzing found, and the tools of the fuzzers themselves."""

from __future__ import annotations

import json
import os
import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hostile import recorded, synthetic, within
from synth.minidump import MEMORY_INFO_LIST, MODULE_LIST, MinidumpBuilder

import dumpmap
from dumpmap.model.snapshot import Snapshot
from dumpmap.parsers.opening import read_source
from dumpmap.sources.files import ByteSource
from fuzz import mutation, peer, seeds
from fuzz.__main__ import main
from fuzz.dumpfile import lean, numbers, parts
from fuzz.harnesses import HARNESSES, consistent, whole
from fuzz.plan import PLANS

FOUND = Path(__file__).parent / "found"
FAST = {"whole": 12, "peer": 30}
"""Examples of harnesses that take long; 60 of the others."""


@pytest.mark.parametrize("name", HARNESSES)
def test_seeds_and_mutants(name: str) -> None:
    harness = HARNESSES[name]
    valid = harness.seeds()

    @settings(deadline=None, max_examples=FAST.get(name, 60), database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(range(len(valid))), st.integers(0, (1 << 32) - 1))
    def mutants(index: int, number: int) -> None:
        with within(10):
            harness.run(harness.mutate(valid[index], random.Random(number), valid))

    for data in valid if name != "whole" else valid[::12]:
        with within(10):
            harness.run(data)
    mutants()


@pytest.mark.parametrize("path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_inputs_that_were_found(path: Path) -> None:
    assert path.stat().st_size < 10_000
    with within(10):
        HARNESSES[path.parent.name].run(path.read_bytes())


def test_one_input_in_every_way() -> None:
    whole(synthetic(), everything=True)


@pytest.mark.parametrize("name", HARNESSES)
def test_mutants_differ_and_one_seed_gives_one_run(name: str) -> None:
    harness = HARNESSES[name]
    valid = harness.seeds()
    first = [harness.mutate(valid[0], random.Random(n), valid) for n in range(60)]
    assert first == [harness.mutate(valid[0], random.Random(n), valid) for n in range(60)]
    assert len(set(first)) > 30


@pytest.mark.parametrize("name", HARNESSES)
def test_mutants_of_mutants(name: str) -> None:
    """What the mutator gives it takes again, however little is left of the format."""
    harness, chance = HARNESSES[name], random.Random(name)
    valid = harness.seeds()
    data = valid[0]
    for number in range(400):
        data = harness.mutate(data, chance, valid)[:20_000] or valid[number % len(valid)]


def test_every_harness_has_a_plan_and_small_seeds() -> None:
    assert HARNESSES.keys() == PLANS.keys()
    package = Path(dumpmap.__file__).parent
    for name, harness in HARNESSES.items():
        assert all((package / room).exists() for room in PLANS[name].rooms)
        assert 2 < len(harness.seeds()) < 300
        assert max(map(len, harness.seeds())) < 30_000


def test_a_lean_dump_has_the_beginning_of_every_list() -> None:
    data = recorded("layout-x86-plain")
    small = lean(data, entries=2)
    assert len(small) < len(data) / 3
    before, after = dumpmap.open(data).snapshot, dumpmap.open(small).snapshot
    assert [module.path for module in after.modules] == [module.path for module in before.modules[:2]]
    assert [module.debug_id for module in after.modules] == [module.debug_id for module in before.modules[:2]]
    assert [thread.stack_pointer for thread in after.threads] == [t.stack_pointer for t in before.threads[:2]]
    assert after.process.architecture == before.process.architecture == "x86"


def test_the_mutator_finds_the_lists_and_their_numbers() -> None:
    builder = MinidumpBuilder("x64").system_info().module(0x1000, 0x1000, "a.dll").module(0x3000, 0x1000, "b.dll")
    data = builder.build()
    (modules,) = (part for part in parts(data) if part.type == MODULE_LIST)
    assert [struct.unpack_from("<Q", data, at)[0] for at in modules.entries(data)] == [0x1000, 0x3000]
    assert {8, 12, modules.at + 8, modules.rva, modules.entries(data)[1] + 20} <= set(numbers(data))


def _peer_of(change: tuple[int, int, bytes] | None = None) -> bytes:
    """The seed with every list; `change` puts bytes into the first entry of one."""
    data = bytearray(seeds.minidumps()[0])
    if change is not None:
        number, offset, value = change
        (part,) = (part for part in parts(data) if part.type == number)
        at = part.entries(data)[0] + offset
        data[at : at + len(value)] = value
    return bytes(data)


def test_both_readers_agree_about_three_lists() -> None:
    assert peer.compare(_peer_of()) == 3
    assert peer.compare(_peer_of((MEMORY_INFO_LIST, 24, struct.pack("<Q", 0x2_0000)))) == 3  # it overlaps the second


@pytest.mark.parametrize("room", ["regions", "modules", "threads"])
def test_the_comparison_notices_a_difference(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = read_source

    def wrong(source: ByteSource) -> Snapshot:
        snapshot = real(source)
        regions = snapshot.regions
        assert regions is not None
        changed: dict[str, Any] = {
            "regions": regions.take(np.arange(1, len(regions))),
            "modules": snapshot.modules[1:],
            "threads": snapshot.threads[1:],
        }
        return replace(snapshot, **{room: changed[room]})

    monkeypatch.setattr(peer, "read_source", wrong)
    with pytest.raises(AssertionError):
        peer.compare(_peer_of())


def test_the_sums_are_compared() -> None:
    m = dumpmap.open(synthetic())
    consistent(m)
    total, *lines = m.summary_lines
    m.__dict__["summary_lines"] = (total, *lines[1:])
    with pytest.raises(AssertionError):
        consistent(m)


def test_a_finding_fails_the_run_and_names_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader that cannot read what it should costs an exit code of 1; the input is kept."""
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import dumpmap.parsers.opening as o\nreal = o.describe_foreign\n"
        "def bad(head, size):\n    raise KeyError('found')\no.describe_foreign = bad\n"
    )
    paths = (str(tmp_path), str(Path(dumpmap.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    folder = tmp_path / "kept"
    assert main(["3", "5", "--only", "mmp", "--workers", "1", "--folder", str(folder)]) == 1
    said = capsys.readouterr().out
    path = Path(said.partition("input: ")[2].partition("\n")[0])
    assert "FAILED mmp: KeyError at" in said
    assert path.is_file()
    figures = json.loads((folder / "mmp-0" / "stats.json").read_bytes())
    assert figures["count"] > 0


def test_snapshots_change_in_captured_memory() -> None:
    data = next(data for data in seeds.snapshots() if json.loads(data)["memory"])
    before = json.loads(data)
    changed = 0
    for n in range(40):
        try:
            after = json.loads(mutation.mutated_snapshot(data, random.Random(n), [data]))
        except ValueError:
            continue
        changed += after.get("memory") != before["memory"] and after.get("regions") == before["regions"]
    assert changed > 10
