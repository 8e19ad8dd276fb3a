"""`explain`: every finding, verdict, type, kind, and word of evidence has a page, without a network."""

from __future__ import annotations

import json

import jsonschema
import pytest
from support.cli import run
from support.cli_schemas import TEXT, TYPES, record, rows
from typer.testing import CliRunner

from dumpmap.cli.app import app
from dumpmap.wording.topics import similar_names, topics

SCHEMA = record(
    schema={"const": "dumpmap.explain/1"},
    topics=rows(
        record(
            name=TEXT,
            sort={"enum": ["finding", "verdict", "type", "kind", "evidence"]},
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


@pytest.mark.parametrize("name", sorted({topic.name for topic in topics()}))
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
    assert sorts == ["type", "kind"]


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
    assert "largest-free-block-small" in similar_names("largest")
    assert run("explain", "qqqqqqqq").err.startswith("dumpmap: nothing is called 'qqqqqqqq'. Run dumpmap explain")


def test_shells_complete_names() -> None:
    ran = run(_DUMPMAP_COMPLETE="complete_bash", COMP_WORDS="dumpmap explain largest", COMP_CWORD="2")
    assert ran.out.split() == ["largest-free-block-small"]
