"""Hostile texts in every field of a dump: no output acts on a terminal, a Markdown page, a spreadsheet, or a CI log."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from support.cli import run
from synth.heaps import SegmentSpec, nt_heap, write_heap_array
from synth.minidump import StreamHeap, StreamRange
from synth.process import ProcessBuilder

from dumpmap.render.markdown import markdown_text
from dumpmap.wording.text import printable
from dumpmap.writers.csv_cells import csv_cell, keep_raw

HOSTILE = (
    "=1+1\x1b]0;owned\x07\x1b[2J\x9b31m\u202eexe\u2066\u200b\u200d\u3164\n::error::x\r\u2028\u2029"
    "<img src=x onerror=alert(1)>"
    "<script>alert(1)</script>[link](javascript:alert(1))![i](http://evil.example/i.png)|\\|`&lt;\\[x](http://evil.example)"
)
"""One of everything that acts somewhere."""

COLOR = re.compile("\x1b\\[[0-9;]*m")


def hostile_dump() -> bytes:
    """A dump with that text in every field that holds a text."""
    process = ProcessBuilder("x64", 19045).furnish()
    nt_heap(process, segments=[SegmentSpec(0x100000)])
    write_heap_array(process)
    process.add_process_parameters(command_line=HOSTILE, image=HOSTILE)
    arena = process.allocate(0x10000)
    dump = process.to_minidump()
    dump.module(0x7000_0000, 0x1000, "C:\\" + HOSTILE).unloaded_module(0x7100_0000, 0x1000, HOSTILE)
    dump.thread(9, teb=0).thread_name(9, HOSTILE).comment_w(HOSTILE)
    dump.crashpad_info((HOSTILE, HOSTILE), ("ptype", HOSTILE)).soft_errors('["x\\u001b[2J"]')
    dump.heap_stream([StreamHeap(arena, 5, 16, name=HOSTILE)], [StreamRange(arena, 0x10000, 5, 0x10000)])
    dump.handle(4, HOSTILE)
    return dump.build()


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    # A file's name cannot have a slash.
    path = folder / ("x\n::error::y\x1b[2J" + ".dmp")
    path.write_bytes(hostile_dump())
    return path


COMMANDS = (
    ["summary"],
    ["regions", "--blocks"],
    ["heaps", "--segments", "--blocks"],
    ["stacks"],
    ["modules"],
    ["owners"],
    ["free"],
    ["info"],
    ["info", "--privacy"],
    ["diagnose"],
    ["address", "0x70000000"],
    ["triage", "--no-cache"],
)


def assert_inert(text: str) -> None:
    """No character but line breaks acts on a terminal, and no line is a command to a CI system."""
    acting = sorted({character for character in COLOR.sub("", text) if printable(character) != character} - {"\n"})
    assert not acting
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_acts_on_a_terminal(command: list[str], dump: Path) -> None:
    name, *options = command
    ran = run("-v", name, str(dump), *options)
    assert ran.code == 0, ran.err
    assert_inert(ran.out)
    assert_inert(ran.err)


def test_nothing_acts_in_the_prompt_of_browse(dump: Path) -> None:
    rows = (command for row in range(1, 12) for command in (str(row), "d", "1", "d", "1", "d", "b", "b", "o"))
    ran = run("-v", "browse", "--plain", str(dump), stdin="\n".join(["o", *rows, "s", "d", "/::", "\x1b[2J"]).encode())
    assert ran.code == 0, ran.err
    assert "Thread stacks" in ran.out
    assert_inert(ran.out)
    assert_inert(ran.err)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_acts_in_markdown(command: list[str], dump: Path) -> None:
    name, *options = command
    ran = run(name, str(dump), *options, "--format", "markdown")
    assert ran.code == 0, ran.err
    assert_inert(ran.out)
    for token in MarkdownIt("commonmark").enable("table").parse(ran.out):
        for part in (token, *(token.children or ())):
            assert part.type not in ("html_block", "html_inline", "link_open", "image"), part.content


@pytest.mark.parametrize(
    "command", [["regions", "--blocks"], ["modules"], ["stacks"], ["triage", "--no-cache"]], ids=" ".join
)
def test_nothing_is_a_formula_in_a_spreadsheet(command: list[str], dump: Path) -> None:
    name, *options = command
    ran = run(name, str(dump), *options, "--format", "csv")
    assert ran.code == 0, ran.err
    for row in csv.reader(io.StringIO(ran.out)):
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
    assert_inert(ran.out)
    assert not any(line.startswith("::") for line in ran.out.splitlines())
    raw = run("--raw", name, str(dump), *options, "--format", "csv").out
    cells = [[csv_cell(cell) for cell in row] for row in csv.reader(io.StringIO(raw))]
    assert cells == list(csv.reader(io.StringIO(ran.out))) or name == "triage"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\uff1d1", "'=1"])
def test_what_begins_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csv_cell(text) == "'" + text
    assert csv_cell("x" + text) == "x" + text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("\tx", "'\ufffdx"),
        ("\rx", "' x"),
        ("\nx", "' x"),
        ("a\r\nb", "a b"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\u202eb", "a\ufffdb"),
        ("a\u2028b", "a b"),
        ("größe", "größe"),
    ],
)
def test_a_cell_has_one_line_and_no_control_characters(text: str, cell: str) -> None:
    assert csv_cell(text) == cell
    keep_raw(True)
    assert csv_cell(text) == text
    keep_raw(False)


@pytest.mark.parametrize("value", [-1, 0, 1.5, None, "", "0x10", "a=b"])
def test_other_cells_stay(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.skipif(os.name == "nt", reason="no such file names")
@pytest.mark.parametrize("form", [[], ["--github"]])
def test_the_name_of_a_file_is_no_command_of_a_ci_system(form: list[str], dump: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[limits]\n"total.committed" = "<= 1KB"\n')
    broken = dump.with_name("no\n::error::z")
    broken.write_bytes(b"no dump")
    ran = run("check", str(dump), str(broken), "--rules", str(rules), *form)
    assert ran.code in (1, 3), ran.err
    lines = [line for line in ran.out.split("\n") if line.startswith("::")]
    assert all(line.startswith("::error file=") for line in lines)
    assert len(lines) == (2 if form else 0)
    assert_inert(ran.err)
    broken.unlink()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a<b>c", "a&lt;b>c"),
        ("[x](y)", "\\[x](y)"),
        ("\\[x](y)", "\\\\\\[x](y)"),
        ("\\\\<b>", "\\\\\\\\&lt;b>"),
        ("&lt;", "&amp;lt;"),
        ("a & b", "a & b"),
        ("C:\\Windows\\x", "C:\\Windows\\x"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, shown: str) -> None:
    assert markdown_text(text) == shown
    children = MarkdownIt("commonmark").parse(markdown_text(text))[1].children or []
    assert "".join(child.content for child in children) == text
