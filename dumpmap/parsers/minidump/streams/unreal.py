"""What Unreal Engine adds about a crash: its crash context."""

from __future__ import annotations

from dumpmap.model.writer import THREAD_NAME
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import NotReadError
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

ASSERT_CODE = 0x4000
_ENSURE_CODES = range(0xBDB20, 0xBDB40)
"""777,000 and some: the number differs between versions of the engine."""


def has_message(code: int) -> bool:
    """Tells whether an exception can be an assertion or ensure of the engine, whose parameter leads to its message."""
    return code == ASSERT_CODE or code in _ENSURE_CODES


def read_crash_context(data: StreamData, draft: Draft) -> None:
    """Reads the crash context, and names the threads that have no name.

    Names of threads are on the map, which is shared. A text that can hold user data stays in the record alone.
    """
    from dumpmap.parsers.minidump import unreal

    try:
        context = unreal.parse(data.start(unreal.MAX_SIZE))
    except unreal.UnrealContextError as error:
        raise NotReadError("malformed", str(error)) from None
    if context.problem is not None:
        data.note(context.problem)
    record = unreal.make_record(context)
    draft.writer = record
    for thread_id, name in record.thread_names:
        if THREAD_NAME.fullmatch(name):
            draft.thread_names.setdefault(thread_id, name)
    if draft.pid is None:
        draft.pid = unreal.process_id(context)


STREAMS = (
    KnownStream(
        0x10000,
        "UnrealCrashContext",
        "What Unreal Engine recorded about the crash, as XML: the type of the crash, the error message, the allocation "
        "that failed, memory figures, and the names of the threads.",
        "Unreal Engine, WindowsPlatformCrashContext.cpp",
        "the writer's record, names of threads that have none",
        read_crash_context,
    ),
)
