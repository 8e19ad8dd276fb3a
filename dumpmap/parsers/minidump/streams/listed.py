"""Streams of the Windows SDK and of Wine that say nothing about memory: dumpmap lists them and does not read them."""

from __future__ import annotations

from dumpmap.parsers.minidump.stream import KnownStream

_STREAM_TYPE = "MINIDUMP_STREAM_TYPE"

STREAMS = (
    KnownStream(1, "ReservedStream0", "Reserved by Microsoft.", _STREAM_TYPE),
    KnownStream(2, "ReservedStream1", "Reserved by Microsoft.", _STREAM_TYPE),
    KnownStream(
        18,
        "HandleOperationList",
        "The last operations on handles, if Application Verifier recorded them.",
        "MINIDUMP_HANDLE_OPERATION_LIST",
    ),
    KnownStream(19, "Token", "Information about the access token of the process.", "MINIDUMP_TOKEN_INFO_LIST"),
    KnownStream(20, "JavaScriptData", "Data of Microsoft's JavaScript engine.", _STREAM_TYPE),
    KnownStream(23, "IptTrace", "An Intel Processor Trace.", _STREAM_TYPE),
    KnownStream(0xFFF0, "WineElfModuleList", "The ELF modules of a process that runs under Wine.", "Wine, dbghelp"),
)
