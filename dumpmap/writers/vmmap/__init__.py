"""VMMap's files from a region map: its own XML (.mmp), and its CSV and text exports.

`docs/vmmap.md` says what is known about the formats. The formats have no word for unknown: what a map does not know is
written as VMMap writes zero, which is a blank in the exports and 0 in the XML.
"""

from __future__ import annotations

from dumpmap.writers.vmmap.exports import write_csv, write_txt
from dumpmap.writers.vmmap.mmp import write_mmp

__all__ = ["write_csv", "write_mmp", "write_txt"]
