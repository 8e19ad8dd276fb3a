"""The copy of the project that is mutated, and the tests that run in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from mutation.sample import Mutant, idle_places

PROJECT = Path(__file__).parents[2]

_SAME_BY_DESIGN = ("Eq_Is", "NotEq_IsNot", "Is_Eq", "IsNot_NotEq")
"""Changes that mean the same for the small integers, enumerations and singletons that are compared here."""


def mutants_of(folder: Path, path: str) -> list[Mutant]:
    """Every mutant of a file; idle places, and changes that mean the same, are left out."""
    source = (folder / path).read_text(encoding="utf-8")
    nodes = list(ast_nodes(get_ast(source)))
    idle = idle_places(source)
    found = []
    for name in operator_names():
        operator_class = get_operator(name)
        if operator_class.arguments() or name.endswith(_SAME_BY_DESIGN):
            continue
        operator = operator_class()
        places = (start for node in nodes for start, _end in operator.mutation_positions(node))
        found += [
            Mutant(path, line, column, name, occurrence)
            for occurrence, (line, column) in enumerate(places)
            if (line, column) not in idle
        ]
    return found


@dataclass(frozen=True)
class Tree:
    """A copy of the project in `folder`."""

    folder: Path

    def copy(self) -> None:
        """Makes the copy."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in ("dumpmap", "tests", "docs"):
            shutil.copytree(PROJECT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"):
            shutil.copy(PROJECT / name, self.folder / name)

    def pytest(self, *arguments: str, patience: float | None = None, **environment: str) -> int | None:
        """Runs pytest in the copy; the exit code, or None when it did not end within `patience` seconds."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-n0"]
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    def mutated(self, mutant: Mutant) -> tuple[str, str]:
        """The text of a mutant's file before and after."""
        before = (self.folder / mutant.path).read_text(encoding="utf-8")
        return before, mutate_code(before, get_operator(mutant.operator)(), mutant.occurrence) or ""

    def changed_line(self, mutant: Mutant) -> tuple[str, str]:
        """The first line that a mutant changes, before and after."""
        before, after = self.mutated(mutant)
        pairs = zip(before.splitlines(), after.splitlines(), strict=False)
        return next(((old.strip(), new.strip()) for old, new in pairs if old != new), ("", ""))

    def meet(self, mutant: Mutant, tests: list[str], patience: float) -> str:
        """Applies a mutant, runs its tests, and says `killed`, `hung`, `survived` or `invalid`."""
        path = self.folder / mutant.path
        before, after = self.mutated(mutant)
        try:
            compile(after, mutant.path, "exec")
        except SyntaxError:
            return "invalid"
        listed = self.folder.with_suffix(".tests")
        listed.write_text("\n".join(tests), encoding="utf-8")
        try:
            path.write_text(after, encoding="utf-8")
            code = self.pytest("-x", f"@{listed}", patience=patience)
        finally:
            path.write_text(before, encoding="utf-8")
        return "hung" if code is None else "survived" if code == 0 else "killed"
