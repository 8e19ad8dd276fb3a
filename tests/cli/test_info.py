"""What `info` says of the input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import run
from synth.process import ProcessBuilder


@pytest.mark.parametrize(
    ("code", "text", "name"),
    [(0xC0000017, "0xc0000017 STATUS_NO_MEMORY", "STATUS_NO_MEMORY"), (0xDEADBEEF, "0xdeadbeef", None)],
)
def test_the_exception_is_named_with_its_thread_and_place(
    tmp_path: Path, code: int, text: str, name: str | None
) -> None:
    process = ProcessBuilder("x86", 19045).furnish()
    thread = process.threads[0].tid
    path = tmp_path / "crash.dmp"
    path.write_bytes(process.to_minidump(full=False).exception(thread, code, 0x401000, [4096]).build())
    assert f"Exception     {text} in thread {thread} at 0x00401000\n" in run("info", str(path)).out
    document = json.loads(run("info", str(path), "--format", "json").out)
    assert (document["exception"]["code"], document["exception"]["name"]) == (f"0x{code:x}", name)
