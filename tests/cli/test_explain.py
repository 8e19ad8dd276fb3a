"""`explain`: every finding, verdict, type, kind, and word of evidence has a page, without a network."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import fields

import jsonschema
import pytest
from support.cli import run
from support.cli_schemas import TYPES
from support.json_schemas import EXPLAIN
from support.scenes import FIXTURES
from typer.testing import CliRunner

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.analysis.ownership import STACKS, WINDOWS
from dumpmap.cli.app import whole_app
from dumpmap.cli.explain import _names
from dumpmap.model.columns import REGION_COLUMNS
from dumpmap.model.heaps import NT_HEAP, OLD_NT_HEAP, SEGMENT_HEAP
from dumpmap.model.pointers import THREADS
from dumpmap.model.snapshot import Counters
from dumpmap.structures.recognisers import RECOGNISERS
from dumpmap.structures.recognisers.dotnet import FRAMEWORK
from dumpmap.triage.columns import NAMES
from dumpmap.views.address import LOCATION_COLUMNS
from dumpmap.views.column_topics import attribute_texts
from dumpmap.views.explain import every_topic
from dumpmap.views.heaps import BLOCK_COLUMNS, HEAP_COLUMNS, RANGE_COLUMNS
from dumpmap.views.modules import MODULE_COLUMNS
from dumpmap.views.stacks import STACK_COLUMNS
from dumpmap.views.table import Column
from dumpmap.wording.topics import find_topics, similar_names, topics
from dumpmap.wording.verdicts import verdict


def explained(*arguments: str) -> str:
    result = CliRunner().invoke(whole_app(), ["explain", *arguments])
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
    assert [found.sort for found in find_topics("Java heap", every_topic())] == ["owner", "kind"]


@pytest.mark.parametrize(
    "name",
    [
        "at least", "at most", "stated", "inferred", "process_commit", "private_bytes", "commit charge", "cannot-tell",
        "largest_free_block_at_most", "free_at_most", "out-of-memory", "vendor_source", "virtual_size",
    ],
)  # fmt: skip
def test_terms_that_people_meet_have_a_page(name: str) -> None:
    assert "What it means" in explained(name)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("UNREAL_ASSERT", "UNREAL_ASSERT", "An assertion of Unreal Engine failed"),
        ("0x4000 UNREAL_ASSERT", "UNREAL_ASSERT", "An assertion of Unreal Engine failed"),
        ("0xBDB2F", "UNREAL_ENSURE", "An ensure of Unreal Engine failed"),
        ("status_no_memory", "STATUS_NO_MEMORY", "not which limit was reached"),
        ("0xC0000017", "STATUS_NO_MEMORY", "not which limit was reached"),
        ("1455", "ERROR_COMMITMENT_LIMIT", "the commit of the system"),
        ("0x8007000E", "E_OUTOFMEMORY", "OutOfMemoryException"),
        ("signal 11 (SIGSEGV)", "SIGSEGV", "Segmentation fault"),
        ("FAST_FAIL_FATAL_APP_EXIT", "FAST_FAIL_FATAL_APP_EXIT", "ended the process at once"),
    ],
)
def test_a_code_is_explained_by_its_name_or_number(name: str, code: str, words: str) -> None:
    (topic,) = json.loads(explained(name, "--format", "json"))["topics"]
    assert (topic["name"], topic["sort"]) == (code, "code")
    assert words in topic["sections"][0]["text"]


def test_the_page_of_a_code_says_what_it_is_and_its_numbers() -> None:
    assert "0xbdb20 to 0xbdb3f" in explained("UNREAL_ENSURE")
    assert "error of Windows, as GetLastError returns it: 1455" in explained("ERROR_COMMITMENT_LIMIT")


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
    axes = {*judged.address_space, *judged.commit, *judged.heap_limit}
    assert not (axes | counters) - keys


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


def test_every_owner_that_a_recogniser_names_has_a_page() -> None:
    names = {getattr(recogniser.load(), "NAME", "") for recogniser in RECOGNISERS} | {"Wine", STACKS, WINDOWS, THREADS}
    names |= {FRAMEWORK, NT_HEAP, OLD_NT_HEAP.partition(" (")[0], SEGMENT_HEAP, "Wine heap", "Page heap"}
    owners = {topic.name: topic for topic in topics() if topic.sort == "owner"}
    assert names - {""} <= owners.keys()
    for topic in owners.values():
        headings = [section.heading for section in topic.sections]
        assert headings == ["What it is", "What proves it", "What is inferred", "What to do next"]
        assert all(section.text.endswith(".") for section in topic.sections)


@pytest.mark.parametrize("path", ["runtimes/node-18", "runtimes/java-17-g1", "managed/managed-10-server", "layout-x64"])
def test_owners_and_kinds_of_recorded_processes_are_explained(path: str) -> None:
    region_map = dumpmap.open(FIXTURES / f"{path}.dmp.gz")
    given = {heap.name for heap in region_map.heaps if heap.name} | {"custom allocator arena"}
    for owner in find_owners(region_map).owners:
        assert find_topics(owner.owner, every_topic())[0].sort == "owner", owner.owner
        if not any(name in owner.owner for name in given):
            assert all(find_topics(part.kind, every_topic()) for part in owner.parts), owner.parts
    columns = region_map.allocation_columns
    for kind in {region_map.texts[code] for code in columns.kind.tolist()} - {"", *given}:
        assert find_topics(kind, every_topic()), kind


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("CPython", "Python"),
        ("hotspot", "Java heap"),
        ("NT heap 3", "NT heap"),
        ("wine-heap-0x12d0000", "Wine heap"),
        ("rest of V8's reservations", "V8"),
        ("foo.dll", "module"),
    ],
)
def test_an_owner_is_found_as_tables_write_it(name: str, topic: str) -> None:
    found = find_topics(name, every_topic())
    assert {one.name for one in found} == {topic}
    assert "owner" in {one.sort for one in found}


RECORDED = json.loads((FIXTURES / "owners.json").read_text("utf-8"))
OWNERS = {
    *(owner for process in RECORDED.values() for owner, *_ in process["owners"]),
    *(
        "process heap",
        "custom allocator arena (heap)",
        "NT heap 3",
        "Segment heap 0x123",
        "Page heap 0x20",
        "Java heap",
    ),
    *("mozjemalloc", "Thread data", "Wine heap 0x2c0000", "Abseil", ".NET Framework"),
}


@pytest.mark.parametrize("name", sorted(OWNERS))
def test_every_recorded_owner_has_a_page_that_comes_first(name: str) -> None:
    found = find_topics(name, every_topic())
    assert found, name
    assert found[0].sort == "owner"


def test_every_text_ends_with_one_full_stop() -> None:
    texts = [(topic.name, section.text) for topic in every_topic() for section in topic.sections]
    assert len(texts) > 800
    assert [each for each in texts if not re.fullmatch(r".*[^.]\.", each[1], re.DOTALL)] == []


def test_a_row_of_two_kinds_is_explained_by_both() -> None:
    assert {found.name for found in find_topics("PEB, TEB", every_topic()) if found.sort == "kind"} == {"PEB", "TEB"}
    assert find_topics("PEB, nonsense", every_topic()) == []


def test_shells_complete_owners() -> None:
    assert "Java-heap" in _names("java-h")
    assert ".NET" in _names(".n")


def test_without_a_name_all_are_listed() -> None:
    document = json.loads(explained("--format", "json"))
    jsonschema.validate(document, EXPLAIN)
    names = {topic["name"] for topic in document["topics"]}
    assert {*TYPES, "out-of-commit", "largest-free-block-small", "TEB", "memory-info"} <= names
    text = explained("--all")
    assert "Findings\n" in text
    assert "  out-of-commit\n" in text


def test_without_a_name_people_see_the_groups() -> None:
    text = explained()
    assert len(text.splitlines()) <= 24
    counts = Counter(sort for sort, _ in {(topic.sort, topic.name) for topic in every_topic()})
    for heading, sort in (("Findings", "finding"), ("Verdicts", "verdict"), ("Exception codes and errors", "code")):
        (line,) = [line for line in text.splitlines() if line.startswith(heading)]
        assert line.split()[len(heading.split())] == str(counts[sort])
    assert "dumpmap explain NAME" in text
    assert "dumpmap explain --all" in text
    # Programs get everything, with and without --all.
    everything = json.loads(explained("--format", "json"))
    assert everything == json.loads(explained("--all", "--format", "json"))
    assert len(everything["topics"]) == len(every_topic())
    assert explained("--format", "csv") == explained("--all", "--format", "csv")
    assert len(explained("--format", "csv").splitlines()) > len(every_topic())


def test_a_name_and_all_names_exclude_each_other() -> None:
    ran = run("explain", "stack", "--all")
    assert (ran.code, ran.out) == (2, "")
    assert "--all lists every name" in ran.err


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
