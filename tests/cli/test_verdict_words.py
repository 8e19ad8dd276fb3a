"""The words of a verdict: the same ones in the terminal and on the page, and `explain` knows each of them."""

from __future__ import annotations

import html
import json
import re
from functools import cache

import pytest
from support.scenes import FIXTURES
from typer.testing import CliRunner

from dumpmap.analysis.rules import SEVERITIES
from dumpmap.cli.app import whole_app
from dumpmap.views.explain import every_topic
from dumpmap.wording.topics import find_topics
from dumpmap.wording.verdicts import VERDICTS

DUMPS = (
    "exhaust-x86.dmp.gz",
    "fragment-x86.dmp.gz",
    "starve-x86.dmp.gz",
    "starve-x64.dmp.gz",
    "layout-x64.dmp.gz",
    "layout-x86-plain.dmp",
    "runtimes/node-22.dmp.gz",
    "runtimes/node-22-x86.dmp.gz",
    "runtimes/java-21-g1.dmp.gz",
)
AXES = {"Address space": "address_space", "Commit": "commit", "Heap limit": "heap_limit"}
FIGURE = re.compile(
    r"\([\d.<]+ %\)|<?\d[\d.,]*( [KMGT]B| bytes?| %)|\(inferred\)|\b(?:at least|at most|of|limit)\b|V8|HotSpot|Java",
)
"""What a part of an axis's line has beside its words: figures, names of limits and of runtimes."""


@cache
def known(word: str) -> bool:
    return bool(find_topics(word, every_topic()))


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(whole_app(), list(arguments), env={"COLUMNS": "300"})
    assert ran.exit_code in (0, 1), ran.output
    return ran.stdout


def page_words(page: str) -> dict[str, tuple[str, list[str]]]:
    """The state and the labels of each axis on the page, by its title."""
    (axes,) = re.findall(r'<dl class="axes">(.*?)</dl>', page, re.DOTALL)
    found = {}
    for title, rest in re.findall(r"<dt>([^<]*)</dt>(.*)", axes):
        (state,) = re.findall(r'<span class="state \w+">([^<]*)</span>', rest)
        found[title] = (state, [html.unescape(label) for label in re.findall(r'<span class="muted">([^<]*)<', rest)])
    return found


@pytest.mark.parametrize("dump", DUMPS)
def test_the_page_and_the_terminal_use_the_same_words(dump: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path, out = str(FIXTURES / dump), tmp_path_factory.mktemp("words") / "page.html"
    document = json.loads(run("diagnose", path, "--format", "json"))
    run("report", path, "-o", str(out))
    text = run("diagnose", path).partition("\nVerdict ")[2].partition("\n\n")[0]
    on_page = page_words(out.read_text("utf-8"))
    assert list(on_page) == list(AXES)
    for title, key in AXES.items():
        (line,) = re.findall(rf"^{title} +(.*)$", text, re.MULTILINE)
        state, *parts = line.split(", ")
        assert on_page[title][0] == state == document[key]["state"]
        words = [title, state, *on_page[title][1], *(FIGURE.sub(" ", part).strip() for part in parts)]
        for word in words:
            for phrase in filter(None, re.split(r"\s{2,}|, ", word)):
                assert known(phrase), (phrase, line)


@pytest.mark.parametrize(
    "word",
    [
        *VERDICTS,
        *(name.replace("-", " ").capitalize() for name in VERDICTS),
        *("out", "low", "ok", "unknown"),
        *SEVERITIES,
        *("recorded", "measured", "inferred"),
        *("by the writer of the dump", "by the counters", "use not recorded", "garbage included", "over its limit"),
        *("less left than was requested", "likelier", "available", "in use", "signal", "finding", "verdict"),
    ],
)
def test_explain_knows_every_word_of_a_verdict(word: str) -> None:
    assert known(word)
