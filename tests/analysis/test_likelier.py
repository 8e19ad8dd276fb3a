"""The likelier axis of a failure that nothing proves, at the exact sizes where the answer changes."""

from __future__ import annotations

import pytest
from support.scenes import GB, MB, TB, Scene

from dumpmap.analysis.cause import find_cause
from dumpmap.analysis.likelier import Because, likelier_axis
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.room import available_page_file, available_space
from dumpmap.analysis.rules import DEFAULT_THRESHOLDS
from dumpmap.api import RegionMap
from dumpmap.model.snapshot import System
from dumpmap.model.writer import WriterRecord

HALF = System(commit_limit=8 * GB, commit_total=4 * GB)


def failed(bits: int, requested: int | None, system: System | None = None, **memory: int) -> RegionMap:
    """A process without a list of regions, whose writer recorded that memory ran out."""
    writer = WriterRecord("Unreal Engine", out_of_memory=True, requested=requested, memory=memory)
    return Scene(bits).leave(64 * MB).map(partial=True, writer=writer, system=system)


def likelier(region_map: RegionMap) -> tuple[str, Because, int | None] | None:
    """The axis, why, and the room."""
    m = measurements_of(region_map)
    cause = find_cause(m, DEFAULT_THRESHOLDS)
    assert cause is not None
    assert cause.axis == "unknown"
    found = likelier_axis(m, cause)
    return None if found is None else (found.axis, found.because, found.room)


@pytest.mark.parametrize(
    ("requested", "because"),
    [
        (None, None),
        (32 * MB - 1, None),
        (32 * MB, Because.LARGE_IN_A_NARROW_SPACE),
        (32 * MB + 1, Because.LARGE_IN_A_NARROW_SPACE),
    ],
)
def test_a_large_request_in_a_narrow_space(requested: int | None, because: Because | None) -> None:
    assert likelier(failed(32, requested)) == (because and ("address-space", because, None))


@pytest.mark.parametrize(
    ("bits", "requested", "wanted"),
    [
        (32, 4096, ("address-space", Because.COMMIT_NOT_SHORT, None)),
        (32, None, ("address-space", Because.COMMIT_NOT_SHORT, None)),
        (64, 4 * GB - 1, ("heap-limit", Because.ALL_ENOUGH, None)),
        (64, 4 * GB, ("heap-limit", Because.ALL_ENOUGH, None)),
        (64, 4 * GB + 1, ("commit", Because.MORE_THAN_COMMIT_LEFT, 4 * GB)),
        (64, None, ("heap-limit", Because.ALL_ENOUGH, None)),
    ],
)
def test_a_request_against_the_commit_that_is_left(
    bits: int, requested: int | None, wanted: tuple[str, Because, int | None]
) -> None:
    assert likelier(failed(bits, requested, HALF)) == wanted


@pytest.mark.parametrize(
    ("available", "requested", "wanted"),
    [
        (2 * GB, 2 * GB, ("commit", Because.WIDE_SPACE, None)),
        (2 * GB, 2 * GB + 1, ("commit", Because.MORE_THAN_PAGE_FILE, 2 * GB)),
        (TB - 1, TB, ("commit", Because.MORE_THAN_PAGE_FILE, TB - 1)),
        (TB, TB + 1, ("commit", Because.WIDE_SPACE, None)),  # a terabyte is the address space itself
    ],
)
def test_a_request_against_the_page_file(
    available: int, requested: int, wanted: tuple[str, Because, int | None]
) -> None:
    assert likelier(failed(64, requested, AvailableVirtual=available)) == wanted


@pytest.mark.parametrize(
    ("memory", "page_file", "space"),
    [
        ({}, None, None),
        ({"AvailableVirtual": TB - 1}, TB - 1, None),
        ({"AvailableVirtual": TB}, None, TB),
        ({"AvailablePageFile": 5, "AvailableVirtual": 2 * TB}, 5, 2 * TB),
        ({"AvailableVirtualMemory": 7, "AvailableVirtual": 2 * TB}, None, 7),
        ({"AvailableVirtualMemory": 2 * TB, "AvailableVirtual": 3}, 3, 2 * TB),
        ({"AvailablePageFile": 0}, None, None),  # not filled in
    ],
)
def test_what_a_writer_recorded_as_available(memory: dict[str, int], page_file: int | None, space: int | None) -> None:
    region_map = failed(64, None, None, **memory)
    m = measurements_of(region_map)
    assert (available_page_file(m), available_space(m)) == (page_file, space)


def test_in_a_narrow_space_the_figure_is_the_address_space() -> None:
    region_map = failed(32, None, AvailableVirtual=GB)
    assert available_page_file(measurements_of(region_map)) is None
