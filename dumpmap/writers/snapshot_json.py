"""Writing a JSON snapshot. `dumpmap.parsers.snapshot_json.schema` declares the format."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import msgspec

from dumpmap._version import __version__
from dumpmap.model import snapshot as model
from dumpmap.model.memory import Excerpt, ExcerptMemory
from dumpmap.parsers.snapshot_json.columns import LARGEST_COUNT, REQUIRED_COLUMNS, STATE_WORDS, TYPE_WORDS
from dumpmap.parsers.snapshot_json.regions import region_fault
from dumpmap.parsers.snapshot_json.schema import (
    ENTRIES,
    FORMAT,
    VERSION,
    ExcerptEntry,
    SnapshotDocument,
    address_fields,
)

# Enough rows for the encoder to run at full speed, few enough to keep a million regions out of Python objects.
_ROWS_AT_ONCE = 1 << 16


def write_snapshot(file: BinaryIO, snapshot: model.Snapshot, excerpts: Iterable[Excerpt]) -> None:
    """Writes a snapshot as JSON.

    Each member of the document, each region, and each piece of memory is on its own line: the file can be searched
    and compared line by line, and read and written in bounded memory.

    Args:
        file: where to write, open for binary writing.
        snapshot: what to write.
        excerpts: the process memory to write. The snapshot's own memory is not written.

    Raises:
        ValueError: the snapshot breaks a rule of `dumpmap.model.snapshot`: its regions are not sorted, for example.
    """
    for part in _parts(snapshot, excerpts):
        file.write(part)


def _parts(snapshot: model.Snapshot, excerpts: Iterable[Excerpt]) -> Iterator[bytes]:
    converter = _Converter()
    regions = snapshot.regions
    if regions is not None and (fault := region_fault(regions)) is not None:
        index, column, problem = fault
        raise ValueError(f"region {index}, {column}: {problem}")
    source = snapshot.source
    given: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "captured_at": source.captured_at,
        "tool": f"dumpmap {__version__}",
        "source": replace(source, name=source.original_name or source.name),
        # Without a list, there is nothing that could be complete; a list that was lost as a whole is not.
        "regions_complete": None if regions is None and snapshot.regions_complete else snapshot.regions_complete,
        "captured": [(hex(address), size) for address, size in snapshot.captured],
    }
    # Warnings come last, because the conversion of the rest can add to them.
    names = [name for name in SnapshotDocument.__struct_fields__ if name != "warnings"]
    for number, name in enumerate([*names, "warnings"]):
        yield (b",\n" if number else b"{") + msgspec.json.encode(name) + b":"
        if name == "regions":
            yield from _region_parts(regions)
        elif name == "memory":
            yield from _memory_parts(excerpts)
        else:
            value = given[name] if name in given else getattr(snapshot, name)
            entry = converter.convert(value, name, hexadecimal=name in address_fields(SnapshotDocument))
            yield msgspec.json.encode([*entry, *converter.warnings] if name == "warnings" else entry)
    yield b"}\n"


def _region_parts(regions: model.Regions | None) -> Iterator[bytes]:
    if regions is None:
        yield b"null"
        return
    columns = [*REQUIRED_COLUMNS, *regions.numbers, *regions.texts]
    yield b'{"columns":' + msgspec.json.encode(columns) + b',"rows":['
    texts = {
        name: ([clean_text(text) for text in column.values], column.codes) for name, column in regions.texts.items()
    }
    encoder = msgspec.json.Encoder()
    for start in range(0, len(regions), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        values: list[Iterable[Any]] = [
            map(hex, regions.base[part].tolist()),
            map(hex, regions.allocation_base[part].tolist()),
            regions.allocation_protect[part].tolist(),
            regions.size[part].tolist(),
            (STATE_WORDS.get(state, state) for state in regions.state[part].tolist()),
            regions.protect[part].tolist(),
            (TYPE_WORDS.get(kind, kind) for kind in regions.type[part].tolist()),
        ]
        values += [_known(numbers[part].tolist()) for numbers in regions.numbers.values()]
        values += [_named(codes[part].tolist(), table) for table, codes in texts.values()]
        # A line break inside a text is escaped, so one that is not ends a row.
        lines = encoder.encode_lines(zip(*values, strict=True))[:-1].replace(b"]\n", b"],\n")
        yield (b",\n" if start else b"\n") + lines
    yield b"]}"


def _known(numbers: list[int]) -> Iterator[int | None]:
    return (None if number < 0 else number for number in numbers)


def _named(codes: list[int], table: Sequence[str]) -> Iterator[str | None]:
    return (None if code < 0 else table[code] for code in codes)


def _memory_parts(excerpts: Iterable[Excerpt]) -> Iterator[bytes]:
    memory = ExcerptMemory(excerpts)
    yield b"["
    for number, (address, size) in enumerate(memory.ranges()):
        entry = ExcerptEntry(address=hex(address), data=memory.read(address, size) or b"")
        yield (b",\n" if number else b"\n") + msgspec.json.encode(entry)
    yield b"]"


def clean_text(text: str) -> str:
    """Replaces halves of surrogate pairs, which UTF-8 cannot hold. File names that are not valid text contain them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class _Converter:
    """Turns the program's own classes into structures of the file; `warnings` says what it left out."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def convert(self, value: Any, place: str, *, hexadecimal: bool = False) -> Any:
        """Converts a value and all that is in it.

        Args:
            value: what to convert.
            place: its path in the document.
            hexadecimal: integers become hexadecimal strings.
        """
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if not 0 <= value <= LARGEST_COUNT:
                self.warnings.append(f"{place} is left out: a snapshot cannot hold {value}")
                return None
            return hex(value) if hexadecimal else value
        if isinstance(value, str):
            return clean_text(value)
        if isinstance(value, dt.datetime):
            return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        if isinstance(value, Mapping):
            return {clean_text(key): self.convert(item, f"{place}[{key!r}]") for key, item in value.items()}
        if isinstance(value, Sequence):
            return [
                self.convert(item, f"{place}[{index}]", hexadecimal=hexadecimal) for index, item in enumerate(value)
            ]
        kind = ENTRIES[type(value)]
        addresses = address_fields(kind)
        return kind(
            **{
                name: self.convert(getattr(value, name), f"{place}.{name}", hexadecimal=name in addresses)
                for name in kind.__struct_fields__
            }
        )
