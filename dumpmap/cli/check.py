"""`dumpmap check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dumpmap.cli.common import VERBOSITY, chosen_format, load, load_rules, say
from dumpmap.cli.options import ForceOption, FormatOption, OutputOption
from dumpmap.writers.formats import Format


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
    format: FormatOption = None,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Gate a build: exit with 1 and one line per unmet rule when a map breaks the rules.

    An input that cannot be read does not stop the others from being checked; the exit code is 3 then.

    Rules are limits on summary figures, findings, the verdict, and changes against a baseline; docs/diagnosis.md
    describes them.

    ```
    dumpmap check new.json.zst --rules memory.toml --baseline main.json.zst
    dumpmap check *.dmp --rules memory.toml --junit memory.xml
    ```
    """
    from dumpmap.analysis.check import CHECK_SCHEMA, check, check_document, github_annotations, junit_xml, passed
    from dumpmap.errors import DumpmapError
    from dumpmap.render.emit import emit
    from dumpmap.views.compare import check_blocks, check_table
    from dumpmap.writers.output import write_text

    format = chosen_format(format, output)
    if output in (None, "-"):
        if junit == "-":
            raise typer.BadParameter(
                "--junit - and the result would share standard output; name a file for one of them"
            )
        if github and format in (Format.json, Format.csv):
            raise typer.BadParameter(f"--github writes to standard output; name a file for the {format.value} (-o)")
    rule_set = load_rules(rules)
    if not rule_set.has_gates:
        raise typer.BadParameter(f"{rules} has no rules to check: [limits], [findings], [verdict] or [deltas]")
    before = load(baseline) if baseline is not None else None
    results, errors = {}, {}
    for file in files:
        try:
            results[file] = check(load(file), rule_set, before)
        except DumpmapError as error:
            errors[file] = " ".join(str(error).split())
            say(errors[file])
    ok = not errors and all(passed(of_one) for of_one in results.values())
    documents = [check_document(file, of_one) for file, of_one in results.items()]
    documents += [
        {"schema": CHECK_SCHEMA, "input": file, "ok": False, "error": problem, "failed": 0, "results": []}
        for file, problem in errors.items()
    ]
    emit(
        format=format,
        document=lambda: {"schema": CHECK_SCHEMA, "ok": ok, "inputs": documents},
        table=lambda: check_table(results),
        view=lambda: check_blocks(results, verbose=VERBOSITY.level > 0),
        output=output,
        force=force,
    )
    if junit is not None:
        write_text(junit_xml(results, errors=errors), junit, force=force)
    if github:
        write_text(github_annotations(results, errors=errors), None)
    if errors:
        raise typer.Exit(DumpmapError.exit_code)
    if not ok:
        raise typer.Exit(1)
