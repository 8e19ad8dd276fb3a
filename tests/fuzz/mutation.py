"""Mutations that know what formats are made of: directories and lists, numbers and lines of text, packed memory."""

from __future__ import annotations

import base64
import json
import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from fuzz.dumpfile import LISTS, Part, numbers, parts

Mutate = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
"""Takes an input, a source of chance, and other inputs, which give pieces."""

_NUMBERS = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x1000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 63, (1 << 64) - 1)
_TOKENS = (b"[", b"]", b"{", b"}", b'"', b"null", b"-1", b"1e999", b"\r", b"\0", b"<", b">", b"&", b",", b"\t", b"\xff")
_TEXTS = (b"18446744073709551615", b"18446744073709551616", b"-1", b"0", b"0x", b"1e400", b"", b"9" * 30, b"4096", b"1")
_TYPES = (*LISTS, 10, 11, 13, 15, 21, 22, 0x4767_0001, 0x4767_0004, 0x4767_0006, 0x4767_0009, 0x5048_4D44, 0x4350_0001)


def mutated(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Returns a changed copy of one to eight mutations of bytes."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if not changed:
            break
        _mutate(changed, chance, others)
    return bytes(changed)


def _mutate(data: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    # Headers and tables are at the beginning of most formats.
    reach = chance.choice((64, 1024, len(data), len(data)))
    at = chance.randrange(min(reach, len(data)))
    match chance.randrange(8):
        case 0:
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            data[at] = chance.randrange(256)
        case 2:
            size = chance.choice((1, 2, 4, 8))
            data[at : at + size] = _number(chance, size)
        case 3:
            del data[at : at + chance.choice((1, 4, 100))]
        case 4:
            data[at:at] = chance.choice(_TOKENS)
        case 5:
            other = chance.choice(others) or b"\0"
            start = chance.randrange(len(other))
            size = chance.choice((4, 16, 64, 400))
            data[at : at + size] = other[start : start + size]
        case 6:
            size = chance.choice((4, 12, 48, 200))
            data[at:at] = data[at : at + size] * chance.choice((1, 2, 5))
        case _:
            if chance.random() < 0.2:
                del data[at:]
            else:
                size = chance.choice((4, 16))
                data[at : at + size] = chance.choice((b"\0", b"\xff")) * size


def _number(chance: random.Random, size: int) -> bytes:
    value = chance.choice((chance.choice(_NUMBERS) + chance.choice((-1, 0, 1)), chance.getrandbits(8 * size)))
    return (value % (1 << 8 * size)).to_bytes(size, "little")


# ---------------------------------------------------------------- minidumps


def mutated_dump(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Changes the directory, counts, entries, and pointers of a minidump, or any bytes."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        streams = parts(changed)
        if not streams or chance.random() < 0.2:
            return mutated(bytes(changed), chance, others)
        chance.choice(_CHANGES)(changed, chance.choice(streams), streams, chance)
    return bytes(changed)


def _other_stream(data: bytearray, part: Part, streams: Sequence[Part], chance: random.Random) -> None:
    """A directory entry gets another type, size, or place, or those of another entry."""
    other = chance.choice(streams)
    kind, size, rva = part.type, part.size, part.rva
    match chance.randrange(5):
        case 0:
            kind = chance.choice((other.type, *_TYPES))
        case 1:
            size = chance.choice((0, size - 1, size + 1, size // 2, len(data), 0xFFFF_FFFF, other.size))
        case 2:
            rva = chance.choice((0, 32, other.rva, part.at, len(data), len(data) - 4, 0xFFFF_FFF0, rva + 4))
        case 3:
            kind, size, rva = other.type, other.size, other.rva
        case _:
            size, rva = other.size, other.rva
    struct.pack_into("<III", data, part.at, kind, size % (1 << 32), rva % (1 << 32))


def _other_number(data: bytearray, part: Part, streams: Sequence[Part], chance: random.Random) -> None:
    """One of the numbers that decide what is read gets an extreme value, that of another, or a place in the file."""
    del part, streams
    places = list(numbers(data))
    place, other = chance.choice(places), chance.choice(places)
    value = chance.choice(
        (
            _number(chance, 4),
            bytes(data[other : other + 4]),
            chance.randrange(len(data) + 8).to_bytes(4, "little"),
            ((int.from_bytes(data[place : place + 4], "little") + chance.choice((-1, 1))) % (1 << 32)).to_bytes(
                4, "little"
            ),
        )
    )
    data[place : place + len(value)] = value


def _other_field(data: bytearray, part: Part, streams: Sequence[Part], chance: random.Random) -> None:
    """A field of an entry gets another value, or that of another entry."""
    del streams
    places = part.entries(data)
    if part.layout is None or not places:
        _other_bytes(data, part, (), chance)
        return
    width = chance.choice((4, 4, 8))
    offset = chance.randrange(part.layout.entry // 4) * 4
    place, other = chance.choice(places) + offset, chance.choice(places) + offset
    value = chance.choice((_number(chance, width), bytes(data[other : other + width])))
    if chance.random() < 0.3:  # near an address of another entry: overlaps, gaps, and neighbours
        near = int.from_bytes(data[other : other + 8], "little") + chance.choice((-4096, -1, 1, 4096, 65536))
        value = (near % (1 << 64)).to_bytes(8, "little")
    data[place : place + len(value)] = value


def _other_bytes(data: bytearray, part: Part, streams: Sequence[Part], chance: random.Random) -> None:
    """Bytes of a stream change."""
    del streams
    end = min(part.rva + part.size, len(data))
    if part.rva < end:
        place = chance.randrange(part.rva, end)
        value = _number(chance, chance.choice((1, 2, 4, 8)))
        data[place : place + len(value)] = value


def _longer_list(data: bytearray, part: Part, streams: Sequence[Part], chance: random.Random) -> None:
    """A list is moved to the end of the file, with entries twice, in another order, or fewer of them."""
    del streams
    places = part.entries(data)
    if part.layout is None or part.layout.count_at is None or not places or len(data) > 60_000:
        return
    chosen = chance.choices(places, k=chance.choice((1, 2, len(places), 2 * len(places))))
    if chance.random() < 0.5:
        chosen.sort()
    stream = bytearray(data[part.rva : part.rva + part.layout.header])
    struct.pack_into("<I", stream, part.layout.count_at, len(chosen))
    for place in chosen:
        stream += data[place : place + part.layout.entry]
    struct.pack_into("<II", data, part.at + 4, len(stream), len(data))
    data += stream


def _cut(data: bytearray, part: Part, streams: Sequence[Part], chance: random.Random) -> None:
    """The file ends within a stream."""
    del streams
    if 32 < part.rva < len(data) and chance.random() < 0.3:
        del data[part.rva + chance.randrange(max(1, part.size)) :]


_Change = Callable[[bytearray, Part, Sequence[Part], random.Random], None]
_CHANGES: tuple[_Change, ...] = (
    _other_stream,
    _other_number,
    _other_number,
    _other_field,
    _other_field,
    _other_bytes,
    _longer_list,
    _cut,
)


def field_mutated(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Changes fields of entries and the order of lists only: the dump stays valid."""
    del others
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 4))):
        streams = [part for part in parts(changed) if part.layout is not None and part.entries(changed)]
        if streams:
            chance.choice((_other_field, _other_field, _longer_list))(changed, chance.choice(streams), streams, chance)
    return bytes(changed)


# ---------------------------------------------------------------- texts


def mutated_text(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Changes numbers, quoted texts, and lines or elements of a text, or any bytes."""
    if not data or chance.random() < 0.3:
        return mutated(data, chance, others)
    changed = data
    for _ in range(chance.choice((1, 1, 2, 4))):
        pattern, choices = chance.choice(
            (
                (rb"\d+", _TEXTS),
                (rb'"[^"]{0,200}"', (b'""', b'"', b'"\\ud800"', b'"\xe2\x80\xae"', b"null", b'"' + b"A" * 300 + b'"')),
                (rb"[\r\n>,]+", (b"", b"\n\n", b",", b">", b"\r", b"\r\n", b"\0\n")),
            )
        )
        found = [match.span() for match in re.finditer(pattern, changed)]
        if not found:
            break
        (first, last), (start, end) = chance.choice(found), chance.choice(found)
        if chance.random() < 0.5:
            changed = changed[:first] + chance.choice(choices) + changed[last:]
        elif last < end < last + 3000:  # what lies between two of them once more, or no longer
            changed = changed[:end] + changed[last:end] * chance.choice((1, 3)) + changed[end:]
            changed = changed[:60_000]
        else:
            changed = changed[:first] + changed[start:end] + changed[last:]
    return changed


# ---------------------------------------------------------------- snapshots


def mutated_snapshot(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Changes captured memory, values, or rows of a JSON snapshot; what is no snapshot, like a minidump."""
    if data.startswith(b"MDMP"):
        return mutated_dump(data, chance, others)
    try:
        document = json.loads(data)
        change = chance.choice((_other_memory, _other_memory, _other_memory, _other_value))
        for _ in range(chance.choice((1, 1, 2, 4))):
            change(document, chance)
        return json.dumps(document, separators=(",", ":")).encode()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return mutated_text(data, chance, others)


def _other_memory(document: Any, chance: random.Random) -> None:
    """Words of captured memory change: to an extreme one, to a pointer to other memory, to a word of elsewhere."""
    excerpts = document["memory"]
    excerpt = chance.choice(excerpts)
    content = bytearray(base64.b64decode(excerpt["data"]))
    width = chance.choice((1, 2, 4, 8, 8))
    place = chance.randrange(max(1, len(content) // width)) * width
    other = base64.b64decode(chance.choice(excerpts)["data"])
    start = chance.randrange(max(1, len(other)))
    address = int(chance.choice(excerpts)["address"], 16) + chance.choice((0, 0, 8, 16, 4096))
    values = (_number(chance, width), (address % (1 << 64)).to_bytes(8, "little")[:width], other[start : start + width])
    value = chance.choice(values)
    content[place : place + len(value)] = value
    excerpt["data"] = base64.b64encode(content).decode()


def _other_value(document: Any, chance: random.Random) -> None:
    """A value somewhere changes, is twice there, or goes."""
    here = document
    while True:
        keys = list(here) if isinstance(here, dict) else range(len(here))
        key = chance.choice(keys)
        if isinstance(here[key], (dict, list)) and here[key] and chance.random() < 0.9:
            here = here[key]
            continue
        break
    match chance.randrange(4):
        case 0:
            del here[key]
        case 1:
            here[key] = chance.choice(
                (None, 0, -1, 1 << 63, (1 << 64) - 1, "", "0x0", "0xffffffffffffffff", [], {}, True)
            )
        case 2 if isinstance(here[key], int):
            here[key] += chance.choice((-1, 1, 4096, 1 << 32))
        case _:
            here[key] = here[chance.choice(keys)]
