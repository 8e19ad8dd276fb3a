"""The checks before an upload find what does not belong there."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from release import check
from release.artifacts import ROOT, Problem, check_sdist, check_version, check_wheel, copy_tree

INFO = "dumpmap-1.0.dist-info/"
SOURCES = ["dumpmap/__init__.py", "dumpmap/py.typed", "tests/test_x.py", "README.md", ".mkdocs.yml"]
TRACKED = [*SOURCES, ".gitignore", ".ci/run"]
GOOD = {
    "dumpmap/__init__.py": b"",
    "dumpmap/py.typed": b"",
    INFO + "METADATA": b"Name: dumpmap\nVersion: 1.0\n",
    INFO + "WHEEL": b"",
    INFO + "entry_points.txt": b"[console_scripts]\ndumpmap = dumpmap.__main__:main\n",
    INFO + "licenses/LICENSE": b"MIT",
}


def wheel(folder: Path, contents: dict[str, bytes], record: dict[str, bytes] | None = None) -> Path:
    path = folder / "dumpmap-1.0-py3-none-any.whl"
    listed = contents if record is None else record
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}"
        for name, data in listed.items()
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
        archive.writestr(INFO + "RECORD", "\n".join([*lines, f"{INFO}RECORD,,"]))
    return path


def test_a_good_wheel_passes(tmp_path: Path) -> None:
    check_wheel(wheel(tmp_path, GOOD), TRACKED, "1.0")


WITHOUT_DATA = {name: data for name, data in GOOD.items() if name != "dumpmap/py.typed"}
WITHOUT_LICENSE = {name: data for name, data in GOOD.items() if "LICENSE" not in name}


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ({**GOOD, "tests/test_x.py": b""}, "tests/test_x.py does not belong in it"),
        ({**GOOD, "dumpmap/secret.txt": b""}, "dumpmap/secret.txt does not belong in it"),
        (WITHOUT_DATA, "dumpmap/py.typed is missing"),
        (WITHOUT_LICENSE, "has no license"),
        ({**GOOD, INFO + "METADATA": b"Version: 0.9\n"}, "the metadata says version 0.9"),
        ({**GOOD, INFO + "entry_points.txt": b""}, "has no program"),
        ({**GOOD, "dumpmap/py.typed": bytes(5 << 20)}, "more than"),
    ],
)
def test_a_bad_wheel_does_not(contents: dict[str, bytes], problem: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=problem):
        check_wheel(wheel(tmp_path, contents), TRACKED, "1.0")


def test_a_wheel_whose_record_is_wrong_does_not(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="RECORD is wrong about dumpmap/__init__"):
        check_wheel(wheel(tmp_path, GOOD, {**GOOD, "dumpmap/__init__.py": b"x"}), TRACKED, "1.0")
    with pytest.raises(Problem, match="RECORD lists other files"):
        check_wheel(wheel(tmp_path, GOOD, {**GOOD, "dumpmap/gone.py": b""}), TRACKED, "1.0")


def sdist(folder: Path, names: list[str], link: bool = False) -> Path:
    path = folder / "dumpmap-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"dumpmap-1.0/{name}")
            archive.addfile(member, io.BytesIO())
        if link:
            member = tarfile.TarInfo("dumpmap-1.0/link")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return path


def test_a_source_archive_has_what_is_tracked(tmp_path: Path) -> None:
    check_sdist(sdist(tmp_path, [*SOURCES, "PKG-INFO"]), TRACKED, "1.0")
    with pytest.raises(Problem, match=r"dumpmap/__init__\.py is missing"):
        check_sdist(sdist(tmp_path, SOURCES[1:]), TRACKED, "1.0")
    with pytest.raises(Problem, match=r"notes\.txt does not belong in it"):
        check_sdist(sdist(tmp_path, [*SOURCES, "notes.txt"]), TRACKED, "1.0")
    with pytest.raises(Problem, match=r"\.mkdocs\.yml is missing"):
        check_sdist(sdist(tmp_path, SOURCES[:-1]), TRACKED, "1.0")
    with pytest.raises(Problem, match=r"\.ci/run does not belong in it"):
        check_sdist(sdist(tmp_path, [*SOURCES, ".ci/run"]), TRACKED, "1.0")
    with pytest.raises(Problem, match="link is no regular file"):
        check_sdist(sdist(tmp_path, SOURCES, link=True), TRACKED, "1.0")


CHANGELOG = "# Changelog\n\n## 1.0 - {}\n\n- A.\n\n## 0.9 - 2020-01-01\n"


def test_version_changelog_and_citation_agree() -> None:
    assert check_version("1.0", CHANGELOG.format("2026-01-02"), "version: 1.0\n", final=True) == "2026-01-02"
    assert check_version("1.0", CHANGELOG.format("unreleased"), "version: '1.0'\n", final=False) == "unreleased"
    with pytest.raises(Problem, match="has no date"):
        check_version("1.0", CHANGELOG.format("unreleased"), "version: 1.0\n", final=True)
    with pytest.raises(Problem, match="has no date"):
        check_version("1.0", CHANGELOG.format("soon"), "version: 1.0\n", final=False)
    with pytest.raises(Problem, match=r"begins with 1\.0, the package is 0\.9"):
        check_version("0.9", CHANGELOG.format("2026-01-02"), "version: 0.9\n", final=False)
    with pytest.raises(Problem, match="does not cite"):
        check_version("1.0", CHANGELOG.format("2026-01-02"), "version: 1.0.1\n", final=False)


def test_the_repository_agrees_with_itself() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    citation = (ROOT / "docs" / "CITATION.cff").read_text("utf-8")
    assert check_version(check._version(), changelog, citation, final=False)


def test_the_pythons_of_the_package_are_tried() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    stated = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert set(stated) <= set(check.PYTHONS)
    assert f'requires-python = ">={stated[0]}"' in project


def test_pythons_that_are_found_are_there() -> None:
    found = check.find_pythons()
    assert set(found) <= set(check.PYTHONS)
    assert all(Path(program).exists() for program in found.values())


def test_an_environment_that_says_something_wrong_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    program = tmp_path / "scripts" / "dumpmap"
    program.write_text(f"#!{sys.executable}\nprint('dumpmap 0.1')\n", "utf-8")
    program.chmod(0o755)
    with pytest.raises(Problem, match="has another version"):
        check.use(tmp_path / "scripts", tmp_path / "used", "1.0")


def test_a_copy_has_the_permissions_of_another_user(tmp_path: Path) -> None:
    copy_tree(tmp_path, ["LICENSE", "Makefile"], 0o077)
    assert (tmp_path / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (tmp_path / "Makefile").stat().st_mode & 0o777 == 0o600
