"""Every command on every kind of input, in every format: it succeeds, and what it writes can be read again."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES, INPUTS, write_inputs
from typer.testing import CliRunner

import dumpmap
from dumpmap.cli.app import whole_app
from dumpmap.model.columns import COLUMNS, SUMMARY_COLUMNS

COMMANDS: dict[str, list[str]] = {
    "summary": [],
    "regions": ["--blocks"],
    "address": ["0x60010", "7ffe0000"],
    "info": [],
    "stacks": [],
    "modules": [],
    "heaps": ["--segments"],
    "free": [],
    "diagnose": [],
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def called(*arguments: str) -> str:
    """Runs in this process, which is faster than a process for each of three hundred calls."""
    result = CliRunner().invoke(whole_app(), ["-q", *arguments])
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_a_document_with_a_schema(inputs: dict[str, Path], command: str, kind: str) -> None:
    options = COMMANDS[command]
    document = json.loads(called(command, str(inputs[kind]), *options, "--format", "json"))
    assert document["schema"].startswith("dumpmap.")
    assert document["schema"].endswith("/1")
    assert document["source"]["path"] == str(inputs[kind])
    assert document["completeness"] in ("full", "map", "partial")
    assert isinstance(document["warnings"], list)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_csv_has_one_header_and_even_rows(inputs: dict[str, Path], command: str, kind: str) -> None:
    text = called(command, str(inputs[kind]), *COMMANDS[command], "--format", "csv")
    header, *rows = csv.reader(io.StringIO(text))
    assert len(set(header)) == len(header)
    assert all(len(row) == len(header) for row in rows)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_text_and_markdown_have_no_colour_and_no_ragged_ends(inputs: dict[str, Path], command: str, kind: str) -> None:
    text = called(command, str(inputs[kind]), *COMMANDS[command])
    assert text.strip()
    assert "\x1b" not in text
    assert not [line for line in text.split("\n") if line != line.rstrip()]
    assert called(command, str(inputs[kind]), *COMMANDS[command], "--format", "markdown").strip()


def test_the_contract_of_the_regions_csv(inputs: dict[str, Path]) -> None:
    header = next(csv.reader(io.StringIO(called("regions", str(inputs["x64"]), "--format", "csv"))))
    assert header == list(COLUMNS)
    header = next(csv.reader(io.StringIO(called("regions", str(inputs["x64"]), "--blocks", "--format", "csv"))))
    assert header == ["allocation", *COLUMNS]


def test_the_contract_of_the_summary_json(inputs: dict[str, Path]) -> None:
    document = json.loads(called("summary", str(inputs["x64"]), "--format", "json"))
    names = ["Image", "Mapped File", "Shareable", "Heap", "Managed Heap", "Stack", "Private Data", "Page Table"]
    assert [row["type"] for row in document["types"]] == [*names, "Unusable", "Free"]
    assert all(set(row) == {"type", *SUMMARY_COLUMNS} for row in document["types"])
    assert document["address_space"] == {"start": "0x0", "end": "0x7fffffff0000"}
    total = sum(row["size"] or 0 for row in document["types"] if row["type"] != "Free")
    assert document["total"]["size"] == total
    assert document["types"][7]["size"] is None  # a dump does not know the page tables
    assert set(document["largest_free_block"]) == {"address", "size"}


def test_where_nothing_is_free_every_command_says_so() -> None:
    path = str(FIXTURES / "exhaust-x86.dmp.gz")
    documents = [json.loads(called(name, path, "--format", "json")) for name in ("summary", "free", "diagnose")]
    summary, free, diagnosis = documents
    assert [summary["largest_free_block"], free["largest_free_block"], free["fragmentation"]] == [None] * 3
    assert diagnosis["address_space"]["largest_free_block"] is None
    assert (free["free"], free["largest_blocks"]) == (0, [])
    assert dumpmap.open(path).largest_free_block is None
    # VMMap counts the first 64 KB.
    assert {row["type"]: row["largest"] for row in summary["types"]}["Free"] == 0x10000


def test_a_partial_map_knows_no_free_space(inputs: dict[str, Path]) -> None:
    document = json.loads(called("summary", str(inputs["partial"]), "--format", "json"))
    assert document["completeness"] == "partial"
    assert document["largest_free_block"] is None
    assert document["address_space"] is None
    assert document["types"][-1]["type"] == "Unknown"
    free = next(row for row in document["types"] if row["type"] == "Free")
    assert set(free.values()) == {"Free", None}


def test_standard_input_is_an_input() -> None:
    data = (FIXTURES / "layout-x64.dmp.gz").read_bytes()
    from_pipe = json.loads(run("-q", "summary", "-", "--format", "json", stdin=data).out)
    from_file = json.loads(run("-q", "summary", str(FIXTURES / "layout-x64.dmp.gz"), "--format", "json").out)
    assert from_pipe["types"] == from_file["types"]
    assert from_pipe["source"]["container"] == "gzip"
