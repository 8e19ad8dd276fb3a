"""`dumpmap diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dumpmap.cli.common import chosen_format, load, load_rules
from dumpmap.cli.options import (
    FailOnOption,
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
)


def command(
    file: InputFile,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="TOML", help="Thresholds and severities of your own.", show_default=False),
    ] = None,
    fail_on: FailOnOption = None,
    format: FormatOption = None,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Say what ran out, address space or commit, and prove it: the verdict, then every finding with its numbers.

    CSV carries the findings; JSON everything.

    ```
    dumpmap diagnose crash.dmp
    dumpmap diagnose crash.dmp --format json | jq -r .verdict
    dumpmap diagnose crash.dmp --fail-on critical
    ```
    """
    from dumpmap.render.emit import emit
    from dumpmap.views.diagnosis import diagnosis_blocks, diagnosis_document, finding_table
    from dumpmap.wording.findings import at_least, find
    from dumpmap.wording.verdicts import verdict

    format = chosen_format(format, output)
    rule_set = load_rules(rules) if rules is not None else None
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    findings = find(region_map, rule_set)
    judged = verdict(region_map, rule_set, findings=findings)
    emit(
        format=format,
        document=lambda: diagnosis_document(region_map, judged, findings),
        table=lambda: finding_table(findings),
        view=lambda: diagnosis_blocks(region_map, judged, findings),
        output=output,
        force=force,
    )
    if fail_on is not None and any(at_least(finding.severity, fail_on.value) for finding in findings):
        raise typer.Exit(1)
