"""`dumpmap triage`."""

from __future__ import annotations

import typer

from dumpmap.cli import triage_options as options
from dumpmap.cli.options import ForceOption, OutputOption, UnitsOption
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption
from dumpmap.wording.text import Units


def command(
    paths: options.PathsArgument = None,
    earlier: options.FromOption = None,
    group_by: options.GroupByOption = None,
    where: options.WhereOption = None,
    severity: options.SeverityOption = None,
    sort: options.SortOption = None,
    top: options.TopOption = None,
    format: options.TriageFormatOption = None,
    limit: options.LimitOption = None,
    jobs: options.JobsOption = None,
    time_limit: options.TimeLimitOption = None,
    memory_limit: options.MemoryLimitOption = None,
    cache: options.CacheOption = None,
    no_cache: options.NoCacheOption = False,
    engine: options.EngineOption = options.EngineChoice.processes,
    scheduler: options.SchedulerOption = None,
    storage_option: options.StorageOption = None,
    flat: options.FlatOption = False,
    owners: OwnersOption = OwnersFrom.structure,
    watch: options.WatchOption = False,
    fail_on: options.GateOption = None,
    strict: options.StrictOption = False,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Find out what ran out in each of many dumps: one table, the worst first.

    Worker processes read the files, each file under a time and a memory limit; a damaged file affects only its own row.
    dumpmap keeps the results: the next run reads only new files, and an interrupted run loses no finished result.

    ```
    dumpmap triage dumps/ --group-by process,verdict
    dumpmap triage dumps/ --where 'process_commit>1.5GB' --sort -process_commit
    dumpmap triage 'crashes/**/*.dmp.zst' -o triage.csv
    dumpmap triage dumps/ -o triage.html
    dumpmap triage s3://bucket/dumps --engine dask --scheduler tcp://head:8786
    dumpmap triage incoming/ --watch
    dumpmap triage --from triage.csv -o page.html
    ```
    """
    from dumpmap.cli.triage_run import run_batch, run_earlier, run_watch

    columns = options.grouping_columns(group_by)
    kept = options.chosen_cache(cache, no_cache)
    settings = options.TriageSettings(
        paths=options.checked_paths(
            paths,
            earlier,
            (jobs, time_limit, memory_limit, cache, no_cache, engine, scheduler, storage_option, flat, owners, watch),
        ),
        options=options.batch_options(
            jobs,
            (time_limit, memory_limit),
            engine,
            scheduler,
            storage_option,
            cache=kept,
            recursive=not flat,
            owners=owners,
        ),
        group_by=columns,
        selection=options.chosen_rows(where, severity, sort, top, columns),
        output=options.chosen_output(format, output, force, limit, units),
        gate=fail_on,
        strict=strict,
    )
    if watch:
        options.check_watch(settings, format)
    raise typer.Exit((run_watch if watch else run_earlier if earlier else run_batch)(settings))
