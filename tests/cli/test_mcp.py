"""`mcp` without its extra: one line, and nothing of the SDK is loaded before it is needed."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from dumpmap.cli import app


@pytest.mark.parametrize("missing", ["mcp", "mcp_types"])
def test_a_missing_sdk_is_one_line(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_spec(name: str) -> ModuleSpec | None:
        return None if name == missing else ModuleSpec(name, None)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert app.run(["mcp", str(tmp_path)]) == 4
    assert capsys.readouterr().err == 'dumpmap: mcp needs another package: pip install "dumpmap[mcp]"\n'
