"""Builds the site into build/site, strictly, and checks it: `python -m tests.pages` (make site).

`python -m tests.pages --screenshots` only makes the pictures of docs/images that need a browser (make screenshots).
"""

from __future__ import annotations

import logging
import sys

from .blocks import DOCS, ROOT, blocks, inline_commands, pages
from .links import problems
from .sandbox import is_run
from .screenshots import make_screenshots

SITE = ROOT / "build" / "site"


def commands() -> int:
    """Counts the commands in pages: those of blocks that run, and those in sentences."""
    texts = [path.read_text(encoding="utf-8") for path in pages()]
    run = [command for text in texts for block in blocks(text) if block.has_commands for command in block.commands()]
    return len([*filter(is_run, run)]) + sum(len(inline_commands(text)) for text in texts)


def build() -> int:
    """Builds and checks the site; returns the exit code."""
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # why a strict build stops
    sys.path.insert(0, str(ROOT / "tests"))  # for the hooks
    config = load_config(str(ROOT / ".mkdocs.yml"))
    try:
        build_site(config)
    except Abort as error:
        print(error)
        return 1
    made = make_screenshots(SITE / "images")
    found = list(problems(SITE))
    print(*found, sep="\n" if found else "")
    print(
        f"{len(list(SITE.rglob('*.html')))} pages in {SITE}; {commands()} commands, which the tests run; "
        f"{len(found)} bad links; {made or 'no Chromium: the kept'} screenshots"
    )
    return 1 if found else 0


def main(arguments: list[str]) -> int:
    """Builds the site, or makes the screenshots."""
    if "--screenshots" not in arguments:
        return build()
    made = make_screenshots(DOCS / "images")
    print(f"{made} screenshots" if made else "no Chromium or no Playwright: nothing was made")
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
