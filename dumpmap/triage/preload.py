"""Imports what a worker needs. The process that workers are forked from loads this once."""

from __future__ import annotations

import dumpmap.analysis.verdict
import dumpmap.classify
import dumpmap.parsers.minidump
import dumpmap.triage.worker  # noqa: F401
