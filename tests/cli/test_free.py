"""`free`: where it counts otherwise than the summary, it says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli_inputs import FIXTURES
from synth.minidump import MEM_COMMIT, MEM_FREE, MEM_PRIVATE, MinidumpBuilder
from typer.testing import CliRunner

from dumpmap.cli.app import app


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["-q", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_full_space_is_full_but_for_what_nobody_gets() -> None:
    path = str(FIXTURES / "exhaust-x86.dmp.gz")
    assert (
        "The summary counts 64 KB as free, as VMMap does. It includes the first 64 KB (reserved by Windows).\n"
    ) in shown("free", path)
    assert "Largest free block: none, the address space is full except for the first 64 KB" in shown("summary", path)
    assert "- The summary counts 64 KB" in shown("free", path, "--format", "markdown")


@pytest.mark.parametrize("name", ["fragment-x86.dmp.gz", "layout-x64.dmp.gz", "layout-x86-plain.dmp"])
def test_a_difference_that_nobody_sees_is_not_spoken_of(name: str) -> None:
    assert "The summary counts" not in shown("free", str(FIXTURES / name))


def test_space_that_a_32_bit_process_cannot_use(tmp_path: Path) -> None:
    path = tmp_path / "wow64.dmp"
    builder = MinidumpBuilder("x86").system_info().region(0x10000, 0x10000, MEM_COMMIT, 4, MEM_PRIVATE)
    path.write_bytes(builder.region(0x20000, 0x7FFFFFFE0000 - 0x20000, MEM_FREE, 1, 0).build())
    said = next(line for line in shown("free", str(path)).split("\n") if line.startswith("The summary counts"))
    assert "as VMMap does. It includes the first 64 KB (reserved by Windows) and the space above the " in said
