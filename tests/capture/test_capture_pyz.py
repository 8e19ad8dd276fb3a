"""The one-file capture: what is in it, and that it needs nothing but a Python."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dumpmap.capture import build
from dumpmap.parsers.opening import open_snapshot


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyz") / "dumpmap-capture.pyz"
    assert build.main(["-o", str(path)]) == 0
    return path


def run(pyz: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs it without site-packages, environment variables and user settings, away from the sources."""
    environment = {key: os.environ[key] for key in ("SYSTEMROOT", "PATH") if key in os.environ}
    return subprocess.run(
        [sys.executable, "-I", "-S", str(pyz), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )


def test_contents(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
        assert archive.read("dumpmap/__init__.py") == b""
        assert "Permission is hereby granted" in archive.read("construct/LICENSE").decode()
    assert {name.split("/")[0] for name in names} == {"__main__.py", "construct", "dumpmap"}
    modules = ("capture/windows/process", "capture/linux/process", "structures/survey")
    assert {f"dumpmap/{module}.py" for module in modules} <= names
    assert all(name.endswith(".py") or name == "construct/LICENSE" for name in names)
    unwanted = ("snapshot", "classify", "render", "cli", "triage", "analysis", "capture/build")
    assert not [name for name in names if name.removeprefix("dumpmap/").startswith(unwanted)]


def test_every_import_is_in_it_or_in_the_standard_library(pyz: Path) -> None:
    allowed = {*sys.stdlib_module_names, "construct", "dumpmap"}
    optional = {"dumpmap/capture/output.py": {"zstandard"}}
    with zipfile.ZipFile(pyz) as archive:
        names = set(archive.namelist())
        for name in names:
            if not name.startswith("dumpmap/") or not name.endswith(".py"):
                continue
            for node in ast.walk(ast.parse(archive.read(name))):
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0
                    modules = [node.module or ""]
                else:
                    continue
                for module in modules:
                    assert module.split(".")[0] in allowed | optional.get(name, set()), f"{name}: {module}"
                    if module.startswith("dumpmap."):
                        path = module.replace(".", "/")
                        assert {f"{path}.py", f"{path}/__init__.py"} & names, f"{name}: {module}"


def test_the_same_sources_give_the_same_bytes(pyz: Path) -> None:
    assert build.build() == pyz.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="captures a process on Linux")
def test_it_captures_on_a_bare_python(pyz: Path, tmp_path: Path) -> None:
    result = run(pyz, str(os.getpid()), "-o", "own.json.gz", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    taken = open_snapshot(tmp_path / "own.json.gz")
    assert taken.process.pid == os.getpid()
    assert taken.regions is not None
    assert len(taken.regions) > 50


def test_it_finds_its_errors(pyz: Path, tmp_path: Path) -> None:
    result = run(pyz, "no program of this name", "-o", "a.json", folder=tmp_path)
    if sys.platform in ("linux", "win32"):
        assert (result.returncode, result.stderr) == (3, "dumpmap: no program of this name: no process has this name\n")
    result = run(pyz, "1", "-o", "a.txt", folder=tmp_path)
    assert result.returncode == 2
    result = run(pyz, "--version", folder=tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith("dumpmap ")


def test_an_old_python_gets_a_message(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        source = archive.read("__main__.py").decode()
    # Nothing before the check may be newer than Python 2.
    head, _, _ = source.partition("from dumpmap")
    said: list[str] = []

    class Old:
        version_info = (3, 8, 1)

        class stderr:
            write = staticmethod(said.append)

        @staticmethod
        def exit(code: int) -> None:
            raise SystemExit(code)

    with pytest.raises(SystemExit) as caught:
        exec(compile(head.replace("import sys\n", ""), "__main__.py", "exec"), {"sys": Old})
    assert caught.value.code == 2
    assert said == ["dumpmap: Python 3.11 or later is needed; this is 3.8\n"]


def test_it_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["-o", str(tmp_path / "no" / "a.pyz")]) == 4
    assert "cannot write the file" in capsys.readouterr().err
