"""What MkDocs does while it builds the site: pages from outside docs/, the API, and the list of findings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import docs_in_step

from pages.blocks import ROOT

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

OUTSIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
"""Pages of the top folder, and their names in the site."""

_FINDINGS = "findings/README.md"
_API = re.compile(r"^<!-- api: (\S+) -->$", re.MULTILINE)
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists every page of a finding below their index."""
    for section in config.nav or ():
        for name, entries in section.items():
            if isinstance(entries, list):
                section[name] = [_with_findings(entry) for entry in entries]
    return config


def _with_findings(entry: Any) -> Any:
    if not isinstance(entry, dict) or _FINDINGS not in entry.values():
        return entry
    pages = sorted((ROOT / "docs" / "findings").glob("*-*.md"))
    return {"Findings": [_FINDINGS, *({page.stem: f"findings/{page.name}"} for page in pages)]}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the top folder."""
    from mkdocs.structure.files import File

    for source, name in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_moved(text)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes the command reference from the app, and puts the API where a page asks for it."""
    del config, files
    name = page.file.src_uri
    if name == "cli.md":
        return docs_in_step.cli_reference()
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
