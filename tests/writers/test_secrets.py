"""What outputs carry of a process's secrets: a canary in each place where a process keeps some, and a search."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from support.canaries import readings
from support.cli import run
from synth.heaps import SegmentSpec, nt_heap, write_heap_array
from synth.process import ProcessBuilder

import dumpmap

CANARY = "hunter2"
"""Each place has one with its name: `hunter2-stack`."""

PLACES = ("command", "environment", "stack", "heap", "page", "comment", "annotation")
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
    dump.comment_w(f"{CANARY}-comment").crashpad_info(("note", f"{CANARY}-annotation"))
    return dump.build()


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


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secrets") / "app.dmp"
    path.write_bytes(process_with_secrets())
    return path


def test_the_dump_has_all_of_them(dump: Path) -> None:
    assert found_in(dump) == {*PLACES, "any"}


SNAPSHOTS: dict[tuple[str, ...], set[str]] = {
    (): set(),
    ("--command-line",): {"command"},
    ("--keep-text",): {"comment", "annotation"},
    ("--redact",): set(),
    ("--redact", "--command-line"): {"command"},
}
"""Options of `snapshot`, and the places whose canaries it carries."""


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.zst"])
@pytest.mark.parametrize("options", SNAPSHOTS)
def test_a_snapshot_carries_what_its_options_allow(options: tuple[str, ...], suffix: str, dump: Path) -> None:
    output = dump.with_name("o" + suffix)
    ran = run("snapshot", str(dump), *options, "-o", str(output), "--force")
    assert ran.code == 0, ran.err
    expected = SNAPSHOTS[options]
    assert found_in(output) == ({*expected, "any"} if expected else set())


def test_the_maps_are_the_same(dump: Path) -> None:
    output = dump.with_name("same.json")
    m = dumpmap.open(dump)
    m.to_snapshot(output, command_line=True)
    again = dumpmap.open(output)
    pd.testing.assert_frame_equal(again.regions, m.regions)
    assert again.process == m.process
    assert again.warnings == m.warnings
    m.to_snapshot(output, force=True)
    assert dumpmap.open(output).process == dataclasses.replace(m.process, command_line=None)


OUTPUTS: dict[tuple[str, ...], set[str]] = {
    ("summary", "-o", "o.txt"): set(),
    ("summary", "-o", "o.json"): {"command"},
    ("regions", "--blocks", "-o", "o.csv"): set(),
    ("regions", "--blocks", "-o", "o.md"): set(),
    ("heaps", "--segments", "--blocks", "-o", "o.json"): {"command"},
    ("stacks", "-o", "o.txt"): set(),
    ("owners", "-o", "o.json"): {"command"},
    ("export", "-o", "o.mmp"): set(),
    ("export", "-o", "o.csv"): set(),
    ("export", "-o", "o.parquet"): set(),
    ("report", "-o", "o.html"): {"command"},
    ("report", "--keep-text", "-o", "o.html"): {"command", "comment", "annotation"},
    ("report", "--redact", "-o", "o.html"): set(),
    ("triage", "--no-cache", "-o", "o.csv"): {"comment"},
}
"""Commands, and the places whose canaries the output can carry."""


@pytest.mark.parametrize("command", OUTPUTS)
def test_what_other_outputs_can_carry(command: tuple[str, ...], dump: Path) -> None:
    name, *options = command
    output = dump.with_name(options[-1])
    ran = run(name, str(dump), *options[:-1], str(output), "--force")
    assert ran.code == 0, ran.err
    assert found_in(output) - {"any"} <= OUTPUTS[command]
    assert not any(f"{CANARY}-{place}" in ran.err for place in PLACES)
