"""The document and its files: the project's own reader reads what the capture writes."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.capture import loaded

from dumpmap.capture import check_output, write_document
from dumpmap.capture.document import FIELDS, make_document
from dumpmap.capture.facts import LiveFacts
from dumpmap.capture.output import encode, series_path
from dumpmap.capture.regions import WORKING_SET_COLUMNS, RegionTable
from dumpmap.errors import OutputError
from dumpmap.model import snapshot as model
from dumpmap.parsers.opening import open_snapshot
from dumpmap.parsers.snapshot_json.schema import SnapshotDocument, json_schema

TOP = 0x7FFF_FFFE_FFFF


def facts() -> LiveFacts:
    """One of everything, with values that are easy to get wrong."""
    return LiveFacts(
        captured_at=dt.datetime(2026, 3, 1, 12, 0, 0, 123_456, dt.UTC),
        process={
            "pid": 4242,
            "name": "größer\ufffd.exe",
            "path": 'C:\\a "b"\\größer.exe',
            "architecture": "x64",
            "pointer_size": 8,
            "wow64": False,
            "os": {
                "family": "windows",
                "version": "10.0.19045",
                "build": 19045,
                "service_pack": None,
                "product_type": "server",
            },
            "created_at": dt.datetime(2026, 3, 1, 11, 0, 0, tzinfo=dt.UTC),
            "user_time": 3,
            "kernel_time": None,
        },
        system={"page_size": 4096, "allocation_granularity": 65536, "min_address": 0x10000, "max_address": TOP},
        counters={"private_usage": 1 << 40, "working_set": 0, "page_table": None},
        regions=RegionTable(
            [
                (0, 0, 0, 0x10000, 0x10000, 1, 0),
                (0x10000, 0x10000, 4, 0x1000, 0x1000, 0x104, 0x20000),
                (0x11000, 0x10000, 4, 0xF000, 0x2000, 0, 0x20000),
                (0x20000, 0x20000, 0x80, 0x1000, 0x1000, 2, 0x1000000),
                (0x30000, 0x30000, 2, 0x1000, 0x1000, 2, 0x40000),
            ],
            [None, None, None, "C:\\app.exe", "C:\\data\\x.bin"],
            [(0, 0, 0, 0, 0), (0x1000, 0x1000, 0, 0, 0x1000), (0, 0, 0, 0, 0), (0x1000, 0, 0x1000, 0x1000, 0), None],
        ),
        modules=[{"base": 0x20000, "size": 0x1000, "path": "C:\\app.exe", "timestamp": 0xFFFF_FFFF, "checksum": 1}],
        threads=[
            {
                "id": 7,
                "name": "main",
                "teb": 0x7FF0_0000_1000,
                "start_address": 0x20010,
                "stack_pointer": 0x10010,
                "instruction_pointer": 0x20020,
                "created_at": dt.datetime(2026, 3, 1, 11, 0, 1, tzinfo=dt.UTC),
            },
            {"id": 8, "teb": None},
        ],
        peb=0x7FF0_0000_0000,
        handle_count=12,
        memory=[(0x20000, b"MZ\x90\0"), (0x20100, bytes(300))],
        warnings=["something is missing"],
    )


def test_the_reader_gets_every_fact() -> None:
    taken = loaded(make_document(facts()))
    assert taken.source.kind == "live"
    assert taken.source.captured_at == dt.datetime(2026, 3, 1, 12, 0, 0, 123_000, dt.UTC)
    assert taken.process == model.Process(
        pid=4242,
        name="größer\ufffd.exe",
        path='C:\\a "b"\\größer.exe',
        architecture="x64",
        pointer_size=8,
        wow64=False,
        os=model.OperatingSystem("windows", "10.0.19045", 19045, product_type="server"),
        created_at=dt.datetime(2026, 3, 1, 11, 0, 0, tzinfo=dt.UTC),
        user_time=3,
    )
    assert (taken.system.min_address, taken.system.max_address) == (0x10000, TOP)
    assert taken.counters == model.Counters(private_usage=1 << 40, working_set=0)
    assert taken.modules == (model.Module(0x20000, 0x1000, "C:\\app.exe", 0xFFFF_FFFF, 1),)
    first, second = taken.threads
    assert (first.teb, first.start_address, first.stack_pointer, first.instruction_pointer) == (
        0x7FF0_0000_1000,
        0x20010,
        0x10010,
        0x20020,
    )
    assert second == model.Thread(id=8)
    assert (taken.peb, taken.wow64_peb, taken.handle_count) == (0x7FF0_0000_0000, None, 12)
    assert taken.memory.ranges() == [(0x20000, 4), (0x20100, 300)]
    assert taken.memory.read(0x20000, 2) == b"MZ"
    assert taken.warnings == ("something is missing",)

    regions = taken.regions
    assert regions is not None
    rows = facts().regions.rows
    columns = (
        regions.base,
        regions.allocation_base,
        regions.allocation_protect,
        regions.size,
        regions.state,
        regions.protect,
        regions.type,
    )
    assert [tuple(map(int, row)) for row in zip(*columns, strict=True)] == rows
    assert [regions.texts["file"][index] for index in range(5)] == facts().regions.files
    assert [int(regions.numbers["total_ws"][index]) for index in range(5)] == [0, 0x1000, 0, 0x1000, -1]
    assert [int(regions.numbers["locked_ws"][index]) for index in range(5)] == [0, 0x1000, 0, 0, -1]


def test_the_document_follows_the_published_schema() -> None:
    jsonschema.validate(json.loads(b"".join(encode(make_document(facts())))), json_schema())


@pytest.mark.parametrize(
    ("kind", "counterpart"),
    [
        ("os", model.OperatingSystem),
        ("process", model.Process),
        ("system", model.System),
        ("counters", model.Counters),
        ("module", model.Module),
        ("thread", model.Thread),
    ],
)
def test_every_key_is_written(kind: str, counterpart: type[Any]) -> None:
    struct = getattr(counterpart, "__struct_fields__", None)
    assert list(FIELDS[kind]) == list(struct or [field.name for field in dataclasses.fields(counterpart)])


def test_the_keys_of_the_document_are_those_of_the_format() -> None:
    known = [field for field in SnapshotDocument.__struct_fields__ if field not in ("captured", "regions_complete")]
    assert list(make_document(facts())) == known


def test_columns_have_the_names_of_the_snapshot() -> None:
    assert WORKING_SET_COLUMNS == model.WORKING_SET_COLUMNS


def test_the_document_is_plain_json() -> None:
    document = make_document(facts())
    text = b"".join(encode(document))
    assert json.loads(text) == document
    # One line for each region and each excerpt.
    assert sum(line.startswith(b'["0x') for line in text.splitlines()) == 5
    assert base64.b64decode(document["memory"][0]["data"]) == b"MZ\x90\0"


def test_an_empty_capture() -> None:
    taken = loaded(make_document(LiveFacts(dt.datetime.now(dt.UTC), {"pid": 1, "name": None})))
    assert taken.regions is not None
    assert len(taken.regions) == 0


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.zst", "b.JSON.GZ", "dotted.name.json"])
def test_every_container(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_document(make_document(facts()), path)
    assert open_snapshot(path).process.pid == 4242
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_document_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.json.gz", "b.json.gz"):
        write_document(make_document(facts()), tmp_path / name)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.json.gz").read_bytes()) == b"".join(encode(make_document(facts())))


def test_without_the_package_zstandard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setattr("dumpmap.capture.output.find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"a\.json\.zst: \.json\.zst needs the Python package zstandard"):
        write_document(make_document(facts()), tmp_path / "a.json.zst")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("precious")
    with pytest.raises(OutputError, match="already exists; use --force to overwrite it") as caught:
        write_document(make_document(facts()), path)
    assert caught.value.exit_code == 4
    assert path.read_text() == "precious"
    write_document(make_document(facts()), path, force=True)
    assert open_snapshot(path).process.pid == 4242
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    monkeypatch.setattr("dumpmap.capture.output.check_output", lambda *args, **options: path.write_text("precious"))
    with pytest.raises(OutputError, match="already exists"):
        write_document(make_document(facts()), path)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_no_half_file_is_left(tmp_path: Path) -> None:
    broken: dict[str, Any] = make_document(facts())
    broken["warnings"] = [object()]
    with pytest.raises(TypeError):
        write_document(broken, tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="directory does not exist"):
        check_output(tmp_path / "no" / "a.json")
    (tmp_path / "d.json").mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        check_output(tmp_path / "d.json", force=True)


@pytest.mark.parametrize("name", ["a.txt", "a", ".json", "a.json.xz", "a.gz"])
def test_other_names_are_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must end in \.json"):
        check_output(tmp_path / name)


def test_series_names() -> None:
    assert series_path("x/app.json", 1) == "x/app-0001.json"
    assert series_path("app.v2.JSON.gz", 12345) == "app.v2-12345.JSON.gz"


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_document(make_document(facts()), "-")
    out, err = capfdbinary.readouterr()
    assert json.loads(out)["process"]["pid"] == 4242
    assert err == b""
