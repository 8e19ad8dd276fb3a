"""The JSON of every command follows its schema, whatever the input was."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.cli_inputs import INPUTS, write_inputs
from support.cli_schemas import SCHEMAS, SUMMARY, TYPES
from support.recorded import DUMPS
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
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name][1])


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_kind_of_input(inputs: dict[str, Path], name: str, kind: str) -> None:
    validator(name).validate(document(SCHEMAS[name][0], inputs[kind]))


@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_recorded_dump(name: str, dump: str) -> None:
    validator(name).validate(document(SCHEMAS[name][0], DUMPS[dump]))


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
