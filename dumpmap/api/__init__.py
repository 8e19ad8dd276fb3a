"""What `import dumpmap` promises: opening an input, and a region map with its frames, findings, and outputs.

Everything here joins finished parts from the other rooms, which are imported when they are asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dumpmap.model import region_map as model
from dumpmap.parsers.opening import Input, open_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from dumpmap.analysis.rules import RuleSet
    from dumpmap.analysis.timeline import Metric
    from dumpmap.api.comparing import Comparable, Diff, Timeline
    from dumpmap.model.region_map import FreeBlock
    from dumpmap.model.snapshot import Snapshot
    from dumpmap.wording.findings import Finding


class RegionMap(model.RegionMap):
    """The classified address space of one process, with data frames, findings, and outputs.

    Made by `dumpmap.open`; nothing changes it afterwards.
    """

    def summary(self) -> pd.DataFrame:
        """The summary as VMMap shows it.

        Returns:
            a frame indexed by type (`Total` first), nullable integer columns `SUMMARY_COLUMNS`, bytes.
        """
        from dumpmap.views.frames import summary_frame

        return summary_frame(self)

    @property
    def allocations(self) -> pd.DataFrame:
        """One row per allocation, free and unusable space included, by address; columns `COLUMNS`.

        The frame is the caller's own: to change it changes nothing here.
        """
        from dumpmap.views.frames import allocation_frame, own_frame

        return own_frame(allocation_frame(self))

    @property
    def regions(self) -> pd.DataFrame:
        """One row per region or section, free and unusable space included, by address.

        Columns: `allocation` (base of the allocation that the row belongs to), then `COLUMNS`. The frame is the
        caller's own.
        """
        from dumpmap.views.frames import own_frame, region_frame

        return own_frame(region_frame(self))

    @property
    def largest_free_block(self) -> FreeBlock | None:
        """The largest free block that the process could use; None for a partial map and for a space without any.

        Not counted are the first 64 KB, which Windows reserves; in a 64-bit program's dump of a 32-bit process, the
        space that its code cannot reach; and what the crash reporter had set aside for itself. The summary's row of
        Free counts them all, as VMMap does.
        """
        from dumpmap.analysis.measurements import measurements_of

        free = measurements_of(self).free
        return None if free is None else free.largest

    def findings(self) -> list[Finding]:
        """The diagnosis: what is wrong with this process's memory, most severe first."""
        from dumpmap.wording.findings import find

        return find(self)

    def to_snapshot(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes a JSON snapshot (`.json`, `.json.gz` or `.json.zst`) that classifies to this same map.

        Raises:
            OutputError: the file exists and `force` is not given, or it cannot be written.
            ValueError: the name ends in none of these.
        """
        from dumpmap.writers.snapshot_file import save_snapshot

        save_snapshot(self.snapshot, path, force=force)

    def to_html(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes the report: one self-contained page.

        Raises:
            OutputError: the file exists and `force` is not given, or it cannot be written.
        """
        from dumpmap.render.html import write_report

        write_report(self, path, force=force)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the map with the bytes that it was made from, and no others: what a snapshot file would hold."""
        from dumpmap.writers.snapshot_file import self_contained

        return RegionMap, field_values(self_contained(self))

    def __repr__(self) -> str:
        total, free = self.total, self.largest_free_block
        return (
            f"<RegionMap {self.snapshot.source.name}: {self.process.name or 'unknown process'}, {self.completeness}, "
            f"{len(self.allocation_columns.base)} allocations, {total.committed} bytes committed, "
            f"largest free block {free.size if free else None}>"
        )

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from dumpmap.render.terminal import to_rich
        from dumpmap.views.summary import summary_blocks

        yield from to_rich(summary_blocks(self))

    def _repr_html_(self) -> str:
        from dumpmap.render.html import summary_fragment

        return summary_fragment(self)


def open(
    source: Input,
    *,
    image_path: str | os.PathLike[str] | None = None,
    snapshot: int | None = None,
) -> RegionMap:
    """Reads an input and classifies its address space.

    Args:
        source: a minidump, a JSON snapshot or a VMMap file, compressed or not: a path (`-` is standard input), the
            bytes themselves, or a binary file.
        image_path: a folder with the process's own EXE and DLL files; they give image sections where the input does
            not hold the PE headers.
        snapshot: which snapshot of a VMMap file that holds several, counted from 1; the last by default.

    Raises:
        DumpmapError: the input cannot be read.
    """
    return map_snapshot(open_snapshot(source, snapshot=snapshot), image_path=image_path)


def diff(a: Comparable, b: Comparable, *, rules: RuleSet | None = None) -> Diff:
    """Compares two maps: what `b` has more, less, or otherwise than `a`.

    Args:
        a: the earlier map, or the path of an input.
        b: the later one.
        rules: thresholds and severities for the findings on both sides.

    Raises:
        DumpmapError: an input cannot be read.
    """
    from dumpmap.api import comparing

    return comparing.diff(a, b, rules=rules)


def timeline(
    maps: Iterable[Comparable], *, metrics: Sequence[Metric] | None = None, confidence: float = 0.95
) -> Timeline:
    """Follows the memory of a process over several maps: what grows, how fast, and how sure that is.

    Each map is opened, measured, and let go, so a hundred large inputs need no more memory than one.

    Args:
        maps: maps or paths of inputs, at least two. They are sorted by time if all have one.
        metrics: figures to follow: `committed`, `size`, `private`. Default: the first two.
        confidence: of the slopes' intervals, above 0 and below 1.

    Raises:
        DumpmapError: an input cannot be read.
        ValueError: there are fewer than two maps, or the confidence is out of range.
    """
    from dumpmap.api import comparing

    return comparing.timeline(maps, metrics=metrics, confidence=confidence)


def map_snapshot(snapshot: Snapshot, *, image_path: str | os.PathLike[str] | None = None, **options: Any) -> RegionMap:
    """Classifies a snapshot.

    Args:
        snapshot: the raw facts.
        image_path: as for `open`.
        options: passed on to `dumpmap.classify.classify`.
    """
    from dumpmap.classify import classify

    folder = Path(image_path) if image_path is not None else None
    return RegionMap(*field_values(classify(snapshot, image_path=folder, **options)))


def field_values(region_map: model.RegionMap) -> tuple[Any, ...]:
    """The fields of a region map, in order."""
    return tuple(getattr(region_map, name) for name in model.RegionMap.__dataclass_fields__)
