"""Rows of regions, decoded column by column: the same values as from the decoder of all JSON, or none."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpmap.errors import SnapshotError
from dumpmap.model.snapshot import Regions
from dumpmap.parsers.snapshot_json import regions as reading
from dumpmap.parsers.snapshot_json.columns import COLUMNS, REQUIRED_COLUMNS
from dumpmap.parsers.snapshot_json.plain_rows import _DECIMAL, _digits, plain_rows

RELAXED = settings(deadline=None, max_examples=150)
NAMES = [*REQUIRED_COLUMNS, "total_ws"]

addresses = st.integers(0, (1 << 64) - 1).map(hex)
protections = st.one_of(st.none(), st.integers(0, (1 << 32) - 1))
rows = st.tuples(
    addresses,
    st.one_of(st.none(), addresses),
    protections,
    st.one_of(st.integers(1, 1 << 20), st.integers(1, (1 << 64) - 1)),
    st.sampled_from(["commit", "reserve", "free", 8]),
    protections,
    st.sampled_from(["private", "mapped", "image", None]),
    st.one_of(st.none(), st.integers(0, 1 << 57)),
)
lists = st.lists(rows, min_size=1, max_size=6)
edits = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.sampled_from(b'0123456789abcdefxn",[]{} \n-+.eE\\ul')), min_size=1, max_size=3
)


def text_of(table: list[Any], separator: bytes) -> bytes:
    return b"[" + separator[1:] + separator.join(msgspec.json.encode(row) for row in table) + b"]"


def by_decoder(text: bytes) -> Regions | None:
    """What the decoder of all JSON makes of it; None if it refuses."""
    row: Any = tuple.__class_getitem__(tuple(COLUMNS[name] for name in NAMES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "plain_rows", lambda piece, columns: None)
        try:
            return reading._decode_rows([text], msgspec.json.Decoder(list[row]), NAMES, "test")
        except (msgspec.MsgspecError, SnapshotError, UnicodeDecodeError):
            return None


def same(found: dict[str, Any], wanted: Regions) -> bool:
    columns: dict[str, Any] = {name: getattr(wanted, name) for name in REQUIRED_COLUMNS} | dict(wanted.numbers)
    return all(
        found[name].dtype == columns[name].dtype and np.array_equal(found[name], columns[name]) for name in NAMES
    )


@RELAXED
@given(lists, st.sampled_from([b",", b",\n"]))
def test_what_the_writer_writes_is_decoded_without_the_decoder(table: list[Any], separator: bytes) -> None:
    plain = [row for row in table if row[4] != 8 and len(str(row[3])) < 20]
    text = text_of(plain, separator)
    found = plain_rows(text, NAMES)
    if plain:
        wanted = by_decoder(text)
        assert found is not None
        assert wanted is not None
        assert same(found, wanted)


@RELAXED
@given(lists, st.sampled_from([b",", b",\n"]), edits)
def test_damage_is_never_taken_for_a_value(table: list[Any], separator: bytes, changes: list[tuple[int, int]]) -> None:
    text = bytearray(text_of(table, separator))
    for place, byte in changes:
        text[place % len(text)] = byte
    found = plain_rows(bytes(text), NAMES)
    if found is not None:
        wanted = by_decoder(bytes(text))
        assert wanted is not None, bytes(text)
        assert same(found, wanted)


def test_numbers_that_no_column_may_have() -> None:
    good = ["0x1000", None, 4, 4096, "commit", 4, "private", 0]
    for place, value in ((2, 1 << 32), (3, 0), (5, 1 << 32), (7, (1 << 57) + 1), (7, 9_999_999_999_999_999_999)):
        bad = [*good]
        bad[place] = value
        assert plain_rows(text_of([good, bad], b",\n"), NAMES) is None
    assert plain_rows(text_of([good, good], b",\n"), NAMES) is not None
    assert plain_rows(text_of([good], b",\n").replace(b"4096", b"04096"), NAMES) is None
    assert plain_rows(b"[]", NAMES) is None


@pytest.mark.parametrize(
    ("texts", "selected"),
    [
        ([b"12", b"34", b"56"], 0),
        ([b"12", b"3", b"56"], 1),
        ([b"123", b"3", b"56"], 2),
        ([b"0"], 0),
        ([], 0),
    ],
)
def test_rows_are_selected_only_where_a_number_is_shorter(
    texts: list[bytes], selected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.frombuffer(b",".join(texts) + b",", np.uint8)
    lengths = np.array([len(text) for text in texts], np.intp)
    ends = np.cumsum(lengths + 1) - 1
    asked: list[int] = []
    real = np.flatnonzero

    def noted(rows: Any) -> Any:
        asked.append(len(rows))
        return real(rows)

    monkeypatch.setattr(np, "flatnonzero", noted)
    assert _digits(data, ends, lengths, _DECIMAL, 10, 20).tolist() == [int(text) for text in texts]
    assert len(asked) == selected
