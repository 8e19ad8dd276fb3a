"""Everything that an upload needs: `make release-check`, or python -m tests.release.check [--final].

Both archives are built twice and must be equal, byte for byte. Their contents, their metadata, and the version are
checked. Then a clean environment of every supported Python on this machine installs the wheel and runs the demo and the
Python of the README. The archives and a bill of materials (CycloneDX) stay in dist/. Nothing is uploaded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.readme import python_blocks, write_script

from release.artifacts import ROOT, Problem, build_twice, check_sdist, check_version, check_wheel, run, tracked_files

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""The versions that are tried if the machine has them."""

DUMP = ROOT / "tests" / "fixtures" / "fragment-x86.dmp.gz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs every check; the first problem ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.release.check", description=__doc__.partition("\n")[0])
    parser.add_argument("--final", action="store_true", help="the changelog must have the date of this version")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for line in checks(Path(scratch), final=given.final):
                print(line, flush=True)
    except Problem as problem:
        print(f"PROBLEM  {problem}")
        return 1
    print(f"All checks passed in {time.monotonic() - began:.0f} s. Nothing was uploaded.")
    return 0


def checks(scratch: Path, *, final: bool) -> Iterator[str]:
    """Runs the checks one by one; yields a line after each.

    Raises:
        Problem: one failed.
    """
    version = _version()
    date = check_version(
        version,
        (ROOT / "CHANGELOG.md").read_text("utf-8"),
        (ROOT / "docs" / "CITATION.cff").read_text("utf-8"),
        final=final,
    )
    yield f"ok  version {version}, changelog, and citation agree ({date})"
    files = tracked_files()
    wheel, sdist = build_twice(ROOT / "dist", scratch, files)
    for path in (wheel, sdist):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield f"ok  {path.name}: built twice, equal; {path.stat().st_size:,} bytes, SHA-256 {digest}"
    run("-m", "twine", "check", "--strict", str(wheel), str(sdist))
    yield "ok  twine check --strict"
    check_wheel(wheel, files, version)
    check_sdist(sdist, files, version)
    yield f"ok  contents: the wheel has the package and its data only, the source archive {len(files)} files"
    yield from _environments(scratch, wheel, version)


def _version() -> str:
    text = (ROOT / "dumpmap" / "_version.py").read_text("utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(version)


def find_pythons() -> dict[str, str]:
    """Returns those versions of Python that this machine has, with their programs."""
    found = {}
    for version in PYTHONS:
        installed = sorted(Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob(f"versions/{version}.*"))
        programs = [str(folder / "bin" / "python") for folder in installed]
        on_path = shutil.which(f"python{version}")
        for program in [*programs, *([on_path] if on_path else [])]:
            done = subprocess.run(
                [program, "-c", "import sys, venv; print(sys.version)"], capture_output=True, text=True
            )
            if done.returncode == 0 and done.stdout.startswith(f"{version}."):
                found[version] = program
    return found


def _environments(scratch: Path, wheel: Path, version: str) -> Iterator[str]:
    """Installs the wheel for every Python and uses it there; the first environment gives the bill of materials."""
    pythons = find_pythons()
    if not pythons:
        raise Problem("this machine has none of Python 3.11 to 3.14")
    for number, (name, program) in enumerate(pythons.items()):
        folder = scratch / name
        run("-m", "venv", str(folder), python=program)
        scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
        run("-m", "pip", "install", "--quiet", str(wheel), python=scripts / "python")
        use(scripts, scratch / f"used-{name}", version)
        yield f"ok  Python {name}: a clean environment runs the demo and the README's Python"
        if not number:
            bill = ROOT / "dist" / f"dumpmap-{version}.cdx.json"
            yield f"ok  {bill.name}: {_bill(scripts, bill)} components"
    missing = [name for name in PYTHONS if name not in pythons]
    if missing:
        yield f"--  not on this machine: Python {', '.join(missing)}"


def use(scripts: Path, folder: Path, version: str) -> None:
    """Runs the demo and the README's examples in an environment.

    Raises:
        Problem: one fails, or says something wrong.
    """
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DUMPMAP"))}
    kept["DUMPMAP_CACHE"] = str(folder / "cache")

    def output(*command: str | Path, place: Path = folder) -> str:
        done = subprocess.run(command, cwd=place, env=kept, capture_output=True, text=True, timeout=600)
        if done.returncode or done.stderr:
            raise Problem(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
        return done.stdout

    program = scripts / "dumpmap"
    if output(program, "--version") != f"dumpmap {version}\n":
        raise Problem("the installed program has another version")
    output(program, "summary", DUMP)
    judged = json.loads(output(program, "diagnose", DUMP, "--format", "json"))
    if judged["verdict"] != "out-of-address-space":
        raise Problem(f"the verdict on {DUMP.name} is {judged['verdict']}")
    for number, block in enumerate(python_blocks((ROOT / "README.md").read_text("utf-8"))):
        place = folder / str(number)
        place.mkdir()
        write_script(place, block)
        output(scripts / "python", "script.py", place=place)


def _bill(scripts: Path, path: Path) -> int:
    """Writes the bill of materials of an environment; returns the number of components."""
    run(
        "-m",
        "cyclonedx_py",
        "environment",
        "--output-reproducible",
        "--of",
        "JSON",
        "-o",
        str(path),
        str(scripts / "python"),
    )
    names = {part["name"].lower() for part in json.loads(path.read_text("utf-8"))["components"]}
    required = set(re.findall(r'^  "([a-z0-9]+)[>=<]', _dependencies(), re.MULTILINE))
    if missing := sorted((required | {"dumpmap"}) - names):
        raise Problem(f"{path.name}: {missing[0]} is missing")
    return len(names)


def _dependencies() -> str:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return text.partition("\ndependencies = [")[2].partition("\n]")[0]


if __name__ == "__main__":
    sys.exit(main())
