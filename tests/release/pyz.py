"""Builds dumpmap.pyz: dumpmap and its requirements in one file, for a machine with Python and no pip.

python -m tests.release.pyz                                            for this Python and this system
python -m tests.release.pyz --platform win_amd64 --python-version 3.12     for another one

NumPy and others are compiled, so a file runs on one system and one version of Python. `shiv` makes the file; it unpacks
itself into a folder of the user (`~/.shiv`, or `$SHIV_ROOT`) when it is started for the first time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

EXTRAS = "tui"
"""The extras that are in it: small and pure Python. The others need pip."""

_UNUSED = ("pandas/tests", "numpy/**/tests", "bin", "**/__pycache__")
_WINDOWS_ONLY = ("colorama", "tzdata")
"""What packages require on Windows alone: pip reads markers for the system that it runs on."""


def build_wheel(folder: Path, environment: dict[str, str] | None = None) -> Path:
    """Builds the wheel of this tree."""
    _run("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT), environment=environment)
    (wheel,) = folder.glob("dumpmap-*.whl")
    return wheel


def build(output: Path, platform: str | None = None, python_version: str | None = None) -> None:
    """Builds the file.

    Args:
        output: the file.
        platform: pip's name of the target, such as `win_amd64`; None for this machine.
        python_version: the version of Python there; None for this one.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = folder / "site"
        wanted = [f"{build_wheel(folder)}[{EXTRAS}]"]
        target: list[str] = []
        if platform is not None or python_version is not None:
            target = ["--only-binary", ":all:"]
            target += ["--platform", platform] if platform else []
            target += ["--python-version", python_version] if python_version else []
            wanted += _WINDOWS_ONLY if platform and platform.startswith("win") else ()
        _run("-m", "pip", "install", "--quiet", "--target", str(site), *target, *wanted)
        for pattern in _UNUSED:
            for path in list(site.glob(pattern)):
                shutil.rmtree(path, ignore_errors=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        made = folder / "made.pyz"
        start = ("--entry-point", "dumpmap.__main__:main", "--python", "/usr/bin/env python3")
        _run("-m", "shiv", "--reproducible", "--site-packages", str(site), *start, "--output-file", str(made))
        shutil.copy(made, output)


def _run(*arguments: str, environment: dict[str, str] | None = None) -> None:
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **quiet, **(environment or {})},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments[:3])} failed:\n{done.stdout}{done.stderr}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the file and says how large it is."""
    parser = argparse.ArgumentParser(prog="python -m tests.release.pyz", description="Build dumpmap.pyz.")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist" / "dumpmap.pyz")
    parser.add_argument("--platform", help="such as win_amd64 or manylinux_2_28_x86_64; default: this machine")
    parser.add_argument("--python-version", help="such as 3.12; default: this one")
    given = parser.parse_args(arguments)
    build(given.output, given.platform, given.python_version)
    print(f"{given.output}: {given.output.stat().st_size / (1 << 20):.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
