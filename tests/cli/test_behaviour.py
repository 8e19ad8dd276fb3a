"""Exit codes, one-line errors, outputs that are never overwritten, and filters."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import run

FIXTURES = Path(__file__).parents[1] / "fixtures"
X64 = str(FIXTURES / "layout-x64.dmp.gz")
FRAGMENT = str(FIXTURES / "fragment-x86.dmp.gz")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["summary", X64], 0, id="done"),
        pytest.param(["free", FRAGMENT, "--fit", "64MB"], 1, id="does-not-fit"),
        pytest.param(["diagnose", FRAGMENT, "--fail-on", "critical"], 1, id="gate"),
        pytest.param(["diagnose", X64, "--fail-on", "critical"], 0, id="gate-met"),
        pytest.param(["summary"], 2, id="no-file"),
        pytest.param(["summary", X64, "--format", "yaml"], 2, id="no-such-format"),
        pytest.param(["regions", X64, "--type", "Pile"], 2, id="no-such-type"),
        pytest.param(["regions", X64, "--sort", "beauty"], 2, id="no-such-column"),
        pytest.param(["address", X64, "nowhere.dll+0x10"], 2, id="no-such-module"),
        pytest.param(["free", X64, "--fit", "99999999999999999999GB"], 2, id="no-such-size"),
        pytest.param(["free", X64, "--fit", "0x"], 2, id="no-size"),
        pytest.param(["free", X64, "--fit", "64KB", "--align", "4194304TB"], 1, id="huge-alignment"),
        pytest.param(["regions", X64, "--limit", "-1"], 2, id="negative-limit"),
        pytest.param(["summary", "nosuch.dmp"], 3, id="missing"),
        pytest.param(["summary", ""], 3, id="no-name"),
        pytest.param(["summary", str(FIXTURES)], 3, id="folder"),
        pytest.param(["summary", str(FIXTURES / "README.md")], 3, id="foreign"),
        pytest.param(["summary", X64, "-o", "/nosuch/folder/x.txt"], 4, id="cannot-write"),
    ],
)
def test_exit_codes_and_one_line_errors(arguments: list[str], code: int) -> None:
    ran = run("-q", *arguments)
    assert ran.code == code, ran.err
    if code >= 2:
        assert ran.out == ""
        assert ran.err.startswith("dumpmap: ")
        assert ran.err.count("\n") == 1


def test_an_error_names_the_file_and_the_problem(tmp_path: Path) -> None:
    core = tmp_path / "core"
    core.write_bytes(b"\x7fELF\2\1\1\0" + bytes(8) + b"\4\0" + bytes(100))
    assert run("summary", str(core)).err == f"dumpmap: {core}: not a minidump: an ELF core dump (Linux)\n"
    empty = tmp_path / "empty.dmp"
    empty.touch()
    assert run("summary", str(empty)).err == f"dumpmap: {empty}: empty file\n"


def test_a_traceback_only_for_who_asks() -> None:
    assert "Traceback" not in run("summary", "nosuch.dmp").err
    assert "Traceback" in run("summary", "nosuch.dmp", DUMPMAP_DEBUG="1").err


def test_a_file_is_never_overwritten_unless_told_to(tmp_path: Path) -> None:
    target, page = tmp_path / "out.json", tmp_path / "out.html"
    target.write_text("mine")
    page.write_text("mine")
    for command, path in (["summary", "--format", "json"], target), (["snapshot"], target), (["report"], page):
        ran = run(command[0], X64, *command[1:], "-o", str(path))
        assert (ran.code, path.read_text()) == (4, "mine"), command
        assert "--force" in ran.err
    assert run("summary", X64, "--format", "json", "-o", str(target), "--force").code == 0
    assert json.loads(target.read_text())["schema"] == "dumpmap.summary/1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.html", "out.json"]


def test_warnings_go_to_standard_error_and_into_the_json(tmp_path: Path) -> None:
    import gzip

    cut = tmp_path / "cut.dmp"
    whole = gzip.decompress(Path(FRAGMENT).read_bytes())
    cut.write_bytes(whole[: len(whole) // 3])
    ran = run("summary", str(cut), "--format", "json")
    assert ran.code == 0
    assert f"dumpmap: {cut}: warning: " in ran.err
    assert json.loads(ran.out)["warnings"]
    assert run("-q", "summary", str(cut)).err == ""


@pytest.mark.parametrize("name", ["fragment-x86.dmp.gz", "layout-x64-private.dmp.zst"])
def test_a_packed_file_that_is_cut_off_is_named_with_the_place(name: str, tmp_path: Path) -> None:
    packed = (FIXTURES / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(packed[: len(packed) - 1000])
    ran = run("summary", str(cut))
    assert ran.code == 0
    assert re.search(
        rf"^dumpmap: {re.escape(str(cut))}: warning: the (gzip|zstd) file is cut off: it ends at byte "
        rf"{len(packed) - 1000:,}, before its content does; dumpmap unpacked the [\d,]+ bytes before that$",
        ran.err,
        re.MULTILINE,
    )


@pytest.mark.parametrize(
    "options", [["--junit", "-"], ["--github", "-f", "json"], ["--github", "-f", "csv", "-o", "-"]]
)
def test_two_results_do_not_share_standard_output(options: list[str], tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[limits]\nheaps = "> 0"\n')
    ran = run("check", X64, "--rules", str(rules), *options)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    ran = run("check", X64, "--rules", str(rules), *options, "-o", str(tmp_path / "result"))
    assert ran.code == 0, ran.err


def test_a_wrong_choice_is_said_in_plain_words() -> None:
    said = run("summary", X64, "--format", "xml").err
    assert said.startswith("dumpmap: invalid value for '--format' / '-f': 'xml' is not one of 'table', ")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = [sys.executable, "-m", "dumpmap", "-q", "regions", FRAGMENT, "--format", "csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_help_loads_neither_numpy_nor_pandas() -> None:
    code = (
        "import sys; from dumpmap.cli.app import run; run(['--help']);"
        "print(sorted({'numpy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


def rows(*arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(run("-q", "regions", *arguments, "--format", "csv").out)))


def test_filters_keep_what_they_say() -> None:
    everything = rows(X64)
    heaps = rows(X64, "--type", "heap")
    assert heaps == [row for row in everything if row["type"] == "Heap"]
    large = rows(X64, "--min-size", "1MB")
    assert large == [row for row in everything if int(row["size"]) >= 1 << 20]
    assert {row["protection"] for row in rows(X64, "--blocks", "--protect", "rwx")} == {"Execute/Read/Write"}
    assert {row["type"] for row in rows(X64, "--state", "free")} == {"Free", "Unusable"}
    (at,) = rows(X64, "--at", "7ffe0010")
    assert at["kind"] == "User shared data"
    sections = rows(X64, "--blocks", "--module", "layout64.exe")
    assert [row["kind"] for row in sections][:2] == ["Header", ".text"]
    sizes = [int(row["size"]) for row in rows(X64, "--sort", "size", "--limit", "5")]
    assert sizes == sorted((int(row["size"]) for row in everything), reverse=True)[:5]
