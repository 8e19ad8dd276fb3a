"""A process that is full of texts that must not get out, and a search of outputs for them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard
from synth.heaps import SegmentSpec, nt_heap, write_heap_array
from synth.process import ProcessBuilder
from synth.writers import ENGINE_OOM, unreal_xml

CANARY = "hunter2"
"""Each place has one with its name: `hunter2-stack`."""

PLACES = (
    *("command", "environment", "stack", "heap", "page", "comment", "annotation"),
    *("message", "module", "thread", "user", "machine", "file"),
)
IN_MEMORY = ("environment", "stack", "heap", "page")
"""What no output carries, whatever its options."""


def canary(place: str, size: int) -> bytes:
    """A run of bytes full of a place's canary, in both encodings."""
    text = f"{CANARY}-{place} "
    unit = text.encode() + b"\0" * (len(text) % 2) + text.encode("utf-16-le")
    return (unit * (size // len(unit) + 1))[:size]


def process_with_secrets() -> bytes:
    """A full dump of a process whose memory is full of canaries, where it is not a structure that dumpmap reads."""
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_process_parameters(
        command_line=f"app.exe --password={CANARY}-command",
        environment={"TOKEN": f"{CANARY}-environment", "PATH": f"C:\\{CANARY}-environment"},
    )
    heap = nt_heap(process, segments=[SegmentSpec(0x100000)])
    stack = process.threads[0].stack
    process.write(stack.limit, canary("stack", stack.top - stack.limit))
    for block in heap.blocks:
        if block.busy and block.size > 0x40:
            process.write(block.address + 0x20, canary("heap", block.size - 0x20))
    # What a damaged list takes for a heap, a thread block, and an image.
    pages = [process.allocate(0x10000) for _ in range(3)]
    for page in pages:
        process.write(page, canary("page", 0x10000))
    process.heaps[64].append(pages[0])
    write_heap_array(process)
    dump = process.to_minidump()
    dump.thread(77, teb=pages[1])
    dump.module(pages[2], 0x10000, "C:\\app\\page.dll")
    dump.module(0x7FF700000000, 0x1000, f"C:\\Users\\{CANARY}-user\\{CANARY}-module\\a.dll")
    dump.module(0x7FF700010000, 0x1000, f"\\\\{CANARY}-machine\\share\\b.dll")
    dump.thread_name(77, f"{CANARY}-thread")
    message = f"Ran out of memory allocating 8172146688 bytes with alignment 0 {CANARY}-message"
    dump.unreal_context(unreal_xml({**ENGINE_OOM, "ErrorMessage": message}))
    dump.comment_w(f"{CANARY}-comment").crashpad_info(("note", f"{CANARY}-annotation"))
    return dump.build()


def readings(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yields a file's content as it is, and what is packed or encoded in it."""
    yield data
    if depth > 3:
        return
    if data[:2] == b"\x1f\x8b":
        yield from readings(gzip.decompress(data), depth + 1)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        yield from readings(zstandard.ZstdDecompressor().decompressobj().decompress(data), depth + 1)
    for text in re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", data):
        for skipped in range(4):  # four letters are three bytes; a word before them can belong to it
            part = text[skipped:]
            yield base64.b64decode(part[: len(part) // 4 * 4])
        with contextlib.suppress(ValueError, zlib.error):
            yield from readings(zlib.decompress(base64.b64decode(text), 47), depth + 1)


def found_in(path: Path) -> set[str]:
    """The places whose canaries are in a file."""
    found = set()
    for content in readings(path.read_bytes()):
        for place in PLACES:
            text = f"{CANARY}-{place}"
            if text.encode() in content or text.encode("utf-16-le") in content:
                found.add(place)
        # A piece of a canary can be cut off.
        if b"hunter2-" in content or "hunter2-".encode("utf-16-le") in content:
            found.add("any")
    return found
