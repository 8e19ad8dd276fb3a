"""`address`: an address in use, a free one, and one that the input knows nothing about."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MinidumpBuilder
from typer.testing import CliRunner

import dumpmap
from dumpmap.cli.app import whole_app

X64 = str(FIXTURES / "layout-x64.dmp.gz")


def lines(path: str | Path, address: str, *options: str) -> dict[str, str]:
    """Returns the answer as label and text."""
    result = CliRunner().invoke(whole_app(), ["-q", "address", str(path), address, "--bytes", "0", *options])
    assert result.exit_code == 0, result.output
    answer: dict[str, str] = {}
    for line in result.output.rstrip("\n").split("\n"):
        match = re.fullmatch(r"(\S(?:.*?\S)?)\s{2,}(.*)", line)
        assert match is not None, line
        answer[match[1]] = match[2]
    return answer


def test_free_space_is_a_range_with_neighbours() -> None:
    assert lines(X64, "7ff000000000") == {
        "Address": "0x00007ff000000000",
        "Type": "Free",
        "Range": "0x00007f2803ff0000 to 0x00007fffffd70000",
        "Size": "905,901,568 KB",
        "Before": "0x00007f2703ff0000 Private Data, 4,194,304 KB",
        "After": "0x00007fffffd70000 Private Data, 200 KB",
    }
    assert lines(X64, "7ff000000000", "--units", "auto")["Size"] == "863 GB"


def test_the_ends_of_the_address_space_are_neighbours_too() -> None:
    first = lines(X64, "0x1000")
    assert first["Before"] == "the start of the address space"
    assert first["Note"] == "free, but Windows reserves the first 64 KB"
    assert lines(X64, "7ffffffeffff")["After"] == "the end of the address space"


def test_unusable_space_says_that_it_is_lost() -> None:
    gap = lines(X64, "0x13000")
    assert gap["Type"] == "Unusable"
    assert gap["Note"] == "free but unusable: allocations start at multiples of 64 KB"
    assert gap["Range"] == "0x0000000000012000 to 0x0000000000020000"
    assert gap["Before"].endswith("8 KB")


@pytest.mark.parametrize(
    ("make", "address", "answer"),
    [
        pytest.param(
            lambda: (FIXTURES / "layout-x86-plain.dmp").read_bytes(),
            "0x10000",
            "unknown: the input has no list of memory regions and no other record of this address",
            id="partial",
        ),
        pytest.param(
            lambda: (FIXTURES / "layout-x64.dmp.gz").read_bytes(),
            "ffffffffffffffff",
            "outside the address space, which ends at 0x00007fffffff0000",
            id="outside",
        ),
    ],
)
def test_an_address_that_nothing_is_known_of(make: object, address: str, answer: str, tmp_path: Path) -> None:
    path = tmp_path / "x.dmp"
    path.write_bytes(make())  # type: ignore[operator]
    assert lines(path, address)["Type"] == answer


def test_behind_the_end_of_a_list_that_is_cut_off_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "cut.dmp"
    builder = MinidumpBuilder("x64").system_info()
    path.write_bytes(builder.region(0x60000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE).build())
    assert lines(path, "7fe000000000")["Type"].startswith("unknown: the list of memory regions is cut off at 0x")


def test_bytes_that_the_file_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "bare.dmp"
    path.write_bytes(MinidumpBuilder("x64").region(0x60000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE).build())
    assert lines(path, "0x60000")["Bytes in file"] == "none"
    assert lines(X64, "ntdll+10")["Bytes in file"] == "4,080 from this address"
    reserved = re.search(
        r"^(0x\w+) .* Reserved", run("-q", "regions", X64, "--blocks", "--state", "reserved").out, re.M
    )
    assert reserved is not None
    assert "Bytes in file" not in lines(X64, reserved[1])


@pytest.mark.parametrize("text", ["ntdll+zz", "ntdll+", "", "+5", "0x", "1ffffffffffffffff", "nowhere.dll+1", "12g"])
def test_what_is_no_address(text: str) -> None:
    ran = run("address", X64, text)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "invalid literal" not in ran.err


def test_captured_bytes_are_shown_as_hexadecimal_and_text() -> None:
    out = run("-q", "address", X64, "ntdll.dll+0", "--bytes", "20", COLUMNS="80").out
    assert out.endswith(
        "\n\n+0x000  4d 5a 90 00 03 00 00 00 04 00 00 00 ff ff 00 00  MZ..............\n"
        "+0x010  b8 00 00 00                                      ....\n"
    )
    assert "+0x010" in run("-q", "address", X64, "ntdll.dll+0").out
    assert "+0x000" not in run("-q", "address", X64, "7ff000000000").out


def test_bytes_end_where_the_captured_ones_end(tmp_path: Path) -> None:
    path = tmp_path / "x.dmp"
    builder = MinidumpBuilder("x64").system_info().region(0x60000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE)
    path.write_bytes(builder.memory(0x60010, b"\x00\x1b[31mabc\xff").build())

    def captured(address: str, *options: str) -> object:
        ran = run("-q", "address", str(path), address, "--format", "json", *options)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)["addresses"][0]["bytes"]

    assert captured("60010", "--bytes", "4096") == b"\x00\x1b[31mabc\xff".hex()
    assert captured("60019", "--bytes", "7") == "ff"
    assert captured("60000") is None
    assert captured("60010", "--bytes", "0") is None
    assert "\x1b" not in run("-q", "address", str(path), "60010").out


@pytest.mark.parametrize("count", ["-1", "4097", "99999999999999999999", "many"])
def test_a_number_of_bytes_that_is_out_of_bounds(count: str) -> None:
    assert run("address", X64, "ntdll+0", "--bytes", count).code == 2


def test_the_owner_is_named_with_what_proves_it() -> None:
    node = FIXTURES / "runtimes" / "node-18.dmp.gz"
    allocations = dumpmap.open(node).allocations
    start = int(allocations.address[allocations.kind == "V8 new space"].iloc[0])
    page = f"{start + 0x10:x}"
    answer = run("-q", "address", str(node), page, "--format", "json")
    owner = json.loads(answer.out)["addresses"][0]["found"]["owner"]
    assert (owner["owner"], owner["module"], owner["evidence"], owner["inferred"]) == (
        "V8",
        "node.exe",
        "v8-page",
        False,
    )
    assert owner["proof_address"] == hex(start)
    assert owner["instance"].startswith("isolate 0x")
    text = run("-q", "address", str(node), page, "--bytes", "0").out
    assert f"V8 (node.exe), {owner['instance']}" in text
    assert "page header" in text
    assert f"0x{start:016x}" in text
    # The code range of an isolate: only some of it holds pages.
    code = allocations.address[(allocations.owner == "V8") & (allocations["size"] == 128 << 20)]
    rest = lines(node, f"{int(code.iloc[0]):x}")
    assert rest["Owner"].endswith(", inferred")
    assert rest["Proof"].startswith("Other parts of the allocation")
    heap = lines(X64, "ntdll.dll+0")
    assert heap["Owner"] == "ntdll.dll"
    assert heap["Proof"] == "The input's list of modules (at 0x0000000170000000)"
    assert "Owner" not in lines(X64, "7ff000000000")
    row = run("-q", "address", str(node), page, "0x1000", "--format", "csv").out.splitlines()
    assert row[0].endswith(",owner,owner_module,owner_instance,owner_inferred,owner_evidence,proof,other_owners")
    assert ",V8,node.exe," in row[1]


def test_captured_bytes_are_no_allocation(tmp_path: Path) -> None:
    path = tmp_path / "partial.dmp"
    stack = 0x7FFD0000
    builder = MinidumpBuilder("x86").system_info().module(0x400000, 0x10000, "C:\\app\\app.exe")
    builder.thread(1, stack=(stack, b"\1" * 0x3000), context_sp=stack + 0x100).memory(0x20000008, bytes(64))
    path.write_bytes(builder.build())
    for address, kind in ((stack + 0x200, "Stack"), (0x20000010, "Unknown")):
        answer = lines(path, hex(address))
        assert answer["Type"] == kind
        assert answer["Allocation"].startswith("unknown: the input has no list of memory regions")
        assert not answer.keys() & {"Allocation size", "Offset"}
        found = json.loads(run("-q", "address", str(path), hex(address), "--format", "json").out)["addresses"][0][
            "found"
        ]
        assert (found["allocation"], found["allocation_size"], found["offset"]) == (None, None, None)
        assert "nothing in it says where" in found["allocation_unknown"]
    assert lines(path, "0x400010")["Allocation size"] == "64 KB"


def test_an_address_in_registered_generated_code_says_so(tmp_path: Path) -> None:
    path = tmp_path / "jit.dmp"
    builder = MinidumpBuilder("x64").system_info().module(0x400000, 0x10000, "C:\\app\\app.exe")
    path.write_bytes(builder.function_tables((0x1FCAA00000, 0x1FEAA00000, 0)).memory(0x1FCAA0000C, bytes(8)).build())
    assert lines(path, "0x1fcaa0000c")["Kind"] == "JIT code"
    answer = lines(path, "0x1fcaa10000")["Type"]
    assert "registered for generated code (0x0000001fcaa00000 to 0x0000001feaa00000)" in answer
    assert lines(path, "0x1feaa00000")["Type"].endswith("no other record of this address")
