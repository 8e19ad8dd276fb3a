"""Reading VMMap's files: every cell of its summary must come out again after classification."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dumps import snapshot_json
from support.vmmap import (
    END,
    KB,
    PAGE_TABLE,
    A,
    csv_text,
    english,
    indian,
    mmp_rows,
    mmp_text,
    sample,
    separated,
    summary,
    txt_text,
)

from dumpmap.api import map_snapshot
from dumpmap.errors import FormatError
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.winnt import MemState
from dumpmap.parsers.snapshot_json.reader import load_snapshot
from dumpmap.parsers.vmmap.mmp import load_mmp
from dumpmap.parsers.vmmap.text import load_vmmap_csv, parse_count, parse_kb

COLUMNS = ("size", "committed", "private", "total_ws", "private_ws", "shareable_ws", "shared_ws", "locked_ws")


def from_csv(text: str, codec: str = "utf-8") -> Snapshot:
    return load_vmmap_csv(text.encode(codec), name="app.csv")


def from_mmp(text: str, snapshot_index: int | None = None) -> Snapshot:
    return load_mmp(text.encode(), name="app.mmp", snapshot_index=snapshot_index)


def assert_summary(
    snapshot: Snapshot, allocations: list[A], page_table: int = PAGE_TABLE, without: tuple[str, ...] = ()
) -> None:
    """Every cell that VMMap prints is what dumpmap computes; blank is 0 or unknown."""
    lines = {line.name: line for line in map_snapshot(snapshot).summary_lines}
    for name, row in summary(allocations, page_table=page_table).items():
        for column in (*COLUMNS, "blocks", "largest"):
            if column in without:
                continue
            expected = row.get(column) or 0
            found = getattr(lines[name], column) or 0
            if column != "blocks":
                found, rest = divmod(found, KB)
                assert rest == 0
            assert found == expected, f"{name}, {column}"


# --- CSV and text -----------------------------------------------------------------------------------------------------

LOCALES: dict[str, Callable[[int], str]] = {
    "english": english,
    "german": separated("."),
    "french": separated("\u202f"),
    "older french": separated("\u00a0"),
    "swedish": separated(" "),
    "swiss": separated("\u2019"),
    "liechtenstein": separated("'"),
    "indian": indian,
    "none": str,
}


@pytest.mark.parametrize("locale", LOCALES)
def test_csv_in_any_locale(locale: str) -> None:
    snapshot = from_csv(csv_text(sample(), LOCALES[locale]))
    assert snapshot.warnings == ()
    assert snapshot.process.pid == 4242
    assert_summary(snapshot, sample())


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("right", [False, True])
def test_text_in_any_locale(locale: str, right: bool) -> None:
    snapshot = from_csv(txt_text(sample(), LOCALES[locale], right=right))
    assert snapshot.warnings == ()
    assert snapshot.process.name == "app.exe"
    assert_summary(snapshot, sample())


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"], ids=lambda codec: str(codec)
)
def test_csv_in_any_encoding(codec: str) -> None:
    allocations = sample()
    allocations[1].details = "C:\\Daten\\Größe.bin"
    snapshot = from_csv(csv_text(allocations, separated("\u00a0")), codec)
    assert_summary(snapshot, allocations)
    assert snapshot.regions is not None
    assert "C:\\Daten\\Größe.bin" in snapshot.regions.texts["file"].values
    assert bool(snapshot.warnings) == (codec == "cp1252")


def test_a_no_break_space_alone_is_no_reason_for_a_warning() -> None:
    assert from_csv(csv_text(sample(), separated("\u00a0")), "cp1252").warnings == ()


@pytest.mark.parametrize("end_of_line", ["\r\r\n", "\r\n", "\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_however_it_was_saved_again(end_of_line: str, delimiter: str) -> None:
    snapshot = from_csv(csv_text(sample(), end_of_line=end_of_line, delimiter=delimiter))
    assert_summary(snapshot, sample())
    assert snapshot.process.name == "app.exe"


def test_csv_as_a_spreadsheet_saves_it() -> None:
    """Without quotes where none are needed."""
    text = csv_text(sample(), str, end_of_line="\r\n").replace('"', "").replace("App, the best", "App")
    assert_summary(from_csv(text), sample())


def test_what_is_kept_of_a_csv() -> None:
    snapshot = from_csv(csv_text(sample()))
    source, process, regions = snapshot.source, snapshot.process, snapshot.regions
    assert (source.kind, source.name, source.size) == ("vmmap", "app.csv", len(csv_text(sample())))
    assert (process.pid, process.name, process.pointer_size, process.wow64) == (4242, "app.exe", 4, True)
    assert snapshot.counters.page_table == PAGE_TABLE * KB
    assert snapshot.system.max_address == END - 1
    assert [row.type for row in snapshot.recorded_summary][:2] == ["Total", "Image"]
    assert snapshot.recorded_summary[-1].values == {
        "size": (summary(sample())["Free"]["size"] or 0) * KB,
        "committed": None,
        "private": None,
        "total_ws": None,
        "private_ws": None,
        "shareable_ws": None,
        "shared_ws": None,
        "locked_ws": None,
        "blocks": summary(sample())["Free"]["blocks"],
        "largest": (summary(sample())["Free"]["largest"] or 0) * KB,
    }
    assert [module.path for module in snapshot.modules] == [sample()[2].details, sample()[-1].details]
    thread = snapshot.threads[0]
    assert (thread.id, thread.teb, thread.stack_base, thread.stack_size) == (
        2508,
        0x7EFD0000,
        0x1A00000 + 768 * KB,
        256 * KB,
    )
    assert [(heap.id, len(heap.ranges)) for heap in snapshot.heaps] == [(1, 2), (2, 1)]
    assert [part.kind for part in snapshot.managed_heaps[0].ranges] == ["GC", "Gen2", "Gen2"]
    assert regions is not None
    stack = regions.take(regions.allocation_base == 0x1A00000)
    assert stack.state.tolist() == [MemState.MEM_RESERVE, MemState.MEM_COMMIT, MemState.MEM_COMMIT]
    assert stack.protect.tolist() == [0, 0x104, 4]
    assert stack.allocation_protect.tolist() == [0x104] * 3
    assert stack.numbers["blocks"].tolist() == [3, 0, 0]
    image = regions.take(regions.allocation_base == 0x400000)
    assert [image.texts["file"][i] for i in range(5)] == [sample()[2].details] * 5
    assert [image.texts["recorded_kind"][i] for i in range(1, 5)] == [".text", ".data", ".data", ".rsrc"]
    assert image.texts["recorded_details"][0] == sample()[2].details
    assert image.texts["recorded_block_kind"][0] == "Header"
    assert set(regions.texts["recorded_type"].values) == {
        "Image",
        "Mapped File",
        "Shareable",
        "Heap",
        "Managed Heap",
        "Stack",
        "Private Data",
        "Free",
    }


def test_allocations_and_their_names_after_classification() -> None:
    frame = map_snapshot(from_csv(csv_text(sample()))).allocations
    used = frame[~frame["type"].isin(["Free", "Unusable"])]
    assert used["address"].tolist() == [a.address for a in sample()]
    assert used["details"].tolist() == [a.details for a in sample()]
    assert used["type"].tolist() == [a.type for a in sample()]
    assert used["protection"].tolist() == [a.protection for a in sample()]
    assert set(used["evidence"]) == {"recorded"}


def test_a_64_bit_process() -> None:
    snapshot = from_csv(csv_text(sample()[:3], digits=16))
    assert snapshot.process.pointer_size == 8
    assert snapshot.process.wow64 is None


def test_a_csv_without_a_summary() -> None:
    text = csv_text(sample())
    snapshot = from_csv(text[text.index('"Address"') :])
    assert snapshot.recorded_summary == ()
    assert snapshot.counters.page_table is None
    line = {line.name: line for line in map_snapshot(snapshot).summary_lines}["Image"]
    assert line.size == (summary(sample())["Image"]["size"] or 0) * KB


def test_blank_working_sets_are_unknown() -> None:
    allocations = sample()
    for a in allocations:
        for block in a.blocks:
            block.private_ws = block.shareable_ws = block.shared_ws = block.locked_ws = 0
    snapshot = from_csv(csv_text(allocations))
    assert snapshot.regions is not None
    assert "total_ws" not in snapshot.regions.numbers
    assert "committed" in snapshot.regions.numbers


def test_numbers() -> None:
    good = {"": 0, "0": 0, " 12 ": 12, "1,024": 1024, "1.048.576": 1 << 20, "1\u202f024": 1024, "16 K": 16, "4KB": 4}
    assert {text: parse_count(text) for text in good} == good
    for text in ("-1", "1e3", "abc", "0x10", "1,0a4", "١٢", "9" * 19, "5 MB"):
        assert parse_count(text) is None, text
    assert parse_kb("64") == 65536
    assert parse_kb(str(1 << 53)) is None


FAULTS = [
    # what is replaced, by what, words of the warning
    ('"00400000","Image","936"', '"004000zz","Image","936"', "no address"),
    ('"00400000","Image","936"', '"00400000","Image","many"', "no address or no size"),
    ('"00400000","Image","936"', '"00400000","Bild","936"', "type is not one of VMMap's"),
    ('"00400000","Image","936","936"', '"00400000","Image","936","?"', "not a number"),
    ('"Execute/Read",".text"', '"Execute/Sing",".text"', "protection is not one of VMMap's"),
    ('"Execute/Read",".text"', '"10000000000",".text"', "protection is not one of VMMap's"),
    ('"Execute/Read",".text"', '"-1",".text"', "protection is not one of VMMap's"),
    ('"  00401000"', '"  00801000"', "outside the allocation"),
    ('"  00401000"', '"  00400000"', "does not fit"),
    ('"  00401000","Image","888"', '"  00401000","Image","880"', "do not cover"),
    (
        '"  00401000","Image","888","888"',
        '"  00401000","Image","888","880"',
        "do not add up to their allocation in committed",
    ),
    ('"006D0000"', '"00410000"', "overlaps another row"),
    ('"Heap","', '"Heap","x', "a figure of the summary"),
    ('"00010000","Shareable"', '"0x00010000","Shareable"', ""),
]


@pytest.mark.parametrize(("old", "new", "words"), FAULTS)
def test_a_bad_row_costs_only_itself(old: str, new: str, words: str) -> None:
    text = csv_text(sample())
    assert text.count(old) == 1
    snapshot = from_csv(text.replace(old, new))
    assert any(words in warning for warning in snapshot.warnings) == bool(words), snapshot.warnings
    assert "line " in "".join(snapshot.warnings) or not words
    heap = {line.name: line for line in map_snapshot(snapshot).summary_lines}["Managed Heap"]
    assert heap.size == (4 + 1024 + 31740) * KB


def test_figures_of_an_allocation_win_over_those_of_its_blocks() -> None:
    text = csv_text(sample()).replace('"  00401000","Image","888","888"', '"  00401000","Image","888","4"')
    assert_summary(from_csv(text), sample())
    more = csv_text(sample()).replace('"  00401000","Image","888","888"', '"  00401000","Image","888","900"')
    assert_summary(from_csv(more), sample())


def test_private_bytes_of_images_are_those_of_the_blocks_and_no_damage() -> None:
    # As VMMap writes them: the row of the allocation says less than its blocks, and the summary adds up the blocks.
    text = csv_text(sample())
    head = '"00400000","Image","936","936","24",'
    assert head in text
    snapshot = from_csv(text.replace(head, '"00400000","Image","936","936","16",'))
    assert snapshot.warnings == ()
    assert_summary(snapshot, sample())
    (note,) = snapshot.source.notes
    assert "private bytes of 1 image differ" in note
    recorded = {row.type: row.values for row in snapshot.recorded_summary}
    for line in map_snapshot(snapshot).summary_lines:
        for column in COLUMNS:
            assert (getattr(line, column) or 0) == (recorded[line.name].get(column) or 0), f"{line.name}, {column}"


def test_the_private_bytes_of_other_types_are_those_of_the_allocation() -> None:
    head = '"7FFE0000","Private Data","4","4","4",'
    text = csv_text(sample())
    assert head in text
    snapshot = from_csv(text.replace(head, '"7FFE0000","Private Data","4","4","",'))
    assert any("do not add up" in warning for warning in snapshot.warnings)
    assert snapshot.source.notes == ()


@pytest.mark.parametrize(("digits", "architecture"), [(8, "x86"), (16, "x64")])
def test_the_architecture_is_inferred_from_the_addresses(digits: int, architecture: str) -> None:
    allocations = [one for one in sample() if "64-bit" not in one.details]
    region_map = map_snapshot(from_csv(csv_text(allocations, digits=digits)))
    assert region_map.snapshot.process.architecture == "unknown"  # the file does not say
    assert region_map.process.architecture == architecture
    assert any("inferred from the width of the addresses" in note for note in region_map.notes)
    again = map_snapshot(load_snapshot(snapshot_json(region_map.snapshot, []), name="a.json"))
    assert again.process.architecture == architecture
    assert any("inferred from the width of the addresses" in note for note in again.notes)


@pytest.mark.parametrize(
    "text",
    ["", "\r\r\n", "Process: x", "a,b,c\n1,2,3\n", '"Type","Size","Committed"\n"Total","5","5"\n', "\0\1\2" * 50],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(FormatError, match="not a VMMap export"):
        from_csv(text)


def test_a_table_without_rows_is_refused() -> None:
    text = csv_text(sample())
    with pytest.raises(FormatError, match="no readable row") as caught:
        from_csv(text[: text.index('"00010000"')])
    assert caught.value.place is not None


def test_every_prefix_of_a_csv() -> None:
    text = csv_text(sample()[:3]).encode()
    for length in range(len(text)):
        with contextlib.suppress(FormatError):
            map_snapshot(load_vmmap_csv(text[:length], name="x"))


# --- .mmp -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("free", [True, False])
def test_mmp(nested: bool, free: bool) -> None:
    snapshot = from_mmp(mmp_text(mmp_rows(sample(), nested=nested, free=free)))
    assert snapshot.warnings == ()
    if free:
        # The file has no Locked WS.
        assert_summary(snapshot, sample(), without=("locked_ws",))
    assert snapshot.regions is not None
    assert "locked_ws" not in snapshot.regions.numbers
    assert (snapshot.process.pid, snapshot.process.name) == (4242, "app.exe")
    assert snapshot.counters.page_table == PAGE_TABLE * KB
    assert snapshot.source.captured_at == dt.datetime(2024, 1, 17, 21, 20, tzinfo=dt.UTC)


def test_csv_and_mmp_of_one_process_give_one_map() -> None:
    left = map_snapshot(from_csv(csv_text(sample()))).regions.drop(columns="locked_ws")
    right = map_snapshot(from_mmp(mmp_text(mmp_rows(sample())))).regions.drop(columns="locked_ws")
    assert left.equals(right)


def test_rows_in_any_order() -> None:
    rows = mmp_rows(sample(), nested=False)
    heads = [row for row in rows if 'Blocks="0"' not in row]
    rest = [row for row in rows if 'Blocks="0"' in row]
    random.Random(1).shuffle(heads)
    random.Random(2).shuffle(rest)
    expected = map_snapshot(from_mmp(mmp_text(rows))).regions
    assert map_snapshot(from_mmp(mmp_text([*heads, *rest]))).regions.equals(expected)


def test_the_last_of_several_snapshots_is_read_unless_told_otherwise() -> None:
    first, second, third = sample()[:2], sample()[:4], sample()
    text = mmp_text(mmp_rows(first), mmp_rows(second), mmp_rows(third))
    assert len(from_mmp(text).modules) == 2
    assert from_mmp(text).comments == ("snapshot 3 of 3",)
    assert len(from_mmp(text, snapshot_index=1).modules) == 0
    assert len(from_mmp(text, snapshot_index=2).modules) == 1
    assert from_mmp(text, snapshot_index=2).comments == ("snapshot 2 of 3",)
    with pytest.raises(FormatError, match="holds 3 snapshots; there is no number 4"):
        from_mmp(text, snapshot_index=4)
    with pytest.raises(ValueError, match="counted from 1"):
        from_mmp(text, snapshot_index=0)


def test_a_file_without_snapshot_elements_is_one_snapshot() -> None:
    text = "<x>" + "".join(mmp_rows(sample())) + "</x>"
    assert len(from_mmp(text).modules) == 2
    with pytest.raises(FormatError, match="one snapshot; there is no number 2"):
        from_mmp(text, snapshot_index=2)


def test_use_type_decides_and_words_help_out() -> None:
    base = '<Region Address="{}" Size="65536" Commit="65536" Blocks="1" Protection="4" {}/>'
    rows = [
        base.format(0x10000, 'UseType="1" Type="Heap"'),
        base.format(0x20000, 'Type="Managed Heap"'),
        base.format(0x30000, 'UseType="7" Type="Shareable"'),
        base.format(0x40000, 'UseType="7" Type="Odd"'),
        base.format(0x50000, 'UseType="2"'),
        base.format(0x60000, 'UseType="4" Storage="262144"'),
        base.format(0x70000, 'UseType="9"'),
    ]
    snapshot = from_mmp(mmp_text(rows, attributes=""))
    regions = snapshot.regions
    assert regions is not None
    types = [regions.texts["recorded_type"][i] for i in range(len(regions))]
    assert types == ["Stack", "Managed Heap", "Shareable", None, "Image", "Private Data"]
    assert regions.type.tolist() == [0x20000, 0x20000, 0x40000, 0x20000, 0x1000000, 0x40000]
    assert snapshot.counters.page_table == 65536
    assert len(snapshot.warnings) == 1
    assert "Odd" in snapshot.warnings[0]


def test_page_tables_as_rows_are_not_in_the_space() -> None:
    rows = [*mmp_rows(sample()), '<Region Address="0" Size="421888" UseType="9"/>']
    snapshot = from_mmp(mmp_text(rows, attributes=""))
    assert snapshot.counters.page_table == PAGE_TABLE * KB
    assert_summary(snapshot, sample(), without=("locked_ws",))


def test_numbers_at_the_edge_do_no_harm() -> None:
    """No row's figure may exceed its size, so that no sum can exceed the address space."""
    largest = (1 << 62) - 1
    figures = " ".join(f'{name}="{largest}"' for name in ("Commit", "PrivateWS", "ShareableWS", "SharedWS", "Blocks"))
    row = f'<Region Address="65536" Size="65536" {figures} UseType="4" Details="Thread ID: {"9" * 5000}"/>'
    map_snapshot(from_mmp(mmp_text([row]))).summary()
    text = (
        csv_text(sample())
        .replace('"Thread ID: 2508"', f'"Thread ID: {"9" * 5000}"')
        .replace('"PID:","4', '"PID:","9999999999')
    )
    for digits in (12, 15, 18, 19, 30, 5000):
        map_snapshot(from_csv(text.replace('"936","936"', f'"936","{"9" * digits}"'))).summary()
        map_snapshot(from_csv(text.replace('"","4","Execute', f'"","{"9" * digits}","Execute'))).summary()
        map_snapshot(from_csv(text.replace('"Free","', f'"Free","{"9" * digits}'))).summary()


def test_a_reduced_vmmap_file_gives_the_same_map() -> None:
    first = from_csv(csv_text(sample()))
    second = load_snapshot(snapshot_json(first, []), name="app.json")
    assert second.source.kind == "vmmap"
    assert map_snapshot(second).regions.equals(map_snapshot(first).regions)
    assert map_snapshot(second).summary().equals(map_snapshot(first).summary())


BAD_ROWS = [
    ('Address="x"', "Address is not an integer"),
    ('Address="-5"', "Address is not an integer"),
    ('Address="1.5"', "Address is not an integer"),
    ('Address="1_000"', "Address is not an integer"),
    ('Address="99999999999999999999"', "Address is not an integer"),
    ('Address="99999999999999999999999999"', "Address is not an integer"),
    ('Address="0xfffffffffffff000"', "impossible"),
    ('Address="65536" Size="0"', "no size"),
    ('Address="65536" Size="18446744073709551615"', "impossible"),
    ('Address="65536" Protection="rw"', "Protection is not an integer"),
]


@pytest.mark.parametrize(("attributes", "words"), BAD_ROWS)
def test_a_bad_region_is_left_out_with_its_line(attributes: str, words: str) -> None:
    size = "" if "Size" in attributes else 'Size="65536" '
    bad = f'<Region {attributes} {size}UseType="4"/>'
    snapshot = from_mmp(mmp_text([bad, *mmp_rows(sample())]))
    assert len(snapshot.warnings) == 1
    assert words in snapshot.warnings[0]
    assert "line 4" in snapshot.warnings[0]
    assert_summary(snapshot, sample(), without=("locked_ws",))


def test_unknown_elements_and_attributes_are_passed_over() -> None:
    rows = [row.replace("<Region ", '<Region Future="x&amp;y" ') for row in mmp_rows(sample())]
    rows.insert(3, "<Extra Size='12'><More/>text</Extra>")
    assert_summary(from_mmp(mmp_text(rows)), sample(), without=("locked_ws",))


def test_a_document_type_is_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    external = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    for head in (bomb, external):
        with pytest.raises(FormatError, match=r"\(DTD\), which dumpmap refuses") as caught:
            from_mmp(head + "<root><Snapshot>&b;</Snapshot></root>")
        assert caught.value.place == "line 1"
        with pytest.raises(FormatError):
            from_mmp(head + "<root/>")


def test_an_undeclared_entity_ends_the_reading() -> None:
    rows = mmp_rows(sample()[:2], free=False)
    snapshot = from_mmp(mmp_text([*rows, '<Region Address="&x;"/>', *mmp_rows(sample()[2:])]))
    assert snapshot.regions is not None
    assert len(snapshot.regions) == 2
    assert "cut off or damaged" in snapshot.warnings[0]


@pytest.mark.parametrize("text", ["", "<", "<root/>", "<root></root>", "not xml", "<a><b></a>", "<?xml version='9'?>"])
def test_other_xml_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        from_mmp(text)


def test_a_snapshot_without_rows_is_refused() -> None:
    with pytest.raises(FormatError, match="no readable row"):
        from_mmp(mmp_text([]))


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
def test_mmp_in_any_encoding(codec: str) -> None:
    allocations = sample()
    allocations[1].details = "C:\\Данные\\размер.bin"
    name = {"cp1251": "windows-1251", "utf-16": "utf-16"}.get(codec, "UTF-8")
    text = mmp_text(mmp_rows(allocations)).replace('encoding="UTF-8"', f'encoding="{name}"')
    regions = load_mmp(text.encode(codec), name="x").regions
    assert regions is not None
    assert allocations[1].details in regions.texts["file"].values


def test_unknown_encodings_are_refused() -> None:
    for name in ("martian", "utf-7", "shift_jis"):
        text = mmp_text(mmp_rows(sample())).replace('encoding="UTF-8"', f'encoding="{name}"')
        with pytest.raises(FormatError):
            from_mmp(text)


def test_what_comes_before_a_cut_is_read() -> None:
    text = mmp_text(mmp_rows(sample()))
    snapshot = from_mmp(text[: len(text) // 2])
    assert snapshot.regions is not None
    assert 5 < len(snapshot.regions) < 40
    assert "cut off or damaged" in snapshot.warnings[0]
    assert "line " in snapshot.warnings[0]
    assert not snapshot.regions_complete


def test_every_prefix_of_a_mmp() -> None:
    text = mmp_text(mmp_rows(sample()[:2])).encode()
    for length in range(len(text)):
        with contextlib.suppress(FormatError):
            map_snapshot(load_mmp(text[:length], name="x"))


@pytest.mark.parametrize(
    "text",
    [
        "<root><Region Details='" + "x" * (40 << 20),
        "<root><!--" + "x" * (40 << 20),
        "<root " + "a" * (40 << 20),
        "<root>" * 200_000,
        "<root><Region " + " ".join(f"a{i}='1'" for i in range(100_000)) + "/>",
    ],
    ids=["attribute", "comment", "name", "depth", "attributes"],
)
def test_hostile_xml_is_done_with_quickly(text: str) -> None:
    start = time.process_time()
    with pytest.raises(FormatError):
        from_mmp(text)
    assert time.process_time() - start < 10


def test_overlapping_allocations_do_not_overlap_in_the_snapshot() -> None:
    rows = [
        '<Region Address="65536" Size="131072" Commit="4096" UseType="4" Blocks="1"/>',
        '<Region Address="131072" Size="131072" Commit="4096" UseType="4" Blocks="1"/>',
        '<Region Address="327680" Size="65536" Commit="4096" UseType="4" Blocks="1"/>',
    ]
    snapshot = from_mmp(mmp_text(rows))
    assert snapshot.regions is not None
    assert snapshot.regions.base.tolist() == [65536, 327680]
    assert "overlaps another row" in snapshot.warnings[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<root></root>", "an XML file, but not VMMap's: it has no Region element"),
        ("<root>", "not a readable VMMap file: damaged before its first Region element"),
        ("<root", "not a readable VMMap file: damaged before its first Region element"),
    ],
)
def test_a_file_without_rows_says_whether_it_is_damaged(text: str, problem: str) -> None:
    with pytest.raises(FormatError) as caught:
        from_mmp(text)
    assert problem in str(caught.value)


# --- any damage -------------------------------------------------------------------------------------------------------

CSV_BYTES = csv_text(sample()).encode()
MMP_BYTES = mmp_text(mmp_rows(sample())).encode()
TXT_BYTES = txt_text(sample()).encode()


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["csv", "txt", "mmp"]))
def test_any_damage_ends_in_a_map_or_our_error(data: st.DataObject, kind: str) -> None:
    text = bytearray({"csv": CSV_BYTES, "txt": TXT_BYTES, "mmp": MMP_BYTES}[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        size = data.draw(st.integers(0, 12))
        text[at : at + size] = data.draw(st.binary(max_size=12) | st.text('0123456789ABCDEF"<>,; \r\n').map(str.encode))
    load = load_mmp if kind == "mmp" else load_vmmap_csv
    with contextlib.suppress(FormatError):
        region_map = map_snapshot(load(bytes(text), name="x"))
        assert region_map.total.size is not None
        assert len(region_map.regions) >= len(region_map.allocations)
