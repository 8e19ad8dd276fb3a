"""What `regions` and `owners` say where a filter by owner or type finds nothing, and of what has no kind."""

from __future__ import annotations

import json

import pytest
from support.scenes import FIXTURES
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app

NODE = str(FIXTURES / "runtimes" / "node-18.dmp.gz")


def shown(*arguments: str) -> str:
    ran = CliRunner().invoke(whole_app(), ["-q", *arguments])
    assert ran.exit_code == 0, ran.output
    return " ".join(ran.stdout.split())


@pytest.mark.parametrize("more", [[], ["--blocks"], ["--group-by", "kind"]])
def test_an_unknown_owner_is_answered_with_those_there_are(more: list[str]) -> None:
    text = shown("regions", NODE, "--owner", "nosuch", *more)
    assert "No owner is called 'nosuch'. Owners: V8, node.exe, Thread stacks" in text
    assert "dumpmap owners lists them." in text
    known = shown("regions", NODE, "--owner", "V8", "--type", "stack", *more)
    assert "No owner" not in known
    assert "No owner is called 'x!'" in shown("regions", NODE, "--owner", "V8", "--owner", "x!", "-t", "stack", *more)


@pytest.mark.parametrize(
    ("region_type", "reason"),
    [
        ("free", "Free space has no owner, because nobody has allocated it; dumpmap free lists it."),
        ("unusable", "Unusable space has no owner: it is free, and allocations cannot start in it."),
        ("page-table", "Page tables belong to the system and have no addresses in the process."),
        ("managed-heap", "No memory matches."),
    ],
)
def test_what_has_no_owner_says_why(region_type: str, reason: str) -> None:
    assert shown("owners", NODE, "--type", region_type) == reason


def test_the_rest_of_a_reservation_has_a_kind_in_groups() -> None:
    owners = json.loads(shown("owners", NODE, "--format", "json"))["owners"]
    parts = [part for owner in owners for part in owner["parts"] if owner["owner"] == "V8"]
    rest = sum(part["size"] for part in parts if part["kind"] == "rest of V8's reservations")
    groups = json.loads(shown("regions", NODE, "-g", "owner,kind", "--blocks", "--format", "json"))["groups"]
    mine = {group["kind"]: group["total_size"] for group in groups if group["owner"] == "V8"}
    assert "" not in mine
    # Pages that a large object only reserves have the kind of their space.
    assert rest - 2 * 1024 * 1024 < mine["rest of V8's reservations"] <= rest
    assert sum(mine.values()) == sum(part["size"] for part in parts)
