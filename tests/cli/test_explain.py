"""`explain`: every finding, verdict, type, kind, and word of evidence has a page, without a network."""

from __future__ import annotations

import json
from dataclasses import fields

import jsonschema
import pytest
from support.cli import run
from support.cli_schemas import TEXT, TYPES, record, rows
from support.scenes import FIXTURES
from typer.testing import CliRunner

import dumpmap
from dumpmap.cli.app import app
from dumpmap.model.columns import REGION_COLUMNS
from dumpmap.model.snapshot import Counters
from dumpmap.triage.columns import NAMES
from dumpmap.views.address import LOCATION_COLUMNS
from dumpmap.views.column_topics import attribute_texts
from dumpmap.views.explain import every_topic
from dumpmap.views.heaps import BLOCK_COLUMNS, HEAP_COLUMNS, RANGE_COLUMNS
from dumpmap.views.modules import MODULE_COLUMNS
from dumpmap.views.stacks import STACK_COLUMNS
from dumpmap.views.table import Column
from dumpmap.wording.topics import similar_names
from dumpmap.wording.verdicts import verdict

SCHEMA = record(
    schema={"const": "dumpmap.explain/1"},
    topics=rows(
        record(
            name=TEXT,
            sort={"enum": ["finding", "verdict", "type", "kind", "evidence", "term", "column"]},
            title=TEXT,
            sections=rows(
                record(
                    heading=TEXT, text=TEXT, rows=rows({"type": "object", "additionalProperties": {"type": "string"}})
                )
            ),
        )
    ),
)


def explained(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", sorted({topic.name for topic in every_topic()}))
def test_every_name_has_a_page(name: str) -> None:
    document = json.loads(explained(name, "--format", "json"))
    assert all(topic["sections"][0]["text"] for topic in document["topics"])
    assert any(topic["name"] == name for topic in document["topics"])


def test_the_page_of_a_finding_has_its_parts_and_its_thresholds() -> None:
    text = explained("largest-free-block-small")
    for part in ("What it means", "Why it matters", "How to confirm it", "What to do", "largest_free_critical"):
        assert part in text
    assert "| `largest_free_critical` | 32 MB |" in explained("largest-free-block-small", "--format", "markdown")


def test_case_blanks_and_hyphens_do_not_matter() -> None:
    assert explained("private-data") == explained("Private Data") == explained("PRIVATE_DATA")


def test_a_name_of_two_things_explains_both() -> None:
    sorts = [topic["sort"] for topic in json.loads(explained("heap", "--format", "json"))["topics"]]
    assert sorts[:2] == ["type", "kind"]


@pytest.mark.parametrize(
    "name",
    [
        "at least", "at most", "stated", "inferred", "process_commit", "private_bytes", "commit charge", "cannot-tell",
        "largest_free_block_at_most", "free_at_most", "out-of-memory", "vendor_source", "virtual_size",
    ],
)  # fmt: skip
def test_terms_that_people_meet_have_a_page(name: str) -> None:
    assert "What it means" in explained(name)


def test_every_column_has_a_page() -> None:
    known = {topic.name for topic in every_topic()}
    tables: tuple[tuple[Column, ...], ...] = (
        HEAP_COLUMNS,
        RANGE_COLUMNS,
        BLOCK_COLUMNS,
        STACK_COLUMNS,
        MODULE_COLUMNS,
        LOCATION_COLUMNS,
    )
    columns = {column.name for table in tables for column in table} - {"in_use"}
    assert not columns - known
    assert not {*NAMES, *(column.name for column in REGION_COLUMNS)} - known


def test_every_key_of_an_axis_and_of_the_counters_has_a_page() -> None:
    keys = {topic.name.lower().replace(" ", "_") for topic in every_topic()}
    judged = verdict(dumpmap.open(FIXTURES / "starve-x64.dmp.gz"))
    counters = {field.name for field in fields(Counters)}
    assert not (set(judged.address_space) | set(judged.heap_limit) | counters) - keys


def test_pages_of_attributes_are_read_from_docstrings() -> None:
    class Row:
        """A row.

        Attributes:
            one: what it is,
                in two lines.
            two: another.

        Not an attribute: this.
        """

    assert attribute_texts(Row) == {"one": "what it is, in two lines.", "two": "another."}


def test_without_a_name_all_are_listed() -> None:
    document = json.loads(explained("--format", "json"))
    jsonschema.validate(document, SCHEMA)
    names = {topic["name"] for topic in document["topics"]}
    assert {*TYPES, "out-of-commit", "largest-free-block-small", "TEB", "memory-info"} <= names
    text = explained()
    assert "Findings\n" in text
    assert "  out-of-commit\n" in text


def test_an_unknown_name_is_wrong_usage_with_a_suggestion() -> None:
    ran = run("explain", "stck")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("dumpmap: nothing is called 'stck'. Did you mean Stack")
    assert "?." not in ran.err
    assert "largest-free-block-small" in similar_names("largest-free-block", every_topic())
    assert run("explain", "qqqqqqqq").err.startswith("dumpmap: nothing is called 'qqqqqqqq'. Run dumpmap explain")


def test_shells_complete_names() -> None:
    ran = run(_DUMPMAP_COMPLETE="complete_bash", COMP_WORDS="dumpmap explain largest", COMP_CWORD="2")
    assert ran.out.split()[0] == "largest-free-block-small"
    for start, name in (("at", "at-least"), ("process_c", "process_commit"), ("private_b", "private_bytes")):
        ran = run(_DUMPMAP_COMPLETE="complete_bash", COMP_WORDS=f"dumpmap explain {start}", COMP_CWORD="2")
        assert name in ran.out.split()
