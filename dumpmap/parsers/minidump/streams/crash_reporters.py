"""What crash reporters add about a crash: Breakpad's and Crashpad's own streams, and those of their users."""

from __future__ import annotations

from dumpmap.model.writer import WriterRecord
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.stream import KnownStream, StreamData
from dumpmap.parsers.minidump.texts import clean

_BREAKPAD_INFO = records.Reader(layout.BREAKPAD_INFO)
_CRASHPAD_INFO = records.Reader(layout.CRASHPAD_INFO)

_ASSERTION_INFO = records.Reader(layout.BREAKPAD_ASSERTION_INFO)
_ASSERTION_TYPES = {1: "Invalid parameter", 2: "Pure virtual call"}
"""MD_ASSERTION_INFO_TYPE_INVALID_PARAMETER and MD_ASSERTION_INFO_TYPE_PURE_VIRTUAL_CALL."""

_BREAKPAD = "google_breakpad/common/minidump_format.h"
_MOZILLA = "rust-minidump, minidump-common/src/format.rs"

_REQUESTING_THREAD_IS_VALID = 0x2
"""MD_BREAKPAD_INFO_VALID_REQUESTING_THREAD_ID."""


def read_breakpad_info(data: StreamData, draft: Draft) -> None:
    """Reads MDRawBreakpadInfo: the thread that asked for the dump."""
    info = data.record(_BREAKPAD_INFO)
    if info.Validity & _REQUESTING_THREAD_IS_VALID:
        draft.annotations["requesting_thread"] = str(info.RequestingThreadId)


def read_assertion_info(data: StreamData, draft: Draft) -> None:
    """Reads MDRawAssertionInfo: the assertion of the C run-time library that failed. Most dumps have zeros here."""
    info = data.record(_ASSERTION_INFO)
    expression, function, file = (
        clean(text.decode("utf-16-le", "replace").partition("\0")[0])
        for text in (info.Expression, info.Function, info.File)
    )
    place = f"{function}, {file}:{info.Line}" if function and file else function or (file and f"{file}:{info.Line}")
    message = f"{expression} ({place})" if expression and place else expression or place
    crash_type = _ASSERTION_TYPES.get(info.Type)
    if draft.writer is None and (message or crash_type):
        draft.writer = WriterRecord(
            writer="Breakpad", source="BreakpadAssertionInfo", crash_type=crash_type, message=message or None
        )


def read_crashpad_info(data: StreamData, draft: Draft) -> None:
    """Reads MinidumpCrashpadInfo: the annotations of the client, and those of its modules."""
    info = data.record(_CRASHPAD_INFO)
    if not info.SimpleAnnotations.DataSize and not info.ModuleList.DataSize:
        return
    from dumpmap.parsers.minidump.crashpad import read_annotations

    read_annotations(data, draft, info.SimpleAnnotations, info.ModuleList)


def read_soft_errors(data: StreamData, draft: Draft) -> None:
    """Reads the JSON of Mozilla's crash reporter: what it failed to collect."""
    from dumpmap.parsers.minidump.crashpad import soft_errors

    draft.soft_errors.extend(soft_errors(data))


STREAMS = (
    KnownStream(
        0x47670001,
        "BreakpadInfo",
        "The threads that wrote and requested the dump.",
        _BREAKPAD,
        "annotation `requesting_thread`",
        read_breakpad_info,
    ),
    KnownStream(
        0x43500001,
        "CrashpadInfo",
        "The report's identity, and annotations: keys and values that the program set for its crash reports.",
        "crashpad/minidump/minidump_extensions.h",
        "annotations, the writer's record",
        read_crashpad_info,
    ),
    KnownStream(
        0x47670002,
        "BreakpadAssertionInfo",
        "The assertion that failed, with its file and line.",
        _BREAKPAD,
        "the writer's record",
        read_assertion_info,
    ),
    KnownStream(0x4B6B0001, "KaskoCrashKeys", "The crash keys of Kasko, Chromium's former crash reporter.", "Kasko"),
    KnownStream(0x4D7A0001, "MozMacosCrashInfo", "The crash_info records of macOS system libraries.", _MOZILLA),
    KnownStream(0x4D7A0002, "MozMacosBootargs", "The boot arguments of the macOS kernel.", _MOZILLA),
    KnownStream(0x4D7A0003, "MozLinuxLimits", "The text of /proc/PID/limits.", _MOZILLA),
    KnownStream(
        0x4D7A0004,
        "MozSoftErrors",
        "What the writer of the dump failed to collect, as JSON.",
        _MOZILLA,
        "the writer's record",
        read_soft_errors,
    ),
)
