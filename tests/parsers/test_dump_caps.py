"""How much is read of a dump's directory and texts: exactly the cap, and not one more."""

from __future__ import annotations

import pytest
from support.dumps import read, tiny


@pytest.mark.parametrize(("made", "said"), [(4095, False), (4096, False), (4097, True)])
def test_streams(made: int, said: bool) -> None:
    builder = tiny()  # has one stream
    for index in range(made - 1):
        builder.raw_stream(0x20000 + index, b"x")
    snapshot = read(builder)
    assert len(snapshot.source.streams) == min(made, 4096)
    text = f"directory: claims {made:,} streams; only the first 4,096 are read"
    assert (text in snapshot.warnings) is said


@pytest.mark.parametrize(("letters", "kept"), [(0x7FFF, 0x7FFF), (0x8000, 0x8000), (0x8001, 0x8000)])
def test_letters_of_a_text(letters: int, kept: int) -> None:
    # 64 KB of UTF-16, as much as a UNICODE_STRING can hold.
    (module,) = read(tiny().module(0x400000, 0x1000, "n" * letters)).modules
    assert module.path == "n" * kept
