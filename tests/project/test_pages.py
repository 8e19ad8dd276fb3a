"""Every command in every page runs, every snippet is valid, and every link between pages leads somewhere."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pages.__main__ import commands
from pages.blocks import DOCS, ROOT, blocks, inline_commands, pages, shown
from pages.links import problems
from pages.sandbox import Sandbox, is_run
from pages.shown import CommandError, with_outputs

PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages()}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

PLACEHOLDERS = {
    "A B C...": "before.dmp after.dmp friday.dmp",
    "A B": "before.dmp after.dmp",
    "OLD NEW": "before.dmp after.dmp",
    "FILE...": "before.dmp after.dmp",
    "PATH...": "dumps/",
    "FILE ADDR": "crash.dmp 0x7ffe0000",
    "R.toml": "memory.toml",
    "FILE": "crash.dmp",
    "FOLDER": "dumps/",
    "SIZE": "16MB",
    "TYPE": "heap",
    "OWNER": "V8",
    "NAME": "V8",
    "export ...": "export crash.dmp -o raw.csv --to csv",
}
"""What stands for a file, a size, or a name in a sentence. Other words in capitals are names of files to write."""


def written(command: str) -> str:
    """A command of a sentence as one that runs."""
    words = command.split()
    if words[1:] in ([], ["--help"]) or len(words) == 2 or (len(words) == 3 and words[2].startswith("--")):
        return "dumpmap --help" if words[1:2] in ([], ["COMMAND"]) or "--" in words[1] else f"dumpmap {words[1]} --help"
    for word, text in PLACEHOLDERS.items():
        command = re.sub(rf"(?<!\S){re.escape(word)}(?!\S)", text, command)
    return command.replace("COMMAND --help", "summary --help")


def check(sandbox: Sandbox, command: str) -> None:
    ran = sandbox.run(command)
    assert ran.code in (0, 1, 130), f"{command}: exit code {ran.code}: {ran.err}"
    assert "Traceback" not in ran.err


INLINE = sorted({command for text in PAGES.values() for command in inline_commands(text)})


def test_commands_of_sentences_run(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    assert len(INLINE) > 50
    for command in INLINE:
        if command != "dumpmap handles":  # the example of CONTRIBUTING.md
            check(sandbox, written(command))


def test_the_pages_show_no_fewer_commands_than_before() -> None:
    assert commands() >= 370  # make site prints the count; this module and test_docs.py run them


def test_other_commands_name_what_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for name, text in PAGES.items():
        for block in blocks(text):
            if block.language not in ("", "sh"):
                continue
            for command in block.commands():
                for target in re.findall(r"^make ([a-z-]+)", command):
                    assert target in targets, (name, command)
                for module in re.findall(r"python -m (tests[.\w]+)", command):
                    place = ROOT / module.replace(".", "/")
                    assert place.is_dir() or place.with_suffix(".py").is_file(), (name, command)
                for path in re.findall(r"(?:pytest |sudo )(tests/[\w./-]+)(?= |$)", command.partition("|")[0]):
                    assert (ROOT / path).exists(), (name, command)
        for extras in re.findall(r'pip install "dumpmap\[([\w,]+)\]"', text):
            assert set(extras.split(",")) <= set(EXTRAS), (name, extras)


def test_blocks_that_cannot_run_are_known() -> None:
    left = {
        command.split()[0]
        for text in PAGES.values()
        for block in blocks(text)
        if block.has_commands
        for command in block.commands()
        if not is_run(command)
    }
    assert left <= {"pip", "make"}


PYTHON = {
    f"{name}:{block.line}": block.text
    for name, text in PAGES.items()
    for block in blocks(text)
    if block.language == "python" and name != "README.md"  # test_readme.py runs those
}
PREPARED = "m = dumpmap.open('crash.dmp')\nmaps = [m, m]\n"


@pytest.mark.parametrize("where", PYTHON)
def test_python_runs(where: str, tmp_path: Path) -> None:
    code = PYTHON[where]
    if "s3://" in code or "4242" in code:
        compile(code, where, "exec")
        return
    Sandbox(tmp_path)
    imports = "" if "import dumpmap" in code else "import dumpmap\n" + PREPARED
    (tmp_path / "script.py").write_text(imports + code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "DUMPMAP_CACHE": str(tmp_path / ".cache"), "HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_toml_is_valid_and_known() -> None:
    from dumpmap.analysis.rules_file import parse_rules

    for name, text in PAGES.items():
        for block in blocks(text):
            if block.language == "toml":
                assert parse_rules(block.text, name=name)


def test_every_output_follows_its_commands() -> None:
    for name, text in PAGES.items():
        outputs = [block for block in blocks(text) if block.language == "output"]
        assert outputs == [output for _, output in shown(text)], name


def test_links_between_pages_lead_somewhere() -> None:
    for name, text in PAGES.items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", re.sub(r"`[^`\n]*`", "", prose)):
            if not re.match(r"[a-z]+:", target):
                assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"


# ---------------------------------------------------------------- the tools


def test_nothing_but_readers_is_run(tmp_path: Path) -> None:
    for command in ("pip install dumpmap", "dumpmap summary x; rm -rf y", "dumpmap summary x && make", "cat x | sh"):
        assert not is_run(command)
        with pytest.raises(ValueError, match="not run here"):
            Sandbox(Path(shutil.copytree(tmp_path, tmp_path / str(len(command))))).run(command)
    for command in (
        "dumpmap summary x | head -n 3",
        "dumpmap check x --rules 'a|b' 2>&1 || echo $?",
        "py dumpmap-capture.pyz 1",
    ):
        assert is_run(command)


PAGE = """# A page

```sh
echo 'unknown = "skip"' > rules.toml   # a comment
dumpmap free tests/fixtures/fragment-x86.dmp.gz --fit 64MB \\
  | grep fit
```

```output
Stale.
```

```output
Nobody's.
```
"""


def test_outputs_are_written() -> None:
    text = with_outputs(PAGE)
    line = "64 MB aligned to 64 KB: does not fit; the largest allocation that fits is 18 MB\n"
    assert text == PAGE.replace("Stale.\n", line)
    assert with_outputs(text) == text


def test_a_command_that_fails_is_an_error() -> None:
    with pytest.raises(CommandError, match=r"dumpmap free nosuch.dmp: exit code 3: .*nosuch.dmp"):
        with_outputs("```sh\ndumpmap free nosuch.dmp\n```\n\n```output\n```\n")


def test_indented_blocks_keep_their_indentation() -> None:
    page = "1. One\n\n    ```sh\n    echo a\n    ```\n\n    ```output\n    ```\n"
    assert with_outputs(page).splitlines()[6:] == ["    ```output", "    a", "    ```"]


def test_bad_links_of_a_site_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text('<h1 id="here">x</h1><a href="#here"></a><a href="sub/a.html#top"></a>')
    (tmp_path / "sub" / "a.html").write_text('<p id="top"><a href="../index.html">x</a><a href="https://x.org/y">y</a>')
    assert list(problems(tmp_path)) == []
    loads = '<img src="https://x.org/i.png"><script src="//x/y.js"></script><link rel="icon" href="https://x.org/f">'
    (tmp_path / "bad.html").write_text(loads + '<a href="gone.html"></a><a href="index.html#gone"></a>')
    assert list(problems(tmp_path)) == [
        "bad.html: loads https://x.org/i.png from a network",
        "bad.html: loads //x/y.js from a network",
        "bad.html: loads https://x.org/f from a network",
        "bad.html: gone.html is not there",
        "bad.html: index.html#gone has no such anchor",
    ]


def test_the_site_lists_every_page() -> None:
    listed = set(re.findall(r"(\S+\.md)$", (ROOT / ".mkdocs.yml").read_text("utf-8"), re.MULTILINE))
    generated = ("findings", "commands")  # tests/pages/hooks.py lists them
    written_pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.parent.name not in generated}
    assert listed == written_pages | {"findings/README.md", "changelog.md", "contributing.md", "security.md"}


@pytest.mark.slow
@pytest.mark.chromium
def test_the_site_builds_and_is_searched_without_a_network(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra `site`")
    from pages.__main__ import SITE

    # In a process of its own: it opens a browser, too, and one process can have only one.
    subprocess.run([sys.executable, "-m", "tests.pages"], cwd=ROOT, check=True, timeout=600)
    asked: list[str] = []
    context = request.getfixturevalue("browser").new_context()
    for width in (1440, 390):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 844})
        page.on("request", lambda asking: asked.append(asking.url))
        for name in ("index", "tutorials/leak", "howto/take-a-dump", "python", "cli", "commands/regions", "owners"):
            page.goto((SITE / f"{name}.html").as_uri())
            inner = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(inner) <= 0, f"{name} is wider than {width}"
        if width == 1440:
            assert _found_by_search(page, "fragmentation")
    context.close()
    assert not [url for url in asked if not url.startswith(("file:", "data:", "about:"))]


def _found_by_search(page: Any, words: str) -> bool:
    """Types words into the search, key by key: it listens to keys, and not to a field that is filled at once."""
    from playwright.sync_api import TimeoutError

    for _ in range(9):  # what is typed before its script listens is lost
        page.click(".md-search__input")
        page.fill(".md-search__input", "")
        page.locator(".md-search__input").press_sequentially(words)
        with contextlib.suppress(TimeoutError):
            page.wait_for_selector(".md-search-result__item", state="attached", timeout=20_000)
            return True
    return False
