"""Builds dumpmap-capture.exe: `dumpmap capture` in one file, for a Windows machine without Python.

python -m tests.release.capture_exe                  x64, dist/dumpmap-capture.exe
python -m tests.release.capture_exe --bits 32        x86, dist/dumpmap-capture-x86.exe
python -m tests.release.capture_exe --twice          builds it again in another folder; both must be equal

The file holds what `dumpmap.capture.build` puts into the pyz, and the parts of CPython that it imports. PyInstaller
makes it, and is run by a Windows Python: this one on Windows, elsewhere that of `tests/fixtures/record/wine.sh setup`
(for x86 `setup32`) under Wine. Beside the file are written its SHA-256 and the licences of what is in it.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dumpmap import __version__
from dumpmap.capture import build as capture_build

ROOT = Path(__file__).parents[2]
PINNED = Path(__file__).with_suffix(".txt")
WINE = ROOT / "tests" / "fixtures" / "record" / "wine.sh"
WINE_HOME = Path(os.environ.get("DUMPMAP_WINE_HOME", Path.home() / ".cache" / "dumpmap-wine"))

LEFT_OUT = (
    *("_bz2", "_decimal", "_hashlib", "_lzma", "_socket", "_ssl", "_queue", "select", "unicodedata"),
    *("bz2", "decimal", "doctest", "email", "fractions", "http", "html", "logging", "lzma", "multiprocessing"),
    *("pydoc", "pydoc_data", "selectors", "socket", "socketserver", "ssl", "statistics", "tarfile"),
    *("unittest", "webbrowser", "xml"),
)
"""Modules that imported ones could use, and a capture never does. They would double the size.

`subprocess` is not among them: ctypes.util imports it, which PyInstaller's loader needs for ctypes.
"""

_RUN = """\
import os, subprocess, sys

os.environ.update({variables})
sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)
"""
"""Starts Python again with variables: PYTHONHASHSEED counts from the start only, and Wine's root passes none on."""

_VERSION = """\
VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0, OS=0x40004, fileType=1, subtype=0),
  kids=[
    StringFileInfo([StringTable("040904B0", [
      StringStruct("FileDescription", "Captures the memory map of a process for dumpmap"),
      StringStruct("FileVersion", "{version}"),
      StringStruct("OriginalFilename", "dumpmap-capture.exe"),
      StringStruct("ProductName", "dumpmap"),
      StringStruct("ProductVersion", "{version}"),
    ])]),
    VarFileInfo([VarStruct("Translation", [0x409, 0x4B0])]),
  ],
)
"""


class Failed(Exception):
    """Why the file could not be built."""


@dataclass(frozen=True)
class Windows:
    """How programs for Windows are run here. Their paths are relative to `folder`, where they start.

    Attributes:
        bits: the width of the programs, 64 or 32.
        folder: the work folder. Its name must be `build` for 32-bit programs under Wine.
    """

    bits: int
    folder: Path

    @property
    def python(self) -> str:
        """The path of the Windows Python, for the programs."""
        if sys.platform == "win32":
            return sys.executable
        if self.bits == 64:
            return "Z:" + str(WINE_HOME / "python" / "python.exe").replace("/", "\\")
        return "python32\\python32.exe"

    def prepare(self) -> None:
        """Checks that there is a Python of this width, and puts it where it can be started.

        Raises:
            Failed: there is none.
        """
        if sys.platform == "win32":
            if (sys.maxsize > 1 << 32) != (self.bits == 64):
                raise Failed(f"this Python is not a {self.bits}-bit one; build with one that is")
            return
        name, setup = ("python", "setup") if self.bits == 64 else ("python32", "setup32")
        if not (WINE_HOME / name / ".complete").exists():
            raise Failed(f"there is no Windows Python in {WINE_HOME / name}: run {WINE.relative_to(ROOT)} {setup}")
        if self.bits == 32:
            shutil.copytree(WINE_HOME / name, self.folder / name)

    def run(self, program: str, *arguments: str) -> str:
        """Runs a program.

        Returns:
            what it wrote to standard output.

        Raises:
            Failed: it ended with another code than 0.
        """
        environment, command = dict(os.environ), [program, *arguments]
        if sys.platform != "win32":
            command = ["bash", str(WINE), "exec" if self.bits == 64 else "execwow", *command]
            if self.bits == 32:
                # Programs run as another user there.
                subprocess.run(["chmod", "-R", "a+rwX", str(self.folder)], check=True)
                environment["DUMPMAP_WINE_HOME"] = str(self.folder.parent)
        done = subprocess.run(
            command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            raise Failed(
                f"{program} {' '.join(arguments[:3])} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout


def build(output: Path, bits: int, made_at: str) -> None:
    """Builds the file.

    Args:
        output: the file.
        bits: its width.
        made_at: the time that is written into it.

    Raises:
        Failed: a step of it failed.
    """
    with tempfile.TemporaryDirectory(prefix="dumpmap-exe-") as name:
        windows = Windows(bits, Path(name).resolve() / "build")
        windows.folder.mkdir()
        windows.prepare()
        modules = write_inputs(windows.folder, made_at)
        install_tools(windows.folder / "tools", bits)
        windows.run(windows.python, "run.py", *pyinstaller_arguments(modules))
        check_binaries(windows)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(windows.folder / "out" / "dumpmap-capture.exe", output)
        licences = licence_texts(windows)
        output.with_name(f"{output.name}.licences.txt").write_text(licences, "utf-8")
    output.with_name(f"{output.name}.sha256").write_text(f"{digest(output)} *{output.name}\n", "ascii")


def write_inputs(folder: Path, made_at: str) -> list[str]:
    """Writes the sources and the files for the build.

    Returns:
        the names of the modules of dumpmap among them.
    """
    modules = []
    for name, data in capture_build.members():
        path = folder / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.suffix == ".py" and name.startswith("dumpmap/"):
            modules.append(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    numbers = (*(int(part) for part in __version__.split(".")[:3]), 0)
    (folder / "version.txt").write_text(_VERSION.format(numbers=numbers, version=__version__), "utf-8")
    variables = {"PYTHONPATH": "tools", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": made_at}
    (folder / "run.py").write_text(_RUN.format(variables=variables), "utf-8")
    return modules


def moment() -> str:
    """Returns the time that is written into the file: that of the last commit, or $SOURCE_DATE_EPOCH."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return os.environ["SOURCE_DATE_EPOCH"]
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "315532800"


def install_tools(folder: Path, bits: int) -> None:
    """Unpacks PyInstaller with what it imports.

    Raises:
        Failed: pip could not get it.
    """
    platform = "win_amd64" if bits == 64 else "win32"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--platform", platform, "--python-version", "3.11"]
    done = subprocess.run(
        [*command, "--target", str(folder), "-r", str(PINNED)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"pip could not install {PINNED.name}:\n{done.stderr}")


def pyinstaller_arguments(modules: Sequence[str]) -> list[str]:
    """Returns the arguments for `run.py`.

    Without a version resource, Wine could not write the manifest: PyInstaller takes its answer for a file without
    resources for an error.
    """
    arguments = ["-m", "PyInstaller", "--noconfirm", "--onefile", "--console", "--noupx", "--icon", "NONE"]
    arguments += ["--name", "dumpmap-capture", "--version-file", "version.txt", "--paths", "sources"]
    arguments += ["--distpath", "out", "--workpath", "work", "--specpath", "."]
    arguments += [word for module in modules for word in ("--hidden-import", module)]
    arguments += [word for module in LEFT_OUT for word in ("--exclude-module", module)]
    return [*arguments, "sources/__main__.py"]


def check_binaries(windows: Windows) -> list[str]:
    """Checks that the compiled files are the Python's own: Wine's must not get in.

    Returns:
        their names.

    Raises:
        Failed: one is not.
    """
    table = ast.literal_eval((windows.folder / "work" / "dumpmap-capture" / "PKG-00.toc").read_text("utf-8"))
    home = windows.python.rpartition("\\")[0].lower()
    names = []
    for name, path, kind in (entry for part in table if isinstance(part, list) for entry in part):
        if kind in ("BINARY", "EXTENSION"):
            if f"{home}\\" not in path.lower():
                raise Failed(f"{path} would get into the file, which is none of Python's")
            names.append(name)
    if "python311.dll" not in names and sys.platform != "win32":
        raise Failed(f"python311.dll is not in the file: {names}")
    return names


def licence_texts(windows: Windows) -> str:
    """Returns the licences of what is in the file."""
    if sys.platform == "win32":
        python = Path(sys.base_prefix) / "LICENSE.txt"
    else:
        python = WINE_HOME / ("python" if windows.bits == 64 else "python32") / "Lib" / "LICENSE.txt"
    (construct,) = (windows.folder / "sources" / "construct").glob("LICEN[CS]E*")
    (loader,) = (windows.folder / "tools").glob("pyinstaller-*.dist-info/licenses/COPYING.txt")
    parts = (("dumpmap", ROOT / "LICENSE"), ("construct", construct), ("CPython", python), ("PyInstaller", loader))
    return "\n".join(f"==== {name} ====\n\n{path.read_text('utf-8').strip()}\n" for name, path in parts)


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def start_seconds(path: Path, bits: int) -> float:
    """Starts the file, checks what it says, and returns the seconds until it has said its version.

    Raises:
        Failed: it does not start, says another version, or cannot ask Windows for a process.
    """
    with tempfile.TemporaryDirectory(prefix="dumpmap-exe-") as name:
        windows = Windows(bits, Path(name).resolve() / "build")
        windows.folder.mkdir()
        shutil.copy(path, windows.folder / f"dumpmap-capture{bits}.exe")
        best = float("inf")
        for _ in range(3):
            began = time.monotonic()
            said = windows.run(f"dumpmap-capture{bits}.exe", "--version").strip()
            best = min(best, time.monotonic() - began)
            if said != f"dumpmap {__version__}":
                raise Failed(f"the file says {said!r} when asked for its version")
        try:
            windows.run(f"dumpmap-capture{bits}.exe", "999996", "-o", "x.json")
        except Failed as failed:
            if "999996: no such process" not in str(failed):
                raise
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the file and says how large it is, its hash, and how fast it starts."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.release.capture_exe", description="Build dumpmap-capture.exe."
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="default: dist/dumpmap-capture.exe, or dumpmap-capture-x86.exe"
    )
    parser.add_argument("--bits", type=int, choices=(64, 32), default=64, help="the width of the file (default: 64)")
    parser.add_argument("--twice", action="store_true", help="build it again in another folder; both must be equal")
    given = parser.parse_args(arguments)
    output = given.output or ROOT / "dist" / ("dumpmap-capture.exe" if given.bits == 64 else "dumpmap-capture-x86.exe")
    made_at = moment()
    try:
        build(output, given.bits, made_at)
        if given.twice:
            with tempfile.TemporaryDirectory() as again:
                build(Path(again) / output.name, given.bits, made_at)
                if digest(Path(again) / output.name) != digest(output):
                    raise Failed(f"{output.name} is not the same when it is built again")
        seconds = start_seconds(output, given.bits)
    except Failed as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    wine = "" if sys.platform == "win32" else ", with Wine's own start"
    print(f"{output}: {output.stat().st_size:,} bytes, starts in {seconds:.1f} s{wine}")
    print(f"SHA-256 {digest(output)}{' (built twice, equal)' if given.twice else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
