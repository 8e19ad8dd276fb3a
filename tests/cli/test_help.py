"""The help of every command: whole words, names instead of kinds of values, and groups of commands."""

from __future__ import annotations

import re

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES
from typer.main import get_command
from typer.testing import CliRunner

from dumpmap.cli.app import COMMANDS, GROUPS, whole_app

X86 = str(FIXTURES / "layout-x86.dmp.gz")


def words(text: str) -> set[str]:
    """The words of a help text, or of its source."""
    return set(re.sub(r"[`*]", "", text).split())


def section(text: str, name: str) -> str:
    """The lines under a heading of a help text."""
    return text.partition(f"\n{name}:\n")[2].partition("\n\n")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_of_a_help_text_is_broken(name: str) -> None:
    shown = words(run(name, "--help", COLUMNS="80").out)
    for parameter in get_command(whole_app()).commands[name].params:  # type: ignore[attr-defined]
        assert words(getattr(parameter, "help", None) or "") - shown == set(), parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_names_its_value(name: str) -> None:
    lines = run(name, "--help", COLUMNS="80").out.splitlines()
    kinds = [line for line in lines if re.search(r"-\w.* <(bool|str|int|float|path|int range)>", line)]
    assert kinds == []


ARGUMENTS = {
    "explain": ["[NAME]"],
    "browse": ["FILE", "[FILE]"],
    "address": ["FILE", "ADDR..."],
    "diff": ["A", "B"],
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
    arguments = section(text, "Arguments")
    assert "<" not in arguments
    assert re.match(rf"  {re.escape(ARGUMENTS.get(name, ['FILE'])[0])}  ", arguments)


def test_the_commands_are_in_groups() -> None:
    text = run("--help", COLUMNS="80").out
    assert re.findall(r"^([A-Z].*):$", text, re.MULTILINE) == ["Options", *GROUPS]
    assert list(GROUPS) == ["Look", "Diagnose", "Compare", "Many files", "Convert", "Capture", "Serve"]


def test_the_sentences_of_all_commands_begin_in_one_column() -> None:
    text = run("--help", COLUMNS="80").out
    longest = max(map(len, COMMANDS))
    for group, names in GROUPS.items():
        lines = [line for line in section(text, group).splitlines() if line[2] != " "]
        assert [line[2 : 2 + longest].rstrip() for line in lines] == list(names)
        assert all(line[2 + longest : 4 + longest] == "  " and line[4 + longest].isupper() for line in lines)


def test_an_example_stands_as_it_is_copied() -> None:
    text = run("summary", "--help", COLUMNS="60").out
    assert "\n  dumpmap summary crash.dmp.zst --format json | jq .largest_free_block.size\n" in text


def test_a_bound_and_code_are_in_words() -> None:
    text = run("free", "--help", COLUMNS="80").out
    assert "[default: 10; at least 1]" in text
    assert "structure uses the data of" in run("summary", "--help", COLUMNS="80").out


@pytest.mark.parametrize(("forced", "refused", "is_colored"), [("1", "", True), ("1", "1", False), ("", "", False)])
def test_color_of_help_follows_that_of_tables(forced: str, refused: str, is_colored: bool) -> None:
    for arguments in (["--help"], ["free", "--help"]):
        text = run(*arguments, COLUMNS="80", FORCE_COLOR=forced, NO_COLOR=refused).out
        assert ("\x1b[" in text) == is_colored
        assert re.sub(r"\x1b\[\d*m", "", text) == run(*arguments, COLUMNS="80").out


def test_the_help_of_regions_begins_with_what_shortens_the_list() -> None:
    text = run("regions", "--help", COLUMNS="80").out
    options = re.findall(r"^  (?:-., )?(--[a-z-]+)", section(text, "Options"), re.MULTILINE)
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


def test_a_range_is_in_words() -> None:
    text = " ".join(run("address", "--help").out.split())
    assert "[default: 32; 0 to 4096]" in text
    assert "<=" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["address", X86, "0", "--bytes", "abc"], "invalid value for '--bytes': 'abc' is not a whole number. "),
        (["address", X86, "0", "--bytes", "-1"], "invalid value for '--bytes': -1 is not from 0 to 4096. "),
        (["regions", X86, "--limit", "-1"], "invalid value for '--limit' / '-n': it must be at least 0. "),
        (["modules", X86, "more"], "unexpected argument more. "),
        (["modules", X86, "more", "again"], "unexpected arguments more again. "),
        (["modules"], "missing argument 'FILE'. "),
        (["modules", X86, "--nothing"], "no such option: --nothing. "),
        (["nothing"], "no such command 'nothing'. "),
        (["-q", "modules", "-q", X86], "no such option: -q. Put -q and -v before the command. "),
    ],
)
def test_wrong_usage_is_in_the_words_of_dumpmap(arguments: list[str], said: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"dumpmap: {said}Run dumpmap ")
