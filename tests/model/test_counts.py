"""Counts with their nouns, and the sentences that have one of something."""

from __future__ import annotations

import pytest
from support.scenes import Scene

from dumpmap.analysis.caveats import Caveat
from dumpmap.model.counts import count_words, part_words
from dumpmap.model.ntstatus import exception_text
from dumpmap.model.snapshot import OperatingSystem, Thread
from dumpmap.wording.caveats import caveat_texts
from dumpmap.wording.systems import system_text


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(1, 1, "1 of 1 thread has"), (1, 12, "1 of 12 threads has"), (3, 1200, "3 of 1,200 threads have")],
)
def test_a_part_of_a_count(part: int, whole: int, words: str) -> None:
    assert part_words(part, whole, "thread", "has", "have") == words


@pytest.mark.parametrize(("count", "words"), [(0, "0 entries"), (1, "1 entry"), (1000, "1,000 entries")])
def test_a_count(count: int, words: str) -> None:
    assert count_words(count, "entry", "entries") == words


def test_one_thread_without_a_stack() -> None:
    region_map = Scene().leave(16 << 20).map(threads=[Thread(id=7)])
    assert "no stack was found for 1 of 1 thread: 7" in region_map.notes


def test_one_input_without_a_time() -> None:
    (text,) = caveat_texts([Caveat("times-missing", {"count": 1, "of": 1})])
    assert text == "1 of 1 input does not record when it was captured, so slopes are per sample."


@pytest.mark.parametrize(
    ("value", "family", "text"),
    [
        (0xC0000017, "windows", "0xc0000017 STATUS_NO_MEMORY"),
        (11, "linux", "signal 11 (SIGSEGV)"),
        (99, "linux", "signal 99"),
        (0xFFFFFFFF, "linux", "0xffffffff DUMP_REQUESTED"),
        (1, "macos", "Mach exception 1 (EXC_BAD_ACCESS)"),
        (0x43507378, "macos", "0x43507378 SIMULATED"),
        (11, "android", "signal 11 (SIGSEGV)"),
        (1, "ios", "Mach exception 1 (EXC_BAD_ACCESS)"),
        (5, "other", "5"),
        (11, "solaris", "11"),
        (0x108, "fuchsia", "0x108"),
    ],
)
def test_an_exception_says_what_kind_of_number_it_is(value: int, family: str, text: str) -> None:
    assert exception_text(value, family) == text


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("macos", "macOS"),
        ("ios", "iOS"),
        ("linux", "Linux"),
        ("android", "Android"),
        ("ps3", "PlayStation 3"),
        ("nacl", "Native Client"),
        ("windows", "Windows"),
    ],
)
def test_systems_have_their_makers_spelling(family: str, name: str) -> None:
    assert system_text(OperatingSystem(family=family, version="1.2")) == f"{name} 1.2"  # type: ignore[arg-type]
