"""`dumpmap check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import VERBOSITY, chosen_format, load, load_rules, note, say
from dumpmap.cli.options import ForceOption, FormatOption, OutputOption, UnitsOption
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dumpmap.analysis.rules import RuleSet
    from dumpmap.api import RegionMap
    from dumpmap.wording.gate import RuleResult


BaselineOption = Annotated[
    str | None,
    typer.Option("--baseline", metavar="FILE", help="The input that [deltas] compare with.", show_default=False),
]
AllowMissingOption = Annotated[
    bool,
    typer.Option(
        "--allow-missing-baseline",
        help="Let [deltas] pass, with a note, if the baseline's file does not exist: for a first run.",
    ),
]
InitOption = Annotated[
    str | None,
    typer.Option(
        "--init", metavar="TOML", help="Only write a first rules file, drafted from FILE.", show_default=False
    ),
]
JunitOption = Annotated[
    str | None, typer.Option("--junit", metavar="XML", help="Also write a JUnit report.", show_default=False)
]
SarifOption = Annotated[
    str | None, typer.Option("--sarif", metavar="JSON", help="Also write a SARIF report.", show_default=False)
]
GithubOption = Annotated[
    bool,
    typer.Option("--github", help="Also write GitHub annotations to standard output, and the job's step summary."),
]


def command(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="The inputs to check.", show_default=False)],
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="TOML", help="The rules file.", show_default=False)
    ] = None,
    init: InitOption = None,
    baseline: BaselineOption = None,
    allow_missing_baseline: AllowMissingOption = False,
    junit: JunitOption = None,
    sarif: SarifOption = None,
    github: GithubOption = False,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Gate a build: print a line for each broken rule and exit with 1 if there is one.

    If an input cannot be read, dumpmap checks the others and exits with 3.

    Rules limit summary figures, findings, the verdict, and changes against a baseline. docs/diagnosis.md describes
    them.

    `--init` writes a commented rules file that FILE itself passes with 25 % to spare.

    ```
    dumpmap check main.json.zst --init memory.toml
    dumpmap check new.json.zst --rules memory.toml --baseline main.json.zst
    dumpmap check *.dmp --rules memory.toml --junit memory.xml
    ```
    """
    from dumpmap.errors import DumpmapError
    from dumpmap.render.emit import emit, sizes_for
    from dumpmap.views.check import all_passed, check_document, check_table, check_view
    from dumpmap.writers.ci_reports import github_annotations, junit_xml
    from dumpmap.writers.output import write_text
    from dumpmap.writers.sarif import sarif_json

    if init is not None:
        _write_draft(files, init, rules, force=force)
        return
    if rules is None:
        raise typer.BadParameter("name a rules file with --rules, or let --init draft one")
    format = chosen_format(format, output)
    _refuse_shared_output(output, {"--junit": junit, "--sarif": sarif}, github=github, format=format)
    rule_set = load_rules(rules)
    if not rule_set.has_gates:
        raise typer.BadParameter(f"{rules} has no rules to check: add [limits], [findings], [verdict], or [deltas]")
    base = _baseline_of(baseline, rule_set, allow_missing=allow_missing_baseline)
    with sizes_for(format):
        results, errors = _check_all(files, rule_set, base, allow_missing=allow_missing_baseline)
    emit(
        format=format,
        document=lambda: check_document(results, errors),
        table=lambda: check_table(results),
        view=lambda: check_view(results, verbose=VERBOSITY.level > 0),
        units=units,
        output=output,
        force=force,
    )
    if junit is not None:
        write_text(junit_xml(results, errors=errors), junit, force=force)
    if sarif is not None:
        write_text(sarif_json(results, errors=errors), sarif, force=force)
    if github:
        write_text(github_annotations(results, errors=errors), None)
        _add_step_summary(results, errors)
    if errors or not all_passed(results, errors):
        raise typer.Exit(DumpmapError.exit_code if errors else 1)


def _write_draft(files: list[str], init: str, rules: Path | None, *, force: bool) -> None:
    """Drafts a rules file from one input."""
    from dumpmap.wording.rules_draft import draft_rules
    from dumpmap.writers.output import write_text

    if rules is not None or len(files) != 1:
        raise typer.BadParameter("--init drafts rules from one FILE, without --rules")
    write_text(draft_rules(load(files[0]), Path(files[0]).name), init, force=force)


def _add_step_summary(results: Mapping[str, list[RuleResult]], errors: Mapping[str, str]) -> None:
    """Adds the table of results to the page of a GitHub job, if this is one."""
    from dumpmap.errors import OutputError, reason_of
    from dumpmap.render.markdown import to_markdown
    from dumpmap.views.blocks import Heading, Lines
    from dumpmap.views.check import check_table

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    unread = Lines([f"{name}: {problem}" for name, problem in errors.items()])
    text = to_markdown([Heading("dumpmap check"), check_table(results), *([unread] if errors else [])])
    try:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        raise OutputError(reason_of(error), source=path) from None


def _baseline_of(baseline: str | None, rules: RuleSet, *, allow_missing: bool) -> RegionMap | None:
    """Opens the baseline; a missing one is left out with a note if that is allowed."""
    if allow_missing and (baseline is None or _is_missing(baseline)):
        if rules.deltas:
            note("there is no baseline yet: [deltas] are not checked")
        return None
    return None if baseline is None else load(baseline)


def _refuse_shared_output(
    output: str | None, reports: Mapping[str, str | None], *, github: bool, format: Format
) -> None:
    """Raises BadParameter if two results would be mixed on standard output."""
    piped = [option for option, path in reports.items() if path == "-"]
    if len(piped) > 1:
        raise typer.BadParameter(f"{' and '.join(piped)} both write to standard output; name a file for one")
    if output not in (None, "-"):
        return
    if piped:
        raise typer.BadParameter(f"{piped[0]} - and the result both write to standard output; name a file for one")
    if github and format in (Format.json, Format.csv):
        raise typer.BadParameter(f"--github writes to standard output; name a file for the {format.value} (-o)")


def _is_missing(baseline: str) -> bool:
    """Returns whether a file does not exist. A damaged baseline, or a URL that does not answer, is an error."""
    archive, _, _ = baseline.partition("::")
    return "://" not in baseline and baseline != "-" and not Path(archive).exists()


def _check_all(
    files: list[str], rules: RuleSet, baseline: RegionMap | None, *, allow_missing: bool
) -> tuple[dict[str, list[RuleResult]], dict[str, str]]:
    """Checks every input; returns the results, and why inputs could not be read."""
    from dumpmap.errors import DumpmapError
    from dumpmap.wording.gate import check

    results: dict[str, list[RuleResult]] = {}
    errors: dict[str, str] = {}
    for file in files:
        try:
            results[file] = check(load(file), rules, baseline, allow_missing=allow_missing)
        except DumpmapError as error:
            errors[file] = " ".join(str(error).split())
            say(errors[file])
    return results, errors
