"""The reference of the command line: an overview, docs/cli.md, and a page for each command in docs/commands.

Everything about arguments and options is read from the program. `examples.py` holds what a person adds.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from .blocks import DOCS
from .examples import PAGES, About
from .tables import table

CODES = {
    0: "Success.",
    1: None,
    2: "Wrong usage: an unknown option, or a value that an option does not take.",
    3: "An input could not be read.",
    4: "An output could not be written, or a package is missing that an option needs.",
    70: "An internal error: a bug in dumpmap.",
    130: "You interrupted the command.",
}
"""Exit codes, and what they mean for a command that does not say otherwise. Only gates return 1."""

VARIABLES = {
    "--cache": ("DUMPMAP_CACHE", "The file in which `triage` keeps results."),
    "--debug": ("DUMPMAP_DEBUG", "`1` shows the traceback of every error."),
    "--no-pager": ("PAGER", "The program that shows a long list; empty for none."),
    "--github": ("GITHUB_STEP_SUMMARY", "The file of a job's step summary, which GitHub sets."),
    "--color": ("NO_COLOR", "Any value: text without color."),
    "": ("FORCE_COLOR", "Any value: text with color, also in a pipe."),
}
"""Environment variables by the option that does the same."""

_OPTION = ("option", "value", "default", "meaning")
_DEFAULT = re.compile(r"\s*Default: ([^.]*(?:\.\w[^.]*)*)\.")
_NAME = re.compile(r"(?<![`\w-])(?:--[a-z]+(?:-[a-z]+)*|NO_COLOR|DUMPMAP_DEBUG=1)(?![`\w-])")
_PAGE = re.compile(r"(?<![\w/(`])docs/([\w/-]+\.md)")


def overview() -> str:
    """docs/cli.md: the commands by what they are for, the options of all, exit codes, and variables."""
    from dumpmap.cli import app

    program = _program()
    about, _, example = inspect.cleandoc(app.app.info.help or "").partition("\n\n")
    lines = ["# Commands", "", about, "", example.rpartition("\n\n")[0], ""]
    for group, names in app.GROUPS.items():
        rows = ((f"[`{name}`](commands/{name}.md)", _first(program.commands[name])) for name in names)
        lines += [f"## {group}", "", table(("command", "purpose"), rows)]
    where = "These options stand between `dumpmap` and the command, as in `dumpmap --quiet summary crash.dmp`.\n"
    codes = ((f"{code}", when or "A gate failed.") for code, when in CODES.items())
    variables = ((f"`{name}`", text, _code(option)) for option, (name, text) in VARIABLES.items())
    lines += ["## Common options", "", where, table(_OPTION, map(_cells, _options(program)))]
    lines += ["## Exit codes", "", "The page of each command says which codes it returns and when.\n"]
    lines += [table(("code", "when"), codes), "## Environment variables", ""]
    lines += [table(("variable", "meaning", "option"), variables), "[Bounds](limits.md) have variables of their own."]
    return "\n".join(lines) + "\n"


def command_pages() -> dict[str, str]:
    """The pages of docs/commands by file name."""
    return {f"{name}.md": _page(name, about) for name, about in PAGES.items()}


def _page(name: str, about: About) -> str:
    command = _program().commands[name]
    text, _, given = inspect.cleandoc(command.help or "").partition("```\n")
    first, _, rest = _PAGE.sub(_link, _marked(text)).strip().partition("\n\n")
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join(one.metavar if one.required else f"[{one.metavar.strip('[]')}]" for one in arguments)
    lines = [f"# dumpmap {name}", "", first, "", "```text", f"dumpmap {name} [OPTIONS] {usage}", "```", ""]
    lines += [rest, ""] if rest else []
    if arguments:
        rows = ((_code(one.metavar).replace("|", "` or `"), _needed(one), _text(one)[0]) for one in arguments)
        lines += ["## Arguments", "", table(("argument", "required", "meaning"), rows)]
    options = _options(command)
    if options:
        lines += ["## Options", "", table(_OPTION, map(_cells, options))]
    lines += ["## Exit codes", "", table(("code", "when"), _codes(about))]
    lines += ["## Examples", ""]
    for sentence, commands in about.examples:
        lines += [sentence, "", "```sh", commands, "```", "", "```output", "```", ""]
    lines += ["More:", ""] if about.examples else []
    lines += ["```sh", given.partition("\n```")[0], "```", ""]
    lines += ["## See also", "", *(f"- [{_title(page)}](../{page})" for page in about.see)]
    return "\n".join(lines) + "\n"


def _codes(about: About) -> Iterator[tuple[str, str]]:
    for code, usual in CODES.items():
        when = about.codes.get(code, usual)
        if when is not None:
            yield f"{code}", when


@cache
def _program() -> Any:
    """The program as click's commands."""
    from typer.main import get_command

    from dumpmap.cli.app import whole_app

    return get_command(whole_app())


def _first(command: Any) -> str:
    return _marked(" ".join(inspect.cleandoc(command.help).partition("\n\n")[0].split()))


def _marked(text: str) -> str:
    """Writes the names of options and variables in a text as code."""
    return _NAME.sub(r"`\g<0>`", text)


def _options(command: Any) -> list[Any]:
    """The options of a command, without those of the library."""
    return [one for one in command.params if one.param_type_name == "option" and "completion" not in one.name]


def _cells(option: Any) -> tuple[str, str, str, str]:
    """The row of an option: names, kind of value, default, and meaning."""
    text, default = _text(option)
    if option.default not in (None, False, 0, ()) and not callable(option.default):
        default = _code(getattr(option.default, "value", option.default))
    variable = next((VARIABLES[name][0] for name in option.opts if name in VARIABLES), None)
    if variable and variable not in text:
        text += f" Environment variable: `{variable}`."
    if option.required:
        default = "required"
    return ", ".join(map(_code, option.opts)), _value(option), default, text


def _value(option: Any) -> str:
    """What an option takes."""
    if option.is_flag or option.count:
        return "flag"
    choices = getattr(option.type, "choices", None)
    if choices:
        return ", ".join(_code(getattr(choice, "value", choice)) for choice in choices)
    least = getattr(option.type, "min", None)
    return _code(option.metavar) + ("" if least is None else f", at least {least}")


def _text(parameter: Any) -> tuple[str, str]:
    """The help of a parameter without its default, and the default."""
    text = _marked(parameter.help or "")
    found = _DEFAULT.search(text)
    return (_DEFAULT.sub("", text).replace("|", "\\|"), found.group(1).strip() if found else "")


def _needed(argument: Any) -> str:
    return ("yes" if argument.required else "no") + ("" if argument.nargs == 1 else ", one or more")


def _code(text: object) -> str:
    return f"`{text}`" if text != "" else ""


def _link(name: re.Match[str]) -> str:
    return f"[{_title(name[1])}](../{name[1]})"


def _title(page: str) -> str:
    if page.startswith("commands/"):
        return f"dumpmap {page.removeprefix('commands/').removesuffix('.md')}"
    text = (DOCS / page).read_text(encoding="utf-8")
    return next(line for line in text.splitlines() if line.startswith("# ")).removeprefix("# ")
