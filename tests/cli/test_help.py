"""The help of every command: whole words, names instead of kinds of values, and groups of commands."""

from __future__ import annotations

import re

import pytest
from support.cli import run
from typer.main import get_command

from dumpmap.cli.app import COMMANDS, GROUPS, whole_app

BOX = re.compile(r"[│╭╮╰╯─]")


def words(text: str) -> set[str]:
    """The words of a help text without its frames."""
    return set(re.sub(r"[`*]", "", BOX.sub(" ", text)).split())


@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_of_a_help_text_is_broken(name: str) -> None:
    shown = words(run(name, "--help", COLUMNS="80").out)
    for parameter in get_command(whole_app()).commands[name].params:  # type: ignore[attr-defined]
        wanted = set(re.sub(r"[`*]", "", getattr(parameter, "help", None) or "").split())
        assert wanted - shown == set(), parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_names_its_value(name: str) -> None:
    lines = run(name, "--help", COLUMNS="80").out.splitlines()
    kinds = [line for line in lines if re.search(r"-\w.* <(bool|str|int|float|path|int range)>", line)]
    assert kinds == []


ARGUMENTS = {
    "explain": ["[NAME]"],
    "browse": ["FILE", "[FILE]"],
    "address": ["FILE", "ADDR..."],
    "diff": ["A B"],
    "timeline": ["A B C..."],
    "triage": ["PATH..."],
    "check": ["FILE..."],
    "capture": ["PID|NAME"],
    "mcp": ["FOLDER..."],
}
"""What the usage names; FILE for the other commands."""


@pytest.mark.parametrize("name", COMMANDS)
def test_an_argument_is_called_what_it_is(name: str) -> None:
    text = run(name, "--help", COLUMNS="80").out
    expected = " ".join(ARGUMENTS.get(name, ["FILE"]))
    assert re.findall(r"Usage: (.*?) *$", text, re.MULTILINE) == [f"dumpmap {name} [OPTIONS] {expected}"]
    panel = text.partition("─ Arguments ")[2].partition("╰")[0]
    assert "<" not in panel
    assert f" {expected.split()[0].strip('[]')} " in panel


def test_the_commands_are_in_groups() -> None:
    text = run("--help", COLUMNS="80").out
    panels = re.findall(r"╭─ ([A-Z][a-z]+(?: [a-z]+)?) ─", text)
    assert panels == ["Options", *GROUPS]
    assert list(GROUPS) == ["Look", "Diagnose", "Compare", "Many files", "Convert", "Capture", "Serve"]


def test_the_help_of_regions_begins_with_what_shortens_the_list() -> None:
    text = run("regions", "--help", COLUMNS="80").out
    options = re.findall(r"^│ (--[a-z-]+)", text, re.MULTILINE)
    assert options[:3] == ["--group-by", "--sort", "--limit"]
    assert "--sort -size" in text
