"""What no process can have: the largest number that stays, and the first that goes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import Scene

from dumpmap.model.plausible import guarded
from dumpmap.model.snapshot import Counters, RecordedHeap, RecordedRange, Snapshot, System
from dumpmap.model.writer import WriterRecord

LIMIT = 1 << 63


def snapshot(**facts: object) -> Snapshot:
    one = Scene(64).snapshot()
    return replace(one, **facts)  # type: ignore[arg-type]


def test_a_plausible_snapshot_is_the_same_one() -> None:
    one = snapshot(
        counters=Counters(private_usage=LIMIT - 1),
        system=System(commit_limit=LIMIT - 1, max_address=(1 << 64) - 1),
        captured=((0, LIMIT - 1), (LIMIT - 2, 1)),
        handle_types={"File": LIMIT - 1},
        handle_count=LIMIT - 1,
    )
    assert guarded(one) is one


@pytest.mark.parametrize("wrong", [LIMIT, LIMIT + 1, (1 << 64) - 1])
def test_impossible_figures_are_left_out(wrong: int) -> None:
    one = guarded(snapshot(counters=Counters(private_usage=wrong, pagefile_usage=7), system=System(commit_limit=wrong)))
    assert (one.counters.private_usage, one.counters.pagefile_usage) == (None, 7)
    assert one.system.commit_limit is None
    assert one.warnings == (
        "counters: impossible and left out: private_usage",
        "system: impossible and left out: commit_limit",
    )


def test_memory_figures_of_the_writer() -> None:
    figures = {"UsedVirtual": LIMIT - 1, "AvailablePhysical": LIMIT, "PeakUsedVirtual": (1 << 64) - 1}
    one = guarded(snapshot(writer=WriterRecord("Unreal Engine 5.3", requested=(1 << 64) - 8, memory=figures)))
    assert one.writer is not None
    assert (one.writer.memory, one.writer.requested) == ({"UsedVirtual": LIMIT - 1}, (1 << 64) - 8)
    assert one.warnings == (
        "memory figures of the writer: impossible and left out: AvailablePhysical, PeakUsedVirtual",
    )


@pytest.mark.parametrize(
    ("ranges", "kept", "said"),
    [
        (((0x10000, 5), (LIMIT - 1, 1)), ((0x10000, 5),), "1 captured range lies"),
        (((LIMIT, 1), (0x10000, 5), (0, LIMIT)), ((0x10000, 5),), "2 captured ranges lie"),
    ],
)
def test_captured_ranges(ranges: tuple[tuple[int, int], ...], kept: tuple[tuple[int, int], ...], said: str) -> None:
    one = guarded(snapshot(captured=ranges))
    assert one.captured == kept
    (warning,) = one.warnings
    assert warning.startswith(said)


@pytest.mark.parametrize(("types", "count"), [({"File": LIMIT}, 5), ({"File": 5}, LIMIT), ({}, LIMIT)])
def test_handles(types: dict[str, int], count: int) -> None:
    one = guarded(snapshot(handle_types=types, handle_count=count))
    assert (one.handle_types, one.handle_count) == ({}, None)
    assert one.warnings == ("the number of handles is impossible and left out",)


@pytest.mark.parametrize(("base", "size", "kept"), [(LIMIT - 2, 1, True), (LIMIT - 1, 1, False), (0, LIMIT, False)])
def test_ranges_of_heaps(base: int, size: int, kept: bool) -> None:
    good = RecordedRange(0x10000, 0x1000, 0x1000, "segment")
    heap = RecordedHeap(1, "NT heap", address=0x10000, ranges=(good, RecordedRange(base, size, None, "segment")))
    one = guarded(snapshot(heaps=(heap,)))
    assert len(one.heaps[0].ranges) == 1 + kept
    assert one.heaps[0].ranges[0] == good
    assert [text.startswith("1 heap range lies") for text in one.warnings] == [True] * (not kept)
