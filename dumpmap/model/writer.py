"""What the writer of a dump recorded itself: the failure as it saw it, and its own names and figures.

A game engine or a crash reporter knows more than the memory shows: which allocation failed, which limit was reached,
which thread crashed. Sizes are bytes, None means not recorded, and a figure that the writer did not fill in is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from dumpmap.model.values import value_class

_SMALLEST_LIMIT = 4096
_MOST_TIMES = 4
"""A runtime checks its limit when it collects garbage, so that a heap can exceed it, but not many times."""

EXECUTABLE = "ExecutableName"
"""The annotation of Unreal Engine that names the program, without its suffix."""

_THREAD_WORD = r"(?:[A-Za-z]{1,48}[0-9]{0,5}|[0-9]{1,5})"
THREAD_NAME = re.compile(rf"(?=[A-Za-z].{{0,63}}\Z){_THREAD_WORD}(?:[ _.:#()-]{{1,2}}{_THREAD_WORD}){{0,7}}\)?")
"""What a writer's name of a thread looks like: `TaskGraphThreadNP 3`. A URL, a path, or a line of a script does not."""


@value_class(frozen=True, slots=True)
class Annotation:
    """A named text that a program set for its crash reports.

    Attributes:
        source: the stream it comes from, such as `CrashpadInfo`.
        name: its name; a text of a list without names has none.
        value: its text, cleaned and bounded; None if a snapshot left it out.
        module: the module that set it; None if it belongs to the process.
    """

    source: str
    name: str
    value: str | None
    module: str | None = None


@value_class(frozen=True, slots=True)
class HeapLimitRecord:
    """The heap of a runtime and its own limit, as the writer recorded them.

    Attributes:
        runtime: `V8`.
        source: the stream and the annotations that say so.
        used: bytes in use.
        total: bytes that the heap occupies.
        limit: bytes that it may use at most.
        available: bytes that the runtime counted as still available to it.
        is_oom: whether the heap itself reached its limit; None if not recorded.
        location: where the runtime gave up, such as `Reached heap limit`.
        detail: what the runtime said about it.
    """

    runtime: str
    source: str
    used: int | None = None
    total: int | None = None
    limit: int | None = None
    available: int | None = None
    is_oom: bool | None = None
    location: str | None = None
    detail: str | None = None

    @property
    def known_used(self) -> int | None:
        """The bytes in use; None if not recorded: a running heap is not empty, so 0 is not filled in."""
        return self.used or None

    @property
    def implausible(self) -> bool:
        """Whether no heap can have these figures: a limit below a page, or many times the limit in use."""
        if not self.limit:
            return False
        return self.limit < _SMALLEST_LIMIT or (self.used or 0) > _MOST_TIMES * self.limit


@value_class(frozen=True, slots=True)
class WriterRecord:
    """What the writer of the dump recorded about the failure, the process, and the machine.

    Attributes:
        writer: who wrote it, such as `Unreal Engine 4.24` or `Crashpad`.
        source: the stream it comes from; None if several streams say something.
        crash_type: the writer's own word: `Assert`, `OutOfMemory`, ...
        message: the error message.
        out_of_memory: whether the writer states that memory ran out; None if it says nothing about it.
        requested: bytes of the allocation that failed; None if not recorded.
        alignment: its alignment; None if not recorded.
        memory: figures in bytes by the writer's own names; a figure that it did not fill in is left out.
        heap_limit: the heap of a runtime with its limit.
        crashed_thread: the thread that the writer says crashed.
        thread_names: thread IDs with their names.
        product: the product or game.
        version: its version.
        process_type: which of the product's processes, such as `renderer`.
        uptime: seconds since the process started.
        annotations: every named text.
        soft_errors: what the writer failed to collect.
        texts_omitted: whether a snapshot left out texts that can hold user data.
    """

    writer: str
    source: str | None = None
    crash_type: str | None = None
    message: str | None = None
    out_of_memory: bool | None = None
    requested: int | None = None
    alignment: int | None = None
    memory: Mapping[str, int] = field(default_factory=dict)
    heap_limit: HeapLimitRecord | None = None
    crashed_thread: int | None = None
    thread_names: tuple[tuple[int, str], ...] = ()
    product: str | None = None
    version: str | None = None
    process_type: str | None = None
    uptime: int | None = None
    annotations: tuple[Annotation, ...] = ()
    soft_errors: tuple[str, ...] = ()
    texts_omitted: bool = False

    @property
    def executable(self) -> str | None:
        """The program, as the writer names it; only Unreal Engine does."""
        return next((one.value for one in self.annotations if one.name == EXECUTABLE and one.module is None), None)
