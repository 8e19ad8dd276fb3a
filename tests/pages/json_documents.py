"""The JSON documents of the commands, for docs/json.md and docs/json.schema.json."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .sandbox import Sandbox
from .tables import table

_HEAD = ("schema", "source", "process", "completeness", "warnings", "notes")
"""What the documents about one input begin with; the page describes it once."""

_COMMANDS = {
    "summary": "FILE",
    "regions": "FILE",
    "address": "FILE 0x10000",
    "owners": "FILE",
    "heaps": "FILE",
    "stacks": "FILE",
    "modules": "FILE",
    "free": "FILE",
    "info": "FILE",
    "diagnose": "FILE",
    "explain": "V8",
    "diff": "before.dmp after.dmp",
    "timeline": "before.dmp after.dmp",
    "triage": "dumps --engine serial",
    "check": "FILE --rules memory.toml",
}


Schemas = Mapping[str, tuple[list[str], dict[str, Any]]]


def documents(schemas: Schemas) -> str:
    """Runs each command on a recorded dump, and lists the members of its document."""
    with_schema = {words[0] for words, _ in schemas.values()}
    rows = []
    for name, document in _documents().items():
        own = ", ".join(f"`{member}`" for member in document if member not in _HEAD)
        is_there = "yes" if name in with_schema else ""
        rows.append((f"`{document['schema']}`", f"[`{name}`](commands/{name}.md)", own, is_there))
    return table(("schema", "command", "members besides the head", "JSON Schema"), rows)


@cache
def _documents() -> dict[str, Any]:
    """The document of each command about a recorded dump."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder))
        for name, arguments in _COMMANDS.items():
            ran = sandbox.run(f"dumpmap -q {name} {arguments.replace('FILE', 'app.dmp')} --format json")
            made[name] = json.loads(ran.out)
    return made


def schema(schemas: Schemas) -> str:
    """docs/json.schema.json: the schemas that the tests hold the commands to."""
    parts: dict[str, Any] = {name.replace(" ", "-"): part for name, (_, part) in schemas.items()}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Documents of dumpmap: --format json",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in parts],
        "$defs": parts,
    }
    return json.dumps(document, indent=1) + "\n"
