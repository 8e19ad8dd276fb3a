"""Documents that are generated from the code, and the check that they are in step.

python -m tests.docs_in_step            fails where one is not
python -m tests.docs_in_step --write    brings them up to date
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from typer.models import ArgumentInfo

DOCS = Path(__file__).parents[1] / "docs"


def cli_reference() -> str:
    """docs/cli.md, out of the functions that are the commands and their annotations."""
    from dumpmap.cli import app

    lines = ["# Command line", "", "Generated from the program; `dumpmap COMMAND --help` says the same.", ""]
    lines += [inspect.cleandoc(app.app.info.help or ""), "", *_table(app._main), ""]
    for name in app.COMMANDS:
        command = importlib.import_module(f"dumpmap.cli.{name}").command
        lines += [f"## dumpmap {name}", "", inspect.getdoc(command) or "", "", *_table(command), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(command: Callable[..., object]) -> Iterator[str]:
    yield "| argument or option | does |"
    yield "|---|---|"
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind, *metadata = get_args(parameter.annotation)
        info = metadata[0]
        choices = [member.value for member in _enum_members(kind)]
        text = (info.help or "").replace("|", "\\|")
        if choices:
            text += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
        if isinstance(info, ArgumentInfo):
            yield f"| `{info.metavar or parameter.name.upper()}` | {text} |"
            continue
        # In an annotation typer takes the first name for a default until it looks closer.
        names = [
            name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str) and name[:1] == "-"
        ]
        names = names or [f"--{parameter.name.replace('_', '-')}"]
        label = ", ".join(f"`{name}`" for name in names) + (f" `{info.metavar}`" if info.metavar else "")
        yield f"| {label} | {text} |"


def _enum_members(kind: Any) -> list[Enum]:
    """The values of an option; one that may be left out is `Kind | None`."""
    kinds = [one for one in get_args(kind) or (kind,) if isinstance(one, type) and issubclass(one, Enum)]
    return [member for one in kinds for member in one]


def classification() -> str:
    """docs/classification.md with its tables of types, kinds, recognisers, and evidence."""
    from dumpmap.classify.vocabulary import EVIDENCE, KINDS
    from dumpmap.model.types import TYPES
    from dumpmap.structures.recognisers import RECOGNISERS

    text = (DOCS / "classification.md").read_text(encoding="utf-8")
    kinds = [
        (f"`{info.name}`", "" if info.type is None else info.type.label, info.meaning, info.source) for info in KINDS
    ]
    pages = [(entry.name, f"`{entry.module}`", f"[{entry.page}]({entry.page})") for entry in RECOGNISERS]
    text = _fill(text, "types", ("type", "memory"), [(info.name, info.meaning) for info in TYPES])
    text = _fill(text, "kinds", ("kind", "type", "memory", "known from"), kinds)
    text = _fill(text, "recognisers", ("recogniser", "module", "page"), pages)
    return _fill(text, "evidence", ("word", "meaning"), [(f"`{info.name}`", info.meaning) for info in EVIDENCE])


def _fill(text: str, name: str, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Replaces the table between `<!-- name -->` and `<!-- /name -->`."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, *rows)]
    lines.insert(1, "|---" * len(heading) + "|")
    table = "\n".join((f"<!-- {name} -->", *lines, f"<!-- /{name} -->"))
    return re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _: table, text, flags=re.DOTALL)


GENERATED: dict[str, Callable[[], str]] = {"cli.md": cli_reference, "classification.md": classification}


def main(arguments: list[str]) -> int:
    """Checks or writes every generated document."""
    stale = []
    for name, generate in GENERATED.items():
        path = DOCS / name
        wanted = generate()
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(name)
        if "--write" in arguments:
            path.write_text(wanted, encoding="utf-8")
    if stale and "--write" not in arguments:
        print(f"not in step with the code: {', '.join(stale)}; run python -m tests.docs_in_step --write")
        return 1
    print(f"documents in step: {', '.join(GENERATED)}" if not stale else f"written: {', '.join(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
