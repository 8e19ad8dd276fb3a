"""The registry of streams: what must hold for every entry."""

from __future__ import annotations

import pytest
from support.dumps import read, tiny

from dumpmap.parsers.minidump.registry import BY_NUMBER, KNOWN_STREAMS
from dumpmap.parsers.minidump.stream import KnownStream


def test_every_number_and_every_name_is_there_once() -> None:
    assert len(BY_NUMBER) == len(KNOWN_STREAMS) == len({entry.name for entry in KNOWN_STREAMS})


@pytest.mark.parametrize("entry", KNOWN_STREAMS, ids=lambda entry: entry.name)
def test_an_entry_says_what_the_stream_holds_and_what_it_is_used_for(entry: KnownStream) -> None:
    assert entry.doc.endswith(".")
    assert entry.reference
    assert (entry.read is not None) == bool(entry.feeds)


@pytest.mark.parametrize(
    "entry", [entry for entry in KNOWN_STREAMS if entry.read is None], ids=lambda entry: entry.name
)
def test_a_stream_without_a_reader_is_listed_under_its_name(entry: KnownStream) -> None:
    found = read(tiny().raw_stream(entry.number, b"x" * 4)).source.streams[-1]
    assert (found.name, found.status, found.absence) == (entry.name, "listed", None)
