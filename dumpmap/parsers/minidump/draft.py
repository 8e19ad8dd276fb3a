"""What the streams of a dump have yielded so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dumpmap.model.snapshot import (
    U64,
    CodeRange,
    Counters,
    ExceptionRecord,
    Module,
    OperatingSystem,
    RecordedHeap,
    Regions,
    System,
    Thread,
    UnloadedModule,
)

if TYPE_CHECKING:
    from dumpmap.model.writer import Annotation, WriterRecord
    from dumpmap.parsers import linux_maps


@dataclass
class Draft:
    """A snapshot in the making. Later streams add to what earlier ones said: a name to a thread, for example."""

    architecture: str = "unknown"
    pointer_size: int = 8
    os: OperatingSystem = field(default_factory=lambda: OperatingSystem(family="other"))
    wow64: bool | None = None
    pid: int | None = None
    created_at: dt.datetime | None = None
    user_time: int | None = None
    kernel_time: int | None = None
    process_name: str | None = None
    command_line: str | None = None
    system: System = field(default_factory=System)
    counters: Counters = field(default_factory=Counters)
    regions: Regions | None = None
    linux_maps: list[linux_maps.Mapping] | None = None
    modules: list[Module] = field(default_factory=list)
    unloaded: list[UnloadedModule] = field(default_factory=list)
    threads: dict[int, Thread] = field(default_factory=dict)
    thread_names: dict[int, str] = field(default_factory=dict)
    thread_infos: dict[int, dict[str, Any]] = field(default_factory=dict)
    memory: list[tuple[U64, U64, U64]] = field(default_factory=list)
    """(addresses, sizes, file offsets) of each memory list."""
    exception: ExceptionRecord | None = None
    generated_code: list[CodeRange] = field(default_factory=list)
    heaps: list[RecordedHeap] = field(default_factory=list)
    handle_count: int | None = None
    handle_types: dict[str, int] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    writer: WriterRecord | None = None
    """What a stream with the whole record of the writer says."""
    noted: list[Annotation] = field(default_factory=list)
    """Annotations of the crash reporter, those of modules included."""
    soft_errors: list[str] = field(default_factory=list)
    impossible_modules: int = 0
    """Entries of the module list that are not in `modules`: an index into the list is not one into `modules` then."""
    warnings: list[str] = field(default_factory=list)
