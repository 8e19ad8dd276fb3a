"""Reading a JSON snapshot: decoding, checking, and converting it. See `dumpmap.parsers.snapshot_json.schema`."""

from __future__ import annotations

import codecs
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from dumpmap.errors import SnapshotError
from dumpmap.model import snapshot as model
from dumpmap.model.limits import VALUES
from dumpmap.model.memory import ExcerptMemory
from dumpmap.parsers.snapshot_json.columns import LARGEST_COUNT
from dumpmap.parsers.snapshot_json.problems import DECODING_ERRORS, explain
from dumpmap.parsers.snapshot_json.regions import read_regions
from dumpmap.parsers.snapshot_json.schema import (
    COUNTERPARTS,
    FORMAT,
    VERSION,
    Entry,
    Envelope,
    ExcerptEntry,
    Outline,
    SnapshotDocument,
    address_fields,
)

Buffer = bytes | bytearray | memoryview

_PIECE = 1 << 20

_CONVERTED_HERE = frozenset(
    (
        "format",
        "version",
        "captured_at",
        "tool",
        "source",
        "process",
        "regions",
        "regions_complete",
        "captured",
        "memory",
    )
)
"""Members of the document that differ from the snapshot's; the others have the same name and meaning there."""


def load_snapshot(
    data: Buffer, *, name: str, path: str | None = None, container: model.Container | None = None
) -> model.Snapshot:
    """Reads a JSON snapshot.

    Args:
        data: the whole file, uncompressed: UTF-8, or UTF-16 with a byte order mark, which some shells write when output
            is redirected into a file.
        name: the file's name, for the snapshot and for messages.
        path: where the file is.
        container: how the file was packed.

    Returns:
        the snapshot. Its source is the file itself, with the kind, size, flags, and streams of the original.

    Raises:
        SnapshotError: the text does not follow the schema; `place` is the path of the bad field.
    """
    text = _as_utf8(memoryview(data).cast("B"), name)
    _check_envelope(text, name)
    _check_size(text, name)
    try:
        document = msgspec.json.decode(text, type=SnapshotDocument)
    except DECODING_ERRORS as error:
        raise explain(error, text, name) from None
    reader = _Reader(name)
    original: model.Source = reader.convert(document.source, "source")
    process: model.Process = reader.convert(document.process, "process")
    complete = document.regions_complete
    return model.Snapshot(
        source=replace(
            original,
            name=name,
            path=path,
            container=container,
            captured_at=reader.convert(document.captured_at, "captured_at"),
            reduced_from=original.kind,
            original_name=original.name,
        ),
        process=process,
        regions=None if document.regions is None else read_regions(document.regions, process, text, name),
        regions_complete=_complete_by_streams(original.streams) if complete is None else complete,
        captured=tuple(
            (int(address, 16), reader.convert(size, f"captured[{index}][1]"))
            for index, (address, size) in enumerate(document.captured)
        ),
        memory=_read_memory(document.memory, name),
        **reader.members(document, leave_out=_CONVERTED_HERE),
    )


def _complete_by_streams(streams: Sequence[model.Stream]) -> bool:
    """Returns `Snapshot.regions_complete` for a file that does not say it: there is no list, or the file is old."""
    return all(stream.status == "read" for stream in streams if stream.name == "MemoryInfoList")


def _as_utf8(data: memoryview, name: str) -> memoryview:
    start = bytes(data[:4])
    if start.startswith(codecs.BOM_UTF8):
        return data[3:]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return memoryview(bytes(data).decode("utf-16").encode())
        except UnicodeError:
            raise SnapshotError("the text is neither UTF-8 nor complete UTF-16", source=name) from None
    return data


def _check_envelope(text: memoryview, name: str) -> None:
    try:
        envelope = msgspec.json.decode(text, type=Envelope)
    except DECODING_ERRORS as error:
        raise explain(error, text, name) from None
    if envelope.format != FORMAT:
        found = "has no format name" if envelope.format is None else "names another format"
        raise SnapshotError(f"not a dumpmap snapshot: {found}", source=name, place="format")
    version = envelope.version
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise SnapshotError(
            f"the snapshot has version {version}, but this dumpmap reads versions up to {VERSION}: update dumpmap",
            source=name,
            place="version",
        )
    if version != VERSION or isinstance(version, bool):
        raise SnapshotError(f"the version must be {VERSION}", source=name, place="version")


def _check_size(text: memoryview, name: str) -> None:
    """Checks that the values outside the rows of regions fit into memory: each becomes an object of Python.

    Raises:
        SnapshotError: there are too many.
    """
    most = VALUES.value
    if len(text) <= most:  # a value takes at least one byte
        return
    try:
        regions = msgspec.json.decode(text, type=Outline).regions
    except DECODING_ERRORS:
        regions = None  # the decoder of the document says what is wrong with it
    rows = memoryview(regions.rows) if regions is not None else memoryview(b"")
    if len(text) - len(rows) > most and _commas(text) - _commas(rows) > most:
        raise SnapshotError(
            f"has more than {most:,} values outside the rows of its regions; {VALUES.hint}", source=name
        )


def _commas(text: memoryview) -> int:
    """Counts the commas of a text, which are about as many as its values."""
    data = np.frombuffer(text, np.uint8)
    return sum(int(np.count_nonzero(data[at : at + _PIECE] == ord(","))) for at in range(0, len(data), _PIECE))


class _Reader:
    """Turns decoded structures into the program's own, and checks what the schema language cannot express."""

    def __init__(self, name: str) -> None:
        self._name = name

    def members(self, entry: Entry, place: str = "", leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Converts the members of a structure; `place` is its path in the document."""
        addresses = address_fields(type(entry))
        prefix = f"{place}." if place else ""
        return {
            key: self.convert(getattr(entry, key), f"{prefix}{key}", hexadecimal=key in addresses)
            for key in entry.__struct_fields__
            if key not in leave_out
        }

    def convert(self, value: Any, place: str, *, hexadecimal: bool = False) -> Any:
        """Converts a value and all that is in it.

        Args:
            value: what was decoded.
            place: its path in the document.
            hexadecimal: strings are hexadecimal numbers.
        """
        if isinstance(value, Entry):
            return COUNTERPARTS[type(value)](**self.members(value, place))
        if isinstance(value, str):
            return int(value, 16) if hexadecimal else value
        if isinstance(value, list | tuple):
            return tuple(
                self.convert(item, f"{place}[{index}]", hexadecimal=hexadecimal) for index, item in enumerate(value)
            )
        if isinstance(value, dict):
            return {key: self.convert(item, f"{place}[{key!r}]") for key, item in value.items()}
        if isinstance(value, dt.datetime):
            return self._utc(value, place)
        if isinstance(value, int) and value > LARGEST_COUNT:
            raise SnapshotError("the number has more than 64 bits", source=self._name, place=place)
        return value

    def _utc(self, time: dt.datetime, place: str) -> dt.datetime:
        try:
            return time.astimezone(dt.UTC)
        except OverflowError:
            raise SnapshotError("the time is outside the years 1 to 9999", source=self._name, place=place) from None


def _read_memory(entries: list[ExcerptEntry], name: str) -> ExcerptMemory:
    excerpts = [(int(entry.address, 16), entry.data) for entry in entries]
    reach = 0
    for address, index in sorted((address, index) for index, (address, _) in enumerate(excerpts)):
        end = address + len(excerpts[index][1])
        if end > LARGEST_COUNT:
            place = f"memory[{index}].data"
            raise SnapshotError("the bytes reach beyond the address space", source=name, place=place)
        if address < reach:
            raise SnapshotError(
                "the bytes overlap those of another entry", source=name, place=f"memory[{index}].address"
            )
        reach = end
    return ExcerptMemory(excerpts)
