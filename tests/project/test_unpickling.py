"""Nothing that a file supplies is unpickled, evaluated, or imported; and each dependency has its review."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dumpmap

ROOT = Path(dumpmap.__file__).parent
PROJECT = Path(__file__).parents[2]

OWN = {("triage/store.py", "pickle.loads")}
"""Calls that read what the same process wrote: see the tests below."""

IMPORTERS = {
    "__init__.py",
    "cli/app.py",
    "structures/heap_families.py",
    "structures/recognisers/protocol.py",
    "triage/worker.py",
}
"""Files that import by a name from a table of their own, and the one that has the tests' hook."""

DANGEROUS_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "runpy"}
DANGEROUS_CALLS = {"eval", "exec", "compile", "__import__"}
DANGEROUS_OF_LIBRARIES = {"read_pickle", "allow_pickle"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yields every call with its dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def found() -> set[tuple[str, str]]:
    """Calls that make objects or code out of bytes, by file."""
    result = set()
    for path in ROOT.rglob("*.py"):
        name, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))
        for function, node in calls(tree):
            module, _, last = function.rpartition(".")
            reads = module.partition(".")[0] in DANGEROUS_MODULES and last not in ("dumps", "dump")
            if reads or function in DANGEROUS_CALLS or last in DANGEROUS_OF_LIBRARIES:
                result.add((name, function))
            result |= {(name, str(word.arg)) for word in node.keywords if word.arg in DANGEROUS_OF_LIBRARIES}
        for one in ast.walk(tree):
            # A function that is imported by its name would hide from the search above.
            if isinstance(one, ast.ImportFrom) and (one.module or "").partition(".")[0] in DANGEROUS_MODULES:
                result.add((name, f"from {one.module}"))
    return result


def test_nothing_is_unpickled_but_our_own() -> None:
    assert found() == OWN


def test_the_store_is_a_file_that_nobody_else_can_open() -> None:
    """SQLite keeps a database without a name in a file that it removes at once: no other process can write it."""
    tree = ast.parse((ROOT / "triage" / "store.py").read_text("utf-8"))
    (opened,) = [node for function, node in calls(tree) if function == "sqlite3.connect"]
    assert ast.unparse(opened.args[0]) == "''"
    written = [ast.unparse(node.args[0]) for function, node in calls(tree) if function == "pickle.dumps"]
    assert written == ["job"]


def test_imports_by_name_take_no_name_from_a_file() -> None:
    """`import_module` gets names of our own tables, or the hook that only tests can give."""
    places = {
        (path.relative_to(ROOT).as_posix(), ast.unparse(node.args[0]))
        for path in ROOT.rglob("*.py")
        for function, node in calls(ast.parse(path.read_text("utf-8")))
        if function.rpartition(".")[2] == "import_module"
    }
    assert {place for place, _ in places} <= IMPORTERS, places


def test_the_cache_holds_no_pickles() -> None:
    """Rows of the cache outlive the process, so anybody with the file could change them."""
    for name in ("triage/cache.py", "triage/rows.py", "triage/outcome.py"):
        assert "pickle" not in (ROOT / name).read_text("utf-8")


def test_every_dependency_has_its_review() -> None:
    page = (PROJECT / "docs" / "dependencies.md").read_text("utf-8")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [one for name, group in project["optional-dependencies"].items() if name != "bench" for one in group]
    names = {re.split(r"[<>=~;\[ ]", one)[0] for one in (*project["dependencies"], *extras)}
    missing = {name for name in names - {"dumpmap"} if name not in page and not name.endswith("-stubs")}
    assert missing - {"types-psutil"} == set()
