"""What MkDocs does while it builds the site: pages from outside docs/, the API, and the list of findings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pages.blocks import ROOT

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

OUTSIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
"""Pages of the top folder, and their names in the site."""

_API = re.compile(r"^<!-- api: (\S+) -->$", re.MULTILINE)
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the page of every finding below their index, and that of every command below their overview."""
    for section in config.nav or ():
        for name, entries in section.items():
            if isinstance(entries, list):
                section[name] = [_with_pages(entry) for entry in entries]
    return config


def _with_pages(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    (title, page), *_ = entry.items()
    if page == "cli.md":
        from dumpmap.cli.app import COMMANDS

        return {title: [{"Overview, exit codes": page}, *({name: f"commands/{name}.md"} for name in COMMANDS)]}
    if page == "findings/README.md":
        found = sorted((ROOT / "docs" / "findings").glob("*-*.md"))
        return {title: [page, *({path.stem: f"findings/{path.name}"} for path in found)]}
    return entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the top folder."""
    from mkdocs.structure.files import File

    for source, name in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_moved(text)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the API where a page asks for it."""
    del config, files
    name = page.file.src_uri
    for source, moved in OUTSIDE.items():
        markdown = markdown.replace(f"](../{source}", f"]({'../' * name.count('/')}{moved}")
    return _API.sub(r"::: \1", markdown)


def _moved(text: str) -> str:
    """Mends the links of a page of the top folder. What is not in the site becomes text."""

    def mend(match: re.Match[str]) -> str:
        label, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        if "://" in target:
            return match.group(0)
        if target.startswith("docs/"):
            return f"{label}({target.removeprefix('docs/')}{anchor})"
        return f"{label}({OUTSIDE[target]}{anchor})" if target in OUTSIDE else f"`{label.strip('[]')}`"

    return _LINK.sub(mend, text)
