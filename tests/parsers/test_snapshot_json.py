"""The JSON snapshot: written, read back, and refused with the exact place of what is wrong."""

from __future__ import annotations

import base64
import contextlib
import copy
import datetime as dt
import io
import json
import pickle
import string
import typing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dumps import snapshot_json

from dumpmap.errors import SnapshotError
from dumpmap.model import snapshot as model
from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.systems import Family
from dumpmap.model.writer import Annotation, HeapLimitRecord, WriterRecord
from dumpmap.parsers.snapshot_json import regions as snapshot_regions
from dumpmap.parsers.snapshot_json.columns import REQUIRED_COLUMNS
from dumpmap.parsers.snapshot_json.reader import load_snapshot
from dumpmap.parsers.snapshot_json.schema import COUNTERPARTS, Entry, SnapshotDocument, json_schema
from dumpmap.writers.snapshot_json import write_snapshot

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TOP = (1 << 64) - 1

EXAMPLE: dict[str, Any] = {
    "format": "dumpmap-snapshot",
    "version": 1,
    "captured_at": "2026-03-01T12:00:00Z",
    "tool": "someone else's tool 3",
    "source": {
        "kind": "minidump",
        "name": "app.dmp",
        "size": 123456,
        "flags": "0x1806",
        "streams": [{"type": 16, "name": "MemoryInfoList", "offset": 32, "size": 4096, "status": "read"}],
    },
    "process": {
        "pid": 4242,
        "name": "app.exe",
        "architecture": "x64",
        "pointer_size": 8,
        "wow64": False,
        "os": {"family": "windows", "version": "10.0.19045", "build": 19045},
        "created_at": "2026-03-01T11:00:00+01:00",
    },
    "system": {"page_size": 4096, "max_address": "0x7ffffffeffff", "commit_limit": 1 << 34},
    "counters": {"private_usage": 4096, "job_private_commit_limit": TOP},
    "regions": {
        "columns": ["base", "allocation_base", "allocation_protect", "size", "state", "protect", "type", "file"],
        "rows": [
            ["0x10000", "0x10000", 4, 4096, "commit", 4, "private", None],
            ["0x11000", "0x10000", 4, 61440, "reserve", 0, "private", None],
            ["0x20000", None, None, 65536, "free", None, None, None],
            ["0x7ff600000000", "0x7ff600000000", 128, 4096, "commit", 2, "image", "C:\\app.exe"],
        ],
    },
    "modules": [{"base": "0x7ff600000000", "size": 4096, "path": "C:\\app.exe", "timestamp": 1}],
    "unloaded_modules": [{"base": "0x10000000", "size": 4096, "path": "old.dll"}],
    "threads": [{"id": 7, "teb": "0x7ff700000000", "stack_base": "0x10000", "stack_size": 4096}],
    "peb": "0x7ff7000f0000",
    "heaps": [{"id": 1, "kind": "nt", "ranges": [{"base": "0x10000", "size": 4096, "committed": 4096}]}],
    "managed_heaps": [{"id": 1, "ranges": []}],
    "exception": {"thread_id": 7, "code": "0xc0000005", "parameters": ["0x0", "0x10"]},
    "handle_count": 12,
    "handle_types": {"Event": 5, "Section": 7},
    "annotations": {"BreakpadReserveAddress": "1234"},
    "recorded_summary": [{"type": "Image", "values": {"size": 4096, "private": None}}],
    "memory": [
        {"address": "0x10000", "data": base64.b64encode(b"hello").decode()},
        {"address": "0x7ff600000000", "data": base64.b64encode(b"MZ\x90\0").decode()},
    ],
}


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def facts(snapshot: model.Snapshot) -> dict[str, Any]:
    """What a snapshot says, in values that can be compared."""
    result = {field.name: getattr(snapshot, field.name) for field in fields(snapshot)}
    regions = snapshot.regions
    if regions is not None:
        columns: dict[str, Any] = {name: getattr(regions, name).tolist() for name in REQUIRED_COLUMNS}
        columns.update({name: values.tolist() for name, values in regions.numbers.items()})
        columns.update({name: [column[i] for i in range(len(regions))] for name, column in regions.texts.items()})
        result["regions"] = columns
    memory = snapshot.memory
    result["memory"] = [(address, memory.read(address, size)) for address, size in memory.ranges()]
    return result


def reload(snapshot: model.Snapshot, excerpts: list[tuple[int, bytes]], indent: int | None = None) -> model.Snapshot:
    source = snapshot.source
    data = snapshot_json(snapshot, excerpts, indent=indent)
    return load_snapshot(data, name=source.name, path=source.path, container=source.container)


# --- the example ------------------------------------------------------------------------------------------------------


def test_reads_the_example() -> None:
    snapshot = load_snapshot(encoded(EXAMPLE), name="app.json", path="/x/app.json", container="gzip")
    assert snapshot.source == model.Source(
        kind="minidump",
        name="app.json",
        path="/x/app.json",
        size=123456,
        captured_at=dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC),
        flags=0x1806,
        streams=(model.Stream(16, "MemoryInfoList", 32, 4096, "read"),),
        container="gzip",
        reduced_from="minidump",
        original_name="app.dmp",
    )
    assert snapshot.process.created_at == dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)
    assert snapshot.process.os.build == 19045
    assert snapshot.counters.job_private_commit_limit == TOP
    assert snapshot.counters.working_set is None
    regions = snapshot.regions
    assert regions is not None
    assert regions.base.tolist() == [0x10000, 0x11000, 0x20000, 0x7FF600000000]
    assert regions.allocation_base.tolist() == [0x10000, 0x10000, 0, 0x7FF600000000]
    assert regions.state.tolist() == [0x1000, 0x2000, 0x10000, 0x1000]
    assert regions.type.tolist() == [0x20000, 0x20000, 0, 0x1000000]
    assert regions.protect.tolist() == [4, 0, 0, 2]
    assert [regions.texts["file"][i] for i in range(4)] == [None, None, None, "C:\\app.exe"]
    assert snapshot.threads[0].teb == 0x7FF700000000
    assert snapshot.heaps[0].ranges[0].committed == 4096
    assert snapshot.exception == model.ExceptionRecord(7, 0xC0000005, parameters=(0, 16))
    assert snapshot.handle_types == {"Event": 5, "Section": 7}
    assert snapshot.recorded_summary == (model.SummaryRow("Image", {"size": 4096, "private": None}),)
    assert snapshot.peb == 0x7FF7000F0000
    assert snapshot.wow64_peb is None
    assert snapshot.memory.read(0x10001, 4) == b"ello"
    assert snapshot.memory.read(0x10001, 5) is None


def test_writing_again_keeps_the_first_source() -> None:
    first = load_snapshot(encoded(EXAMPLE), name="a.json")
    second = load_snapshot(snapshot_json(first, []), name="b.json")
    assert second.source == replace(first.source, name="b.json")
    assert second.source.original_name == "app.dmp"


def test_needs_little() -> None:
    least = {key: EXAMPLE[key] for key in ("format", "version")}
    least |= {"source": {"kind": "live", "name": "x"}, "process": {}}
    snapshot = load_snapshot(encoded(least), name="x.json")
    assert snapshot.regions is None
    assert snapshot.process == model.Process()
    assert snapshot.system == model.System()
    assert snapshot.memory.ranges() == []


def test_an_empty_map_is_not_an_unknown_one() -> None:
    document = copy.deepcopy(EXAMPLE)
    document["regions"]["rows"] = []
    snapshot = load_snapshot(encoded(document), name="x.json")
    assert snapshot.regions is not None
    assert len(snapshot.regions) == 0
    assert len(reload(snapshot, []).regions or []) == 0


def test_passes_over_unknown_keys_and_columns() -> None:
    document = copy.deepcopy(EXAMPLE)
    document["future"] = {"deep": [[[1.5, {"x": None}]]]}
    document["process"]["integrity"] = "low"
    document["regions"]["columns"].insert(1, "colour")
    for row in document["regions"]["rows"]:
        row.insert(1, {"any": ["thing", 1.5]})
    left = facts(load_snapshot(encoded(document), name="x.json"))
    assert left == facts(load_snapshot(encoded(EXAMPLE), name="x.json"))


def test_column_order_is_free() -> None:
    document = copy.deepcopy(EXAMPLE)
    document["regions"]["columns"].reverse()
    for row in document["regions"]["rows"]:
        row.reverse()
    left = facts(load_snapshot(encoded(document), name="x.json"))
    assert left == facts(load_snapshot(encoded(EXAMPLE), name="x.json"))


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_reads_any_buffer_and_what_shells_write(codec: str, kind: type) -> None:
    document = copy.deepcopy(EXAMPLE)
    document["process"]["name"] = "приложение.exe"
    data = json.dumps(document, ensure_ascii=False).encode(codec)
    assert load_snapshot(kind(data), name="x.json").process.name == "приложение.exe"


# --- the schema -------------------------------------------------------------------------------------------------------


def test_schema_is_a_schema_and_fits_what_is_read_and_written() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(EXAMPLE, SCHEMA)
    jsonschema.validate(json.loads(snapshot_json(load_snapshot(encoded(EXAMPLE), name="x"), [(5, b"x")])), SCHEMA)


def test_documented_example_is_valid() -> None:
    text = (ROOT / "docs" / "snapshot.md").read_text()
    example = text.split("```json\n")[1].split("```")[0]
    jsonschema.validate(json.loads(example), SCHEMA)
    assert len(load_snapshot(example.encode(), name="x").regions or []) == 2


def test_every_field_is_documented() -> None:
    text = (ROOT / "docs" / "snapshot.md").read_text()
    kinds: list[type[Entry]] = [SnapshotDocument, *COUNTERPARTS]
    for kind in kinds:
        for field in kind.__struct_fields__:
            assert f"`{field}`" in text, f"{kind.__name__}.{field}"
    for column in (*REQUIRED_COLUMNS, *model.NUMBER_COLUMNS, *model.TEXT_COLUMNS):
        assert f"`{column}`" in text, column


def test_every_fact_has_a_place_in_the_file() -> None:
    """A field that is added to the snapshot must be added to the format too."""
    of_the_file = {"captured_at", "reduced_from", "original_name", "notes"}
    for entry, kind in COUNTERPARTS.items():
        struct = getattr(kind, "__struct_fields__", None)
        missing = set(struct or [field.name for field in fields(kind)]) - set(entry.__struct_fields__)
        assert missing == (of_the_file if kind is model.Source else set()), entry
    assert {field.name for field in fields(model.Snapshot)} <= set(SnapshotDocument.__struct_fields__)
    columns = {field.name for field in fields(model.Regions)} - {"numbers", "texts"}
    assert columns == set(REQUIRED_COLUMNS)


@pytest.mark.parametrize(
    ("stored", "statuses", "complete"),
    [
        (None, [], True),
        (None, ["read"], True),
        (None, ["claims 9 entries, 4 fit"], False),
        (None, ["empty"], False),
        (None, ["read", "not read: a second stream of this type"], False),
        (False, ["read"], False),
        (True, ["claims 9 entries, 4 fit"], True),
    ],
)
def test_a_file_of_an_older_version_says_by_its_streams_whether_all_regions_are_listed(
    stored: bool | None, statuses: list[str], complete: bool
) -> None:
    document = copy.deepcopy(EXAMPLE)
    document["source"]["streams"] = [
        {"type": 7, "name": "SystemInfo", "offset": 32, "size": 56, "status": "page size is 3"},
        *({"type": 16, "name": "MemoryInfoList", "offset": 99, "size": 48, "status": status} for status in statuses),
    ]
    if stored is not None:
        document["regions_complete"] = stored
    assert load_snapshot(encoded(document), name="x").regions_complete is complete


# --- round trips ------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
addresses = st.integers(0, TOP)
counts = st.integers(0, TOP)
times = st.datetimes(dt.datetime(1601, 1, 1), dt.datetime(9999, 1, 1)).map(lambda time: time.replace(tzinfo=dt.UTC))
protects = st.integers(0, 0xFFFF_FFFF)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def few(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


absences = st.sampled_from([None, "absent", "unreadable", "malformed"])
streams = st.builds(model.Stream, counts, texts, counts, counts, texts, absences)
sources = st.builds(
    model.Source,
    kind=st.sampled_from(["minidump", "live", "vmmap"]),
    name=texts,
    path=maybe(texts),
    size=maybe(counts),
    memory_size=maybe(counts),
    captured_at=maybe(times),
    flags=maybe(addresses),
    streams=few(streams),
    container=maybe(texts),
)
systems_of_operation = st.builds(
    model.OperatingSystem,
    family=st.sampled_from(typing.get_args(Family)),
    version=maybe(texts),
    build=maybe(counts),
    service_pack=maybe(texts),
    product_type=maybe(st.sampled_from(["workstation", "domain-controller", "server"])),
)
processes = st.builds(
    model.Process,
    pid=maybe(counts),
    name=maybe(texts),
    path=maybe(texts),
    command_line=maybe(texts),
    architecture=texts,
    pointer_size=st.sampled_from([4, 8]),
    wow64=st.sampled_from([None, True]),
    os=systems_of_operation,
    created_at=maybe(times),
    user_time=maybe(counts),
    kernel_time=maybe(counts),
)
systems = st.builds(
    model.System,
    page_size=st.integers(1, TOP),
    allocation_granularity=st.integers(1, TOP),
    **{field.name: maybe(counts) for field in fields(model.System)[2:]},
)
sums = st.integers(0, 1 << 57)
counters = st.builds(
    model.Counters,
    **{field.name: maybe(sums if field.name == "page_table" else counts) for field in fields(model.Counters)},
)
modules = st.builds(
    model.Module,
    base=addresses,
    size=counts,
    path=texts,
    timestamp=maybe(counts),
    checksum=maybe(counts),
    version=maybe(texts),
    debug_id=maybe(texts),
    debug_file=maybe(texts),
)
unloaded = st.builds(model.UnloadedModule, base=addresses, size=counts, path=texts, timestamp=maybe(counts))
threads = st.builds(
    model.Thread,
    id=counts,
    name=maybe(texts),
    teb=maybe(addresses),
    stack_base=maybe(addresses),
    stack_size=maybe(counts),
    stack_pointer=maybe(addresses),
    instruction_pointer=maybe(addresses),
    start_address=maybe(addresses),
    created_at=maybe(times),
    exited=st.booleans(),
    suspend_count=maybe(counts),
)
exceptions = st.builds(
    model.ExceptionRecord,
    thread_id=maybe(counts),
    code=addresses,
    flags=addresses,
    address=maybe(addresses),
    parameters=few(addresses),
    stack_pointer=maybe(addresses),
    instruction_pointer=maybe(addresses),
)
heaps = st.builds(
    model.RecordedHeap,
    id=counts,
    kind=texts,
    name=maybe(texts),
    address=maybe(addresses),
    flags=maybe(addresses),
    ranges=few(st.builds(model.RecordedRange, addresses, counts, maybe(counts), texts)),
)
summary_rows = st.builds(model.SummaryRow, texts, st.dictionaries(texts, maybe(sums), max_size=3))

annotation_facts = st.builds(Annotation, texts, texts, maybe(texts), maybe(texts))
heap_limits = st.builds(
    HeapLimitRecord, texts, texts, *[maybe(counts)] * 4, maybe(st.booleans()), maybe(texts), maybe(texts)
)
writers = st.builds(
    WriterRecord,
    texts,
    out_of_memory=maybe(st.booleans()),
    requested=maybe(counts),
    memory=st.dictionaries(texts, counts, max_size=3),
    heap_limit=maybe(heap_limits),
    message=maybe(texts),
    crashed_thread=maybe(counts),
    thread_names=few(st.tuples(counts, texts)),
    annotations=few(annotation_facts),
    soft_errors=few(texts),
    texts_omitted=st.booleans(),
)


@st.composite
def region_sets(draw: st.DrawFn) -> model.Regions:
    count = draw(st.integers(0, 6))
    cuts = sorted(draw(st.sets(addresses, min_size=2 * count, max_size=2 * count)))
    rows = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=True):
        state = draw(st.sampled_from([0x1000, 0x2000, 0x10000, 0x3000]))
        allocation = draw(addresses if state == 0x10000 else st.integers(0, start))
        kind = draw(st.sampled_from([0, 0x20000, 0x40000, 0x1000000, 7]))
        rows.append((start, allocation, draw(protects), end - start, state, draw(protects), kind))
    numbers = st.lists(st.integers(-1, 1 << 57), min_size=count, max_size=count)
    words = st.lists(maybe(texts), min_size=count, max_size=count)
    return model.make_regions(
        rows,
        numbers={name: draw(numbers) for name in draw(st.sets(st.sampled_from(model.NUMBER_COLUMNS)))} if count else {},
        texts={name: draw(words) for name in draw(st.sets(st.sampled_from(model.TEXT_COLUMNS)))} if count else {},
    )


excerpt_lists = st.lists(
    st.tuples(st.integers(0, TOP - 64), st.binary(min_size=1, max_size=40)), max_size=4, unique_by=lambda x: x[0]
)

snapshots = st.builds(
    model.Snapshot,
    source=sources,
    process=processes,
    system=systems,
    counters=counters,
    regions=maybe(region_sets()),
    regions_complete=st.booleans(),
    captured=few(st.tuples(addresses, counts)),
    modules=few(modules),
    unloaded_modules=few(unloaded),
    threads=few(threads),
    peb=maybe(addresses),
    wow64_peb=maybe(addresses),
    heaps=few(heaps),
    managed_heaps=few(heaps),
    exception=maybe(exceptions),
    handle_count=maybe(counts),
    handle_types=st.dictionaries(texts, counts, max_size=3),
    comments=few(texts),
    annotations=st.dictionaries(texts, texts, max_size=3),
    writer=maybe(writers),
    omitted_texts=counts,
    recorded_summary=few(summary_rows),
    warnings=few(texts),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(snapshot=snapshots, excerpts=excerpt_lists, indent=st.sampled_from([None, None, 1]))
def test_writing_and_reading_is_the_identity(
    snapshot: model.Snapshot, excerpts: list[tuple[int, bytes]], indent: int | None
) -> None:
    expected = facts(replace(snapshot, memory=ExcerptMemory(excerpts)))
    expected["source"] = replace(snapshot.source, reduced_from=snapshot.source.kind, original_name=snapshot.source.name)
    assert facts(reload(snapshot, excerpts, indent)) == expected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(snapshot=snapshots, excerpts=excerpt_lists)
def test_what_is_written_follows_the_schema(snapshot: model.Snapshot, excerpts: list[tuple[int, bytes]]) -> None:
    VALIDATOR.validate(json.loads(snapshot_json(snapshot, excerpts)))


@pytest.mark.parametrize(("complete", "written"), [(True, None), (False, False)])
def test_an_input_without_a_list_of_regions_does_not_call_it_complete(complete: bool, written: bool | None) -> None:
    snapshot = model.Snapshot(model.Source(kind="minidump", name="x"), model.Process(), regions_complete=complete)
    document = json.loads(snapshot_json(snapshot, []))
    assert (document["regions"], document["regions_complete"]) == (None, written)


def long_map(count: int, name: str | None = None) -> model.Snapshot:
    rows = [(0x10000 * i, 0x10000 * i, 4, 4096, 0x1000, 4, 0x20000) for i in range(1, count + 1)]
    regions = model.make_regions(rows, texts={"file": [f"{name} {i % 7}" if name else None for i in range(count)]})
    return model.Snapshot(model.Source("live", "x"), model.Process(), regions=regions)


@pytest.mark.parametrize("name", [None, "a],[b", "a],\n[b", '"],["'])
@pytest.mark.parametrize("layout", ["lines", "compact", "indented"])
def test_rows_are_cut_into_pieces_anywhere(monkeypatch: pytest.MonkeyPatch, name: str | None, layout: str) -> None:
    """Names that look like the end of a row must not be taken for one, whoever laid the text out."""
    monkeypatch.setattr(snapshot_regions, "_CHUNK", 100)
    monkeypatch.setattr(snapshot_regions, "_LINE_REACH", 300)
    snapshot = long_map(50, name)
    data = snapshot_json(snapshot, [], indent=2 if layout == "indented" else None)
    if layout == "compact":
        data = msgspec.json.format(data, indent=-1)
    loaded = load_snapshot(data, name="x")
    assert facts(loaded)["regions"] == facts(snapshot)["regions"]


def test_a_fault_in_a_late_piece_has_its_row_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_regions, "_CHUNK", 100)
    data = snapshot_json(long_map(50), []).replace(b'["0x2a0000",', b'["2a0000",')
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(data, name="x")
    assert caught.value.place == "regions.rows[41].base"
    huge = snapshot_json(long_map(50), []).replace(b'"0x2a0000",4,4096', b'"0x2a0000",4,' + b"9" * 25)
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(huge, name="x")
    assert caught.value.place == "regions.rows[41].size"


def test_one_line_for_each_region_and_excerpt() -> None:
    lines = snapshot_json(long_map(20), [(0x1000, b"a"), (0x2000, b"b")]).decode().splitlines()
    assert sum(line.startswith('["0x') for line in lines) == 20
    assert sum(line.startswith('{"address":') for line in lines) == 2


# --- the writer and facts that do not fit -----------------------------------------------------------------------------


def test_numbers_that_do_not_fit_are_left_out_with_a_warning() -> None:
    snapshot = model.Snapshot(
        model.Source("minidump", "x"), model.Process(), system=model.System(commit_limit=TOP << 12), warnings=("old",)
    )
    loaded = reload(snapshot, [])
    assert loaded.system.commit_limit is None
    assert loaded.warnings[0] == "old"
    assert "system.commit_limit" in loaded.warnings[1]


def test_halves_of_surrogates_are_replaced() -> None:
    snapshot = model.Snapshot(
        model.Source("minidump", "x", path="/tmp/\udce4.dmp"),
        model.Process(name="\ud83d\ude00 \ud83d"),
        regions=model.make_regions([(4096, 0, 0, 1, 0, 0, 0)], texts={"file": ["\udc80"]}),
        annotations={"\ud800": "\udfff"},
    )
    loaded = reload(snapshot, [])
    assert loaded.process.name == "\U0001f600 \ufffd"
    assert loaded.annotations == {"\ufffd": "\ufffd"}
    assert loaded.regions is not None
    assert loaded.regions.texts["file"][0] == "\ufffd"


def test_an_allocation_above_its_region_is_not_written() -> None:
    regions = model.make_regions([(0x1000, 0x2000, 4, 4096, 0x1000, 4, 0x20000), (0x5000, 0x9000, 0, 1, 0x10000, 0, 0)])
    with pytest.raises(ValueError, match="region 0, allocation_base: the allocation starts after the region"):
        write_snapshot(
            io.BytesIO(), model.Snapshot(model.Source("minidump", "x"), model.Process(), regions=regions), []
        )


def test_regions_out_of_order_are_a_programming_error() -> None:
    regions = model.make_regions([(0x2000, 0, 4, 4096, 0x1000, 4, 0), (0x1000, 0, 4, 4096, 0x1000, 4, 0)])
    with pytest.raises(ValueError, match="region 1, base"):
        snapshot_json(model.Snapshot(model.Source("live", "x"), model.Process(), regions=regions), [])


def test_times_without_a_zone_are_utc() -> None:
    source = model.Source("live", "x", captured_at=dt.datetime(2026, 1, 2))
    loaded = reload(model.Snapshot(source, model.Process()), [])
    assert loaded.source.captured_at == dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def test_overlapping_excerpts_are_joined() -> None:
    loaded = reload(model.Snapshot(model.Source("live", "x"), model.Process()), [(10, b"abc"), (12, b"cde"), (9, b"_")])
    assert loaded.memory.ranges() == [(9, 6)]
    assert loaded.memory.read(9, 6) == b"_abcde"


# --- what is refused --------------------------------------------------------------------------------------------------


def at(document: Any, path: str, value: Any) -> None:
    """Sets what `path` leads to, a list of keys and indexes with dots between; `...` deletes it."""
    steps = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps[:-1]:
        document = document[step]
    if value is ...:
        del document[steps[-1]]
    elif isinstance(document, list) and steps[-1] == len(document):
        document.append(value)
    else:
        document[steps[-1]] = value


ROW = "regions.rows"
WRONG: list[tuple[str, Any, str, str]] = [
    # what is set, to what, the place in the message, words of the message
    ("format", "dumpmap-summary", "format", "another format"),
    ("format", ..., "format", "no format"),
    ("format", 5, "format", "another format"),
    ("version", 2, "version", "version 2"),
    ("version", 0, "version", "must be 1"),
    ("version", "1", "version", "must be 1"),
    ("version", True, "version", "must be 1"),
    ("version", 1.5, "version", "must be 1"),
    ("version", ..., "version", "must be 1"),
    ("captured_at", "yesterday", "captured_at", "date"),
    ("captured_at", "2026-03-01T12:00:00", "captured_at", "timezone"),
    ("source", ..., "source", "missing"),
    ("source", None, "source", "expected object"),
    ("source.kind", "core", "source.kind", "core"),
    ("source.name", ..., "source.name", "missing"),
    ("source.name", 5, "source.name", "expected str"),
    ("source.flags", 5, "source.flags", "expected str"),
    ("source.size", -1, "source.size", ">= 0"),
    ("source.streams.0.offset", "0", "source.streams[0].offset", "expected int"),
    ("source.streams.0.type", ..., "source.streams[0].type", "missing"),
    ("process", ..., "process", "missing"),
    ("process", [], "process", "expected object"),
    ("process.pid", "4242", "process.pid", "expected int"),
    ("process.pid", 1.5, "process.pid", "expected int"),
    ("process.pid", True, "process.pid", "expected int"),
    ("process.pid", TOP + 1, "process.pid", "64 bits"),
    ("process.pointer_size", 6, "process.pointer_size", "6"),
    ("process.wow64", "yes", "process.wow64", "bool"),
    ("process.os.family", "beos", "process.os.family", "beos"),
    ("process.os.build", -1, "process.os.build", ">= 0"),
    ("system.page_size", 0, "system.page_size", ">= 1"),
    ("system.max_address", 5, "system.max_address", "expected str"),
    ("system.max_address", "7fff", "system.max_address", "hexadecimal"),
    ("counters.private_usage", -4096, "counters.private_usage", ">= 0"),
    ("counters.private_usage", TOP + 1, "counters.private_usage", "64 bits"),
    ("regions", [], "regions", "expected object"),
    ("regions.columns", ..., "regions.columns", "missing"),
    ("regions.rows", ..., "regions.rows", "missing"),
    ("regions.rows", 10**9, "regions.rows", "expected array"),
    ("regions.rows", None, "regions.rows", "expected array"),
    ("regions.columns.8", "file", "regions.columns[8]", "twice"),
    ("regions.columns.6", "kind", "regions.columns", "missing: type"),
    ("regions.columns.2", 5, "regions.columns[2]", "expected str"),
    ("regions.columns", ["base"] * 65, "regions.columns", "length"),
    (f"{ROW}.1", {}, "regions.rows[1]", "expected array"),
    (f"{ROW}.1", [], "regions.rows[1]", "8 values"),
    (f"{ROW}.1.8", 1, "regions.rows[1]", "8 values"),
    (f"{ROW}.2.7", ..., "regions.rows[2]", "8 values"),
    (f"{ROW}.1.0", "11000", "regions.rows[1].base", "hexadecimal"),
    (f"{ROW}.1.0", "0x", "regions.rows[1].base", "hexadecimal"),
    (f"{ROW}.1.0", "0x1g000", "regions.rows[1].base", "hexadecimal"),
    (f"{ROW}.1.0", "-0x11000", "regions.rows[1].base", "hexadecimal"),
    (f"{ROW}.1.0", "0x1_1000", "regions.rows[1].base", "hexadecimal"),
    (f"{ROW}.1.0", "0x" + "f" * 17, "regions.rows[1].base", "hexadecimal"),
    (f"{ROW}.1.0", 0x11000, "regions.rows[1].base", "expected str"),
    (f"{ROW}.1.0", None, "regions.rows[1].base", "expected str"),
    (f"{ROW}.0.3", 8192, "regions.rows[1].base", "overlaps"),
    (f"{ROW}.1.0", "0xf000", "regions.rows[1].base", "not sorted"),
    (f"{ROW}.3.1", "0x7ff600001000", "regions.rows[3].allocation_base", "after"),
    (f"{ROW}.1.3", 0, "regions.rows[1].size", ">= 1"),
    (f"{ROW}.1.3", -4096, "regions.rows[1].size", ">= 1"),
    (f"{ROW}.1.3", None, "regions.rows[1].size", "expected int"),
    (f"{ROW}.1.3", 4096.5, "regions.rows[1].size", "expected int"),
    (f"{ROW}.1.3", "4096", "regions.rows[1].size", "expected int"),
    (f"{ROW}.3.3", TOP, "regions.rows[3].size", "beyond"),
    (f"{ROW}.3.3", TOP + 1, "regions.rows[3].size", "64 bits"),
    (f"{ROW}.1.4", "committed", "regions.rows[1].state", "committed"),
    (f"{ROW}.1.4", None, "regions.rows[1].state", "expected int | str"),
    (f"{ROW}.1.5", "rw", "regions.rows[1].protect", "expected int"),
    (f"{ROW}.1.5", -1, "regions.rows[1].protect", ">= 0"),
    (f"{ROW}.1.2", 1 << 32, "regions.rows[1].allocation_protect", "<="),
    (f"{ROW}.1.6", "stack", "regions.rows[1].type", "stack"),
    (f"{ROW}.3.7", 5, "regions.rows[3].file", "expected str"),
    ("captured", [["0x1000", 4096], ["0x2000"]], "captured[1]", "length 2"),
    ("captured", [["1000", 4096]], "captured[0][0]", "hexadecimal"),
    ("captured", [["0x1000", TOP + 1]], "captured[0][1]", "64 bits"),
    ("regions.columns.7", "private_ws", "regions.rows[3].private_ws", "expected int"),
    (f"{ROW}.3", [*EXAMPLE["regions"]["rows"][3][:7], 1 << 58], "regions.rows[3].file", "expected str"),
    ("modules", {}, "modules", "expected array"),
    ("modules.0.base", ..., "modules[0].base", "missing"),
    ("modules.0.base", "7ff6", "modules[0].base", "hexadecimal"),
    ("modules.0.size", -1, "modules[0].size", ">= 0"),
    ("modules.0.timestamp", TOP + 1, "modules[0].timestamp", "64 bits"),
    ("modules.0.path", None, "modules[0].path", "expected str"),
    ("unloaded_modules.0.size", None, "unloaded_modules[0].size", "expected int"),
    ("threads.0.id", ..., "threads[0].id", "missing"),
    ("threads.0.exited", 1, "threads[0].exited", "expected bool"),
    ("peb", 4096, "peb", "expected str"),
    ("heaps.0.ranges.0.base", "x", "heaps[0].ranges[0].base", "hexadecimal"),
    ("heaps.0.ranges.0.size", TOP + 1, "heaps[0].ranges[0].size", "64 bits"),
    ("exception.code", 0xC0000005, "exception.code", "expected str"),
    ("exception.parameters.1", 1, "exception.parameters[1]", "expected str"),
    ("handle_types.Section", "7", "handle_types['Section']", "expected int"),
    ("handle_types.Section", TOP + 1, "handle_types['Section']", "64 bits"),
    ("annotations.BreakpadReserveAddress", 5, "annotations['BreakpadReserveAddress']", "expected str"),
    ("recorded_summary.0.values.private", 1 << 58, "recorded_summary[0].values['private']", "<="),
    ("counters.page_table", 1 << 58, "counters.page_table", "<="),
    ("recorded_summary.0.values.size", -5, "recorded_summary[0].values['size']", ">= 0"),
    ("warnings", ["fine", 5], "warnings[1]", "expected str"),
    ("memory.0.data", "AAA", "memory[0].data", "base64"),
    ("memory.0.data", "not base64!", "memory[0].data", "base64"),
    ("memory.0.data", [1, 2], "memory[0].data", "expected bytes"),
    ("memory.0.address", ..., "memory[0].address", "missing"),
    ("memory.1.address", "0x10004", "memory[1].address", "overlap"),
    ("memory.0.address", "0x7ff600000003", "memory[0].address", "overlap"),
    ("memory.1.address", "0xffffffffffffffff", "memory[1].data", "beyond"),
]


@pytest.mark.parametrize(("path", "value", "place", "words"), WRONG)
def test_says_what_is_wrong_and_where(path: str, value: Any, place: str, words: str) -> None:
    document = copy.deepcopy(EXAMPLE)
    at(document, path, value)
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(encoded(document), name="app.json")
    assert caught.value.place == place
    assert words in caught.value.problem
    assert str(caught.value) == f"app.json: {caught.value.problem} ({place})"
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("behind", [b',"b":"\xeb"}}', b'},"annotations":5}', b'},"annotations":[]}'])
def test_what_comes_behind_a_wrong_value_of_an_unnamed_key(behind: bytes) -> None:
    text = encoded({key: value for key, value in EXAMPLE.items() if key != "annotations"})
    with pytest.raises(SnapshotError, match=r"expected str, got int \(annotations\[\.\.\.\]\)"):
        load_snapshot(text.rstrip().removesuffix(b"}") + b',"annotations":{"a":5' + behind, name="x")


def test_knows_many_ways_of_being_wrong() -> None:
    assert len({(place, words) for _, _, place, words in WRONG}) >= 40


@pytest.mark.parametrize("digits", [25, 400, 5000])
def test_numbers_of_any_length_are_refused(digits: int) -> None:
    for number, place in ((b": 4242", "process.pid"), (b" 61440,", "regions.rows[1].size")):
        text = encoded(EXAMPLE).replace(number, number[:2] + b"9" * digits + number[6:])
        with pytest.raises(SnapshotError) as caught:
            load_snapshot(text, name="x")
        assert caught.value.place == place


def test_sums_of_a_column_stay_within_64_bits() -> None:
    rows = [[hex(0x10000 * i), "0x0", 4, 4096, "commit", 4, "private", 1 << 57] for i in range(64)]
    document = copy.deepcopy(EXAMPLE)
    document["regions"] = {"columns": [*REQUIRED_COLUMNS, "total_ws"], "rows": rows[:32]}
    load_snapshot(encoded(document), name="x")
    document["regions"]["rows"] = rows
    with pytest.raises(SnapshotError, match="sum of total_ws is impossible"):
        load_snapshot(encoded(document), name="x")
    rows[5][7] = (1 << 57) + 1
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(encoded(document), name="x")
    assert caught.value.place == "regions.rows[5].total_ws"


def test_a_narrow_process_ends_at_4_gb() -> None:
    document = copy.deepcopy(EXAMPLE)
    document["process"] |= {"pointer_size": 4, "wow64": False}
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(encoded(document), name="x")
    assert caught.value.place == "regions.rows[3].size"
    document["process"]["wow64"] = True
    load_snapshot(encoded(document), name="x")


TEXTS_THAT_ARE_NOT_SNAPSHOTS = [
    (b"", "cut off", "byte 0"),
    (b"   ", "cut off", "byte 3"),
    (b"MDMP\x93\xa7", "not valid JSON", "byte 0"),
    (b"[]", "expected object", None),
    (b"5", "expected object", None),
    (b"null", "expected object", None),
    (b"{}", "no format", "format"),
    (encoded(EXAMPLE)[:-1], "cut off", f"byte {len(encoded(EXAMPLE)) - 1}"),
    (encoded(EXAMPLE)[:300], "cut off", "byte 300"),
    (encoded(EXAMPLE) + b"}", "not valid JSON", None),
    (encoded(EXAMPLE).replace(b": 4242", b": NaN"), "not valid JSON", None),
    (encoded(EXAMPLE).replace(b": 4242", b": Infinity"), "not valid JSON", None),
    (encoded(EXAMPLE).replace(b": 4242", b": 1e400"), "range", "process.pid"),
    (encoded(EXAMPLE).replace(b"app.exe", b"app\xff.ex", 1), "not UTF-8", None),
    (encoded(EXAMPLE).replace(b"C:\\\\app.exe", b"C:\\\\\xc3\xc3.exe", 1), "not UTF-8", None),
    (encoded(EXAMPLE).replace(b"app.exe", b"\\ud800 .", 1), "", None),
    (json.dumps(EXAMPLE).encode("utf-16")[:-1], "UTF-16", None),
    (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested", None),
    (b'{"format":' + b"[" * 100_000, "nested", None),
]


@pytest.mark.parametrize(("data", "words", "place"), TEXTS_THAT_ARE_NOT_SNAPSHOTS)
def test_refuses_other_texts(data: bytes, words: str, place: str | None) -> None:
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(data, name="x")
    assert words in caught.value.problem
    assert place is None or caught.value.place == place


def test_nesting_in_an_unknown_column() -> None:
    document = copy.deepcopy(EXAMPLE)
    document["regions"]["columns"].append("colour")
    for row in document["regions"]["rows"]:
        row.append("DEEP")
    data = encoded(document).replace(b'"DEEP"', b"[" * 50_000 + b"]" * 50_000)
    with pytest.raises(SnapshotError, match="nested"):
        load_snapshot(data, name="x")


def test_every_prefix_is_refused() -> None:
    data = encoded(EXAMPLE)
    for length in range(len(data)):
        with pytest.raises(SnapshotError):
            load_snapshot(data[:length], name="x")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_ends_in_a_snapshot_or_our_error(data: st.DataObject) -> None:
    text = bytearray(encoded(EXAMPLE))
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(text) - 1))
        text[index] = data.draw(st.sampled_from([*string.printable.encode(), 0, 0x80, 0xC3, 0xFF]))
    with contextlib.suppress(SnapshotError):
        load_snapshot(bytes(text), name="x")


def test_numpy_columns_have_their_types() -> None:
    regions = load_snapshot(encoded(EXAMPLE), name="x").regions
    assert regions is not None
    assert regions.base.dtype == regions.size.dtype == np.uint64
    assert regions.state.dtype == regions.protect.dtype == np.uint32
    empty = model.make_regions([])
    assert empty.base.dtype == np.uint64
