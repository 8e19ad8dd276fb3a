"""Files that outputs must not replace: those of other programs, and the inputs of the command itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

from dumpmap.capture.output import check_output
from dumpmap.errors import OutputError
from dumpmap.writers.output import check_target, replacing

DUMP = FIXTURES / "fragment-x86.dmp.gz"
REFUSED = "is an input of this command. Choose another output"


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_file_that_appears_while_an_output_is_written_is_kept(
    unnamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not unnamed:  # as on systems without files that have no name
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    target = tmp_path / "out.csv"

    def write() -> None:
        with replacing(target) as stream:
            stream.write(b"rows")
            target.write_text("another program's")

    with pytest.raises(OutputError, match=r"already exists\. Use --force"):
        write()
    assert target.read_text() == "another program's"
    assert list(tmp_path.iterdir()) == [target]


def test_one_that_appears_is_replaced_if_that_is_wanted(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with replacing(target, force=True) as stream:
        stream.write(b"rows")
        target.write_text("another program's")
    assert target.read_text() == "rows"
    assert list(tmp_path.iterdir()) == [target]


def test_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    with replacing(tmp_path / "out.csv") as stream:
        stream.write(b"rows")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.csv", b"rows")]


@pytest.mark.parametrize(
    "arguments",
    [
        ["snapshot", "in.dmp.gz", "-o", "in.dmp.gz", "--to", "json.gz"],
        ["snapshot", "in.dmp.gz", "-o", "link.json.gz"],
        ["check", "in.dmp.gz", "--init", "in.dmp.gz"],
        ["check", "in.dmp.gz", "--rules", "rules.toml", "--junit", "in.dmp.gz"],
        ["check", "in.dmp.gz", "--rules", "rules.toml", "--junit", "rules.toml"],
    ],
    ids=" ".join,
)
def test_an_input_is_never_replaced(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(DUMP, "in.dmp.gz")
    Path("link.json.gz").symlink_to("in.dmp.gz")
    assert run("-q", "check", "in.dmp.gz", "--init", "rules.toml").code == 0
    before = {name: Path(name).read_bytes() for name in ("in.dmp.gz", "rules.toml")}
    ran = run("-q", *arguments, "--force")
    assert ran.code == 4
    assert ran.err == f"dumpmap: {arguments[-1 if arguments[-2] != '--to' else 3]}: {REFUSED}\n"
    assert {name: Path(name).read_bytes() for name in before} == before


def test_an_input_of_an_earlier_command_is_none_of_a_later_one(tmp_path: Path) -> None:
    made = tmp_path / "made.json"
    for _ in range(2):
        assert run("-q", "snapshot", str(DUMP), "-o", str(made), "--force").code == 0
        assert run("-q", "info", str(made)).code == 0


def test_a_folder_that_may_not_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refused)
    with pytest.raises(OutputError, match=r"x\.csv: cannot be written: permission denied"):
        check_target(tmp_path / "x.csv")
    with pytest.raises(OutputError, match=r"x\.json: cannot write the file: permission denied"):
        check_output(tmp_path / "x.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_that_cannot_be_written(argument: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dumpmap", argument], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr.lower()) == (
        4,
        "dumpmap: standard output: cannot be written: no space left on device\n",
    )
