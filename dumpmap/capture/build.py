"""Builds `dumpmap-capture.pyz`: live capture in one file, for machines that have only Python.

    python -m dumpmap.capture.build -o dumpmap-capture.pyz

The file contains this package, the modules of dumpmap that it uses, and construct with its licence. It runs on Python
3.11 and later, on Windows and Linux: `py dumpmap-capture.pyz 1234 -o app.json`. The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath

from dumpmap.errors import DumpmapError, OutputError, reason_of

PYTHON_FLOOR = (3, 11)
"""The oldest Python that the sources are written for."""

_PACKAGE = Path(__file__).parents[1]
_SOURCES = (
    "_version.py",
    "errors.py",
    "model/binary.py",
    "model/counts.py",
    "model/evidence.py",
    "model/heaps.py",
    "model/kinds.py",
    "model/managed_heaps.py",
    "model/memory.py",
    "model/process.py",
    "model/values.py",
    "model/recognised.py",
    "model/runtime_limits.py",
    "model/types.py",
    "model/winnt.py",
    "parsers/linux_maps.py",
    "capture/**/*.py",
    "structures/**/*.py",
)
"""The modules of dumpmap that a capture uses. They import only the standard library, construct and each other."""

_LEFT_OUT = ("capture/build.py",)
_EMPTY = ("dumpmap/__init__.py", "dumpmap/model/__init__.py", "dumpmap/parsers/__init__.py")
"""Packages that are empty in the file: their own `__init__` imports modules that are not in it."""

_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)

# Every Python must understand this text, so that an old one reports its problem.
_MAIN = """\
import sys

if sys.version_info < {floor}:
    sys.stderr.write(
        "dumpmap: Python {floor_text} or later is needed; this is %d.%d\\n" % (sys.version_info[0], sys.version_info[1])
    )
    sys.exit(2)

from dumpmap.capture.standalone import main

sys.exit(main())
"""


def members() -> Iterator[tuple[str, bytes]]:
    """Yields the name and content of every file in the pyz, in order of name.

    Raises:
        OutputError: construct is installed without its sources or its licence.
    """
    content: dict[str, bytes] = dict.fromkeys(_EMPTY, b"")
    for pattern in _SOURCES:
        for path in _PACKAGE.glob(pattern):
            name = path.relative_to(_PACKAGE).as_posix()
            if name not in _LEFT_OUT:
                content[f"dumpmap/{name}"] = path.read_bytes()
    content.update(_distribution("construct", "construct"))
    floor_text = ".".join(map(str, PYTHON_FLOOR))
    content["__main__.py"] = _MAIN.format(floor=PYTHON_FLOOR, floor_text=floor_text).encode()
    yield from sorted(content.items())


def _distribution(name: str, package: str) -> dict[str, bytes]:
    """Returns the Python files of an installed package and its licence."""
    content: dict[str, bytes] = {}
    licensed = False
    for file in metadata.files(name) or ():
        path = PurePosixPath(file.as_posix())
        if path.parts[0] == package and path.suffix == ".py":
            content[str(path)] = file.read_binary()
        elif path.name.upper().startswith(("LICENSE", "LICENCE")):
            content[f"{package}/{path.name}"] = file.read_binary()
            licensed = True
    if not licensed or f"{package}/__init__.py" not in content:
        raise OutputError(f"the package {name} is installed without its sources or licence; reinstall it with pip")
    return content


def build() -> bytes:
    """Returns the content of the pyz."""
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, data)
    return buffer.getvalue()


def write(path: Path) -> None:
    """Builds the pyz and writes it to `path`. An existing file is overwritten.

    Raises:
        OutputError: the file could not be written.
    """
    try:
        path.write_bytes(build())
        path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        raise OutputError(f"cannot write the file: {reason_of(error)}", source=str(path)) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m dumpmap.capture.build", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("dumpmap-capture.pyz"), metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        write(options.output)
    except DumpmapError as error:
        sys.stderr.write(f"dumpmap: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
