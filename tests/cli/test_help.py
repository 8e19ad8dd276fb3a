"""The help of every command: whole words, names instead of kinds of values, and groups of commands."""

from __future__ import annotations

import re

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES
from typer.main import get_command
from typer.testing import CliRunner

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
    "triage": ["[PATH...]"],
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


def test_an_option_that_takes_several_values_says_so_and_keeps_them_all() -> None:
    repeatable = [
        (name, option)
        for name, command in get_command(whole_app()).commands.items()  # type: ignore[attr-defined]
        for option in command.params
        if getattr(option, "multiple", False)
    ]
    assert {(name, option.name) for name, option in repeatable} >= {
        ("regions", "type"), ("regions", "kind"), ("regions", "state"), ("regions", "protect"), ("regions", "module"),
        ("regions", "owner"), ("regions", "group_by"), ("owners", "type"), ("free", "fit"), ("triage", "where"),
        ("triage", "group_by"),
    }  # fmt: skip
    assert [(name, option.name) for name, option in repeatable if "Repeatable." not in (option.help or "")] == []


@pytest.mark.parametrize(
    ("option", "first", "second"),
    [
        ("--type", "heap", "stack"),
        ("--kind", "guard", "TEB"),
        ("--state", "reserved", "free"),
        ("--protect", "rw", "rx"),
        ("--module", "node.exe", "ntdll"),
        ("--owner", "V8", "Abseil"),
    ],
)
def test_values_of_a_repeated_option_add_up(option: str, first: str, second: str) -> None:
    def rows(*options: str) -> set[str]:
        path = str(FIXTURES / "runtimes" / "node-24.dmp.gz")
        ran = CliRunner().invoke(whole_app(), ["-q", "regions", path, "--blocks", "-f", "csv", *options])
        return set(ran.stdout.splitlines()[1:])

    both = rows(option, first, option, second)
    assert both == rows(option, first) | rows(option, second)
    assert both > rows(option, first)


def test_columns_of_a_repeated_grouping_add_up() -> None:
    path = str(FIXTURES / "fragment-x86.dmp.gz")
    for command in ("regions", "triage"):
        names = ("type", "kind") if command == "regions" else ("verdict", "process")
        both = CliRunner().invoke(whole_app(), ["-q", command, path, "--group-by", names[0], "--group-by", names[1]])
        listed = CliRunner().invoke(whole_app(), ["-q", command, path, "--group-by", ",".join(names)])
        assert both.exit_code == 0
        assert both.stdout == listed.stdout
