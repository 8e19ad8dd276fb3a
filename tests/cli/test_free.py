"""`free`: where it counts otherwise than the summary, it says so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.cli_inputs import FIXTURES
from synth.minidump import MEM_COMMIT, MEM_FREE, MEM_PRIVATE, MinidumpBuilder
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(whole_app(), ["-q", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_full_space_is_full_but_for_what_nobody_gets() -> None:
    path = str(FIXTURES / "exhaust-x86.dmp.gz")
    assert (
        "The summary counts 64 KB in 1 block as free, as VMMap does. "
        "It includes the first 64 KB (reserved by Windows).\n"
    ) in shown("free", path)
    assert "Largest free block: none, the address space is full except for the first 64 KB" in shown("summary", path)
    assert "- The summary counts 64 KB" in shown("free", path, "--format", "markdown")


def test_one_block_more_in_the_summary_is_explained() -> None:
    path = str(FIXTURES / "fragment-x86.dmp.gz")
    assert re.search(r"^Free +410,880 +24 +18,432$", shown("summary", path), re.MULTILINE)
    said = shown("free", path)
    assert said.startswith("Free: 401 MB of 2 GB in 23 blocks\n")
    assert (
        "The summary counts 401 MB in 24 blocks as free, as VMMap does. It includes the first 64 KB (reserved by "
        "Windows).\n"
    ) in said


def whole_space(path: Path, end: int) -> str:
    """A 64-bit dump with one allocation at 4 MB: 4 MB less 64 KB can be allocated below it."""
    builder = MinidumpBuilder("x64").system_info().region(0, 0x400000, MEM_FREE, 1, 0)
    builder.region(0x400000, 0x10000, MEM_COMMIT, 4, MEM_PRIVATE)
    path.write_bytes(builder.region(0x410000, end - 0x410000, MEM_FREE, 1, 0).build())
    return shown("free", str(path))


def test_a_difference_that_nobody_sees_is_not_spoken_of(tmp_path: Path) -> None:
    assert "The summary counts" not in whole_space(tmp_path / "x64.dmp", 0x7FFFFFFF0000)
    assert "The summary counts" not in shown("free", str(FIXTURES / "layout-x86-plain.dmp"))


def test_space_that_a_32_bit_process_cannot_use(tmp_path: Path) -> None:
    path = tmp_path / "wow64.dmp"
    builder = MinidumpBuilder("x86").system_info().region(0x10000, 0x10000, MEM_COMMIT, 4, MEM_PRIVATE)
    path.write_bytes(builder.region(0x20000, 0x7FFFFFFE0000 - 0x20000, MEM_FREE, 1, 0).build())
    said = next(line for line in shown("free", str(path)).split("\n") if line.startswith("The summary counts"))
    assert "as VMMap does. It includes the first 64 KB (reserved by Windows) and the space above the " in said


def fit(path: Path, *sizes: str, format: str = "json") -> tuple[int, str]:
    arguments = [part for size in sizes for part in ("--fit", size)]
    result = CliRunner().invoke(whole_app(), ["free", str(path), *arguments, "--format", format])
    return result.exit_code, result.output


def partial_dump(path: Path) -> Path:
    """32-bit, with a module at each end of a gap of 0x78000000 bytes and no list of regions."""
    builder = MinidumpBuilder("x86").system_info().system_memory_info(maximum_address=0x7FFEFFFF)
    for name, base in (("a.exe", 0x4000000), ("b.dll", 0x7C010000)):
        builder.module(base, 0x10000, f"C:\\app\\{name}")
    path.write_bytes(builder.build())
    return path


def test_a_partial_map_answers_each_size_with_what_it_can_prove(tmp_path: Path) -> None:
    path = partial_dump(tmp_path / "partial.dmp")
    code, output = fit(path, "1.9GB", "64MB", "3GB")
    answers = json.loads(output)["fits"]
    assert code == 1
    assert [(one["fits"], one["reason"], one["count"], one["largest"]) for one in answers] == [
        (False, "bound", 0, None),
        (None, "map-partial", None, None),
        (False, "bound", 0, None),
    ]
    assert {one["largest_at_most"] for one in answers} == {0x78000000}
    for format in ("table", "markdown", "csv"):
        code, output = fit(path, "1.9GB", "64MB", "3GB", format=format)
        assert code == 1
        assert "1.90 GB: does not fit (largest block at most 1.88 GB)" in output
        assert "64 MB: unknown (the map is partial" in output
        assert "3 GB: does not fit (largest block at most 1.9 GB)" in output


def test_a_wide_partial_map_refuses_only_what_exceeds_the_address_space(tmp_path: Path) -> None:
    path = tmp_path / "wide.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info().module(0x140000000, 0x10000, "C:\\app\\a.exe").build())
    code, output = fit(path, "1GB", "200TB")
    assert [(one["fits"], one["reason"]) for one in json.loads(output)["fits"]] == [
        (None, "map-partial"),
        (False, "address-space"),
    ]
    assert "200 TB: does not fit (address space at most 128 TB)" in fit(path, "200TB", format="table")[1]
    assert code == 1


def test_a_size_that_is_none_is_wrong_usage_on_a_partial_map_too(tmp_path: Path) -> None:
    path = partial_dump(tmp_path / "partial.dmp")
    assert fit(path, "0")[0] == 2
    assert CliRunner().invoke(whole_app(), ["free", str(path), "--fit", "1MB", "--align", "3"]).exit_code == 2
