"""From the draft to the snapshot: what depends on several streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from dumpmap.model.memory import ExcerptMemory, Memory
from dumpmap.model.snapshot import Module, Process, Regions, Snapshot, Source, Stream, Thread, make_regions
from dumpmap.model.values import changed
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.memory import DumpMemory
from dumpmap.parsers.minidump.regions import checked_regions
from dumpmap.parsers.minidump.streams.comments import states_failure
from dumpmap.parsers.minidump.streams.linux import LINUX_MAPS_NUMBER
from dumpmap.parsers.minidump.streams.memory import MEMORY_INFO_LIST_NUMBER
from dumpmap.parsers.minidump.streams.system import SYSTEM_INFO_NUMBER
from dumpmap.parsers.minidump.streams.unreal import has_message
from dumpmap.sources.files import ByteSource

if TYPE_CHECKING:
    from dumpmap.model.writer import WriterRecord

MAX_CAPTURED = 1 << 19
"""Most ranges of captured memory that a map without a list of regions is made from; a warning says so."""

_LINUX_PAGE = 0x1000
"""Linux starts a mapping at any page."""


def snapshot_of(draft: Draft, source: Source, data: ByteSource) -> Snapshot:
    """Makes the snapshot of a dump.

    Args:
        draft: what the streams yielded.
        source: what is known about the file.
        data: its bytes, for the process's memory.
    """
    regions = _regions(draft)
    if all(stream.type != SYSTEM_INFO_NUMBER for stream in source.streams):
        draft.warnings.append("the dump has no SystemInfo stream: architecture and system are unknown")
    memory = _memory(data, draft)
    captured = _captured(memory, draft) if regions is None else ()
    linux = draft.os.kernel == "linux"
    return Snapshot(
        source=source,
        process=_process(draft),
        system=changed(draft.system, allocation_granularity=_LINUX_PAGE) if linux else draft.system,
        counters=draft.counters,
        regions=regions,
        regions_complete=_regions_complete(source.streams, data.size),
        modules=tuple(draft.modules),
        unloaded_modules=tuple(draft.unloaded),
        threads=tuple(_threads(draft)),
        generated_code=tuple(draft.generated_code),
        heaps=tuple(draft.heaps),
        exception=draft.exception,
        handle_count=draft.handle_count,
        handle_types=draft.handle_types,
        comments=tuple(draft.comments),
        annotations=draft.annotations,
        writer=_writer(draft, memory),
        memory=memory,
        captured=captured,
        warnings=tuple(draft.warnings),
    )


def _captured(memory: Memory, draft: Draft) -> tuple[tuple[int, int], ...]:
    ranges = memory.ranges()
    if len(ranges) > MAX_CAPTURED:
        draft.warnings.append(
            f"{len(ranges):,} ranges of memory are captured; without a list of regions, the map has {MAX_CAPTURED:,}"
        )
    return tuple(ranges[:MAX_CAPTURED])


def _writer(draft: Draft, memory: Memory) -> WriterRecord | None:
    exception = draft.exception
    if draft.writer is None and exception is not None and has_message(exception.code):
        from dumpmap.parsers.minidump.unreal_message import read_message

        draft.writer = read_message(memory, exception, draft.pointer_size)
    if draft.writer is None and not draft.noted and not draft.soft_errors and not states_failure(draft.comments):
        return None
    from dumpmap.parsers.minidump.writer_record import writer_record

    return writer_record(draft)


def _regions(draft: Draft) -> Regions | None:
    if draft.regions is not None or not draft.linux_maps:
        return draft.regions
    from dumpmap.parsers import linux_maps

    image_paths = {module.path for module in draft.modules}
    rows, names = linux_maps.rows(draft.linux_maps, image_paths)
    regions, faults = checked_regions(make_regions(rows, texts={"file": names}))
    draft.warnings.extend(f"LinuxMaps: {fault}" for fault in faults)
    return regions


def _regions_complete(streams: Sequence[Stream], file_size: int) -> bool:
    """Tells whether the lists of regions were read to their ends.

    A fault in a binary list puts all of it in doubt. A line of /proc/PID/maps that cannot be read loses one region.
    """
    return all(
        stream.status == "read" if stream.type == MEMORY_INFO_LIST_NUMBER else stream.offset + stream.size <= file_size
        for stream in streams
        if stream.type in (MEMORY_INFO_LIST_NUMBER, LINUX_MAPS_NUMBER)
    )


def _process(draft: Draft) -> Process:
    main = _main_module(draft)
    return Process(
        pid=draft.pid,
        name=draft.process_name or (main.name if main else None),
        path=main.path if main else None,
        command_line=draft.command_line,
        architecture=draft.architecture,
        pointer_size=draft.pointer_size,
        wow64=draft.wow64,
        os=draft.os,
        created_at=draft.created_at,
        user_time=draft.user_time,
        kernel_time=draft.kernel_time,
    )


def _main_module(draft: Draft) -> Module | None:
    """Returns the program. Writers list it first, except for one in the wild that sorts by address."""
    if not draft.modules:
        return None
    if draft.os.family == "windows":
        for module in draft.modules:
            if module.path.lower().endswith(".exe"):
                return module
    return draft.modules[0]


def _threads(draft: Draft) -> list[Thread]:
    threads = list(draft.threads.values())
    if not draft.thread_names and not draft.thread_infos:
        return threads
    names, infos = draft.thread_names, draft.thread_infos
    return [
        msgspec.structs.replace(thread, name=names.get(thread.id), **infos.get(thread.id, {})) for thread in threads
    ]


def _memory(source: ByteSource, draft: Draft) -> Memory:
    if not draft.memory:
        return ExcerptMemory()
    starts, sizes, offsets = (np.concatenate(parts) for parts in zip(*draft.memory, strict=True))
    return DumpMemory(source, starts, sizes, offsets)
