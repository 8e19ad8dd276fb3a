"""`write_result` where older scripts import it from."""

from __future__ import annotations

from dumpmap.triage import write_result

__all__ = ["write_result"]
