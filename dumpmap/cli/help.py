"""The help of the program and of its commands, laid out by the formatter of the library under Typer.

Typer's own layout draws frames, which leave the sentences 27 of 80 columns, and loads a reader of Markdown, which takes
a third of the time of a help text.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from dumpmap.writers.color import has_color

_FENCE = "```"

_LONGEST_NAME = 26
"""Columns for an option and its value. A longer one has a line of its own."""

_AT_LEAST = re.compile(r"\bx>=(?=\d)")

_FROM_TO = re.compile(r"\b(\d+)<=x<=(?=\d)")

_VALUE = re.compile(r"(?<= )[<A-Z].*")


class _Help:
    """Lays out a help text: usage, text, examples, arguments, and options."""

    params: list[Any]
    help: str | None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes all parts. The library prints them with the color that the context then asks for."""
        ctx.color = has_color()
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), _heading("Usage: "))
        for number, part in enumerate(inspect.cleandoc(self.help or "").split(_FENCE)):
            if part.strip():
                formatter.write_paragraph()
                if number % 2:
                    _write_examples(part, formatter)
                else:
                    formatter.write_text(_plain(part.strip()))
        self.format_options(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, and then the options."""
        arguments, options = [], []
        parameters: list[Any] = self.get_params(ctx)  # type: ignore[attr-defined]
        for parameter in parameters:
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, TyperArgument):
                arguments.append((typer.style(_name(parameter), bold=True), _plain(record[1])))
            elif record is not None:
                options.append((_option(record[0]), _plain(record[1])))
        _write_section("Arguments", arguments, formatter)
        _write_section("Options", options, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Names the arguments: FILE, [FILE] if it can be left out, FILE... if there can be several."""
        del ctx
        arguments = [parameter for parameter in self.params if isinstance(parameter, TyperArgument)]
        return ["[OPTIONS]", *(_name(argument) for argument in arguments)]


class Command(_Help, TyperCommand):
    """A command."""


class Group(_Help, TyperGroup):
    """The program, whose commands stand in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the options, and then the commands with the first paragraph of their help."""
        super().format_options(ctx, formatter)
        longest = max(map(len, self.commands), default=0)  # one column in all groups
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            text = inspect.cleandoc(command.help or "").partition("\n\n")[0]
            group = getattr(command, "rich_help_panel", None) or "Commands"
            groups.setdefault(group, []).append((typer.style(name.ljust(longest), bold=True), _plain(text)))
        for group, rows in groups.items():
            _write_section(group, rows, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Names the command after the options."""
        return [*super().collect_usage_pieces(ctx), self.subcommand_metavar]


def _write_section(name: str, rows: list[tuple[str, str]], formatter: Any) -> None:
    if rows:
        with formatter.section(_heading(name)):
            formatter.write_dl(rows, col_max=_LONGEST_NAME)


def _write_examples(text: str, formatter: Any) -> None:
    """Writes commands as they are, since a reader copies them."""
    for line in inspect.cleandoc(text).splitlines():
        command, mark, remark = line.partition("  #")
        formatter.write(f"  {command}{typer.style(mark + remark, dim=True) if mark else ''}\n")


def _name(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _option(name: str) -> str:
    """Sets the option apart from the value that it takes."""
    found = _VALUE.search(name)
    value = found.group() if found else ""
    return typer.style(name[: len(name) - len(value)], bold=True) + value


def _heading(name: str) -> str:
    return typer.style(name, fg="yellow", bold=True)


def _plain(text: str) -> str:
    """Leaves out the marks of code, which only the documents show, and says bounds in words."""
    return _FROM_TO.sub(r"\1 to ", _AT_LEAST.sub("at least ", text.replace("`", "")))
