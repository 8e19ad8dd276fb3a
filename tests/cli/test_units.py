"""`--units` governs every figure that a command writes for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.cli_inputs import FIXTURES
from typer.main import get_command
from typer.testing import CliRunner

import dumpmap.api
from dumpmap.cli.app import whole_app
from dumpmap.model.sizes import _Asked

COMMANDS = (
    "summary FILE",
    "regions FILE --evidence",
    "regions FILE --group-by type,size",
    "address FILE 0x10000 0x7ffe0000",
    "address FILE 0x10000",
    "owners FILE --all",
    "heaps FILE --segments --blocks",
    "stacks FILE",
    "modules FILE",
    "free FILE --fit 64MB",
    "info FILE",
    "diagnose FILE",
    "diff leak-x64-before.dmp.gz FILE",
    "timeline leak-x64-before.dmp.gz leak-x64-after.dmp.gz FILE",
    "triage FILE leak-x64-after.dmp.gz",
    "triage FILE leak-x64-after.dmp.gz --group-by verdict",
    "check FILE --rules RULES",
    "check FILE --rules RULES --baseline leak-x64-before.dmp.gz --format markdown",
)
DUMPS = ("fragment-x86.dmp.gz", "leak-x64-after.dmp.gz", "layout-x64.dmp.gz", "runtimes/node-22.dmp.gz")
LIMITS = re.compile(
    r"(of|limit of|has) 2 GB|\d+(\.\d)? [TPE]B|under 1 MB|first 64 KB|at 64 KB boundaries|instead of 4 GB|at most 4 GB"
)
"""Names of limits, which no unit changes; and from 1 TB up, a size keeps its unit."""
OF_RULES = re.compile(r" ?\([+-]?[\d,]+ bytes?\)|= 1 [KMG]B")
"""What `check` quotes: the limits as the rules file has them, and the exact figures beside rounded ones."""
RULES = """
[limits]
"Total.committed" = "<= 1 MB"
largest_free_block = ">= 1 GB"
[deltas]
"Total.committed" = "<= 1 KB"
"""
OTHERS = {"bytes": "KB|MB|GB", "kb": "bytes|MB|GB", "mb": "bytes|KB|GB"}


@pytest.fixture(scope="module", autouse=True)
def each_dump_is_opened_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        open_map = dumpmap.api.open_map
        # A map keeps the sentences of its findings.
        opened = cache(lambda source, unit: open_map(source))
        patch.setattr(dumpmap.api, "open_map", lambda source, **options: opened(source, _Asked.unit))
        patch.chdir(FIXTURES)
        yield


def written(command: str, dump: str, *options: str, rules: str) -> str:
    words = [{"FILE": dump, "RULES": rules}.get(word, word) for word in command.split()]
    ran = CliRunner().invoke(whole_app(), ["-q", *words, *options])
    assert ran.exit_code in (0, 1), ran.output
    assert ran.stdout or ran.exit_code == 0, ran.exception
    return ran.stdout


@pytest.mark.parametrize("units", OTHERS)
@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_figure_has_another_unit(
    command: str, dump: str, units: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rules = tmp_path_factory.getbasetemp() / "rules.toml"
    rules.write_text(RULES)
    text = LIMITS.sub("", written(command, dump, "--units", units, rules=str(rules)))
    if command.startswith("check"):
        text = OF_RULES.sub("", text)
    found = re.findall(rf"(?<![\w.])[\d.,]+ (?:{OTHERS[units]})\b(?:/h)?", text)
    assert found == []


@pytest.mark.parametrize("units", ["bytes", "kb", "mb"])
@pytest.mark.parametrize("command", ["summary", "diagnose", "free"])
def test_a_limit_with_a_name_keeps_it(command: str, units: str) -> None:
    text = written(f"{command} FILE", "fragment-x86.dmp.gz", "--units", units, rules="")
    assert re.search(r"\b(of|has) 2 GB\b", text)


def test_the_option_says_what_it_does_not_reach() -> None:
    commands = get_command(whole_app()).commands.values()  # type: ignore[attr-defined]
    texts = [option.help for command in commands for option in command.params if option.name == "units"]
    assert len(texts) > 8
    for text in texts:
        for words in ("Limits with a name, such as 2 GB, keep it", "JSON and CSV contain bytes", "HTML pages"):
            assert words in text


@pytest.mark.parametrize("command", ["diff leak-x64-before.dmp.gz FILE", "triage FILE", "timeline FILE FILE"])
def test_pages_keep_automatic_units(command: str, tmp_path: Path) -> None:
    pages: list[str] = []
    for units in ([], ["--units", "bytes"]):
        page = tmp_path / f"{len(pages)}.html"
        written(command, "leak-x64-after.dmp.gz", "-o", str(page), *units, rules="")
        # Rows say how long reading took.
        pages.append(re.sub(r"<script.*?</script>", "", page.read_text("utf-8"), flags=re.DOTALL))
    assert pages[0] == pages[1]


def test_browse_and_report_have_no_unit_to_choose() -> None:
    commands = get_command(whole_app()).commands  # type: ignore[attr-defined]
    for name in ("browse", "report"):
        assert all(option.name != "units" for option in commands[name].params)
