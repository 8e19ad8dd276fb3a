"""What `import dumpmap` promises: opening an input, and a region map with its frames, findings, and outputs.

This module joins finished parts from the other packages and imports them on first use.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dumpmap.model import region_map as model
from dumpmap.model.memory import RecordingMemory
from dumpmap.parsers.opening import Input, open_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from dumpmap.analysis.rules import RuleSet
    from dumpmap.analysis.samples import Metric
    from dumpmap.api.comparing import Comparable, Diff, Timeline
    from dumpmap.api.plotting import MapPlot
    from dumpmap.api.shown import Findings, Verdict
    from dumpmap.model.pointers import OwnerSearch
    from dumpmap.model.region_map import FreeBlock
    from dumpmap.model.snapshot import Snapshot


class RegionMap(model.RegionMap):
    """The classified address space of one process, with data frames, findings, and outputs.

    Made by `dumpmap.open`; nothing changes it afterwards.
    """

    recording: RecordingMemory | None = None
    """The bytes that the map was built from, if they were recorded."""

    def summary(self) -> pd.DataFrame:
        """Returns the summary as VMMap shows it.

        Returns:
            a frame indexed by type (`Total` first), nullable integer columns `SUMMARY_COLUMNS`, bytes.
        """
        from dumpmap.views.frames import summary_frame

        return summary_frame(self)

    @property
    def allocations(self) -> pd.DataFrame:
        """One row per allocation, free and unusable space included, by address; columns `COLUMNS`.

        The caller owns the frame: changes to it do not change the map.
        """
        from dumpmap.views.frames import allocation_frame, own_frame

        return own_frame(allocation_frame(self))

    @property
    def regions(self) -> pd.DataFrame:
        """One row per region or section, free and unusable space included, by address.

        Columns: `allocation` (base of the allocation that the row belongs to), then `COLUMNS`. The caller owns the
        frame.
        """
        from dumpmap.views.frames import own_frame, region_frame

        return own_frame(region_frame(self))

    @property
    def largest_free_block(self) -> FreeBlock | None:
        """The largest free block that the process could use; None for a partial map or if no space is free.

        It does not count the first 64 KB, which Windows reserves; the space that a 32-bit process dumped by a 64-bit
        program cannot reach; and the space that the crash reporter reserved for itself. The summary's row for Free
        counts them all, as VMMap does.
        """
        from dumpmap.analysis.measurements import measurements_of

        free = measurements_of(self).free
        return None if free is None else free.largest

    def findings(self) -> Findings:
        """Returns the findings: the problems of this process's memory, most severe first."""
        from dumpmap.api.shown import Findings
        from dumpmap.wording.findings import find

        return Findings(find(self))

    @property
    def verdict(self) -> Verdict:
        """What the process ran out of, if anything: `verdict` is the ID, `sentence` says it in words."""
        from dumpmap.api.shown import Verdict
        from dumpmap.wording.verdicts import verdict

        return Verdict.of(verdict(self))

    @property
    def plot(self) -> MapPlot:
        """Pictures of the map: `m.plot()`, `m.plot.types()`, and `m.plot.owners()`. They need the extra `plot`."""
        from dumpmap.api.plotting import MapPlot

        return MapPlot(self)

    def with_pointers(self) -> RegionMap:
        """Returns this map with the owners that only a pointer names; see docs/owners.md. It searches memory once.

        `owners()`, the column `owner` of the data frames, and the outputs of the result include them, as inferred.
        """
        from dumpmap.analysis.pointers import with_pointers

        return with_pointers(self)

    def owners(self, types: Sequence[str] = (), search: OwnerSearch = "full") -> pd.DataFrame:
        """Returns who took the memory: a second cut through the bytes of the summary.

        Args:
            types: names of types, to count only memory of these.
            search: `full` also searches memory for pointers to what no structure names; `structure` does not.

        Returns:
            a frame with one row per part of an owner (`owner`, `module`, `instance`, `kind`), and one per group of
            equal allocations without an owner: `owner` is empty, `kind` their type, and `size_each`, `state`,
            `protection`, and `address` of the first say what they are. Figures are nullable integers: `size`,
            `committed`, `count`, and `inferred_committed`. `inferred` says whether any of the part is, and `evidence`
            why. The sizes add up to the summary's total without unusable space and page tables. The CSV of
            `dumpmap owners --by kind` has the same rows and columns.

        Raises:
            ValueError: a name is not a type, or `search` is another word.
        """
        from dumpmap.api.searching import searched_owners
        from dumpmap.views.owner_records import owner_frame

        return owner_frame(*searched_owners(self, types, search))

    def to_snapshot(
        self,
        path: str | os.PathLike[str],
        *,
        keep_text: bool = False,
        command_line: bool = False,
        redact: bool = False,
        force: bool = False,
    ) -> None:
        """Writes a JSON snapshot (`.json`, `.json.gz` or `.json.zst`) that classifies to this same map.

        Args:
            path: the file.
            keep_text: keep comments, and a crash reporter's texts that can hold user data, such as its error message.
            command_line: keep the command line, which can contain secrets.
            redact: replace names of users and machines.
            force: overwrite the file.

        Raises:
            OutputError: the file exists and `force` is not set, or it cannot be written.
            ValueError: the name has another suffix, or both `keep_text` and `redact` are set.
        """
        from dumpmap.writers.snapshot_file import save_snapshot

        save_snapshot(
            self,
            path,
            recording=self.recording,
            keep_text=keep_text,
            command_line=command_line,
            redact=redact,
            force=force,
        )

    def to_html(self, path: str | os.PathLike[str], *, keep_text: bool = False, force: bool = False) -> None:
        """Writes the report: one self-contained page.

        Args:
            path: the file.
            keep_text: as for `to_snapshot`.
            force: overwrite the file.

        Raises:
            OutputError: the file exists and `force` is not set, or it cannot be written.
        """
        from dumpmap.render.html import write_report

        write_report(self, path, keep_text=keep_text, force=force)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the map with the bytes that it was built from, which are those of a snapshot file."""
        from dumpmap.writers.snapshot_file import self_contained

        return RegionMap, field_values(self_contained(self, self.recording))

    def __repr__(self) -> str:
        total, free = self.total, self.largest_free_block
        return (
            f"<RegionMap {self.snapshot.source.name}: {self.process.name or 'unknown process'}, {self.completeness}, "
            f"{len(self.allocation_columns.base)} allocations, {total.committed} bytes committed, "
            f"largest free block {free.size if free else None}>"
        )

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from dumpmap.render.terminal import to_rich
        from dumpmap.views.summary import summary_view

        yield from to_rich(summary_view(self))

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
        source: a minidump, a JSON snapshot, or a VMMap file, compressed or not: a path (`-` is standard input), the
            bytes themselves, or a binary file.
        image_path: a folder with the process's own EXE and DLL files. They give image sections if the input does not
            contain the PE headers.
        snapshot: which snapshot of a VMMap file with several, counted from 1; the last by default.

    Raises:
        DumpmapError: the input cannot be read.
    """
    return open_map(source, image_path=image_path, snapshot=snapshot, record=True)


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

    Each map is opened, measured, and let go, so a hundred large inputs need no more memory than two. VMMap files are
    kept until a map follows that knows the owners of what is in them.

    Args:
        maps: maps or paths of inputs, at least two. They are sorted by time if all have one.
        metrics: figures to follow: `committed`, `size`, `private`. Default: the first two.
        confidence: of the slopes' intervals, above 0 and below 1.

    Raises:
        DumpmapError: an input cannot be read.
        ValueError: there are fewer than two maps, a figure is unknown, or the confidence is out of range.
    """
    from dumpmap.api import comparing

    return comparing.timeline(maps, metrics=metrics, confidence=confidence)


def open_map(
    source: Input,
    *,
    image_path: str | os.PathLike[str] | None = None,
    snapshot: int | None = None,
    record: bool = False,
    redact: bool = False,
) -> RegionMap:
    """Opens an input as `open` does.

    Args:
        source: as for `open`.
        image_path: as for `open`.
        snapshot: as for `open`.
        record: keep the bytes that the map is built from, so that writing or pickling it does not classify it again.
        redact: leave out personal data: see `dumpmap.model.personal.redacted`, and texts that can hold user data.
    """
    facts = open_snapshot(source, snapshot=snapshot)
    if not redact:
        return map_snapshot(facts, image_path=image_path, record=record)
    from dumpmap.model.personal import redacted
    from dumpmap.writers.snapshot_texts import without_texts

    facts = redacted(without_texts(facts))
    facts = dataclasses.replace(facts, process=dataclasses.replace(facts.process, command_line=None))
    return map_snapshot(facts, image_path=image_path, record=record, read_parameters=False)


def map_snapshot(
    snapshot: Snapshot,
    *,
    image_path: str | os.PathLike[str] | None = None,
    record: bool = False,
    **options: Any,
) -> RegionMap:
    """Classifies a snapshot.

    Args:
        snapshot: the raw facts.
        image_path: as for `open`.
        record: as for `open_map`.
        options: passed on to `dumpmap.classify.classify`.
    """
    from dumpmap.classify import classify

    if record:
        options["memory"] = recording = RecordingMemory(snapshot.memory)
    folder = Path(image_path) if image_path is not None else None
    region_map = RegionMap(*field_values(classify(snapshot, image_path=folder, **options)))
    if record:
        vars(region_map)["recording"] = recording
    return region_map


def field_values(region_map: model.RegionMap) -> tuple[Any, ...]:
    """Returns the fields of a region map, in order."""
    return tuple(getattr(region_map, name) for name in model.RegionMap.__dataclass_fields__)
