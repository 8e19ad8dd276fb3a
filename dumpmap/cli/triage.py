"""`dumpmap triage`."""

from __future__ import annotations

import typer

from dumpmap.cli import triage_options as of
from dumpmap.cli.options import ForceOption, OutputOption, UnitsOption
from dumpmap.wording.text import Units


def command(
    paths: of.PathsArgument,
    group_by: of.GroupByOption = None,
    where: of.WhereOption = None,
    severity: of.SeverityOption = None,
    sort: of.SortOption = None,
    top: of.TopOption = None,
    format: of.TriageFormatOption = None,
    limit: of.LimitOption = None,
    jobs: of.JobsOption = None,
    time_limit: of.TimeLimitOption = None,
    memory_limit: of.MemoryLimitOption = None,
    cache: of.CacheOption = None,
    no_cache: of.NoCacheOption = False,
    engine: of.EngineOption = of.EngineChoice.processes,
    scheduler: of.SchedulerOption = None,
    storage_option: of.StorageOption = None,
    flat: of.FlatOption = False,
    watch: of.WatchOption = False,
    fail_on: of.GateOption = None,
    strict: of.StrictOption = False,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Find out what ran out in each of many dumps: one table, the worst first.

    Worker processes read the files, each file under a time and a memory limit; a broken file costs only its own row.
    dumpmap keeps the results: the next run reads only new files, and a killed run loses no finished result.

    ```
    dumpmap triage dumps/ --group-by process,verdict
    dumpmap triage dumps/ --where 'committed>1.5GB' --sort -committed --top 20
    dumpmap triage 'crashes/**/*.dmp.zst' -o triage.csv
    dumpmap triage s3://bucket/dumps --engine dask --scheduler tcp://head:8786
    dumpmap triage incoming/ --watch
    ```
    """
    from dumpmap.cli.triage_run import run_batch, run_watch

    columns = of.grouping_columns(group_by)
    settings = of.TriageSettings(
        paths=of.checked_paths(paths),
        options=of.batch_options(
            jobs=jobs,
            limits=(time_limit, memory_limit),
            cache=cache,
            no_cache=no_cache,
            engine=engine,
            scheduler=scheduler,
            storage=storage_option,
            recursive=not flat,
        ),
        group_by=columns,
        selection=of.chosen_rows(where, severity, sort, top, columns),
        output=of.chosen_output(format, output, force, limit, units),
        gate=fail_on,
        strict=strict,
    )
    if watch:
        of.check_watch(settings, format)
    raise typer.Exit((run_watch if watch else run_batch)(settings))
