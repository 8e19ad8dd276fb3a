"""Opening what somebody has tampered with, and insisting on a result or dumpmap's own error, soon."""

from __future__ import annotations

import contextlib
import gzip
import random
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType

import zstandard
from synth.heaps import many_heaps_x86
from synth.minidump import StreamHeap, StreamRange, rsds
from synth.process import ProcessBuilder
from synth.writers import ModuleAnnotations, unreal_xml

import dumpmap
from dumpmap.api import RegionMap
from support.recorded import DUMPS


class HungError(AssertionError):
    """It took longer than it may."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fails what takes more than `seconds` of processor time, instead of waiting for it.

    Not of the clock: what else the machine does must not decide.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise HungError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def spoiled_maps(good: bytes, seed: int | str, count: int) -> Iterator[RegionMap]:
    """Yields the maps of `count` copies of a dump with 1 to 8 changed bytes, but for those that dumpmap refuses."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            region_map = dumpmap.open(bytes(data))
        except dumpmap.DumpmapError:
            continue
        yield region_map


def survives(data: bytes, *, seconds: float = 10) -> str:
    """Opens `data` and draws everything from the map that a command would show.

    Returns:
        the completeness of the map, or the error's message. Any other exception is a test failure.
    """
    with within(seconds):
        try:
            m = dumpmap.open(data)
        except dumpmap.DumpmapError as error:
            return one_line(error)
        lines = m.summary_lines
        assert sum(line.size or 0 for line in lines[1:]) >= 0
        m.at(0x1000)
        for stack in m.stacks:
            m.at(stack.base)
        return m.completeness


def one_line(error: dumpmap.DumpmapError) -> str:
    """An error's message, which must be one line."""
    text = str(error)
    assert "\n" not in text
    return text


def unpacked(path: Path) -> bytes:
    """The bytes of a dump, decompressed."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 30)
    return data


@cache
def synthetic() -> bytes:
    """A small dump with one of every stream."""
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_thread(name="worker")
    dump = process.to_minidump(full=False)
    thread = process.threads[0]
    dump.exception(thread.tid, 0xC0000005, 0x1234, (1, 2), context_sp=thread.stack.sp)
    dump.unloaded_module(0x6000_0000, 0x2000, "gone.dll").handle(4, "File", "\\x").handle(
        8, "Event", infos=[(1, b"ab")]
    )
    dump.comment_a("hello").comment_w("hallo").breakpad_info(1, 2)
    dump.thread_info(thread.tid, start_address=0x1000).thread_ex(99, stack=(0x1000, b"x"), backing_store=(0x2000, b"y"))
    dump.module(0x5000_0000, 0x1000, "C:\\x\\y.dll", version=(1, 2, 3, 4), codeview=rsds("y.pdb"))
    dump.unreal_context(unreal_xml({"CrashType": "Assert"}, [(thread.tid, "main", True)]), "utf-8", b"\0more")
    notes = ModuleAnnotations(0, ("text",), (("a", "b"),), (("oom-size", 1, b"16"),))
    dump.crashpad_info(("ptype", "gpu"), modules=[notes]).soft_errors('["none"]')
    dump.heap_stream([StreamHeap(0x10_0000, 1, name="h")], [StreamRange(0x10_0000, 0x1000, 1)])
    dump.linux_maps("00400000-00401000 r-xp 00000000 08:01 1 /bin/x\n")
    return dump.build()


@cache
def heaps() -> bytes:
    """A 32-bit process with heaps of several kinds, with the memory that their structures lie in."""
    process = ProcessBuilder("x86", 19045, wow64=True).furnish()
    many_heaps_x86(process)
    return process.to_minidump().build()


@cache
def recorded(name: str) -> bytes:
    """A recorded dump, decompressed."""
    return unpacked(DUMPS[name])
