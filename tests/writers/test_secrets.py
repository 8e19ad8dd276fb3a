"""What outputs carry of a process's secrets, as docs/privacy.md states: a canary in each place, and a search."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest
from support.canaries import CANARY, PLACES, found_in, process_with_secrets
from support.cli import run

import dumpmap

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets") / f"{CANARY}-file"
    folder.mkdir()
    path = folder / "app.dmp"
    path.write_bytes(process_with_secrets())
    return path


def test_the_dump_has_all_of_them(dump: Path) -> None:
    assert found_in(dump) == {*PLACES, "any"} - {"file"}


NAMES = {"module", "thread", "user", "machine"}
REDACTED = {"module", "thread"}
SNAPSHOTS: dict[tuple[str, ...], set[str]] = {
    (): {*NAMES, "file"},
    ("--command-line",): {*NAMES, "file", "command"},
    ("--keep-text",): {*NAMES, "file", "comment", "annotation", "message"},
    ("--redact",): REDACTED,
    ("--redact", "--command-line"): {*REDACTED, "command"},
}
"""Options of `snapshot`, and the places whose canaries it carries."""


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.zst"])
@pytest.mark.parametrize("options", SNAPSHOTS)
def test_a_snapshot_carries_what_its_options_allow(options: tuple[str, ...], suffix: str, dump: Path) -> None:
    output = dump.with_name("o" + suffix)
    ran = run("snapshot", str(dump), *options, "-o", str(output), "--force")
    assert ran.code == 0, ran.err
    assert found_in(output) == {*SNAPSHOTS[options], "any"}


def test_the_maps_are_the_same(dump: Path) -> None:
    output = dump.with_name("same.json")
    m = dumpmap.open(dump)
    m.to_snapshot(output, command_line=True)
    again = dumpmap.open(output)
    pd.testing.assert_frame_equal(again.regions, m.regions)
    assert again.process == m.process
    assert again.warnings == m.warnings
    m.to_snapshot(output, force=True)
    assert dumpmap.open(output).process == dataclasses.replace(m.process, command_line=None)


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.zst"])
def test_a_contribution_carries_none_of_them(suffix: str, dump: Path) -> None:
    output = dump.with_name("contribution" + suffix)
    ran = run("contribute", str(dump), "-o", str(output), "--force")
    assert ran.code == 0, ran.err
    assert found_in(output) == set()
    text = output.with_name("contribution.txt")
    assert found_in(text) == set()
    assert "<folder>\\a.dll" in text.read_text("utf-8")


REPORTS: dict[tuple[str, ...], set[str]] = {
    (): {*NAMES, "file", "command"},
    ("--keep-text",): {*NAMES, "file", "command", "comment", "annotation", "message"},
    ("--redact",): REDACTED,
}
"""Options of `report`, and the places whose canaries it carries."""


@pytest.mark.parametrize("options", REPORTS)
def test_a_report_carries_what_its_options_allow(options: tuple[str, ...], dump: Path) -> None:
    output = dump.with_name("o.html")
    ran = run("report", str(dump), *options, "-o", str(output), "--force")
    assert ran.code == 0, ran.err
    assert found_in(output) == {*REPORTS[options], "any"}


TABLES: dict[tuple[str, ...], set[str]] = {
    ("summary", "-o", "o.txt"): {"message"},
    ("summary", "-o", "o.md"): {"message"},
    ("diagnose", "-o", "o.txt"): {"message"},
    ("modules", "-o", "o.csv"): {"module", "user", "machine"},
    ("regions", "--blocks", "-o", "o.csv"): NAMES,
    ("regions", "--blocks", "-o", "o.md"): NAMES,
    ("stacks", "-o", "o.txt"): {"thread"},
    ("owners", "-o", "o.txt"): {"module", "user", "machine"},
    ("heaps", "--segments", "--blocks", "-o", "o.txt"): set(),
    ("export", "-o", "o.mmp"): NAMES,
    ("export", "-o", "o.csv"): NAMES,
    ("export", "-o", "o.parquet"): NAMES,
}
JSON: dict[tuple[str, ...], set[str]] = {
    ("summary", "-o", "o.json"): {"command", "message"},
    ("diagnose", "-o", "o.json"): {"command", "message"},
    ("modules", "-o", "o.json"): {"command", *NAMES},
    ("stacks", "-o", "o.json"): {"command", "thread"},
    ("heaps", "--segments", "--blocks", "-o", "o.json"): {"command"},
    ("owners", "-o", "o.json"): {"command", *NAMES},
    ("regions", "--blocks", "-o", "o.json"): {"command", *NAMES},
}
INFO: dict[tuple[str, ...], set[str]] = {
    ("info", "-o", "o.txt"): {"command", "comment", "annotation", "message", *NAMES},
    ("info", "-o", "o.json"): {"command", "comment", "annotation", "message", *NAMES},
}
TRIAGE: dict[tuple[str, ...], set[str]] = {
    ("triage", "--no-cache", "-o", "o.csv"): {"comment", "message"},
    ("triage", "--no-cache", "-o", "o.json"): {"comment", "message"},
}
ROWS = {
    "tables, CSV, Markdown, VMMap's formats, Parquet": (TABLES, {"message", *NAMES}),
    "JSON of the commands": (JSON, {"message", "command", *NAMES}),
    "`info`, also as JSON": (INFO, {"command", "comment", "annotation", "message"}),
    "`triage`": (TRIAGE, {"message"}),
}
"""The rows of the page's table: commands with what each can carry, and what at least one of them carries."""


@pytest.mark.parametrize("row", ROWS)
def test_other_outputs_carry_what_the_page_says(row: str, dump: Path) -> None:
    commands, expected = ROWS[row]
    seen: set[str] = set()
    for (name, *options), allowed in commands.items():
        output = dump.with_name(options[-1])
        ran = run(name, str(dump), *options[:-1], str(output), "--force")
        assert ran.code == 0, ran.err
        found = found_in(output) - {"any", "file"}
        assert found <= allowed, (name, options, found)
        assert not any(f"{CANARY}-{place}" in ran.err for place in (*PLACES[:8],))
        seen |= found
    assert seen >= expected


def test_every_row_of_the_page_is_tested() -> None:
    """A row that is added or renamed needs a test here."""
    rows = re.findall(r"^\| (?!output|---)(.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    tested = {
        *ROWS,
        "`snapshot`",
        "`snapshot --redact`",
        "`report`",
        "`report --redact`",
        "`address`",
        "`capture`",
        "`contribute`",
        "`mcp`",  # in tests/serving
    }
    assert set(rows) == tested


def test_address_shows_the_bytes_that_are_requested(dump: Path) -> None:
    address = dumpmap.open(dump).stacks[0].end - 4096
    shown = {
        count: re.sub(r"[^a-z0-9-]", "", run("address", str(dump), hex(address), *options).out).count(CANARY)
        for count, options in ((0, ("--bytes", "0")), (32, ()), (4096, ("--bytes", "4096")))
    }
    assert shown[0] == 0
    assert 0 < shown[32] < shown[4096]


def test_the_privacy_list_names_what_is_there(dump: Path) -> None:
    ran = run("info", str(dump), "--privacy", "--format", "json")
    for words in ("user names in paths", "machine names in paths", "command line", "comments", "names of threads"):
        assert f'"{words}"' in ran.out
    assert "path of the file" in ran.out
    assert f"{CANARY}-user" in ran.out
