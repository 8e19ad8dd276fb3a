"""Whatever is named, split or typed: the rows of a map partition the address space, and every sum agrees."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.spaces import GRANULARITY, region_rows, regions_of, snapshots
from synth.minidump import MinidumpBuilder

import dumpmap
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.classify.space import find_gaps, group_allocations
from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.snapshot import Snapshot, make_regions
from dumpmap.model.types import TYPES, RegionType
from dumpmap.model.winnt import MemState, MemType
from dumpmap.parsers.minidump.regions import checked_regions

RELAXED = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def spans(frame: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(frame["address"].tolist(), frame["size"].tolist(), strict=True))


def is_partition(frame: pd.DataFrame, end: int) -> bool:
    at = 0
    for address, size in spans(frame):
        if address != at or size <= 0:
            return False
        at += size
    return at == end


def is_disjoint(frame: pd.DataFrame) -> bool:
    at = 0
    for address, size in spans(frame):
        if address < at or size <= 0:
            return False
        at = address + size
    return True


def check_partition(snapshot: Snapshot, m: RegionMap) -> None:
    for frame in (m.allocations, m.regions):
        if m.end is None:
            assert is_disjoint(frame)
        else:
            assert is_partition(frame, m.end)


def check_types_add_up(snapshot: Snapshot, m: RegionMap) -> None:
    frame = m.regions
    for info in TYPES:
        if info.type in m.unknown_types or info.type == RegionType.PAGE_TABLE:
            continue
        rows = frame[frame["type"] == info.name]
        line = m.line(info.type)
        assert line.size == int(rows["size"].sum()), info.name
        if info.type not in (RegionType.FREE, RegionType.UNUSABLE):
            assert line.committed == int(rows["committed"].sum()), info.name
    if m.end is not None:
        assert sum(line.size or 0 for line in m.summary_lines[1:]) == m.end
        free = m.line(RegionType.FREE).size or 0
        assert m.total.size == m.end - free


def check_committed_and_private(snapshot: Snapshot, m: RegionMap) -> None:
    if snapshot.regions is None:
        return
    raw = regions_of(snapshot)
    committed = raw.state == MemState.MEM_COMMIT
    private = committed & (
        (raw.type == MemType.MEM_PRIVATE) | ((raw.type == MemType.MEM_IMAGE) & ((raw.protect & 0xCC) != 0))
    )
    assert m.total.committed == int(raw.size[committed].sum())
    assert m.total.private == int(raw.size[private].sum())
    for frame in (m.allocations, m.regions):
        assert int(frame["committed"].sum()) == m.total.committed
        assert int(frame["private"].sum()) == m.total.private


def check_view(snapshot: Snapshot, m: RegionMap) -> None:
    """A region counts once, however often it is split."""
    if snapshot.regions is None:
        return
    used = int((regions_of(snapshot).state != MemState.MEM_FREE).sum())
    assert m.total.blocks == used
    assert int(m.regions["blocks"].sum()) == used
    assert int(m.allocations["blocks"].sum()) == used


def check_pieces(snapshot: Snapshot, m: RegionMap) -> None:
    """A row is a piece of one raw region."""
    if snapshot.regions is None:
        return
    raw = regions_of(snapshot)
    for base, size, state, protect in zip(
        m.block_columns.base.tolist(),
        m.block_columns.size.tolist(),
        m.block_columns.state.tolist(),
        m.block_columns.protect.tolist(),
        strict=True,
    ):
        index = int(np.searchsorted(raw.base, np.uint64(base), side="right")) - 1
        assert int(raw.base[index]) <= base
        assert base + size <= int(raw.base[index]) + int(raw.size[index])
        assert (state, protect) == (int(raw.state[index]), int(raw.protect[index]))


def check_addresses(snapshot: Snapshot, m: RegionMap) -> None:
    """`at` agrees with the rows."""
    frame = m.regions
    if len(frame) == 0:
        assert m.at(0x1000) is None
    for _, row in frame.iloc[:: max(1, len(frame) // 4)].iterrows():
        first, size = int(row["address"]), int(row["size"])
        for address in (first, first + size - 1, first + size // 2):
            location = m.at(address)
            assert location is not None
            assert (location.block, location.block_size) == (first, size)
            assert location.type.label == row["type"]
            assert location.kind == row["kind"]
            if location.allocation is None or location.allocation_size is None:
                assert m.partial
                continue
            assert location.allocation <= address < location.allocation + location.allocation_size
            assert location.offset == address - location.allocation
    if m.end is not None:
        assert m.at(m.end) is None


def check_dtypes(snapshot: Snapshot, m: RegionMap) -> None:
    for frame in (m.allocations, m.regions):
        assert frame["address"].dtype == np.uint64
        assert frame["size"].dtype == np.int64
        assert frame["type"].dtype.name == "category"
        for name in ("committed", "private", "total_ws", "blocks"):
            assert frame[name].dtype.name == "Int64"
        assert frame["evidence"].str.len().gt(0).all()
    assert list(m.summary().columns) == list(SUMMARY_COLUMNS)
    assert set(m.summary().dtypes.astype(str)) == {"Int64"}


CHECKS = (
    check_partition,
    check_types_add_up,
    check_committed_and_private,
    check_view,
    check_pieces,
    check_addresses,
    check_dtypes,
)


@settings(RELAXED, max_examples=250)
@given(snapshots())
def test_any_snapshot_gives_a_map_that_adds_up(snapshot: Snapshot) -> None:
    m = map_snapshot(snapshot)
    for check in CHECKS:
        check(snapshot, m)


@RELAXED
@given(region_rows(), st.sampled_from([1, 0x1000, GRANULARITY]))
def test_gaps_fill_what_allocations_leave(drawn: tuple[list[tuple[int, ...]], object], granularity: int) -> None:
    rows = drawn[0]
    regions = make_regions(rows)  # type: ignore[arg-type]
    space = group_allocations(regions)
    end = int(regions.base[-1]) + int(regions.size[-1]) if len(regions) else 0
    gaps = find_gaps(space.bases, space.ends, end, granularity)
    pieces = [
        *zip(space.bases.tolist(), (space.ends - space.bases).tolist(), strict=True),
        *zip(gaps.unusable_base.tolist(), gaps.unusable_size.tolist(), strict=True),
        *zip(gaps.free_base.tolist(), gaps.free_size.tolist(), strict=True),
    ]
    at = 0
    for base, size in sorted(pieces):
        assert base == at
        at += size
    assert at == end
    assert all(base % granularity == 0 for base in gaps.free_base.tolist())
    assert all(
        base % granularity and size < granularity
        for base, size in zip(gaps.unusable_base.tolist(), gaps.unusable_size.tolist(), strict=True)
    )


@RELAXED
@given(region_rows())
def test_a_valid_list_passes_the_check_unchanged(drawn: tuple[list[tuple[int, ...]], object]) -> None:
    regions = make_regions(drawn[0])  # type: ignore[arg-type]
    checked, warnings = checked_regions(regions)
    assert warnings == []
    assert checked.base.tolist() == regions.base.tolist()


@RELAXED
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 20), st.integers((1 << 64) - 20, (1 << 64) - 1)),
            st.one_of(st.integers(0, 8), st.integers((1 << 64) - 8, (1 << 64) - 1)),
        ),
        max_size=12,
    )
)
def test_any_list_is_made_sorted_and_disjoint(ranges: list[tuple[int, int]]) -> None:
    regions = make_regions([(base, base, 4, size, 0x1000, 4, 0x20000) for base, size in ranges])
    checked, warnings = checked_regions(regions)
    at = 0
    for base, size in zip(checked.base.tolist(), checked.size.tolist(), strict=True):
        assert size > 0
        assert base >= at
        at = base + size
        assert at < 1 << 64
    assert (len(checked) == len(ranges)) == (not warnings or warnings == ["the regions are not sorted by address"])
    assert {(base, size) for base, size in zip(checked.base.tolist(), checked.size.tolist(), strict=True)} <= set(
        ranges
    )


def test_a_partial_map_without_stacks_or_images_has_blanks_for_them() -> None:
    dump = MinidumpBuilder("x64").system_info().thread(4)
    for name in ("Stack", "Image", "Private Data"):
        line = next(line for line in dumpmap.open(dump.build()).summary_lines if line.name == name)
        assert set(line.values().values()) == {None}
    found = dumpmap.open(dump.thread(5, stack=(0x20000, bytes(0x1000))).build())
    assert next(line.committed for line in found.summary_lines if line.name == "Stack") == 0x1000
