"""The page as text: complete in itself, harmless whatever the names, and true to the map."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.maps import (
    FIXTURES,
    HOSTILE,
    ODD_ADDRESSES,
    ODD_SIZE,
    RECORDED,
    decode,
    hostile_map,
    large_map,
    partial_map,
    plain,
    recorded,
    working_set_map,
)
from support.pages import Page, check_alone, data_of

import dumpmap
from dumpmap.analysis.free import free_space
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.classify.vocabulary import EVIDENCE
from dumpmap.model.columns import COLUMNS, LARGEST, REGION_COLUMNS, SUMMARY_COLUMNS
from dumpmap.model.snapshot import Process, Snapshot, Source, make_regions
from dumpmap.model.types import TYPES
from dumpmap.render.html import assets, packing, page, render_report, summary_fragment, write_report
from dumpmap.render.html.diagnosis import diagnosis_card
from dumpmap.render.html.free_blocks import size_bands
from dumpmap.render.html.head import COMPLETENESS_HELP, key_figures
from dumpmap.render.html.overview import bars, knows_working_set
from dumpmap.render.html.scale import cut_length
from dumpmap.views.frames import RowColumns
from dumpmap.wording.findings import EXPLANATIONS, find
from dumpmap.wording.text import short_size, size_text
from dumpmap.wording.verdicts import VERDICTS, Verdict
from dumpmap.writers.snapshot_json import clean_text

# ---------------------------------------------------------------- complete in itself


@pytest.mark.parametrize("name", RECORDED)
def test_elements_are_balanced(name: str) -> None:
    page = Page(render_report(recorded(name)))
    assert page.unbalanced == []
    assert page.open == []


def test_nothing_is_fetched_and_the_policy_says_so() -> None:
    check_alone(render_report(recorded("layout-x64.dmp.gz")))


def test_every_script_is_in_the_page() -> None:
    static = Path(assets.__file__).parents[1] / "static"
    used = {name for names in assets.SCRIPTS.values() for name in names}
    assert used == {path.name for path in static.glob("*.js")}


# ---------------------------------------------------------------- hostile names


def test_names_are_text() -> None:
    region_map = hostile_map()
    text = render_report(region_map, keep_text=True)
    page, data = Page(text), data_of(text)
    assert page.unbalanced == []
    tags = {tag for tag, _ in page.elements}
    known = {tag for tag, _ in Page(render_report(recorded("layout-x64.dmp.gz"))).elements}
    assert tags <= known | {"details", "summary", "ul", "li"}
    assert [attributes for _, attributes in page.elements if attributes.get("id") == "out"] == []
    assert page.texts["h1"] == [region_map.process.name]
    comment = "".join(page.texts["dd"])
    assert HOSTILE[0] + HOSTILE[1] in comment
    names = json.dumps(data, ensure_ascii=False)
    for name in HOSTILE:
        assert json.dumps(name, ensure_ascii=False)[1:-1] in names
    assert "49" not in "".join(page.texts["h1"])


def test_json_in_a_script_cannot_leave_it() -> None:
    text = "".join(assets.script_json({name: name for name in HOSTILE} | {"half": "\ud800", "line": "\u2028"}))
    assert "<" not in text
    assert json.loads(text)[HOSTILE[0]] == HOSTILE[0]
    text.encode()


def test_code_spans_escape_the_rest() -> None:
    assert assets.code_spans("`a <b>` & <c>") == "<code>a &lt;b&gt;</code> &amp; &lt;c&gt;"


def test_control_characters_are_replaced() -> None:
    snapshot = Snapshot(source=Source(kind="live", name="a\x1b[31mred\x9b.json"), process=Process(name="app\x07.exe"))
    page = render_report(map_snapshot(snapshot))
    assert "a\ufffd[31mred\ufffd.json" in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    snapshot = Snapshot(source=Source(kind="live", name="\ud800.json"), process=Process(name="bad\udcffname.exe"))
    region_map = map_snapshot(snapshot)
    write_report(region_map, tmp_path / "page.html")
    assert "bad\ufffdname.exe" in (tmp_path / "page.html").read_text("utf-8")
    summary_fragment(region_map).encode()


def test_the_fragment_escapes_too() -> None:
    page = Page(summary_fragment(hostile_map()))
    assert page.unbalanced == []
    assert {tag for tag, _ in page.elements} <= {"div", "span", "table", "thead", "tbody", "tr", "th", "td"}


# ---------------------------------------------------------------- true to the map


def frames_agree(region_map: RegionMap, data: dict[str, Any]) -> None:
    """Checks every row and block of a page's data against the map."""
    allocations, regions = region_map.allocations, region_map.regions
    rows = list(decode(data))
    assert [row.address for row in rows] == allocations["address"].tolist()
    for name in COLUMNS[1:]:
        expected = plain(allocations[name].tolist())
        assert [row.values[name] for row in rows] == expected, name
    by_base = regions.groupby("allocation", sort=True)
    bases = dict(iter(by_base))
    for row in rows:
        blocks = bases[row.address]
        if not row.blocks:
            assert len(blocks) == 1
            continue
        assert [block.address for block in row.blocks] == blocks["address"].tolist()
        for name in COLUMNS[1:]:
            if name != "blocks":
                assert [block.values[name] for block in row.blocks] == plain(blocks[name].tolist()), name


@pytest.mark.parametrize("name", RECORDED)
def test_every_row_and_block_is_in_the_page(name: str) -> None:
    region_map = recorded(name)
    frames_agree(region_map, data_of(render_report(region_map)))


@pytest.mark.corpus
def test_every_row_of_the_corpus_is_in_its_page(corpus: Path) -> None:
    seen = 0
    for path in sorted(corpus.glob("*.dmp")):
        try:
            region_map = dumpmap.open(path)
        except dumpmap.DumpmapError:
            continue
        frames_agree(region_map, data_of(render_report(region_map)))
        seen += 1
    assert seen > 50


def test_addresses_above_two_to_the_53_are_exact() -> None:
    region_map = partial_map()
    data = data_of(render_report(region_map))
    frames_agree(region_map, data)
    assert data["unit"] == 1
    assert [row.address for row in decode(data)] == list(ODD_ADDRESSES)
    assert [row.values["size"] for row in decode(data)] == [ODD_SIZE] * len(ODD_ADDRESSES)


def test_sizes_above_two_to_the_53_are_exact() -> None:
    odd = (1 << 61) + 1
    regions = make_regions(
        [(0x1001, 0x1001, 4, odd, 0x1000, 4, 0x20000), (0x1001 + odd, 0x1001 + odd, 4, 7, 0x1000, 4, 0x20000)]
    )
    region_map = map_snapshot(Snapshot(source=Source(kind="live", name="x"), process=Process(), regions=regions))
    frames_agree(region_map, data_of(render_report(region_map)))


def test_working_sets_are_shown_where_known_and_blank_where_not() -> None:
    region_map = working_set_map()
    text = render_report(region_map)
    data = data_of(text)
    frames_agree(region_map, data)
    assert data["rows"]["locked_ws"] is None
    rows = {row.address: row for row in decode(data)}
    assert rows[0x40000].values["total_ws"] is None
    assert rows[0x10000].values["total_ws"] == 0x3000
    headings = [heading for heading in Page(text).texts["th"] if heading.endswith("WS")]
    assert headings == ["Total WS", "Private WS", "Shareable WS", "Shared WS", "Locked WS"]


@pytest.mark.corpus
def test_the_working_set_of_page_tables_is_not_that_of_the_process(corpus: Path) -> None:
    region_map = dumpmap.open(corpus / "electron_node-minidump__linux.dmp")
    assert region_map.counters.page_table
    figures = {figure.label: figure.value for figure in key_figures(region_map, free_space(region_map))}
    counted = region_map.counters.working_set
    assert counted is not None
    assert figures["Working set"] == short_size(counted)
    bar = next(bar for bar in bars(region_map) if bar.title == "Working set")
    assert bar.figure == short_size(counted)
    assert [part.type for part in bar.parts] == [-1]
    assert "Total WS" not in Page(summary_fragment(region_map)).texts["th"]


@pytest.mark.parametrize("name", RECORDED)
def test_the_type_table_is_the_maps(name: str) -> None:
    region_map = recorded(name)
    text = render_report(region_map)
    table = re.search(r'<table class="summary".*?</table>', text, re.DOTALL)
    assert table is not None
    page = Page(table.group(0))
    rows = [
        re.findall(r"<td[^>]*>(.*?)</td>", row)
        for row in re.findall(r"<tr data-type.*?</tr>", table.group(0), re.DOTALL)
    ]
    shown = [heading.strip() for heading in page.texts["button"]]
    assert shown == [line.name for line in region_map.summary_lines]
    has_working_set = knows_working_set(region_map)
    names = [column for column in SUMMARY_COLUMNS if has_working_set or "_ws" not in column]
    for line, cells in zip(region_map.summary_lines, rows, strict=True):
        values = [getattr(line, column) for column in names]
        if all(value is None for value in values):
            assert cells == ["unknown"] + [""] * (len(names) - 1)
            continue
        for column, value, cell in zip(names, values, cells, strict=True):
            if value is None:
                assert cell == ""
            else:
                assert cell == (f"{value:,}" if column == "blocks" else size_text(value))


def test_a_partial_map_says_not_known_and_no_zero() -> None:
    region_map = recorded("layout-x64-plain.dmp.gz")
    page = Page(render_report(region_map))
    figures = {figure.label: figure.value for figure in key_figures(region_map, free_space(region_map))}
    assert figures["Free address space"] == figures["Largest free block"] == "unknown"
    assert figures["Committed"].startswith("at least ")
    assert "Unknown: the input does not list the regions." in page.texts["p"]
    assert any(COMPLETENESS_HELP["partial"] in text for text in page.texts["p"])


def test_bars_add_up() -> None:
    for name in RECORDED:
        region_map = recorded(name)
        total = region_map.total
        scale = max(total.committed or 0, total.private or 0, region_map.counters.working_set or 0)
        committed = next(bar for bar in bars(region_map) if bar.title == "Committed")
        assert sum(part.width for part in committed.parts) == pytest.approx(
            1000 * (total.committed or 0) / scale, abs=0.1
        )
        for bar in bars(region_map):
            place = 0.0
            for part in bar.parts:
                assert part.place == pytest.approx(place, abs=0.01)
                place = part.place + part.width
            assert place <= 1000.1


def test_size_bands_hold_every_free_block() -> None:
    for name in RECORDED:
        space = free_space(recorded(name))
        if space is None:
            continue
        rows = size_bands(space)
        assert sum(row.blocks for row in rows) == space.count
        assert sum(row.size for row in rows) == space.total
        if not rows:  # nothing is free except the first 64 KB, which Windows reserves
            assert name.startswith("exhaust-x86")
            continue
        assert rows[0].at_least == space.count
        assert rows[-1].at_least == rows[-1].blocks
        assert all(after.at_least == before.at_least - before.blocks for before, after in itertools.pairwise(rows))


def test_a_32_bit_space_is_to_scale_and_a_64_bit_one_cut() -> None:
    def cut_of(region_map: RegionMap) -> int | None:
        allocations, regions = RowColumns(region_map, blocks=False), RowColumns(region_map, blocks=True)
        return cut_length(allocations, regions, region_map.end)

    small, large = recorded("fragment-x86.dmp.gz"), recorded("layout-x64.dmp.gz")
    assert cut_of(small) is None
    cut = cut_of(large)
    assert cut is not None
    assert cut & (cut - 1) == 0
    sizes = large.regions["size"].to_numpy(np.int64)
    empty = large.regions["committed"].to_numpy(np.int64, na_value=0) == 0
    assert np.minimum(sizes[empty], cut).sum() <= 3 * sizes[~empty].sum()


def test_a_block_that_says_nothing_new_is_left_out() -> None:
    region_map = large_map(2000)
    rows = list(decode(data_of(render_report(region_map))))
    counts = region_map.regions.groupby("allocation").size()
    for row in rows:
        assert len(row.blocks) == (0 if counts[row.address] == 1 else counts[row.address])


# ---------------------------------------------------------------- diagnosis


def test_every_finding_and_the_verdict_are_shown() -> None:
    region_map = recorded("exhaust-x86.dmp.gz")
    page = Page(render_report(region_map))
    found = find(region_map)
    assert [attributes.get("data-id") for attributes in page.of("li") if "data-id" in attributes] == [
        f.id for f in found
    ]
    texts = "\n".join((*page.texts["header"], *page.texts["section"]))
    for finding in found:
        assert finding.title in texts
        assert finding.detail in texts
    assert "Out of address space" in texts


@pytest.mark.parametrize("name", VERDICTS)
def test_every_verdict_has_a_level(name: Any) -> None:
    made = diagnosis_card(Verdict(name, (), "So it is.", {"state": "unknown"}, {"state": "unknown"}), [])
    assert made.level == {"out": "critical", "no": "ok", "cannot": "info"}.get(name.split("-")[0], "warning")
    assert made.title[0].isupper()
    assert [axis.figures for axis in made.axes] == [(), (), ()]


def test_every_rule_has_what_the_page_says_of_it() -> None:
    for explanation in EXPLANATIONS.values():
        for text in (explanation.meaning, explanation.why, explanation.confirm, explanation.advice):
            assert text
            assert text.count("`") % 2 == 0


# ---------------------------------------------------------------- words


def test_the_help_explains_every_type_column_and_evidence() -> None:
    page = Page(render_report(recorded("layout-x64.dmp.gz")))
    dialog = page.texts["dialog"][0]
    for info in TYPES:
        assert info.name in dialog
        assert info.meaning in dialog
    for evidence in EVIDENCE:
        assert evidence.name in dialog
        assert evidence.meaning in dialog
    columns = (*REGION_COLUMNS, LARGEST)
    assert {column.name for column in columns} == {*COLUMNS, *SUMMARY_COLUMNS}
    for column in columns:
        assert column.title in dialog
        assert column.help in dialog


def test_every_type_has_its_colour_in_the_page() -> None:
    style = assets.style("report")
    for info in TYPES:
        assert f"--t{int(info.type)}:{info.color}" in style
        assert f".t{int(info.type)}{{" in style


def test_notes_and_warnings_are_listed_and_bounded() -> None:
    warnings = tuple(f"warning {number}" for number in range(500))
    snapshot = Snapshot(source=Source(kind="live", name="x"), process=Process(), warnings=warnings)
    region_map = map_snapshot(snapshot)
    text = render_report(region_map)
    assert "warning 199" in text
    assert "warning 200" not in text
    assert "and 300 more" in text
    for note in region_map.notes:
        assert note[1:] in text


def test_an_empty_map_makes_a_page() -> None:
    region_map = map_snapshot(Snapshot(source=Source(kind="live", name="x"), process=Process()))
    page = Page(render_report(region_map))
    assert page.unbalanced == []
    assert page.texts["h1"] == ["Unknown process"]


def test_pages_of_one_map_are_equal() -> None:
    region_map = recorded("layout-x64.dmp.gz")
    assert render_report(region_map) == render_report(region_map)


# ---------------------------------------------------------------- the file


def test_a_file_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    region_map = recorded("layout-x86-plain.dmp")
    write_report(region_map, path)
    first = path.read_text("utf-8")
    assert first == render_report(region_map)
    path.write_text("mine", "utf-8")
    with pytest.raises(dumpmap.OutputError, match="already exists"):
        write_report(region_map, path)
    assert path.read_text("utf-8") == "mine"
    write_report(region_map, str(path), force=True)
    assert path.read_text("utf-8") == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_a_large_page_is_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the page nor its columns are in memory as a whole."""
    region_map, written, alive, most = large_map(60_000), tmp_path / "page.html", [0], [0]
    made = packing.Numbers.__init__

    def count(self: packing.Numbers, *arguments: Any) -> None:
        made(self, *arguments)
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        weakref.finalize(self, lambda: alive.__setitem__(0, alive[0] - 1))

    monkeypatch.setattr(packing.Numbers, "__init__", count)
    sizes: list[int] = []

    def note(text: str) -> str:
        sizes.append(len(text))
        return clean_text(text)

    monkeypatch.setattr("dumpmap.render.html.assets.clean_text", note)
    write_report(region_map, written)
    assert sum(sizes) > 1_000_000
    assert max(sizes) < sum(sizes) / 5
    assert most[0] <= 4


def test_a_page_needs_no_pandas(tmp_path: Path) -> None:
    code = "import sys, dumpmap\nsys.modules['pandas'] = None\ndumpmap.open(sys.argv[1]).to_html(sys.argv[2])\n"
    done = subprocess.run(
        [sys.executable, "-c", code, str(FIXTURES / "layout-x64.dmp.gz"), str(tmp_path / "page.html")], check=False
    )
    assert done.returncode == 0


def test_what_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(dumpmap.OutputError):
        write_report(recorded("layout-x86-plain.dmp"), tmp_path / "nowhere" / "page.html")
    with pytest.raises(dumpmap.OutputError):
        write_report(recorded("layout-x86-plain.dmp"), tmp_path, force=True)


def test_a_page_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("old", "utf-8")

    def fail(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(page, "page_data", fail)
    with pytest.raises(RuntimeError):
        write_report(recorded("layout-x86-plain.dmp"), path, force=True)
    assert path.read_text("utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_the_map_itself_writes_it(tmp_path: Path) -> None:
    recorded("layout-x86-plain.dmp").to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 50_000


# ---------------------------------------------------------------- notebooks


@pytest.mark.parametrize("name", RECORDED)
def test_the_fragment_shows_the_summary(name: str) -> None:
    region_map = recorded(name)
    text = region_map._repr_html_()
    assert text == summary_fragment(region_map)
    page = Page(text)
    assert page.unbalanced == []
    assert "<style" not in text
    assert "<script" not in text
    assert "class=" not in text
    cells = page.texts["td"]
    for line in region_map.summary_lines:
        assert line.name in cells
        for column in ("size", "committed"):
            value = getattr(line, column)
            assert value is None or size_text(value) in cells
    assert len(cells) == len(region_map.summary_lines) * len(page.texts["th"])
