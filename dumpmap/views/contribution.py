"""The text beside a contribution: everything that the file holds, read from the file itself."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dumpmap._version import __version__
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.values import value_class
from dumpmap.views.blocks import Blank, Block, Fact, Facts, Heading, Lines, Paragraph
from dumpmap.views.documents import moment_text
from dumpmap.views.table import Column, Table
from dumpmap.wording.systems import system_text
from dumpmap.wording.text import count_words, size_words

MOST_TEXTS = 20_000
"""Most texts of the memory that are listed; a line says how many more there are."""

_LINE = 1000
"""Letters of a line; a longer text goes on in the next one."""

_TEXT = re.compile(rb"[\x20-\x7e]{5,}")
_WIDE_TEXT = re.compile(rb"(?:[\x20-\x7e]\0){5,}")

_PART_COLUMNS = (Column("part"), Column("count", "count"), Column("content"))
_MEMORY_COLUMNS = (
    Column("memory"),
    Column("kind"),
    Column("pieces", "count"),
    Column("bytes", "count"),
)


@value_class(frozen=True, slots=True)
class ContributionFile:
    """The file that was written.

    Attributes:
        name: its name.
        size: its size in bytes.
        sha256: its digest, in hexadecimal.
    """

    name: str
    size: int
    sha256: str


@value_class(frozen=True, slots=True)
class _Part:
    content: str
    count: Callable[[Snapshot], int] = lambda _: 1


PARTS: Mapping[str, _Part] = {
    "format": _Part("the name of the file format"),
    "version": _Part("its version"),
    "captured_at": _Part("when the input was written", lambda one: int(one.source.captured_at is not None)),
    "tool": _Part("the version of dumpmap"),
    "source": _Part("kind, size, packing, and flags of the input, and which streams it had; not its name or path"),
    "process": _Part("name of the program and path without its own folders, process ID, system, times"),
    "system": _Part("page size, number of processors, memory of the machine"),
    "counters": _Part("memory counters of the process"),
    "regions": _Part(
        "address, size, state, and protection of a region; for some, the file behind it",
        lambda one: 0 if one.regions is None else len(one.regions),
    ),
    "regions_complete": _Part("whether the list of regions is complete"),
    "captured": _Part("address and size of memory that the input had; no bytes", lambda one: len(one.captured)),
    "modules": _Part("address, size, name, version, and IDs of a module", lambda one: len(one.modules)),
    "unloaded_modules": _Part("the same of an unloaded module", lambda one: len(one.unloaded_modules)),
    "threads": _Part("ID, addresses of stack and block, times of a thread; no name", lambda one: len(one.threads)),
    "peb": _Part("address of the process environment block", lambda one: int(one.peb is not None)),
    "wow64_peb": _Part("the same of the 32-bit part", lambda one: int(one.wow64_peb is not None)),
    "heaps": _Part("address and ranges of a heap that the input lists", lambda one: len(one.heaps)),
    "managed_heaps": _Part("the same of a managed heap", lambda one: len(one.managed_heaps)),
    "generated_code": _Part("address and size of generated code", lambda one: len(one.generated_code)),
    "exception": _Part("code, addresses, and parameters of the exception", lambda one: int(one.exception is not None)),
    "handle_count": _Part("number of open handles", lambda one: int(one.handle_count is not None)),
    "handle_types": _Part("number of open handles by type", lambda one: len(one.handle_types)),
    "comments": _Part("numbers of snapshots in a VMMap file; no other comment", lambda one: len(one.comments)),
    "annotations": _Part(
        "a number or known word that a crash reporter recorded under a known name", lambda one: len(one.annotations)
    ),
    "writer": _Part(
        "what the writer recorded of the failure: numbers, known words, product, version",
        lambda one: int(one.writer is not None),
    ),
    "omitted_texts": _Part("how many texts were left out"),
    "recorded_summary": _Part("a line of the summary of a VMMap file", lambda one: len(one.recorded_summary)),
    "pointer_owners": _Part("left out", lambda one: int(one.pointer_owners is not None)),
    "warnings": _Part("what was damaged in the input", lambda one: len(one.warnings)),
    "memory": _Part("a piece of memory, see below", lambda one: len(one.memory.ranges())),
}
"""What each part of the file is, and how many there are. The keys are those of the file."""


def texts_in(snapshot: Snapshot) -> list[str]:
    """Returns every text in the bytes of memory: runs of five or more printable ASCII characters, also as UTF-16."""
    found: set[str] = set()
    for address, size in snapshot.memory.ranges():
        data = snapshot.memory.read(address, size) or b""
        found.update(match.decode() for match in _TEXT.findall(data))
        found.update(match.decode("utf-16-le") for match in _WIDE_TEXT.findall(data))
    return sorted(found)


def words_in(snapshot: Snapshot) -> list[str]:
    """Returns every text in the file outside the memory: names of modules, streams, and heaps, versions, and words."""
    # What the input is called now is not in the file.
    source = dataclasses.replace(snapshot.source, name="", path=None, container=None, notes=())
    return sorted(set(_strings(dataclasses.replace(snapshot, source=source, warnings=()))) - {""})


def _strings(value: Any) -> Iterator[str]:
    """Yields the texts in a value. Memory and arrays have none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.items():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    else:
        names: Iterable[str] = getattr(value, "__struct_fields__", ()) or getattr(value, "__dataclass_fields__", ())
        for name in names:
            yield from _strings(getattr(value, name))


def contribution_view(region_map: RegionMap, file: ContributionFile) -> Iterator[Block]:
    """Yields the text.

    Args:
        region_map: the map of the file, opened again.
        file: the file.
    """
    snapshot = region_map.snapshot
    yield Heading("A contribution to dumpmap")
    yield Paragraph(
        f"{file.name} holds what dumpmap needs to make the map of a process, and nothing else. This text lists all of "
        "it, and was made from the file. dumpmap sent nothing. Read the text, and share both files only if you are "
        "allowed to."
    )
    yield Blank()
    yield Facts(_facts(region_map, file))
    yield Blank()
    yield Heading("Parts of the file")
    rows = [(name, part.count(snapshot), part.content) for name, part in PARTS.items()]
    yield Table(_PART_COLUMNS, [row for row in rows if row[1]])
    yield Blank()
    yield Heading("Left out or replaced")
    yield Lines(list(_left_out(snapshot)), indent=2)
    yield Blank()
    yield Heading("Memory")
    yield from _memory_blocks(region_map)
    yield from _listed("Names and words", words_in(snapshot))
    yield from _listed("Warnings", list(snapshot.warnings))
    yield from _listed("Texts in the memory, of five letters or more", texts_in(snapshot))


def _facts(region_map: RegionMap, file: ContributionFile) -> list[Fact]:
    snapshot = region_map.snapshot
    source, process = snapshot.source, snapshot.process
    written = moment_text(source.captured_at) or "at an unknown time"
    facts = (
        ("File", f"{file.name}, {count_words(file.size, 'byte')}"),
        ("SHA-256", file.sha256),
        ("Made from", f"{source.reduced_from or source.kind}, written {written}"),
        ("Made by", f"dumpmap {__version__}"),
        ("Process", f"{process.name or 'unknown'}, {process.architecture}, {system_text(process.os)}"),
    )
    return [Fact(label, text) for label, text in facts]


def _left_out(snapshot: Snapshot) -> Iterator[str]:
    yield "the command line, the environment, and the path and name of the input"
    yield "names of threads"
    yield "folders that are not the system's: <folder> stands for them"
    yield "names of users and machines that are known from paths: <user> and <machine> stand for them"
    yield "comments, and texts and names of a crash reporter that are no number or known word: " + (
        count_words(snapshot.omitted_texts, "text")
    )
    yield "the content of heaps, stacks, and files, except for the structures listed under Memory"


def _memory_blocks(region_map: RegionMap) -> Iterator[Block]:
    """Yields what the pieces of memory belong to."""
    memory = region_map.snapshot.memory
    pieces: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for address, size in memory.ranges():
        place = region_map.at(address)
        key = ("outside the map", "") if place is None else (place.type.label, place.kind)
        pieces[key] += 1
        sizes[key] += size
    if not pieces:
        yield Paragraph("The file holds no bytes of the process's memory.")
        return
    yield Paragraph(
        f"{count_words(pieces.total(), 'piece')}, {size_words(sizes.total())} together: headers of images, blocks of "
        "threads and the process, and headers and lists of heaps and runtimes. They are:"
    )
    yield Table(_MEMORY_COLUMNS, [(*key, pieces[key], size) for key, size in sizes.most_common()])


def _listed(title: str, texts: list[str]) -> Iterator[Block]:
    if texts:
        yield Blank()
        yield Heading(title)
        yield Lines(
            [text[at : at + _LINE] for text in texts[:MOST_TEXTS] for at in range(0, len(text), _LINE)], indent=2
        )
        if len(texts) > MOST_TEXTS:
            yield Paragraph(f"{len(texts) - MOST_TEXTS:,} more are not listed.")
