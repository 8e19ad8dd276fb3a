"""The order in which columns leave a narrow terminal, for docs/terminal.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def rows() -> Iterator[tuple[str, str]]:
    """Yields the table of a command, and its optional columns, the first to leave first."""
    from dumpmap.model.columns import REGION_COLUMNS
    from dumpmap.views import diff, heaps, modules, owners, pointers, region_groups, stacks, timeline, triage
    from dumpmap.views.columns import table_column

    regions = [table_column(column) for column in REGION_COLUMNS]
    tables = {
        "`summary`": [column for column in regions if column.name.endswith("_ws")],
        "`regions`": regions,
        "`regions --group-by`": region_groups.SUMS,
        "`owners`": owners.COLUMNS,
        "`owners`, owners named by a pointer": pointers.COLUMNS,
        "`heaps`": heaps.HEAP_COLUMNS,
        "`heaps --segments`": heaps.RANGE_COLUMNS,
        "`heaps --blocks`": heaps.BLOCK_COLUMNS,
        "`stacks`": stacks.STACK_COLUMNS,
        "`modules`": modules.MODULE_COLUMNS,
        "`diff`, types": diff.type_columns(),
        "`diff`, owners": diff.OWNER_COLUMNS,
        "`diff`, allocations": diff.CHANGE_VIEW.values(),
        "`timeline`": timeline.SERIES_COLUMNS,
        "`triage`": triage.VIEW,
        "`triage --group-by`": triage.GROUP_FIGURES,
    }
    for name, columns in tables.items():
        yield name, ", ".join(_leaving(list(columns)))


def _leaving(columns: Sequence[object]) -> list[str]:
    from dumpmap.views.table import Column

    places = {column: place for place, column in enumerate(columns) if isinstance(column, Column) and column.optional}
    return [column.label for column in sorted(places, key=lambda column: (-column.optional, -places[column]))]
