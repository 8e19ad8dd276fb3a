"""What the writer of a dump recorded, on the page: its figures always, its free texts only when they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import run
from support.pages import Page, outline
from synth.minidump import MinidumpBuilder
from synth.writers import ModuleAnnotations, unreal_xml

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.render.html import render_report


def game(*, exception: bool = True) -> MinidumpBuilder:
    """A 64-bit game without a list of regions that its engine says ran out of memory."""
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "game.exe")
    dump.thread(12916, stack=(0x10000, bytes(4096))).thread(10372, stack=(0x20000, bytes(4096)))
    if exception:
        dump.exception(10372, 0x4000, 0, context_sp=0x10800)
    return dump.unreal_context(unreal_xml(), tail=b"garbage")


def app() -> RegionMap:
    """A program of many processes with the annotations of its crash reporter."""
    objects = tuple(
        (f"electron.v8-oom.{name}", 1, value)
        for name, value in (
            ("location", b"Reached heap limit"),
            ("heap.used", b"4164542836"),
            ("heap.limit", b"4294967296"),
            ("detail", b"at <b>secret.js</b>:12"),
        )
    )
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "app.exe").thread(1)
    dump.crashpad_info(
        ("ptype", "renderer"), ("url", "https://example.com/private"), modules=[ModuleAnnotations(0, objects=objects)]
    )
    return dumpmap.open(dump.build())


def test_the_record_is_on_the_page() -> None:
    text = outline(render_report(dumpmap.open(game().build())))
    section = text[text.index("What the writer recorded") :]
    for part in (
        "Unreal Engine 4.24",
        "8,172,146,688 bytes (7.6 GB)",
        "12916 (GameThread); the exception names thread",
    ):
        assert part in section
    assert "Exception" in text[: text.index("What the writer recorded")]
    assert "in thread 12916 (GameThread)" in text


def test_messages_are_left_out_unless_they_are_kept() -> None:
    region_map = dumpmap.open(game().build())
    bare, whole = render_report(region_map), render_report(region_map, keep_text=True)
    assert "Ran out of memory allocating" not in bare
    assert "--keep-text keeps them" in bare
    # The message is in the record and in the finding that quotes it.
    assert whole.count("Ran out of memory allocating") >= 2
    assert "--keep-text keeps them" not in whole


def test_annotations_are_shown_with_what_they_say() -> None:
    region_map = app()
    page = render_report(region_map)
    for part in ("electron.v8-oom.heap.used", "4164542836", "renderer", "Reached heap limit", "(left out)"):
        assert part in page
    for part in ("secret.js", "example.com"):
        assert part not in page
    whole = render_report(region_map, keep_text=True)
    assert "https://example.com/private" in whole
    assert "at &lt;b&gt;secret.js&lt;/b&gt;:12" in whole
    for text in (page, whole):
        assert Page(text).unbalanced == []
        assert Page(text).open == []


def test_the_verdict_is_the_same_without_the_texts() -> None:
    region_map = app()
    for keep_text in (False, True):
        assert "Out of heap limit" in outline(render_report(region_map, keep_text=keep_text))


def test_a_page_without_a_record_has_no_section() -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "app.exe")
    assert "What the writer recorded" not in render_report(dumpmap.open(dump.build()))


@pytest.mark.parametrize("keep", [False, True])
def test_the_command_and_the_method_take_the_option(keep: bool, tmp_path: Path) -> None:
    dump, page = tmp_path / "game.dmp", tmp_path / "game.html"
    dump.write_bytes(game(exception=False).build())
    run("-q", "report", str(dump), "-o", str(page), *(["--keep-text"] if keep else []))
    assert ("Ran out of memory allocating" in page.read_text("utf-8")) is keep
    dumpmap.open(dump).to_html(page, keep_text=keep, force=True)
    assert ("Ran out of memory allocating" in page.read_text("utf-8")) is keep
