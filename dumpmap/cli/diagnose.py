"""`dumpmap diagnose`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, load, load_rules, show
from dumpmap.cli.options import (
    FailOnOption,
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
    UnitsOption,
)
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers
from dumpmap.wording.text import Units

if TYPE_CHECKING:
    from dumpmap.wording.findings import Finding
    from dumpmap.wording.verdicts import Verdict

RulesOption = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="TOML",
        help="File with your own thresholds and severities. Default: built-in values.",
        show_default=False,
    ),
]


def command(
    file: InputFile,
    rules: RulesOption = None,
    fail_on: FailOnOption = None,
    owners: OwnersOption = OwnersFrom.structure,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Diagnose whether the process ran out of address space, commit, or a runtime's heap limit, with every finding.

    The verdict comes first, then the three axes (address space, commit, and the limit of a runtime's own heap), then
    the findings with their numbers.

    CSV contains the findings; JSON contains everything.

    ```
    dumpmap diagnose crash.dmp
    dumpmap diagnose crash.dmp --format json | jq -r .verdict
    dumpmap diagnose crash.dmp --fail-on critical
    ```
    """
    from dumpmap.views.diagnose import diagnosis_document, diagnosis_view, finding_table
    from dumpmap.wording.findings import at_least, find
    from dumpmap.wording.verdicts import verdict

    target = Target(chosen_format(format, output), units, output, force)
    rule_set = load_rules(rules) if rules is not None else None
    region_map = search_pointers(load(file, image_path=image_path, snapshot=snapshot), owners, image_path)

    @cache
    def judged() -> tuple[Verdict, list[Finding]]:
        # Called when the result is written: the unit of its sentences depends on the format.
        findings = find(region_map, rule_set)
        return verdict(region_map, rule_set, findings=findings), findings

    shown = Shown(
        document=lambda: diagnosis_document(region_map, *judged()),
        table=lambda: finding_table(judged()[1]),
        view=lambda: diagnosis_view(region_map, *judged()),
    )
    show(shown, target)
    if fail_on is not None and any(at_least(finding.severity, fail_on.value) for finding in judged()[1]):
        raise typer.Exit(1)
