"""Chromium's stability report, encoded here by the wire format's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpmap.parsers.minidump.streams.stability_report import (
    MAX_FIELDS,
    PAGE,
    ProcessReport,
    StabilityReport,
    read_stability_report,
)


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the eighth set on all but the last."""
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def message(field: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def process(pid: int, private: int, peak_ws: int, peak_pagefile: int, attempt: int | None = None) -> bytes:
    """A ProcessState; sizes in pages."""
    memory = number(1, private) + number(2, peak_ws) + number(3, peak_pagefile)
    memory += number(4, attempt) if attempt is not None else b""
    files = message(2, number(1, 302))
    return number(3, pid) + message(4, message(1, memory)) + message(7, files)


def report(limit: int, remaining: int, handles: int = 119009) -> bytes:
    """A SystemMemoryState; sizes in pages."""
    return message(7, message(1, number(1, limit) + number(2, remaining) + number(3, handles)))


# What a real report held, in bytes (a public test of Sentry's): 26557411328 limit, 14468075520 left, 44101632 private.
REAL = message(2, process(15212, 44101632 // PAGE, 84172800 // PAGE, 44146688 // PAGE)) + report(
    26557411328 // PAGE, 14468075520 // PAGE
)


def test_sizes_come_in_bytes() -> None:
    found = read_stability_report(REAL)
    assert found == StabilityReport(
        commit_limit=26557411328,
        commit_remaining=14468075520,
        handle_count=119009,
        processes=(ProcessReport(15212, 44101632, 84172800, 44146688, None),),
    )
    assert found.commit_total == 26557411328 - 14468075520
    assert found.process(15212) == found.processes[0]
    assert found.process(None) == found.processes[0]
    assert found.process(1) is None


@pytest.mark.parametrize(("limit", "remaining", "charge"), [(9, 2, 7), (9, None, None), (None, 2, None)])
def test_the_charge_needs_the_limit_and_what_is_left(
    limit: int | None, remaining: int | None, charge: int | None
) -> None:
    assert StabilityReport(commit_limit=limit, commit_remaining=remaining).commit_total == charge


def test_the_allocation_attempt_is_bytes_already() -> None:
    found = read_stability_report(message(2, process(7, 1, 2, 3, 0xB1B1C7)))
    assert found.processes[0].allocation_attempt == 0xB1B1C7
    assert found.commit_total is None


def test_unknown_fields_of_every_width_are_skipped() -> None:
    noise = (
        number(6, 1)
        + message(1, number(1, 2))
        + message(3, b"a log message")
        + varint(20 << 3 | 1)
        + bytes(8)
        + varint(21 << 3 | 5)
        + bytes(4)
        + message(4, b"\xff\xff\xff")
    )
    assert read_stability_report(noise + REAL + noise).commit_limit == 26557411328
    assert read_stability_report(noise + REAL).problem is None


def test_an_empty_report() -> None:
    assert read_stability_report(b"") == StabilityReport()


@pytest.mark.parametrize("size", range(len(REAL)))
def test_every_prefix_gives_what_is_there(size: int) -> None:
    found = read_stability_report(REAL[:size])
    assert found.commit_limit in (None, 26557411328)
    assert len(found.processes) <= 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x80" * 11, "64 bits"),
        (varint(1 << 3 | 3), "wire type 3"),
        (varint(1 << 3 | 7), "wire type 7"),
        (message(2, b"abc")[:-1], "claims 3 bytes"),
        (varint(1 << 3 | 1) + bytes(7), "cut off"),
    ],
)
def test_damage_is_said(data: bytes, problem: str) -> None:
    found = read_stability_report(data)
    assert found.problem is not None
    assert problem in found.problem


def test_a_page_count_beyond_its_width_is_damage() -> None:
    assert read_stability_report(report(1 << 33, 5)).commit_limit is None


def test_the_number_of_fields_is_bounded() -> None:
    found = read_stability_report(number(1, 1) * (MAX_FIELDS + 10))
    assert found.problem is not None
    assert "fields" in found.problem


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_report(data: bytes) -> None:
    read_stability_report(data)
    read_stability_report(message(2, data) + message(7, message(1, data)))


@pytest.mark.parametrize(
    ("wire", "size", "good"), [(1, 8, True), (1, 7, False), (5, 4, True), (5, 3, False), (2, None, True)]
)
def test_fields_of_a_fixed_size_are_passed_over(wire: int, size: int | None, good: bool) -> None:
    # Bytes of 9 would be fields of their own to a reader that takes the size for another one.
    body = varint(3) + b"\x09" * 3 if size is None else b"\x09" * size
    field = varint(15 << 3 | wire) + body
    found = read_stability_report((REAL if good else b"") + field + (REAL if good else b""))
    assert (found.problem is None) is good
    assert [one.process_id for one in found.processes] == ([15212, 15212] if good else [])
