"""What each harness tests. Nothing of dumpmap is imported here, so that atheris can instrument its import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """A harness's part of a run.

    Attributes:
        rooms: what is to be tested, as paths in the package: coverage of them guides the mutation, and their lines are
            counted at the end.
        share: of the time, beside the others.
    """

    rooms: tuple[str, ...]
    share: int = 1

    @property
    def modules(self) -> list[str]:
        """The rooms as names of modules and packages."""
        return ["dumpmap." + room.removesuffix(".py").replace("/", ".") for room in self.rooms]


_TEXTS = ("parsers/vmmap/building.py", "parsers/vmmap/rows.py", "parsers/vmmap/words.py")

PLANS = {
    "minidump": Plan(("parsers/minidump", "parsers/linux_maps.py"), share=3),
    "snapshot": Plan(("parsers/snapshot_json",)),
    "mmp": Plan(("parsers/vmmap/mmp.py", *_TEXTS)),
    "text": Plan(("parsers/vmmap/text.py", *_TEXTS)),
    "containers": Plan(
        (
            "sources/archive.py",
            "sources/compressed.py",
            "sources/salvage.py",
            "sources/spool.py",
            "sources/zip_archive.py",
            "sources/zip_methods.py",
            "sources/zip_salvage.py",
        )
    ),
    "peer": Plan(("parsers/minidump/regions.py", "parsers/minidump/streams")),
    "whole": Plan(("classify", "structures", "analysis"), share=3),
}
