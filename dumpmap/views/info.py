"""What `info` shows: the input rather than the map."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from dumpmap.model.ntstatus import exception_text
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import OperatingSystem
from dumpmap.model.winnt import MinidumpType
from dumpmap.views.blocks import Blank, Block, Fact, Facts, Heading, Lines
from dumpmap.views.counters import counter_rows
from dumpmap.views.documents import head, moment_text
from dumpmap.views.exception import exception_document
from dumpmap.views.table import Column, Table, to_records
from dumpmap.views.writer import comment_line, writer_blocks, writer_document
from dumpmap.wording.advice import advise
from dumpmap.wording.crash import crash_line
from dumpmap.wording.processes import process_name
from dumpmap.wording.systems import release_name, system_text
from dumpmap.wording.text import printable, sentence

STREAM_COLUMNS = (
    Column("type", "hex"),
    Column("name"),
    Column("offset", "hex"),
    Column("size", "count"),
    Column("status"),
)

_SHOWN_HANDLE_TYPES = 20


def stream_table(region_map: RegionMap) -> Table:
    """Returns the streams of the input."""
    streams = region_map.snapshot.source.streams
    rows = [[getattr(stream, column.name) for column in STREAM_COLUMNS] for stream in streams]
    return Table(STREAM_COLUMNS, rows)


def flag_names(flags: int | None) -> list[str]:
    """Returns the names of MINIDUMP_TYPE bits; unknown bits become one hex number."""
    if flags is None:
        return []
    names = [flag.name for flag in MinidumpType if flag.value and flags & flag.value and flag.name]
    rest = flags & ~int(sum(flag.value for flag in MinidumpType))
    if rest:
        names.append(f"0x{rest:x}")
    return names or ["MiniDumpNormal"]


def fact_rows(region_map: RegionMap) -> list[tuple[str, str]]:
    """Returns the known facts of process and input, each as label and text."""
    process, source, snapshot = region_map.process, region_map.snapshot.source, region_map.snapshot
    width = f"{process.pointer_size * 8}-bit" + (", inferred" if snapshot.architecture_inferred else "")
    on = ", 32-bit process on 64-bit Windows (WoW64)" if process.wow64 else ""
    facts: list[tuple[str, str | None]] = [
        ("Process", process_name(region_map)),
        ("PID", None if process.pid is None else str(process.pid)),
        ("Path", process.path),
        ("Command line", process.command_line),
        ("Architecture", f"{process.architecture} ({width}{on})"),
        ("System", _system_text(process.os)),
        ("Started", moment_text(process.created_at)),
        ("File", source.path or source.name),
        ("Kind", source.kind + (f", {source.container}" if source.container else "")),
        ("Captured", moment_text(source.captured_at)),
        ("Flags", None if source.flags is None else f"0x{source.flags:x} {' | '.join(flag_names(source.flags))}"),
        ("Completeness", region_map.completeness),
        *_exception_rows(region_map),
        ("Threads", str(len(snapshot.threads))),
        ("Modules", str(len(snapshot.modules))),
        ("Handles", None if snapshot.handle_count is None else f"{snapshot.handle_count:,}"),
        ("Handle types", _handle_text(region_map)),
        ("Comment", comment_line(snapshot.comments)),
    ]
    return [(label, text) for label, text in facts if text]


def _system_text(system: OperatingSystem) -> str:
    """The system and its service pack, which the names of some releases contain."""
    name = release_name(system)
    pack = None if name is not None and "SP" in name else system.service_pack
    text = system_text(system)
    # Breakpad writes there what uname says, which begins with the name: `Linux 4.4.0-38-generic ...`.
    return pack if pack and pack.startswith(f"{text} ") else " ".join(filter(None, (text, pack)))


def _exception_rows(region_map: RegionMap) -> list[tuple[str, str | None]]:
    """The exception in one line, and its code if the line does not have it."""
    exception = region_map.snapshot.exception
    if exception is None:
        return []
    line = crash_line(region_map) or ""
    code = exception_text(exception.code, region_map.process.os.family)
    return [("Exception", line), ("Exception code", None if line.startswith(sentence(code)) else code)]


def _handle_text(region_map: RegionMap) -> str | None:
    """The most frequent types of handles with their counts."""
    counts = sorted(region_map.snapshot.handle_types.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{printable(name) or 'unnamed'} {count:,}" for name, count in counts[:_SHOWN_HANDLE_TYPES]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f", and {more} more types" if more > 1 else ", and 1 more type" if more else "") or None


def info_document(region_map: RegionMap) -> dict[str, Any]:
    """Returns `dumpmap.info/1`."""
    snapshot = region_map.snapshot
    document = head("dumpmap.info/1", region_map)
    document["source"]["streams"] = to_records(stream_table(region_map))
    document["source"]["flag_names"] = flag_names(snapshot.source.flags)
    return {
        **document,
        "exception": exception_document(region_map),
        "counts": {
            "regions": None if snapshot.regions is None else len(snapshot.regions),
            "threads": len(snapshot.threads),
            "modules": len(snapshot.modules),
            "unloaded_modules": len(snapshot.unloaded_modules),
            "stacks": len(region_map.stacks),
            "heaps": len(region_map.heaps),
            "handles": snapshot.handle_count,
        },
        "bytes_captured": sum(size for _, size in snapshot.captured or snapshot.memory.ranges()),
        "heap_list_captured": region_map.heap_list_captured,
        "handle_types": dict(snapshot.handle_types),
        "comments": list(snapshot.comments),
        "annotations": dict(snapshot.annotations),
        "writer": writer_document(snapshot.writer),
        "omitted_texts": snapshot.omitted_texts,
        "advice": [dataclasses.asdict(advice) for advice in advise(region_map)],
    }


def _sections(region_map: RegionMap) -> list[tuple[str, list[str]]]:
    """Returns headings with their lines; sections without lines are omitted."""
    sections = [
        ("Warnings", list(region_map.warnings)),
        ("Notes", list(region_map.notes)),
        (
            "What a better dump would add",
            [f"{advice.missing}: {advice.adds}. How: {advice.how}." for advice in advise(region_map)],
        ),
    ]
    return [(heading, lines) for heading, lines in sections if lines]


def info_view(region_map: RegionMap) -> Iterator[Block]:
    """Yields everything that `info` shows to people."""
    yield Facts([Fact(label, text) for label, text in fact_rows(region_map)])
    yield from writer_blocks(region_map)
    counters = counter_rows(region_map)
    if counters:
        yield Blank()
        yield Facts([Fact(label, text) for label, text in counters])
    if region_map.snapshot.source.streams:
        yield Blank()
        yield stream_table(region_map)
    for heading, lines in _sections(region_map):
        yield Blank()
        yield Heading(heading)
        yield Lines(lines, indent=2)
