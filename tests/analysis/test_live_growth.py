"""A live process that leaks, captured again and again: the timeline finds what was leaked."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.scenes import MB

from dumpmap.api import RegionMap, diff, map_snapshot, timeline
from dumpmap.capture.output import encode
from dumpmap.capture.series import capture_process
from dumpmap.parsers.snapshot_json.reader import load_snapshot

# Takes and touches so many bytes for each line that it reads.
_CHILD = """
import mmap, sys
held = []
print("READY", flush=True)
for line in sys.stdin:
    memory = mmap.mmap(-1, int(line), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(b"x" * int(line))
    held.append(memory)
    print("DONE", flush=True)
"""


def captured(pid: int) -> RegionMap:
    """A map of a running process."""
    document = capture_process(pid)
    return map_snapshot(load_snapshot(b"".join(encode(document)), name="live.json"))


@pytest.mark.skipif(sys.platform != "linux", reason="captures a Linux process")
def test_a_live_leak_is_found() -> None:
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    maps = []
    try:
        assert child.stdout.readline() == "READY\n"
        for _ in range(5):
            maps.append(captured(child.pid))
            child.stdin.write(f"{8 * MB}\n")
            child.stdin.flush()
            assert child.stdout.readline() == "DONE\n"
    finally:
        child.stdin.close()
        child.wait(30)
        child.stdout.close()

    result = timeline(maps)
    assert len(result.points) == 5
    private = next(one for one in result.types if (one.type, one.metric) == ("Private Data", "committed"))
    assert private.delta is not None
    # What Python itself takes besides is little.
    assert 4 * 8 * MB <= private.delta < 4 * 8 * MB + 4 * MB
    if result.unit == "seconds":
        assert private.slope is not None
        assert private.slope > 0
    else:
        assert private.grows
        assert result.growing[0].type == "Private Data"

    change = diff(maps[0], maps[-1])
    assert change.same_process
    grown = sum(row.committed_delta for row in change.changes.rows() if row.type == "Private Data")
    assert grown == private.delta
