"""The JSON of every command follows its schema, whatever the input was."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.cli_inputs import INPUTS, write_inputs
from support.cli_schemas import SUMMARY, TYPES
from support.json_schemas import OF_INPUTS, SCHEMAS
from support.recorded import DUMPS
from support.scenes import MB
from synth.minidump import MEM_COMMIT, MEM_FREE, MEM_PRIVATE, PAGE_NOACCESS, PAGE_READWRITE, MinidumpBuilder
from typer.main import get_command
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app

ADDRESSES = ["0x0", "0x60010", "7ffe0000", "00007ff6`12340000", "ffffffffffffffff"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMAS[name][1])


def document(arguments: list[str], path: Path) -> Any:
    addresses = ADDRESSES if arguments[0] == "address" else []
    result = CliRunner().invoke(whole_app(), ["-q", *arguments, str(path), *addresses, "--format", "json"])
    assert result.exit_code in (0, 1), result.output  # 1: a check failed, or a size does not fit
    return json.loads(result.output)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name][1])


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", OF_INPUTS)
def test_every_kind_of_input(inputs: dict[str, Path], name: str, kind: str) -> None:
    validator(name).validate(document(SCHEMAS[name][0], inputs[kind]))


@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("name", OF_INPUTS)
def test_every_recorded_dump(name: str, dump: str) -> None:
    validator(name).validate(document(SCHEMAS[name][0], DUMPS[dump]))


def test_every_command_that_writes_json_has_a_schema() -> None:
    documents = {
        command.name
        for command in get_command(whole_app()).commands.values()  # type: ignore[attr-defined]
        if any(option.name == "format" for option in command.params)
    }
    assert documents - {"export", "contribute", "report"} <= {words[0] for words, _ in SCHEMAS.values()}


@pytest.mark.parametrize("name", ["triage", "triage groups", "check"])
def test_an_input_that_cannot_be_read(name: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.dmp"
    bad.write_text("not a dump")
    arguments, schema = SCHEMAS[name]
    result = CliRunner().invoke(whole_app(), ["-q", *arguments, str(bad), str(inputs["x86"]), "--format", "json"])
    made = json.loads(result.stdout)
    jsonschema.validate(made, schema, jsonschema.Draft202012Validator)
    entries = made["inputs"] if name == "check" else made["rows"]
    assert len(entries) == 2
    assert {entry["error"] is None for entry in entries} == {True, False}


def test_a_timeline_without_times(tmp_path: Path) -> None:
    """Slopes are per sample there, and forecasts count samples."""
    paths = []
    for step in range(5):
        builder = MinidumpBuilder("x86", timestamp=0).system_info()
        size = (200 + 300 * step) * MB
        builder = builder.region(0x10000, size, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
        builder = builder.region(0x10000 + size, 0x7FFE0000 - size, MEM_FREE, PAGE_NOACCESS, 0)
        paths.append(tmp_path / f"{step}.dmp")
        paths[-1].write_bytes(builder.build())
    result = CliRunner().invoke(whole_app(), ["-q", "timeline", *map(str, paths), "--format", "json"])
    made = json.loads(result.stdout)
    assert (made["unit"], len(made["forecasts"]) > 0) == ("samples", True)
    jsonschema.validate(made, SCHEMAS["timeline"][1], jsonschema.Draft202012Validator)


@pytest.mark.corpus
def test_every_public_dump(corpus: Path) -> None:
    summary = jsonschema.Draft202012Validator(SUMMARY)
    for path in sorted(corpus.glob("*.*dmp")):
        result = CliRunner().invoke(whole_app(), ["-q", "summary", str(path), "--format", "json"])
        if result.exit_code == 0:
            summary.validate(json.loads(result.output))


@pytest.mark.parametrize("kind", INPUTS)
def test_all_ten_types_are_there_in_vmmaps_order(inputs: dict[str, Path], kind: str) -> None:
    found = document(["summary"], inputs[kind])
    names = [row["type"] for row in found["types"]]
    assert names == (TYPES if found["completeness"] == "partial" else TYPES[:-1])


@pytest.mark.parametrize("kind", INPUTS)
def test_the_rows_of_regions_add_up_to_the_summary(inputs: dict[str, Path], kind: str) -> None:
    summary = document(["summary"], inputs[kind])
    rows = document(["regions", "--blocks"], inputs[kind])["regions"]
    for line in summary["types"]:
        if line["size"] is not None and line["type"] != "Page Table":
            assert sum(row["size"] for row in rows if row["type"] == line["type"]) == line["size"], line["type"]
    whole = sum(row["size"] for row in document(["regions"], inputs[kind])["regions"])
    assert whole == sum(row["size"] for row in rows)
    if summary["address_space"] is not None:
        assert whole == int(summary["address_space"]["end"], 16)
