"""The files of VMMap: its own (.mmp) and its exports (.csv, .txt). See `docs/vmmap.md`."""

from dumpmap.parsers.vmmap_csv import load_vmmap_csv
from dumpmap.parsers.vmmap_mmp import count_snapshots, load_mmp

__all__ = ["count_snapshots", "load_mmp", "load_vmmap_csv"]
