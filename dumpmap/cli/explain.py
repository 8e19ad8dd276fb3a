"""`dumpmap explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, show
from dumpmap.cli.completion import offered
from dumpmap.cli.options import ForceOption, FormatOption, OutputOption

_FIRST = ("finding", "verdict", "type", "owner")
"""What a shell offers before the first letter: there are hundreds of kinds and codes."""


def _names(incomplete: str) -> list[str]:
    """Completes a name. Shells complete single words, so names with spaces are offered with hyphens or underscores."""
    from dumpmap.views.explain import every_topic

    blank = "_" if "_" in incomplete else "-"
    names = (topic.name.replace(" ", blank) for topic in every_topic() if incomplete or topic.sort in _FIRST)
    return offered(names, incomplete)


NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Finding, verdict, type, kind, owner, word of evidence, term, code of an exception or error, or "
        "column, such as largest-free-block-small, V8, 'Private Data', 'at least', 0xC0000017, or process_commit. "
        "Case, spaces, hyphens, and underscores do not matter. Without a name, the groups of names are listed.",
        show_default=False,
        autocompletion=_names,
    ),
]


AllOption = Annotated[bool, typer.Option("--all", help="List every name. JSON and CSV always have all.")]


def command(
    name: NameArgument = None,
    all: AllOption = False,
    format: FormatOption = None,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Explain a finding, verdict, type, kind, owner, evidence, term, code, or column: what it means.

    The pages of findings are those of the documentation; no network is needed.

    ```
    dumpmap explain largest-free-block-small
    dumpmap explain private-data
    dumpmap explain V8
    dumpmap explain UNREAL_ASSERT
    dumpmap explain process_commit
    dumpmap explain --all
    ```
    """
    from dumpmap.views.explain import (
        every_topic,
        explain_document,
        explain_view,
        topic_index,
        topic_list,
        topic_table,
    )
    from dumpmap.wording.topics import find_topics, similar_names

    target = Target(chosen_format(format, output), output=output, force=force)
    if all and name is not None:
        raise typer.BadParameter("--all lists every name. Leave it out to explain one")
    known = every_topic()
    found = known if name is None else find_topics(name, known)
    if not found:
        similar = similar_names(name or "", known)
        hint = f". Did you mean {' or '.join(similar)}?" if similar else ""
        raise typer.BadParameter(f"nothing is called {name!r}{hint}")
    shown = Shown(
        document=lambda: explain_document(found),
        table=lambda: topic_table(found),
        view=lambda: explain_view(found) if name is not None else topic_list(found) if all else topic_index(found),
    )
    show(shown, target)
