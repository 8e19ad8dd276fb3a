"""Wheel and source archive: built twice, and what is in them."""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

_LARGEST = 4 << 20
"""Bytes of an archive. A fixture that should not be there would exceed it long before the index refuses it."""


_DOT_FILES = (".mkdocs.yml",)
"""Dot-files of the source archive: its tests compare the list of pages with the pages."""


class Problem(Exception):
    """Why this tree must not be released."""


def tracked_files() -> list[str]:
    """Returns the files of the repository."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def build_twice(output: Path, scratch: Path, files: Sequence[str]) -> tuple[Path, Path]:
    """Builds both archives from two copies of the tree, in other folders and with other permissions.

    Returns:
        the wheel and the source archive.

    Raises:
        Problem: they differ.
    """
    moment = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True)
    built = []
    for number, mask in enumerate((0o022, 0o077)):
        tree, target = scratch / f"tree-{'x' * number}", scratch / f"built-{number}"
        copy_tree(tree, files, mask)
        # Without --wheel and --sdist, the wheel is built from the source archive: what users of the archive get.
        run(
            *("-m", "build", "--no-isolation", "--outdir", str(target), str(tree)),
            environment={"SOURCE_DATE_EPOCH": moment.stdout.strip()},
        )
        built.append(sorted(target.iterdir()))
    for first, second in zip(*built, strict=True):
        if first.name != second.name or first.read_bytes() != second.read_bytes():
            raise Problem(f"{first.name} is not the same when it is built again")
    output.mkdir(parents=True, exist_ok=True)
    kept = [Path(shutil.copy(path, output)) for path in built[0]]
    return (
        next(path for path in kept if path.suffix == ".whl"),
        next(path for path in kept if path.name.endswith(".tar.gz")),
    )


def copy_tree(target: Path, files: Sequence[str], mask: int) -> None:
    """Copies files, with permissions that another user would have."""
    for name in files:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, path)
        path.chmod(0o666 & ~mask)


def check_wheel(wheel: Path, files: Collection[str], version: str) -> None:
    """Checks that a wheel has the package with its data, and nothing else.

    Raises:
        Problem: it has not.
    """
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    info = f"dumpmap-{version}.dist-info/"
    package = {name for name in files if name.startswith("dumpmap/")}
    others = {name for name in contents if not name.startswith(info)}
    _compare(wheel, others, package)
    _check_record(wheel, contents, info)
    metadata = email.message_from_bytes(contents[info + "METADATA"])
    if metadata["Version"] != version:
        raise Problem(f"{wheel.name}: the metadata says version {metadata['Version']}")
    if "dumpmap = dumpmap.__main__:main" not in contents[info + "entry_points.txt"].decode():
        raise Problem(f"{wheel.name}: has no program dumpmap")
    if info + "licenses/LICENSE" not in contents:
        raise Problem(f"{wheel.name}: has no license")
    _check_size(wheel)


def _check_record(wheel: Path, contents: dict[str, bytes], info: str) -> None:
    """Checks the list of files with their digests."""
    listed = {row[0]: row[1] for row in csv.reader(io.StringIO(contents[info + "RECORD"].decode()))}
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        if name != info + "RECORD" and listed.get(name) != f"sha256={digest}":
            raise Problem(f"{wheel.name}: RECORD is wrong about {name}")
    if set(listed) != set(contents):
        raise Problem(f"{wheel.name}: RECORD lists other files")


def check_sdist(sdist: Path, files: Collection[str], version: str) -> None:
    """Checks that a source archive has the repository without its dot-files, but with those that its tests read.

    Raises:
        Problem: it has not.
    """
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    odd = [member.name for member in members if not member.isfile()]
    if odd:
        raise Problem(f"{sdist.name}: {odd[0]} is no regular file")
    names = {member.name.removeprefix(f"dumpmap-{version}/") for member in members}
    wanted = {name for name in files if not name.startswith(".") or name in _DOT_FILES}
    _compare(sdist, names - {"PKG-INFO", ".gitignore"}, wanted)
    _check_size(sdist, 4 * _LARGEST)


def _compare(archive: Path, names: set[str], wanted: set[str]) -> None:
    for missing in sorted(wanted - names):
        raise Problem(f"{archive.name}: {missing} is missing")
    for unwanted in sorted(names - wanted):
        raise Problem(f"{archive.name}: {unwanted} does not belong in it")


def _check_size(archive: Path, most: int = _LARGEST) -> None:
    if archive.stat().st_size > most:
        raise Problem(f"{archive.name}: has {archive.stat().st_size:,} bytes, more than {most:,}")


def check_version(version: str, changelog: str, citation: str, *, final: bool) -> str:
    """Checks that version, changelog, and citation agree.

    Args:
        version: the version of the package.
        changelog: the text of CHANGELOG.md.
        citation: the text of CITATION.cff.
        final: whether the version must have its date.

    Returns:
        the date of the version, or `unreleased`.

    Raises:
        Problem: they do not agree.
    """
    newest = re.search(r"^## (\S+) - (\S+)$", changelog, re.MULTILINE)
    if newest is None or newest[1] != version:
        raise Problem(f"CHANGELOG.md begins with {newest[1] if newest else 'no version'}, the package is {version}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", newest[2]) and (final or newest[2] != "unreleased"):
        raise Problem(f"CHANGELOG.md has no date for {version}")
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    if cited is None or cited[1].strip("\"'") != version:
        raise Problem(f"CITATION.cff does not cite {version}")
    return newest[2]


def run(*arguments: str, python: str | Path = sys.executable, environment: dict[str, str] | None = None) -> str:
    """Runs Python in the root of the repository, without its settings; returns the output.

    Raises:
        Problem: the exit code is not 0.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    kept["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(
        [python, *arguments], env={**kept, **(environment or {})}, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise Problem(f"{' '.join(arguments[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
