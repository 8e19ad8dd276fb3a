"""`dumpmap check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dumpmap.cli.common import VERBOSITY, load
from dumpmap.cli.options import ForceOption, FormatOption, OutputOption
from dumpmap.render.tables import Format


def command(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="The inputs to check.", show_default=False)],
    rules: Annotated[Path, typer.Option("--rules", metavar="TOML", help="The rules.", show_default=False)],
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="FILE", help="An input that [deltas] compare with.", show_default=False),
    ] = None,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="XML", help="Also write a JUnit report.", show_default=False)
    ] = None,
    github: Annotated[bool, typer.Option("--github", help="Also write GitHub annotations.")] = False,
    format: FormatOption = Format.table,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Gate a build: exit with 1 and one line per unmet rule when a map breaks the rules.

    Rules are limits on summary figures, findings, the verdict, and changes against a baseline; docs/diagnosis.md
    describes them.

    ```
    dumpmap check new.json.zst --rules memory.toml --baseline main.json.zst
    dumpmap check *.dmp --rules memory.toml --junit memory.xml
    ```
    """
    from dumpmap.analysis.check import check, check_document, github_annotations, junit_xml, passed
    from dumpmap.analysis.rules import load_rules
    from dumpmap.render.compare import check_table, check_view
    from dumpmap.render.output import emit, write_text

    rule_set = load_rules(rules)
    if not rule_set.has_gates:
        raise typer.BadParameter(f"{rules} has no rules to check: [limits], [findings], [verdict] or [deltas]")
    before = load(baseline) if baseline is not None else None
    results = {file: check(load(file), rule_set, before) for file in files}
    ok = all(passed(of_one) for of_one in results.values())
    documents = [check_document(file, of_one) for file, of_one in results.items()]
    emit(
        format=format,
        document={"schema": "dumpmap.check/1", "ok": ok, "inputs": documents},
        table=check_table(results),
        view=check_view(results, verbose=VERBOSITY.level > 0),
        output=output,
        force=force,
    )
    if junit is not None:
        write_text(junit_xml(results), junit, force=force)
    if github:
        write_text(github_annotations(results), None)
    if not ok:
        raise typer.Exit(1)
