"""The fixed bounds of dumpmap, read out of its code, for docs/limits.md."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from itertools import pairwise

from .blocks import ROOT

_BOUND = re.compile(r"(MAX|MOST|LONGEST|LARGEST|LARGE|SMALL)(_|$)")


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yields the documented constants whose names say that they are a bound: module, name, value, and meaning."""
    for path in sorted((ROOT / "dumpmap").rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        module = ".".join(path.relative_to(ROOT / "dumpmap").with_suffix("").parts)
        for statement, following in pairwise(body):
            name = _constant(statement)
            if name is None or not _BOUND.match(name) or not isinstance(following, ast.Expr):
                continue
            value = getattr(importlib.import_module(f"dumpmap.{module}"), name)
            if isinstance(value, int) and isinstance(following.value, ast.Constant):
                meaning = " ".join(str(following.value.value).split()).replace("|", "\\|")
                yield f"`{module}`", f"`{name}`", f"{value:,}", meaning


def _constant(statement: ast.stmt) -> str | None:
    """Returns the name that a statement gives to a value."""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None
