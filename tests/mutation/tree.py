"""The copy of the project that is mutated, and the tests that run in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
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
class Change:
    """The text of a file before and after."""

    path: str
    before: str
    after: str

    @property
    def line(self) -> tuple[str, str]:
        """The first line that differs, before and after."""
        pairs = zip(self.before.splitlines(), self.after.splitlines(), strict=False)
        return next(((old.strip(), new.strip()) for old, new in pairs if old != new), ("", ""))

    @property
    def is_valid(self) -> bool:
        """Whether what comes after is Python."""
        try:
            compile(self.after, self.path, "exec")
        except SyntaxError:
            return False
        return True


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

    def start(
        self, *arguments: str, pipes: Sequence[int] = (), environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Starts pytest in the copy."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-n0"]
        own = {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment, **own, "DUMPMAP_MUTANTS": ",".join(map(str, pipes))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=pipes,
            start_new_session=True,
        )

    def pytest(self, *arguments: str, patience: float | None = None, **environment: str) -> int | None:
        """Runs pytest in the copy; the exit code, or None when it did not end within `patience` seconds."""
        process = self.start(*arguments, environment=environment)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    def change(self, mutant: Mutant) -> Change:
        """What a mutant changes."""
        before = (self.folder / mutant.path).read_text(encoding="utf-8")
        after = mutate_code(before, get_operator(mutant.operator)(), mutant.occurrence) or ""
        return Change(mutant.path, before, after)

    def meet(self, change: Change, tests: list[str], patience: float) -> str:
        """Writes a change, runs its tests in a process of their own, and says `killed`, `hung`, or `survived`."""
        path = self.folder / change.path
        listed = self.folder.with_suffix(".tests")
        listed.write_text("\n".join(tests), encoding="utf-8")
        try:
            path.write_text(change.after, encoding="utf-8")
            code = self.pytest("-x", f"@{listed}", patience=patience)
        finally:
            path.write_text(change.before, encoding="utf-8")
        return "hung" if code is None else "survived" if code == 0 else "killed"


class Forks:
    """One process that has collected the tests of a copy and forks for each change; see `forks.py`."""

    def __init__(self, tree: Tree, tests: Sequence[str]) -> None:
        (requests, self._requests), (self._answers, answers) = os.pipe(), os.pipe()
        tree.start("-p", "tests.mutation.forks", *tests, pipes=(requests, answers), environment={})
        os.close(requests)
        os.close(answers)
        self._incoming = os.fdopen(self._answers, encoding="utf-8")
        self._outgoing = os.fdopen(self._requests, "w", encoding="utf-8")

    def meet(self, change: Change, tests: list[str], seconds: float) -> str:
        """Says `killed`, `survived`, `hung` after these seconds of computing, or `apart`: it needs its own process."""
        request = {"before": change.before, "after": change.after, "tests": tests, "seconds": seconds}
        print(json.dumps(request), file=self._outgoing, flush=True)
        answer = self._incoming.readline().strip()
        if not answer:
            raise SystemExit("the process that collected the tests has ended")
        return answer
