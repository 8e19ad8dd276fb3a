"""Threads: ThreadList, ThreadExList, ThreadInfoList, ThreadNames."""

from __future__ import annotations

from typing import Any

import numpy as np

from dumpmap.model.limits import THREADS
from dumpmap.model.snapshot import Thread
from dumpmap.model.times import from_filetime
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import DumpFile, NotReadError
from dumpmap.parsers.minidump.stream import KnownStream, StreamData
from dumpmap.parsers.minidump.streams.memory import add_memory

_EX_LIST_HEADER = records.Reader(layout.EX_LIST_HEADER)

_EXITED = 0x4
"""MINIDUMP_THREAD_INFO_EXITED_THREAD."""


def read_thread_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_THREAD_LIST."""
    _read_threads(data, draft, layout.THREAD)


def read_thread_ex_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_THREAD_EX_LIST, which the writer of a dump uses for processors with a backing store."""
    _read_threads(data, draft, layout.THREAD_EX)


def _read_threads(data: StreamData, draft: Draft, dtype: np.dtype[Any]) -> None:
    entries = data.counted(dtype, THREADS)
    for row in entries.tolist():
        thread_id, suspended, _, _, teb, stack, stack_size, _, context_size, context_rva = row[:10]
        stack_pointer, instruction_pointer = read_context(data.file, draft.architecture, context_rva, context_size)
        draft.threads[thread_id] = Thread(
            id=thread_id,
            teb=teb or None,
            stack_base=stack if stack_size else None,
            stack_size=stack_size or None,
            stack_pointer=stack_pointer,
            instruction_pointer=instruction_pointer,
            suspend_count=suspended,
        )
    add_memory(
        data,
        draft,
        entries["StackStart"].astype(np.uint64),
        entries["StackSize"].astype(np.uint64),
        entries["StackRva"].astype(np.uint64),
    )


def read_context(file: DumpFile, architecture: str, rva: int, size: int) -> tuple[int | None, int | None]:
    """Reads the stack pointer and the instruction pointer from a thread context."""
    where = layout.CONTEXT_POINTERS.get(architecture)
    if where is None or rva == 0:
        return None, None
    least, stack_at, instruction_at, width = where
    if size < least:
        return None, None
    try:
        data = file.data(rva, least)
    except NotReadError:
        return None, None
    stack = int.from_bytes(data[stack_at : stack_at + width], "little")
    instruction = int.from_bytes(data[instruction_at : instruction_at + width], "little")
    return stack or None, instruction or None


def read_thread_info_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_THREAD_INFO_LIST."""
    for row in data.described(layout.THREAD_INFO, _EX_LIST_HEADER, THREADS):
        draft.thread_infos[int(row["ThreadId"])] = {
            "created_at": from_filetime(int(row["CreateTime"])),
            "start_address": int(row["StartAddress"]) or None,
            "exited": bool(int(row["DumpFlags"]) & _EXITED),
        }


def read_thread_names(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_THREAD_NAME_LIST."""
    entries = data.counted(layout.THREAD_NAME, THREADS)
    for thread_id, rva in zip(entries["ThreadId"].tolist(), entries["RvaOfThreadName"].tolist(), strict=True):
        name = data.file.text(rva)
        if name:
            draft.thread_names[thread_id] = name


STREAMS = (
    KnownStream(
        3,
        "ThreadList",
        "The threads, each with its TEB, its stack, and its context.",
        "MINIDUMP_THREAD_LIST",
        "threads, TEBs, stack ranges, stack pointers",
        read_thread_list,
    ),
    KnownStream(
        8,
        "ThreadExList",
        "The threads of a process on a processor with a backing store (Itanium).",
        "MINIDUMP_THREAD_EX_LIST",
        "threads, TEBs, stack ranges, stack pointers",
        read_thread_ex_list,
    ),
    KnownStream(
        17,
        "ThreadInfoList",
        "The start address, the times, and the exit state of each thread.",
        "MINIDUMP_THREAD_INFO_LIST",
        "start addresses, creation times, exited threads",
        read_thread_info_list,
    ),
    KnownStream(
        24,
        "ThreadNames",
        "The names that the program gave its threads with SetThreadDescription.",
        "MINIDUMP_THREAD_NAME_LIST",
        "thread names",
        read_thread_names,
    ),
)
