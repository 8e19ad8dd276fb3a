"""One capture and many: the calls behind the command line, and the stand-alone command line itself."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("needs child processes on Linux", allow_module_level=True)

from support.capture import waiting_cat

from dumpmap.capture import Options, capture_to_files
from dumpmap.capture.standalone import main
from dumpmap.errors import CaptureError
from dumpmap.parsers.opening import open_snapshot


def test_one_capture(tmp_path: Path) -> None:
    seen: list[str] = []
    with waiting_cat() as process:
        series = capture_to_files(
            process.pid, tmp_path / "a.json", report=lambda path, document: seen.append(document["source"]["name"])
        )
    assert series.paths == [str(tmp_path / "a.json")]
    assert series.ended is None
    assert seen == [f"cat ({process.pid})"]


def test_a_series(tmp_path: Path) -> None:
    with waiting_cat() as process:
        start = time.monotonic()
        series = capture_to_files(process.pid, tmp_path / "a.json.gz", count=3, interval=0.2)
        elapsed = time.monotonic() - start
    assert [Path(path).name for path in series.paths] == ["a-0001.json.gz", "a-0002.json.gz", "a-0003.json.gz"]
    assert series.ended is None
    assert elapsed >= 0.4
    times = [open_snapshot(path).source.captured_at for path in series.paths]
    assert times == sorted(times, key=str)
    assert len(set(times)) == 3


def test_a_series_ends_with_the_process(tmp_path: Path) -> None:
    with waiting_cat() as process:

        def end() -> None:
            while not (tmp_path / "a-0002.json").exists():
                time.sleep(0.01)
            process.kill()
            process.wait()

        killer = threading.Thread(target=end)
        killer.start()
        start = time.monotonic()
        series = capture_to_files(process.pid, tmp_path / "a.json", count=50, interval=2)
        killer.join()
    assert time.monotonic() - start < 20
    assert [Path(path).name for path in series.paths] == ["a-0001.json", "a-0002.json"]
    assert series.ended == "the process exited after 2 of 50 captures"
    assert {path.name for path in tmp_path.iterdir()} == {"a-0001.json", "a-0002.json"}


def test_nothing_is_captured_if_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a-0003.json").write_text("precious")
    with waiting_cat() as process:
        code = main([str(process.pid), "-o", str(tmp_path / "a.json"), "--count", "3", "--interval", "0.01"])
    assert code == 4
    assert [path.name for path in tmp_path.iterdir()] == ["a-0003.json"]


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count"):
        capture_to_files(1, tmp_path / "a.json", count=0)
    with pytest.raises(ValueError, match="interval"):
        capture_to_files(1, tmp_path / "a.json", count=2, interval=0)
    with pytest.raises(ValueError, match="series"):
        capture_to_files(1, "-", count=2)


def test_options_reach_the_capture(tmp_path: Path) -> None:
    with waiting_cat() as process:
        capture_to_files(
            process.pid, tmp_path / "a.json", options=Options(freeze=True, working_set=False, command_line=True)
        )
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["process"]["command_line"].endswith("cat -u")
    assert "total_ws" not in document["regions"]["columns"]


# --- the command line -------------------------------------------------------------------------------------------------


def test_main(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with waiting_cat() as process:
        code = main([str(process.pid), "-o", str(tmp_path / "a.json")])
    out, err = capsys.readouterr()
    assert code == 0
    assert out == ""
    assert err.startswith(f"dumpmap: {tmp_path / 'a.json'}: cat ({process.pid}), ")
    assert " modules, 1 thread, " in err
    assert len(err.splitlines()) == 1


def test_main_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with waiting_cat() as process:
        assert main([str(process.pid), "-q", "-o", str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr() == ("", "")


def test_main_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with waiting_cat() as process:
        pid = process.pid
    target = str(tmp_path / "a.json")
    assert main([str(pid), "-o", target]) == 3
    assert capsys.readouterr().err == f"dumpmap: {pid}: no such process\n"
    assert main(["no program of this name", "-o", target]) == 3
    assert capsys.readouterr().err == "dumpmap: no program of this name: no process has this name\n"
    assert main([str(os.getpid()), "-o", str(tmp_path / "a.txt")]) == 2
    assert capsys.readouterr().err.endswith("must end in .json, .json.gz or .json.zst\n")
    assert main(["99999999999", "-o", target]) == 2
    (tmp_path / "a.json").write_text("precious")
    capsys.readouterr()
    assert main([str(os.getpid()), "-o", target]) == 4
    assert capsys.readouterr().err == f"dumpmap: {target}: already exists; use --force to overwrite it\n"
    assert main([str(os.getpid()), "-o", target, "--force"]) == 0


def test_main_shows_the_traceback_to_a_developer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DUMPMAP_DEBUG", "1")
    with pytest.raises(CaptureError):
        main(["no program of this name", "-o", str(tmp_path / "a.json")])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1"],
        ["1", "-o", "a.json", "--count", "0"],
        ["1", "-o", "a.json", "--count", "x"],
        ["1", "-o", "a.json", "--count", "2", "--interval", "0"],
        ["1", "-o", "a.json", "--count", "2", "--interval", "inf"],
    ],
)
def test_main_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
