"""What the writer of the input recorded, as a document and as blocks of text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from dumpmap.analysis.writer_memory import virtual_kind
from dumpmap.model.region_map import RegionMap
from dumpmap.model.writer import HeapLimitRecord, WriterRecord
from dumpmap.views.blocks import Blank, Block, Fact, Facts, Heading, Lines, Paragraph
from dumpmap.views.table import Column, Table
from dumpmap.wording.text import count_words, percent_words, printable, size_words

ANNOTATION_COLUMNS = (Column("module", shortens=True), Column("name", shortens=True), Column("value", prose=True))

_MOST_ROWS = 60
_LONGEST_VALUE = 200
_LONGEST_MESSAGE = 1000
_OMITTED = "(left out)"

_KINDS = {"address-space": "address space", "page-file": "physical memory and page file"}


def writer_document(record: WriterRecord | None) -> dict[str, Any] | None:
    """Returns the record as plain data."""
    if record is None:
        return None
    document = dataclasses.asdict(record)
    document["thread_names"] = [{"id": thread_id, "name": name} for thread_id, name in record.thread_names]
    document["annotations"] = [dataclasses.asdict(annotation) for annotation in record.annotations]
    document["soft_errors"] = list(record.soft_errors)
    return document


def writer_blocks(region_map: RegionMap) -> Iterator[Block]:
    """Yields the section about the writer's record; nothing if there is none."""
    record = region_map.snapshot.writer
    omitted = _omitted(region_map)
    if record is None:
        if omitted:
            yield Blank()
            yield Heading("What the writer recorded")
            yield Paragraph(omitted, "muted")
        return
    yield Blank()
    yield Heading("What the writer recorded")
    yield Facts([Fact(label, text) for label, text in _facts(region_map, record) if text])
    if omitted:
        yield Paragraph(omitted, "muted")
    if record.soft_errors:
        yield Blank()
        yield Heading("What the writer failed to collect")
        yield Lines([short_line(text, _LONGEST_VALUE) for text in record.soft_errors[:_MOST_ROWS]], indent=2)
    if record.annotations:
        yield Blank()
        yield _annotations(record)
        rest = len(record.annotations) - _MOST_ROWS
        if rest > 0:
            yield Paragraph(f"{count_words(rest, 'more annotation')}; --format json shows all.", "muted")


def _omitted(region_map: RegionMap) -> str | None:
    """Says how many texts a snapshot or a report left out."""
    snapshot = region_map.snapshot
    count = snapshot.omitted_texts
    if not count and (snapshot.writer is None or not snapshot.writer.texts_omitted):
        return None
    texts = count_words(count, "text") if count else "Texts"  # an older snapshot does not count them
    verb, them = ("is", "it") if count == 1 else ("are", "them")
    return f"{texts} that can hold user data {verb} left out; --keep-text keeps {them}."


def comment_line(comments: Sequence[str]) -> str | None:
    """Returns the comments in one bounded line, their own lines apart by slashes."""
    lines = [line for comment in comments for part in comment.splitlines() if (line := " ".join(part.split()))]
    text = printable(" / ".join(lines))
    if len(text) <= _LONGEST_MESSAGE:
        return text or None
    return f"{text[:_LONGEST_MESSAGE]}... ({len(text):,} letters; --format json shows all)"


def short_line(text: str, limit: int) -> str:
    """Returns a text as one line of at most `limit` letters that a terminal can show."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _facts(region_map: RegionMap, record: WriterRecord) -> Iterator[tuple[str, str | None]]:
    yield "Written by", short_line(record.writer, _LONGEST_VALUE)
    yield "Crash type", _line(record.crash_type)
    yield "Message", None if record.message is None else short_line(record.message, _LONGEST_MESSAGE)
    yield "Out of memory", None if record.out_of_memory is None else "yes" if record.out_of_memory else "no"
    if record.requested is not None:
        aligned = f", aligned to {record.alignment:,}" if record.alignment else ""
        yield "Requested", f"{_bytes(record.requested)}{aligned}"
    if record.heap_limit is not None:
        yield "Heap limit", _heap_limit(record.heap_limit)
    yield "Crashed thread", _crashed_thread(region_map, record)
    yield "Product", " ".join(filter(None, (_line(record.product), _line(record.version)))) or None
    yield "Process type", _line(record.process_type)
    yield "Uptime", None if record.uptime is None else count_words(record.uptime, "second")
    for name, value in record.memory.items():
        yield short_line(name, 60), size_words(value) + _meaning(region_map, name)


def _line(text: str | None) -> str | None:
    return None if text is None else short_line(text, _LONGEST_VALUE)


def _bytes(value: int) -> str:
    return f"{count_words(value, 'byte')} ({size_words(value)})" if value >= 1024 else size_words(value)


def _meaning(region_map: RegionMap, name: str) -> str:
    """Says whether a figure of virtual memory is address space or page file: versions of Unreal Engine differ."""
    if name not in ("TotalVirtual", "AvailableVirtual"):
        return ""
    kind = virtual_kind(region_map, name)
    return f" ({_KINDS[kind]})" if kind is not None else " (address space or page file: the sizes do not tell)"


def _heap_limit(heap: HeapLimitRecord) -> str:
    parts = []
    used = heap.known_used
    if used is not None and heap.limit:
        share = "no heap has such figures" if heap.implausible else percent_words(used / heap.limit)
        parts.append(f"{_bytes(used)} used of {_bytes(heap.limit)}, {share}")
    elif used is not None:
        parts.append(f"{_bytes(used)} used")
    elif heap.limit:
        parts.append(f"limit {_bytes(heap.limit)}, use not recorded")
    if heap.location is not None:
        parts.append(short_line(heap.location, _LONGEST_VALUE))
    if heap.detail is not None:
        parts.append(short_line(heap.detail, _LONGEST_VALUE))
    if not parts and heap.is_oom is not None:
        parts.append("reached" if heap.is_oom else "not reached")
    return f"{heap.runtime}: " + "; ".join(parts or ["no figures"])


def _crashed_thread(region_map: RegionMap, record: WriterRecord) -> str | None:
    """Names the thread that the writer says crashed, and who says otherwise."""
    if record.crashed_thread is None:
        return None
    snapshot = region_map.snapshot
    name = dict(record.thread_names).get(record.crashed_thread) or region_map.thread_names.get(record.crashed_thread)
    text = f"{record.crashed_thread}" + (f" ({short_line(name, 60)})" if name else "")
    exception = snapshot.exception
    if exception is None or exception.thread_id in (None, record.crashed_thread):
        return text
    text += f"; the exception names thread {exception.thread_id}"
    pointer = exception.stack_pointer
    for thread in snapshot.threads:
        base, size = thread.stack_base, thread.stack_size
        if pointer is not None and base is not None and size is not None and base <= pointer < base + size:
            return f"{text}, and its stack pointer lies in the stack of thread {thread.id}"
    return text


def _annotations(record: WriterRecord) -> Table:
    rows = [
        [
            None if one.module is None else short_line(one.module, 60),
            short_line(one.name, 80),
            _OMITTED if one.value is None else short_line(one.value, _LONGEST_VALUE),
        ]
        for one in record.annotations[:_MOST_ROWS]
    ]
    columns = ANNOTATION_COLUMNS if any(row[0] for row in rows) else ANNOTATION_COLUMNS[1:]
    return Table(columns, [row[-len(columns) :] for row in rows])
