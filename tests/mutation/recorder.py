"""A pytest plugin that writes down how long each test took, so that a mutant meets its quickest tests first."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_seconds: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds the seconds of set-up, call and tear-down of a test."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish() -> None:
    """Writes the seconds of every test to the file that `DUMPMAP_TEST_SECONDS` names."""
    Path(os.environ["DUMPMAP_TEST_SECONDS"]).write_text(json.dumps(_seconds), encoding="utf-8")
