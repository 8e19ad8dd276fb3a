"""`check` on a first run, when nobody has a baseline yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

DUMP = str(FIXTURES / "leak-x64-after.dmp.gz")
BEFORE = str(FIXTURES / "leak-x64-before.dmp.gz")


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """A limit that the dump keeps, and a delta that it breaks."""
    path = tmp_path / "rules.toml"
    path.write_text('[limits]\n"Heap.committed" = "<= 1GB"\n[deltas]\n"Heap.committed" = "<= 0"\n')
    return str(path)


@pytest.mark.parametrize("baseline", [[], ["--baseline", "no-such-file.json.zst"]], ids=["none", "missing"])
def test_a_first_run_passes_with_a_note(rules: str, baseline: list[str]) -> None:
    ran = run("check", DUMP, "--rules", rules, *baseline, "--allow-missing-baseline")
    assert ran.code == 0, ran.err
    assert "note: there is no baseline yet" in ran.err
    assert "skipped deltas" in ran.out


@pytest.mark.parametrize(("baseline", "code"), [([], 1), (["--baseline", "no-such-file.json.zst"], 3)])
def test_without_the_option_it_does_not(rules: str, baseline: list[str], code: int) -> None:
    assert run("check", DUMP, "--rules", rules, *baseline).code == code


def test_a_baseline_that_exists_is_used_all_the_same(rules: str, tmp_path: Path) -> None:
    options = ("--rules", rules, "--allow-missing-baseline")
    assert run("check", DUMP, *options, "--baseline", BEFORE).code == 1
    damaged = tmp_path / "damaged.dmp"
    damaged.write_bytes(b"nothing")
    assert run("check", DUMP, *options, "--baseline", str(damaged)).code == 3
    assert run("check", DUMP, *options, "--baseline", f"{damaged}::inside.dmp").code == 3
