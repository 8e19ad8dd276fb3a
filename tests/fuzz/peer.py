"""The differential harness: lists of a minidump as dumpmap reads them and as the `minidump` package does.

The package is left out where it is wrong or says less:

- it ignores SizeOfHeader and SizeOfEntry, and reads what is beyond the end of a stream as zeros: only lists with the
  SDK's sizes whose entries are all there are compared;
- it has no protection with a modifier (PAGE_GUARD and its like), and no unknown state or type: such a value is None;
- it keeps regions that no address space has, in any order: the rules of docs/formats.md are applied to its list here;
- it reads texts with a byte too many or beyond the file: only names that lie in the file and decode are compared;
- it fails on directories that repeat a type: only types that are listed once are compared.
"""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from minidump.streams.MemoryInfoListStream import MinidumpMemoryInfoList
from minidump.streams.ModuleListStream import MinidumpModuleList
from minidump.streams.ThreadListStream import MinidumpThreadList
from synth.minidump import MEM_FREE, MEMORY_INFO_LIST, MODULE_LIST, THREAD_EX_LIST, THREAD_LIST

import dumpmap
from dumpmap.model.snapshot import Snapshot
from dumpmap.parsers.minidump.reader import MAX_STREAMS
from dumpmap.parsers.opening import read_source
from dumpmap.sources.files import BufferSource
from fuzz.dumpfile import Part, parts

_SPACE = 1 << 64
_MOST = 2000
"""Entries that the package, which reads field by field, is asked for."""


def compare(data: bytes) -> int:
    """Compares regions, modules, and threads; returns how many lists both could read."""
    try:
        snapshot = read_source(BufferSource("fuzz", data))
    except dumpmap.DumpmapError:
        return 0
    if not data.startswith(b"MDMP"):
        return 0
    streams = parts(data, MAX_STREAMS)
    compared = 0
    for number, read, same in (
        (MEMORY_INFO_LIST, MinidumpMemoryInfoList.parse, _same_regions),
        (MODULE_LIST, MinidumpModuleList.parse, _same_modules),
        (THREAD_LIST, MinidumpThreadList.parse, _same_threads),
    ):
        found = [part for part in streams if part.type == number]
        if len(found) == 1 and _intact(data, found[0]):
            where = SimpleNamespace(Location=SimpleNamespace(Rva=found[0].rva, DataSize=found[0].size))
            same(read(where, io.BytesIO(data)), snapshot, data)
            compared += 1
    return compared


def _intact(data: bytes, part: Part) -> bool:
    """Whether the list has the SDK's sizes, and all its entries are in it and in the file."""
    layout = part.layout
    if layout is None or layout.count_at is None or part.rva + part.size > len(data) or part.size < layout.header:
        return False
    head = data[part.rva : part.rva + layout.header]
    width = 8 if layout.header == 16 else 4
    count = int.from_bytes(head[layout.count_at : layout.count_at + width], "little")
    if layout.header == 16 and (head[:4] != b"\x10\0\0\0" or int.from_bytes(head[4:8], "little") != layout.entry):
        return False
    # Four bytes more are the padding of Breakpad, which the package does not know.
    return 0 < count <= _MOST and part.size == layout.header + count * layout.entry


def _same_regions(theirs: Any, snapshot: Snapshot, data: bytes) -> None:
    del data
    ours = snapshot.regions
    kept: list[Any] = []
    for info in sorted(theirs.infos, key=lambda info: info.BaseAddress):
        end = info.BaseAddress + info.RegionSize
        if (
            info.RegionSize
            and end < _SPACE
            and (not kept or info.BaseAddress >= kept[-1].BaseAddress + kept[-1].RegionSize)
        ):
            kept.append(info)
    if ours is None or not len(ours):
        assert not kept, f"{len(kept)} regions are missing"
        return
    assert ours.base.tolist() == [info.BaseAddress for info in kept]
    assert ours.size.tolist() == [info.RegionSize for info in kept]
    assert ours.allocation_protect.tolist() == [info.AllocationProtect for info in kept]
    for column, values in (("State", ours.state), ("Protect", ours.protect), ("Type", ours.type)):
        for info, value in zip(kept, values.tolist(), strict=True):
            known = getattr(info, column)
            assert known is None or known.value == value, column
    for info, base, state in zip(kept, ours.allocation_base.tolist(), ours.state.tolist(), strict=True):
        if info.AllocationBase <= info.BaseAddress or state == MEM_FREE:  # others are corrected
            assert info.AllocationBase == base


def _same_modules(theirs: Any, snapshot: Snapshot, data: bytes) -> None:
    kept = [module for module in theirs.modules if module.baseaddress + module.size <= _SPACE]
    assert len(kept) == len(snapshot.modules)
    for one, other in zip(kept, snapshot.modules, strict=True):
        assert (one.baseaddress, one.size) == (other.base, other.size)
        assert (one.timestamp, one.checksum) == (other.timestamp, other.checksum)
        name = one.name
        if name and "\0" not in name and name != "<STRING_DECODE_FAILED>" and name.encode("utf-16-le") in data:
            assert other.path == name or len(name) > 30_000, (name, other.path)


def _same_threads(theirs: Any, snapshot: Snapshot, data: bytes) -> None:
    if any(part.type == THREAD_EX_LIST for part in parts(data, MAX_STREAMS)):
        return  # its threads replace those of the list
    last = {thread.ThreadId: thread for thread in theirs.threads}
    ours = {thread.id: thread for thread in snapshot.threads}
    assert last.keys() == ours.keys()
    for number, thread in last.items():
        assert (thread.Teb or None, thread.SuspendCount) == (ours[number].teb, ours[number].suspend_count)
        stack = thread.Stack
        size = stack.DataSize if stack.DataSize is not None else stack.MemoryLocation.DataSize
        assert (stack.StartOfMemoryRange if size else None) == ours[number].stack_base
