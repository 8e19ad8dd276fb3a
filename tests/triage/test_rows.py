"""One file, one row."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support.scenes import FIXTURES, MB, Scene
from support.triage import partial_dump, small_dump, starved_dump
from synth.minidump import MinidumpBuilder
from synth.writers import unreal_xml

import dumpmap
from dumpmap.analysis.free import free_space
from dumpmap.analysis.owners import find_owners
from dumpmap.api import map_snapshot
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.model.types import PRIVATE_TYPES, TYPES, RegionType
from dumpmap.parsers.opening import open_snapshot
from dumpmap.triage.analyse import analyse
from dumpmap.triage.columns import BY_NAME, COLUMNS, GROUPABLE, NAMES, STATUSES, TriageRow, type_column
from dumpmap.triage.groups import group_rows
from dumpmap.triage.jobs import Job, local_job
from dumpmap.triage.map_row import row_of_map
from dumpmap.triage.rows import unpack
from dumpmap.wording.verdicts import verdict


def row_of(path: Path) -> TriageRow:
    return analyse(local_job(str(path))).row


def test_columns_are_said_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(column.meaning for column in COLUMNS)
    assert (*NAMES, "finding") == GROUPABLE
    for info in TYPES:
        assert type_column(info.type, "size") in BY_NAME


def test_figures_are_the_maps(fixtures: Path) -> None:
    for path in sorted(fixtures.glob("*.dmp.gz")):
        row, region_map = row_of(path), dumpmap.open(path)
        assert tuple(row) == NAMES
        assert row["committed"] == region_map.total.committed
        for info in TYPES:
            if info.type in (RegionType.FREE, RegionType.UNUSABLE):
                assert row[type_column(info.type, "size")] == region_map.line(info.type).size
            else:
                for figure in ("size", "committed", "private"):
                    assert row[type_column(info.type, figure)] == getattr(region_map.line(info.type), figure)
        free = free_space(region_map)
        largest = None if free is None else free.largest.size if free.largest else 0
        assert row["largest_free"] == largest
        assert row["findings"] == [finding.id for finding in region_map.findings()]
        assert row["sentence"] == verdict(region_map).sentence
        json.dumps(row)


def test_the_first_64_kb_are_no_free_block(fixtures: Path) -> None:
    # Windows gives them to nobody: in this process nothing else is free.
    path = fixtures / "exhaust-x86.dmp.gz"
    region_map, row = dumpmap.open(path), row_of(path)
    assert (region_map.largest_free_block, row["largest_free"], row["fragmentation"]) == (None, 0, None)
    # The summary's row is VMMap's, which counts whatever is free.
    assert region_map.line(RegionType.FREE).largest == row["free_size"] == 0x10000


def test_a_text_is_never_empty(tmp_path: Path) -> None:
    # Groups and filters tell what is not known from what is: an empty name is not known.
    path = tmp_path / "a.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info(major=0, platform_id=0x8201).module(0x1000, 0x1000, "").build())
    row = row_of(path)
    assert row["status"] != "error"
    assert "" not in row.values()


def test_sections_change_no_row(fixtures: Path, corpus: Path) -> None:
    for path in (*sorted(fixtures.glob("*.dmp*")), *sorted(corpus.glob("*.*dmp"))):
        try:
            snapshot = open_snapshot(path)
        except dumpmap.DumpmapError:
            continue
        assert row_of_map(map_snapshot(snapshot), "x", 1) == row_of_map(
            map_snapshot(snapshot, sections=False), "x", 1
        ), path.name


def test_a_good_dump(tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(small_dump(name="shop.exe", pid=42, exception=0xC0000005))
    row = row_of(path)
    wanted = {
        "path": str(path),
        "size": path.stat().st_size,
        "status": "ok",
        "error": None,
        "format": "minidump",
        "process": "shop.exe",
        "version": "1.2.3.4",
        "pid": 42,
        "architecture": "x64",
        "os_build": 19045,
        "exception_code": "0xc0000005",
        "exception": "STATUS_ACCESS_VIOLATION",
        "modules": 1,
        "cached": False,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert row["captured_at"].endswith("Z")
    assert row["seconds"] > 0


@pytest.mark.parametrize(
    ("platform", "code", "parameters", "name"),
    [
        (0x8201, 11, (), "SIGSEGV"),
        (0x8203, 6, (), "SIGABRT"),
        (0x8201, 0xFFFFFFFF, (), "DUMP_REQUESTED"),
        (0x8201, 64, (), "0x00000040"),
        (0x8101, 1, (1, 0), "EXC_BAD_ACCESS"),
        (0x8101, 0, (10, 0x6000000, 0), "EXC_CRASH"),  # Crashpad's record of an abort()
        (0x8101, 0, (), "0x00000000"),
        (0x8101, 11, (), "EXC_RESOURCE"),
        (2, 0xC0000017, (), "STATUS_NO_MEMORY"),
        (2, 11, (), "0x0000000b"),
        (2, 0xDEADBEEF, (), "0xdeadbeef"),
    ],
)
def test_an_exception_has_the_name_of_its_system(
    tmp_path: Path, platform: int, code: int, parameters: tuple[int, ...], name: str
) -> None:
    dump = MinidumpBuilder("x64").system_info(platform_id=platform).module(0x400000, 0x1000, "a.exe")
    path = tmp_path / "a.dmp"
    path.write_bytes(dump.exception(1, code, 0x1000, parameters).build())
    row = row_of(path)
    assert (row["exception_code"], row["exception"]) == (f"0x{code:08x}", name)


def test_a_process_that_ran_out(tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(starved_dump())
    row = row_of(path)
    assert (row["verdict"], row["severity"]) == ("out-of-address-space", "critical")
    assert row["critical"] >= 1
    assert row["headline"]
    assert row["fragmentation"] is not None


def test_a_dump_without_a_memory_list_is_partial(tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(partial_dump())
    row = row_of(path)
    assert (row["status"], row["completeness"], row["largest_free"], row["free_size"]) == (
        "partial",
        "partial",
        None,
        None,
    )


def test_a_damaged_dump_is_partial(tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    dump = MinidumpBuilder("x64").system_info()
    dump.module(0x7FF600000000, 0x10000, "C:\\a.exe").lie_count(4, 9)
    path.write_bytes(dump.build())
    row = row_of(path)
    assert row["status"] == "partial"
    assert row["warnings"] >= 1
    assert "claims 9 entries" in row["warning"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty file"),
        (b"\x7fELF" + bytes(100), "not a minidump: an ELF file"),
        (b"PAGEDU64" + bytes(100), "kernel memory dump"),
        (b"MDMP", "cut off inside the minidump header"),
        (bytes(1000), "zeros only"),
        (b"\x1f\x8b" + b"\xff" * 100, "the gzip file is damaged"),
    ],
)
def test_unreadable_files_say_why(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(data)
    outcome = analyse(local_job(str(path)))
    row = outcome.row
    assert row["status"] == "error"
    assert text in row["error"]
    assert str(path) not in row["error"]
    assert "\n" not in row["error"]
    assert outcome.lasting


def test_a_file_that_vanished(tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(small_dump())
    job = local_job(str(path))
    path.unlink()
    outcome = analyse(job)
    assert (outcome.row["status"], outcome.row["error"]) == ("error", "no such file or directory")
    assert not outcome.lasting


def test_a_file_that_changes_while_it_is_read_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(small_dump())
    from dumpmap.triage import analyse as module

    real = module._classified

    def grow(*args: object) -> object:
        with path.open("ab") as file:
            file.write(b"more")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_classified", grow)
    outcome = analyse(local_job(str(path)))
    assert outcome.row["status"] == "ok"
    assert not outcome.lasting


def test_a_fault_of_our_own_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dumpmap.triage import analyse as module

    def fail(*args: object) -> object:
        raise KeyError("boom\nboom")

    monkeypatch.setattr(module, "_classified", fail)
    path = tmp_path / "a.dmp"
    path.write_bytes(small_dump())
    outcome = analyse(local_job(str(path)))
    assert outcome.row["error"].startswith("internal error: KeyError")
    assert not outcome.lasting


def test_every_status_is_described() -> None:
    assert set(STATUSES) == {"ok", "partial", "error", "skipped"}


def test_rows_survive_packing(fixtures: Path) -> None:
    outcome = analyse(local_job(str(fixtures / "layout-x64.dmp.gz")))
    assert unpack(outcome.data) == outcome.row


def test_the_whole_corpus_gives_rows(corpus: Path) -> None:
    for path in sorted(corpus.glob("*.*dmp")):
        row = row_of(path)
        assert row["status"] in STATUSES
        assert (row["error"] is None) == (row["status"] != "error")
        assert not (row["error"] or "").startswith("internal error")


def test_a_problem_is_a_row() -> None:
    outcome = analyse(Job("k", "p", "p", problem=("skipped", "not a regular file")))
    assert (outcome.row["status"], outcome.row["error"]) == ("skipped", "not a regular file")


def test_what_else_is_in_an_archive_is_no_damage(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "case.zip", "w") as archive:
        archive.writestr("a.dmp", small_dump())
        archive.writestr("readme.txt", "hello")
    (tmp_path / "a.dmp").write_bytes(small_dump())
    alone, packed = (analyse(local_job(str(tmp_path / name))).row for name in ("a.dmp", "case.zip"))
    differ = {name for name in alone if alone[name] != packed[name]}
    assert differ <= {"path", "size", "container", "seconds"}
    assert packed["status"] == "ok"


def test_what_the_writer_recorded(tmp_path: Path) -> None:
    path = tmp_path / "game.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info().thread(1).unreal_context(unreal_xml()).build())
    row = row_of(path)
    assert (row["crash_type"], row["oom_size"]) == ("Assert", 8172146688)
    assert row["writer_message"].endswith("[Line: 120] Ran out of memory allocating 8172146688 bytes with alignment 0")


def test_a_heap_limit_and_a_comment_stand_for_a_message(tmp_path: Path) -> None:
    path = tmp_path / "app.dmp"
    path.write_bytes(
        MinidumpBuilder("x64").system_info().thread(1).crashpad_info(("v8-oom-location", "Oilpan\x1b")).build()
    )
    row = row_of(path)
    assert (row["writer_message"], row["oom_size"], row["crash_type"]) == ("V8: Oilpan", None, None)
    path.write_bytes(
        MinidumpBuilder("x64").system_info().thread(1).comment_w("*** procdump -m 800\r\n*** \x1b800 MB").build()
    )
    assert row_of(path)["writer_message"] == "*** procdump -m 800 *** \N{REPLACEMENT CHARACTER}800 MB"


@pytest.mark.parametrize(("requested", "shown"), [((1 << 63) - 1, (1 << 63) - 1), (1 << 63, (1 << 63) - 1)])
def test_a_negative_size_that_a_program_requested(tmp_path: Path, requested: int, shown: int) -> None:
    path = tmp_path / "game.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info().thread(1).exception(1, 0xE0000008, 0, [requested]).build())
    row = row_of(path)
    assert (row["status"], row["error"], row["oom_size"]) == ("partial", None, shown)


def test_the_size_of_the_request_can_come_from_the_exception(tmp_path: Path) -> None:
    path = tmp_path / "chrome.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info().thread(1).exception(1, 0xE0000008, 0, [4096]).build())
    row = row_of(path)
    assert (row["oom_size"], row["writer_message"]) == (4096, None)


@pytest.mark.parametrize("path", sorted(FIXTURES.rglob("*.dmp*")), ids=lambda path: path.name)
def test_owners_are_those_of_the_whole_map(path: Path) -> None:
    """A row sums up by allocation where it can; it must say what `owners` says."""
    region_map = dumpmap.open(path)
    row = row_of_map(region_map, path.name, None)
    if region_map.partial:
        names = ("top_owner", "top_owner_size", "top_owner_committed", "owned_share")
        assert [row[name] for name in names] == [None] * 4
        return
    owners = find_owners(region_map, PRIVATE_TYPES)
    size: Counter[str] = Counter()
    committed: Counter[str] = Counter()
    for owner in owners.owners:
        if owner.owner != owner.module:
            family = owner.owner.removesuffix(f" {owner.instance}")
            size[family] += owner.size
            committed[family] += owner.committed
    ran_out = size if row["verdict"] in ("out-of-address-space", "address-space-low") else committed
    assert ran_out[row["top_owner"]] == max(ran_out.values())
    assert row["top_owner_size"] == size[row["top_owner"]]
    assert row["top_owner_committed"] == committed[row["top_owner"]]
    assert row["owned_share"] == owners.owned_share


def test_dumps_are_grouped_by_who_took_most() -> None:
    paths = [FIXTURES / "runtimes" / name for name in ("node-18.dmp.gz", "node-20.dmp.gz", "java-17-g1.dmp.gz")]
    rows = [row_of_map(dumpmap.open(path), path.name, None) for path in paths]
    groups = group_rows(rows, ["top_owner"])
    assert [(group.values, group.count) for group in groups] == [(("V8",), 2), (("Java heap",), 1)]


def test_the_top_owner_is_the_one_with_most_of_what_ran_out() -> None:
    """The same process, reserve-heavy by one owner and commit-heavy by another, before and after its space ran out."""
    scene = Scene(32)
    scene.allocate(1800 * MB, base=0x400000, commit=MB)
    scene.allocate(64 * MB, base=0x71000000)
    parts = [
        LabelledRange(0x400000, 1800 * MB, "block", "proof", owner="Reserver"),
        LabelledRange(0x71000000, 64 * MB, "block", "proof", owner="Committer"),
    ]
    made = scene.map()
    found = (Found(ranges=tuple(parts)),)
    row = row_of_map(replace(made, structures=replace(made.structures, found=found)), "a.dmp", None)
    assert row["verdict"] in ("out-of-address-space", "address-space-low")
    figures = ("top_owner", "top_owner_size", "top_owner_committed")
    assert [row[name] for name in figures] == ["Reserver", 1800 * MB, MB]

    wide = Scene(64)
    wide.allocate(1800 * MB, base=0x400000, commit=MB)
    wide.allocate(64 * MB, base=0x71000000)
    made = wide.map()
    row = row_of_map(replace(made, structures=replace(made.structures, found=found)), "b.dmp", None)
    assert row["verdict"] not in ("out-of-address-space", "address-space-low")
    assert [row[name] for name in figures] == ["Committer", 64 * MB, 64 * MB]
