"""dumpmap-capture.exe: what goes into it, and the built file against live processes under Wine.

The build takes a minute and a package registry, so `make capture-exe` does it and then runs these tests. Without the
file in dist/, or with one that is older than the sources, those of the file are skipped.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.wine import WINE_HOME, Recorded, compare, record, record_wow64, require_wine, says, windows_path

import dumpmap
from dumpmap.capture import build as capture_build
from release import capture_exe

DIST = capture_exe.ROOT / "dist"
X64, X86 = DIST / "dumpmap-capture.exe", DIST / "dumpmap-capture-x86.exe"


# --- what goes in -----------------------------------------------------------------------------------------------------


def test_every_tool_is_pinned_by_version_and_hash() -> None:
    text = capture_exe.PINNED.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [
        line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+( +--hash=sha256:[0-9a-f]{64})+", line)
    ] == []
    assert lines[0].startswith("pyinstaller==")


def test_the_inputs_are_those_of_the_pyz(tmp_path: Path) -> None:
    modules = capture_exe.write_inputs(tmp_path, "0")
    members = dict(capture_build.members())
    sources = tmp_path / "sources"
    assert {path.relative_to(sources).as_posix() for path in sources.rglob("*") if path.is_file()} == members.keys()
    assert all((sources / name).read_bytes() == data for name, data in members.items())
    assert {"dumpmap", "dumpmap.capture.standalone", "dumpmap.structures.survey"} <= set(modules)
    arguments = capture_exe.pyinstaller_arguments(modules)
    hidden = {value for word, value in itertools.pairwise(arguments) if word == "--hidden-import"}
    assert hidden == set(modules)


def test_nothing_that_is_left_out_is_missed(tmp_path: Path) -> None:
    """A capture of this process works where the modules cannot be imported at all."""
    if sys.platform not in ("linux", "win32"):
        pytest.skip("a capture needs Linux or Windows")
    modules = capture_exe.write_inputs(tmp_path, "0")
    script = (
        "import importlib, os, sys, time\n"
        f"sys.path.insert(0, {str(tmp_path / 'sources')!r})\n"
        f"sys.modules.update(dict.fromkeys({capture_exe.LEFT_OUT!r}))\n"
        f"for name in {modules!r}:\n"
        "    if not name.startswith('dumpmap.capture.windows') or sys.platform == 'win32':\n"
        "        importlib.import_module(name)\n"
        "from dumpmap.capture.standalone import main\n"
        "sys.exit(main([sys.argv[1], '-o', sys.argv[2]]))\n"
    )
    output = tmp_path / "self.json.gz"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(os.getpid()), str(output)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert dumpmap.open(output).snapshot.process.pid == os.getpid()


def test_the_version_resource_is_the_package_version(tmp_path: Path) -> None:
    capture_exe.write_inputs(tmp_path, "0")
    tree = ast.parse((tmp_path / "version.txt").read_text("utf-8"), mode="eval")
    numbers = [
        ast.literal_eval(word.value)
        for word in ast.walk(tree)
        if isinstance(word, ast.keyword) and word.arg == "filevers"
    ]
    assert numbers == [(*map(int, dumpmap.__version__.split(".")[:3]), 0)]
    strings = dict(
        ast.literal_eval(ast.Tuple(call.args, ast.Load()))
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "StringStruct"
    )
    assert strings["ProductVersion"] == strings["FileVersion"] == dumpmap.__version__


def test_the_time_in_the_file_can_be_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    capture_exe.write_inputs(tmp_path, capture_exe.moment())
    assert "'SOURCE_DATE_EPOCH': '1700000000'" in (tmp_path / "run.py").read_text("utf-8")
    done = subprocess.run(
        [sys.executable, "run.py", "-c", "import os; print(os.environ['SOURCE_DATE_EPOCH'], hash('x') == hash('x'))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1700000000", "True"]


def table(folder: Path, *entries: tuple[str, str, str]) -> capture_exe.Windows:
    """Writes PyInstaller's list of what is in the file."""
    windows = capture_exe.Windows(64, folder)
    (folder / "work" / "dumpmap-capture").mkdir(parents=True)
    (folder / "work" / "dumpmap-capture" / "PKG-00.toc").write_text(repr(("name", {"BINARY": True}, [*entries], False)))
    return windows


@pytest.mark.skipif(sys.platform == "win32", reason="only Wine has files of its own")
def test_files_of_wine_are_refused(tmp_path: Path) -> None:
    home = "Z:" + str(WINE_HOME / "python").replace("/", "\\")
    good = ("python311.dll", f"{home}\\python311.dll", "BINARY")
    extension = ("_ctypes.pyd", f"{home}\\DLLs\\_ctypes.pyd", "EXTENSION")
    bad = ("VCRUNTIME140.dll", "C:\\windows\\system32\\VCRUNTIME140.dll", "BINARY")
    for name in ("good", "bad", "none"):
        (tmp_path / name).mkdir()
    windows = table(tmp_path / "good", good, extension, ("main", "Z:\\elsewhere\\main.py", "PYSOURCE"))
    assert capture_exe.check_binaries(windows) == ["python311.dll", "_ctypes.pyd"]
    with pytest.raises(capture_exe.Failed, match=r"system32\\VCRUNTIME140.dll would get into the file"):
        capture_exe.check_binaries(table(tmp_path / "bad", good, bad))
    with pytest.raises(capture_exe.Failed, match=r"python311.dll is not in the file"):
        capture_exe.check_binaries(table(tmp_path / "none", extension))


@pytest.mark.skipif(sys.platform == "win32", reason="a Windows Python builds with itself")
def test_a_machine_without_a_windows_python_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(capture_exe, "WINE_HOME", tmp_path)
    for bits, setup in ((64, "setup"), (32, "setup32")):
        assert capture_exe.main(["--bits", str(bits), "-o", str(tmp_path / "x.exe")]) == 1
        assert capsys.readouterr().err.rstrip().endswith(f"wine.sh {setup}")
    assert list(tmp_path.glob("x.exe*")) == []


# --- the file ---------------------------------------------------------------------------------------------------------


def built(path: Path) -> Path:
    """The built file, if it is there and not older than what goes into it."""
    if sys.platform == "win32":
        pytest.skip("these tests run the file under Wine")
    if not path.exists():
        pytest.skip(f"dist/{path.name} is not built: make capture-exe")
    package = Path(dumpmap.__file__).parent
    names = [name for name, _ in capture_build.members() if name.startswith("dumpmap/")]
    newest = max((package.parent / name).stat().st_mtime for name in names)
    if path.stat().st_mtime < newest:
        pytest.skip(f"dist/{path.name} is older than the sources: make capture-exe")
    require_wine()
    return path


@pytest.mark.parametrize("path", [X64, X86], ids=["x64", "x86"])
@pytest.mark.wine
@pytest.mark.slow
def test_hash_and_licences_are_beside_it(path: Path) -> None:
    built(path)
    line = path.with_name(f"{path.name}.sha256").read_text("ascii")
    assert line == f"{hashlib.sha256(path.read_bytes()).hexdigest()} *{path.name}\n"
    licences = path.with_name(f"{path.name}.licences.txt").read_text("utf-8")
    assert re.findall(r"^==== (.*) ====$", licences, re.MULTILINE) == ["dumpmap", "construct", "CPython", "PyInstaller"]
    assert path.stat().st_size < 6 << 20


@pytest.fixture(scope="module")
def x64(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A 64-bit process, and everything else that the driver has for a 64-bit system."""
    exe = built(X64)
    folder = tmp_path_factory.mktemp("exe")
    capture_build.write(folder / "dumpmap-capture.pyz")
    return record(folder, {"exe": [windows_path(exe)]}, folder / "dumpmap-capture.pyz")


@pytest.fixture(scope="module")
def wow64(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A 32-bit and a 64-bit process on 64-bit Windows."""
    files = {"exe": built(X64)}
    if X86.exists():
        files["exe32"] = built(X86)
    commands = {label: [f"C:\\dumpmap\\{path.name}"] for label, path in files.items()}
    with record_wow64(tmp_path_factory.mktemp("exe32"), commands, *files.values()) as recorded:
        yield recorded


@pytest.mark.wine
@pytest.mark.slow
def test_its_map_is_that_of_a_dump_of_the_same_moment(x64: Recorded) -> None:
    outcome = x64.result["captures"]["layout64 exe"]
    assert (outcome["code"], outcome["out"]) == (0, "")
    (line,) = says(outcome)
    assert f"layout64.exe ({x64.result['pid']}), " in line
    compare(x64, "layout64", "exe")


@pytest.mark.wine
@pytest.mark.slow
def test_it_captures_32_bit_processes_too(wow64: Recorded) -> None:
    assert wow64.result["captures"]["layout32 exe"]["code"] == 0
    compare(wow64, "layout32", "exe")


@pytest.mark.wine
@pytest.mark.slow
def test_the_32_bit_file(wow64: Recorded) -> None:
    if "layout32 exe32" not in wow64.result["captures"]:
        pytest.skip("dist/dumpmap-capture-x86.exe is not built: make capture-exe EXE='--bits 32'")
    assert wow64.result["captures"]["layout32 exe32"]["code"] == 0
    compare(wow64, "layout32", "exe32")
    refused = wow64.result["captures"]["layout64 exe32"]
    assert refused["code"] == 3
    assert "a 32-bit program cannot capture a 64-bit process" in says(refused)[0]


@pytest.mark.wine
@pytest.mark.slow
def test_its_errors_and_exit_codes(x64: Recorded) -> None:
    result = x64.result
    codes = {
        name: result[name]["code"]
        for name in ("by name", "exists", "two of a name", "no such process", "ended", "denied")
    }
    assert codes == {"by name": 0, "exists": 4, "two of a name": 3, "no such process": 3, "ended": 3, "denied": 3}
    assert says(result["no such process"]) == ["dumpmap: 999996: no such process"]
    # Its start program has the name too, and is part of it.
    assert says(result["own name"]) == ["dumpmap: dumpmap-capture: no process has this name"]
    assert says(result["denied"])[0].endswith("access denied; run dumpmap as administrator")
    assert result["series"]["code"] == 0
    assert "the process exited after" in says(result["series"])[-1]
    assert result["map only"]["code"] == 0
