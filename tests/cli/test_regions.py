"""`regions`: filters as people write them, and what is said of rows that are not shown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES
from synth.minidump import MinidumpBuilder
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app
from dumpmap.model.protection import parse_protection
from dumpmap.model.winnt import PageProtect
from dumpmap.views.filters import parse_protections

X64 = str(FIXTURES / "layout-x64.dmp.gz")


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(whole_app(), ["-q", "regions", X64, *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def rows(*arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(shown(*arguments, "--format", "csv"))))


def test_a_pattern_of_a_kind_fits_each_of_several_kinds() -> None:
    assert {row["kind"] for row in rows("--kind", "TE*")} == {"PEB, TEB"}
    assert {row["kind"] for row in rows("--kind", "te?")} == {"PEB, TEB"}
    assert rows("--kind", "EB*") == []
    assert {row["kind"] for row in rows("--kind", "stack")} == {"Thread stack"}
    assert {row["kind"] for row in rows("--blocks", "--kind", ".te*")} == {".text"}


def test_a_kind_in_brackets_is_not_taken_for_a_pattern() -> None:
    from dumpmap.views.filters import _has_kind
    from dumpmap.views.texts import Texts

    pd = pytest.importorskip("pandas")
    assert _has_kind(Texts.of(pd.Series(["[heap]", "a", ""])), ("[heap]",)).tolist() == [True, True, False]


@pytest.mark.parametrize("text", ["guard", "Guard", "PAGE_GUARD", "0x100"])
def test_a_modifier_fits_whatever_it_was_added_to(text: str) -> None:
    everything = rows("--blocks")
    wanted = [row for row in everything if row["protection"].endswith("/Guard")]
    assert wanted
    assert rows("--blocks", "--protect", text) == wanted


@pytest.mark.parametrize("text", ["rwx", "RWX", "erw", "PAGE_EXECUTE_READWRITE", "0x40", "Execute/Read/Write"])
def test_every_spelling_of_a_protection(text: str) -> None:
    found = rows("--blocks", "--protect", text)
    assert {row["protection"] for row in found} == {"Execute/Read/Write"}


@pytest.mark.parametrize("text", ["rw+g", "Read/Write/Guard", "PAGE_READWRITE|PAGE_GUARD", "0x104"])
def test_a_protection_with_its_modifier(text: str) -> None:
    assert {row["protection"] for row in rows("--blocks", "--protect", text)} == {"Read/Write/Guard"}


@pytest.mark.parametrize("text", ["nocache", "writecombine"])
def test_every_modifier_can_be_looked_for(text: str) -> None:
    (wanted,) = parse_protections([text])
    bit = PageProtect.PAGE_NOCACHE if text == "nocache" else PageProtect.PAGE_WRITECOMBINE
    assert wanted.modifiers == parse_protection(text) == int(bit)
    assert wanted.matches({"nocache": "Read/NoCache", "writecombine": "Read/Write/WriteCombine"}[text])
    assert not wanted.matches("Read/Write")
    assert not wanted.matches("Reserved")


@pytest.mark.parametrize("text", ["", "0", "-1", "rwz", "PAGE_", "0x100000000", "rw|", "sticky"])
def test_what_is_no_protection(text: str) -> None:
    ran = run("regions", X64, "--protect", text)
    assert (ran.code, ran.err.count("\n")) == (2, 1)


def test_sections_are_shown_with_their_module() -> None:
    text = shown("--blocks", "--module", "ntdll.dll")
    lines = [line for line in text.split("\n") if line.startswith("0x")]
    assert len(lines) > 5
    assert all("ntdll.dll" in line for line in lines)
    assert shown("--blocks", "--module", "ntdll") == shown("--blocks", "--module", "NTD*.dll") == text
    # What programs read is as the contract has it: a section has no details of its own.
    assert {row["details"] for row in rows("--blocks", "--module", "ntdll.dll")} == {""}


def test_nothing_found_is_said() -> None:
    assert shown("--kind", "unicorn") == "No allocation matches all filters.\n"
    assert shown("--blocks", "--kind", "unicorn", "--format", "markdown") == "No region matches all filters.\n"
    assert "use --blocks to match each region" in shown("--protect", "guard")
    found = run("regions", X64, "--kind", "unicorn", "--format", "json")
    assert json.loads(found.out)["regions"] == []
    assert found.err.endswith("No allocation matches all filters.\n")


def test_rows_left_out_are_counted() -> None:
    everything = len(rows())
    assert shown("--limit", "3").endswith(f"\n... and {everything - 3} more; --limit shows them\n")
    assert f"... and {everything - 3} more" in shown("--limit", "3", "--format", "markdown")
    assert "more; --limit" not in shown("--limit", str(everything))
    assert len(rows("--limit", "3")) == 3


@pytest.mark.parametrize("column", ["size", "committed", "blocks"])
def test_figures_are_sorted_largest_first_or_as_the_sign_says(column: str) -> None:
    def values(sort: str) -> list[int]:
        return [int(row[column] or 0) for row in rows("--type", "heap", "--sort", sort)]

    assert values(column) == values(f"-{column}") == sorted(values(column), reverse=True)
    assert values(f"+{column}") == sorted(values(column))
    assert values(column)[0] > values(column)[-1]


def test_texts_and_addresses_are_sorted_from_the_first_or_as_the_sign_says() -> None:
    details = [row["details"] for row in rows("--sort", "details")]
    assert details == sorted(details)
    assert [row["details"] for row in rows("--sort", "+details")] == details
    assert [row["details"] for row in rows("--sort", "-details")] == sorted(details, reverse=True)
    addresses = [int(row["address"], 16) for row in rows("--sort", "-address")]
    assert addresses == sorted(addresses, reverse=True)


def test_short_captured_runs_are_one_line_unless_all_are_wanted(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x1800_0000, 0x10000, "C:\\x\\a.dll")
    for index in range(40):
        dump.memory(0x7FF0_0000_0000 + index * 0x1238, bytes(8))
    path = dump.write(tmp_path / "x.dmp")

    def out(*arguments: str) -> str:
        result = CliRunner().invoke(whole_app(), ["-q", "regions", str(path), *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    line = "40 captured runs of less than a page and of unknown use, 320 bytes together; --all lists them."
    assert line in " ".join(out().split())
    assert out().count("Unknown") == 0
    assert out("--all").count("Unknown") == 40
    assert out("--type", "unknown").count("Unknown") == 40
    assert len(out("--format", "csv").splitlines()) == 42
    assert len(json.loads(out("--format", "json"))["regions"]) == 41


NODE = str(FIXTURES / "runtimes" / "node-18.dmp.gz")


def node_rows(*arguments: str) -> list[dict[str, str]]:
    result = CliRunner().invoke(whole_app(), ["-q", "regions", NODE, *arguments, "--format", "csv"])
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.output)))


def test_owners_are_selected_by_name_module_and_instance() -> None:
    everything = node_rows("--blocks")
    v8 = [row for row in everything if row["owner"] == "V8"]
    assert len(v8) > 100
    assert {row["owner_module"] for row in v8} == {"node.exe"}
    for text in ("v8", "V8", "V?"):
        assert node_rows("--blocks", "--owner", text) == v8
    by_module = node_rows("--blocks", "--owner", "NODE.exe")
    assert by_module == [row for row in everything if row["owner_module"] == "node.exe"]
    assert {row["owner"] for row in by_module} == {"V8", "node.exe"}
    instances = json.loads(run("owners", NODE, "--format", "json").out)["owners"]
    one, other = (owner for owner in instances if owner["owner"] == "V8")
    parts = [node_rows("--blocks", "--owner", owner["instance"]) for owner in (one, other)]
    assert [sum(int(row["size"]) for row in found) for found in parts] == [one["size"], other["size"]]
    nobody = node_rows("--blocks", "--owner", "none")
    assert nobody == [row for row in everything if not row["owner"] and row["type"] not in ("Free", "Unusable")]
    assert node_rows("--owner", "unicorn") == []


def test_people_see_owners_where_they_ask_for_them() -> None:
    def header(*arguments: str) -> str:
        return run("-q", "regions", NODE, "--limit", "1", *arguments, COLUMNS="200").out.split("\n")[0]

    assert "Owner" not in header()
    for arguments in (["--owners", "structure"], ["--owner", "V8"], ["--sort", "-owner"]):
        assert "Owner" in header(*arguments)
    assert "Owner module" in header("--owners", "structure", "--format", "markdown")


def test_groups_add_up_to_their_rows() -> None:
    everything = [row for row in node_rows() if row["type"] not in ("Free", "Unusable")]
    for keys in ("owner", "type,owner", "size,protection,state", "module,kind"):
        groups = node_rows("--group-by", keys)
        assert list(groups[0]) == [*keys.split(","), "count", "total_size", "committed", "private"]
        sizes = [int(group["total_size"]) for group in groups]
        assert sizes == sorted(sizes, reverse=True)
        assert len({tuple(group[key] for key in keys.split(",")) for group in groups}) == len(groups)
        for figure, column in (("total_size", "size"), ("committed", "committed"), ("private", "private")):
            assert sum(int(group[figure]) for group in groups) == sum(int(row[column]) for row in everything)
        assert sum(int(group["count"]) for group in groups) == len(everything)
    for group in node_rows("--group-by", "size"):
        assert int(group["size"]) * int(group["count"]) == int(group["total_size"])
    states = {group["state"]: int(group["count"]) for group in node_rows("--blocks", "--group-by", "state")}
    assert states == {state: len(node_rows("--blocks", "--state", state)) for state in ("committed", "reserved")}
    modules = {group["module"]: int(group["total_size"]) for group in node_rows("--blocks", "--group-by", "module")}
    assert modules["node.exe"] == sum(int(row["size"]) for row in node_rows("--module", "node.exe", "-t", "image"))


def test_groups_obey_filters_order_and_limit() -> None:
    kinds = node_rows("--blocks", "--owner", "V8", "--group-by", "kind", "--sort", "+count")
    assert {group["kind"] for group in kinds} >= {"V8 old space", "V8 new space"}
    counts = [int(group["count"]) for group in kinds]
    assert counts == sorted(counts)
    assert node_rows("--group-by", "owner", "--limit", "2") == node_rows("--group-by", "owner")[:2]
    free = node_rows("--group-by", "type", "--type", "free")
    assert [(group["type"], group["committed"]) for group in free] == [("Free", "")]
    text = run("-q", "regions", NODE, "--group-by", "owner", "--owner", "none").out
    assert "(no owner)" in text
    assert "more; --limit shows them" in run("-q", "regions", NODE, "--group-by", "owner", "--limit", "4").out
    assert "| (no owner) |" in run("-q", "regions", NODE, "--group-by", "owner", "--format", "markdown").out
    assert run("-q", "regions", NODE, "--group-by", "owner", "--kind", "unicorn").out.startswith("Nothing matches")


@pytest.mark.parametrize("arguments", [["--group-by", "colour"], ["--group-by", ","], ["-g", "type", "-s", "address"]])
def test_what_cannot_be_grouped_is_refused(arguments: list[str]) -> None:
    ran = run("regions", NODE, *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_figures_of_groups_are_unknown_where_those_of_a_row_are() -> None:
    path = str(FIXTURES / "layout-x86-plain.dmp")
    document = json.loads(run("-q", "regions", path, "--group-by", "type", "--format", "json").out)
    private = {group["type"]: group["private"] for group in document["groups"]}
    assert private["Image"] is None
    assert private["Stack"] is not None
