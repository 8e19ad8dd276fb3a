"""The results of `check` as SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from dumpmap._version import __version__
from dumpmap.wording.gate import RuleResult
from dumpmap.wording.text import printable

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_UNREADABLE = "input"
"""The rule that an input breaks if it cannot be read."""


def sarif_json(results: Mapping[str, Sequence[RuleResult]], *, errors: Mapping[str, str] | None = None) -> str:
    """Writes broken and skipped rules as results of one run, and unreadable inputs as errors.

    Args:
        results: the results by the input's path.
        errors: why inputs could not be read, by path.
    """
    found = list(_results(results, errors or {}))
    rules = [{"id": name} for name in dict.fromkeys(result["ruleId"] for result in found)]
    driver = {"name": "dumpmap", "version": __version__, "rules": rules}
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": found}]}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _results(results: Mapping[str, Sequence[RuleResult]], errors: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, rows in results.items():
        for row in rows:
            if not row.ok or row.skipped:
                yield _result(name, row.rule, "note" if row.ok else "error", row.message)
    for name, problem in errors.items():
        yield _result(name, _UNREADABLE, "error", problem)


def _result(name: str, rule: str, level: str, message: str) -> dict[str, Any]:
    uri = name if "://" in name else quote(PurePath(name).as_posix())
    return {
        "ruleId": printable(rule),
        "level": level,
        "message": {"text": printable(message)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}],
    }
