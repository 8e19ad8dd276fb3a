"""The page of a batch as text: complete in itself, true to the rows, harmless whatever the names, and small."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.batches import MB, batch
from support.maps import HOSTILE
from support.pages import Page, check_alone, packed_data_of
from support.triage import partial_dump, small_dump, starved_dump

from dumpmap.cli.app import run as run_command
from dumpmap.render.triage import write_rows
from dumpmap.triage import Row, select
from dumpmap.triage.rows import empty_row


def page_of(rows: list[Row], **options: Any) -> str:
    out = io.StringIO()
    write_rows(rows, "html", out, **options)
    return out.getvalue()


def text_column(data: dict[str, Any], name: str) -> list[str]:
    packed = data["texts"][name]
    return [packed["values"][code] for code in packed["codes"]]


def test_the_page_is_complete_in_itself() -> None:
    check_alone(page_of(batch(50)))
    check_alone(page_of([]))


def test_every_row_is_in_the_page() -> None:
    rows = batch(400)
    data = packed_data_of(page_of(rows))
    assert data["count"] == 400
    assert data["prefix"] == "/srv/crashes/"
    assert [data["prefix"] + path for path in data["paths"]] == [row["path"] for row in rows]
    for name in ("verdict", "process", "version", "sentence", "headline", "exception", "top_owner", "error"):
        assert text_column(data, name) == [row[name] or "" for row in rows], name
    for name in ("process_commit", "committed", "top_owner_committed", "fragmentation", "heap_committed", "pid"):
        assert data["numbers"][name] == [row[name] for row in rows], name
    found = data["found"]
    assert [[found["values"][code] for code in codes] for codes in found["codes"]] == [
        row["findings"] or [] for row in rows
    ]
    assert set(found["values"]) == set(data["findings"])
    for texts in data["findings"].values():
        assert texts["title"]
        assert texts["advice"]
        assert texts["severity"] in ("critical", "warning", "info")
    severities = ["critical", "warning", "info", None]
    expected = [4 if row["status"] == "error" else severities.index(row["severity"]) for row in rows]
    assert data["rank"] == expected


def test_figures_that_are_bounds_say_so() -> None:
    rows = batch(400)
    data = packed_data_of(page_of(rows))
    for index, row in enumerate(rows):
        shown = data["numbers"]["largest_free"][index]
        bound = data["bounds"]["largest_free"][index]
        if row["largest_free"] is not None:
            assert (shown, bound) == (row["largest_free"], 0)
        else:
            assert (shown, bound) == (row["largest_free_at_most"], 0 if row["largest_free_at_most"] is None else 2)
        assert data["bounds"]["committed"][index] == (1 if row["lower_bound"] else 0)


def test_times_are_seconds() -> None:
    rows = batch(3)
    rows[0]["captured_at"], rows[1]["captured_at"], rows[2]["captured_at"] = (
        "2026-03-01T00:00:01Z",
        None,
        "1970-01-02T00:00:00Z",
    )
    text = page_of(rows)
    assert packed_data_of(text)["time"] == [1772323201, None, 86400]
    assert "captured from 1970-01-02 to 2026-03-01" in "".join(Page(text).texts["span"])


def test_ten_thousand_rows_are_a_small_page() -> None:
    text = page_of(batch(10_000))
    assert len(text.encode()) < 3 * MB
    assert packed_data_of(text)["count"] == 10_000


def test_without_scripts_the_page_counts_the_verdicts() -> None:
    rows = batch(300)
    page = Page(page_of(rows))
    counts = Counter(row["verdict"] for row in rows if row["verdict"])
    shown = dict(zip(page.texts["th"][3:], page.texts["td"][::2], strict=False))
    assert shown == {name: str(count) for name, count in counts.items()}
    numbers = [int(text) for text in page.texts["dd"][:5]]
    assert sum(numbers) == 300
    assert numbers[0] == sum(row["severity"] == "critical" for row in rows)


def test_names_are_text_and_messages_of_the_writer_are_left_out() -> None:
    rows = batch(len(HOSTILE))
    for row, name in zip(rows, HOSTILE, strict=True):
        row |= {"path": f"/dumps/{name}.dmp", "process": name, "version": name, "top_owner": name, "sentence": name}
        row |= {"error": name, "warning": name, "exception_line": name, "writer_message": "SECRET of a user"}
    text = page_of(rows, group_by=["process"], selection=select(f"process={HOSTILE[0]}"))
    check_alone(text)
    tags = {tag for tag, _ in Page(text).elements}
    assert tags == {
        tag for tag, _ in Page(page_of(batch(5), group_by=["process"], selection=select("process=x"))).elements
    }
    data = packed_data_of(text)
    assert text_column(data, "process") == list(HOSTILE)
    assert "SECRET" not in text
    assert "SECRET" not in str(data)


def test_a_finding_of_another_version_keeps_its_id() -> None:
    rows = batch(1)
    rows[0]["findings"] = ["not-known-here"]
    assert packed_data_of(page_of(rows))["findings"]["not-known-here"]["title"] == "not-known-here"


def test_half_a_surrogate_pair_is_harmless() -> None:
    text = page_of([empty_row("bad\udcff.dmp", "error", error="\ud800")])
    text.encode()
    assert packed_data_of(text)["paths"] == ["bad\udcff.dmp"]


def test_groups_are_beside_the_rows() -> None:
    rows = batch(200)
    text = page_of(rows, group_by=["process"], selection=select(sort="-count", group_by=["process"], figures=["count"]))
    cells = Page(text).texts["td"]
    assert "Lower bound" not in Page(text).texts["th"]
    for name, count in Counter(row["process"] for row in rows if row["process"]).items():
        assert cells[cells.index(name) + 1] == str(count)
    assert packed_data_of(text)["count"] == 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    (dumps / "good.dmp").write_bytes(small_dump(exception=0xC0000005))
    (dumps / "starved.dmp").write_bytes(starved_dump())
    (dumps / "part.dmp").write_bytes(partial_dump())
    (dumps / "empty.dmp").write_bytes(b"")
    return dumps


def test_the_command_writes_it(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ["--engine", "serial", "--no-cache"]
    assert run_command(["-q", "triage", str(folder), *options, "-o", str(page)]) == 0
    data = packed_data_of(page.read_text("utf-8"))
    assert data["prefix"] == f"{folder}/"
    assert sorted(data["paths"]) == ["empty.dmp", "good.dmp", "part.dmp", "starved.dmp"]
    assert text_column(data, "verdict")[0] == "out-of-address-space" or data["rank"][0] == 0
    other = tmp_path / "only.htm"
    only = ["--where", "largest_free<2MB", "--format", "html"]
    assert run_command(["-q", "triage", str(folder), *options, *only, "-o", str(other)]) == 0
    text = other.read_text("utf-8")
    assert packed_data_of(text)["paths"] == ["starved.dmp"]
    assert "largest_free<2MB" in "".join(Page(text).texts["code"])
    assert "1 more is undecided" in "".join(Page(text).texts["p"])
