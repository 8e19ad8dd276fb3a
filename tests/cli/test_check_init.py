"""`check --init`: a first rules file, which its own input passes and one that grew does not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from support.cli import run

import dumpmap
from dumpmap.wording.rules_draft import draft_rules

FIXTURES = Path(__file__).parents[1] / "fixtures"
NAMES = ("leak-x64-before", "fragment-x86", "exhaust-x86", "layout-wow64", "layout-x64-plain", "starve-x64")


def fixture(name: str) -> str:
    return str(next(FIXTURES.glob(f"{name}.dmp*")))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_passes_the_rules_that_are_drafted_from_it(name: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    assert run("check", fixture(name), "--init", str(rules)).code == 0
    ran = run("check", fixture(name), "--rules", str(rules))
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert "[limits]" in rules.read_text("utf-8")


def test_a_process_that_grew_breaks_them(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    run("check", fixture("leak-x64-before"), "--init", str(rules))
    ran = run("check", fixture("leak-x64-after"), "--rules", str(rules))
    assert ran.code == 1
    assert "Total.private" in ran.out


def test_a_limit_leaves_a_quarter_of_room() -> None:
    region_map = dumpmap.open(fixture("fragment-x86"))
    rules = tomllib.loads(draft_rules(region_map, "x.dmp"))
    total = region_map.total.committed
    assert total is not None
    assert rules["limits"]["Total.committed"] == f"<= {-(-total * 5 // 4 >> 20)}MB" == "<= 53MB"
    free = region_map.largest_free_block
    assert free is not None
    assert rules["limits"]["largest_free_block"] == f">= {free.size * 4 // 5 >> 10}KB"
    # What the file itself violates is no rule.
    assert "max_severity" not in rules["findings"]
    assert "out-of-address-space" not in rules["verdict"]["forbid"]
    assert "deltas" not in rules


def test_every_line_with_a_mark_is_a_rule_without_it(tmp_path: Path) -> None:
    text = draft_rules(dumpmap.open(fixture("fragment-x86")), "x.dmp")
    lines = [
        line[2:] if line.startswith("# ") and (" = " in line or line == "# [deltas]") else line
        for line in text.splitlines()
    ]
    rules = tmp_path / "rules.toml"
    rules.write_text("\n".join(line for line in lines if not line.startswith("unknown")), encoding="utf-8")
    ran = run("check", fixture("fragment-x86"), "--rules", str(rules), "--baseline", fixture("fragment-x86"))
    assert ran.code == 1  # its own findings are forbidden now
    assert "Total.private" not in ran.err


def test_a_name_cannot_end_its_comment() -> None:
    text = draft_rules(dumpmap.open(fixture("layout-x86")), "a\n[limits]\nthreads = 1\x1b.dmp")
    assert "\n[limits]\nthreads" not in text
    assert "\x1b" not in text
    tomllib.loads(text)


def test_what_exists_is_kept(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("mine", encoding="utf-8")
    ran = run("check", fixture("layout-x86"), "--init", str(rules))
    assert (ran.code, rules.read_text("utf-8")) == (4, "mine")
    assert run("check", fixture("layout-x86"), "--init", str(rules), "--force").code == 0


@pytest.mark.parametrize("arguments", [(), ("--init", "x.toml", "--rules", "y.toml")])
def test_rules_are_read_or_drafted(arguments: tuple[str, ...]) -> None:
    ran = run("check", fixture("layout-x86"), *arguments)
    assert ran.code == 2
    assert "--init" in ran.err
