"""Documents are in step with the code, and the commands of their blocks run: the two share what the commands did.

`make docs` runs the check on docs/.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import docs_in_step
import pytest
from pages.blocks import ROOT, blocks, pages
from pages.shown import reading

PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages()}
WITH_BLOCKS = sorted(name for name, text in PAGES.items() if any(block.has_commands for block in blocks(text)))
SLOW = ("docs/commands/", "docs/capture.md", "docs/triage.md")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(docs_in_step.DOCS, tmp_path / "docs"))


def test_generated_documents_are_in_step() -> None:
    assert not docs_in_step.stale(), "run: python -m tests.docs_in_step --write"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name.startswith(SLOW) else ()) for name in WITH_BLOCKS]
)
def test_commands_of_blocks_run(name: str) -> None:
    for _, ran in reading(PAGES[name]).ran():
        for one in ran:
            assert one.code in (0, 1, 130), f"{one.command}: exit code {one.code}: {one.err}"
            assert "Traceback" not in one.err


def test_every_stale_document_is_found_and_written(docs: Path) -> None:
    (docs / "cli.md").write_text("# Commands\n", "utf-8")
    (docs / "snapshot.schema.json").unlink()
    page = docs / "classification.md"
    page.write_text(
        page.read_text("utf-8").replace("<!-- evidence -->\n", "<!-- evidence -->\n| an old row |\n"), "utf-8"
    )
    (docs / "findings" / "gone.md").write_text(docs_in_step.NOTE + "`a tool that was here`. -->\n", "utf-8")
    (docs / "findings" / "notes.md").write_text("Written by hand.\n", "utf-8")

    stale = docs_in_step.stale(docs)
    assert {path.name for path in stale} == {"cli.md", "snapshot.schema.json", "classification.md", "gone.md"}
    docs_in_step.write(stale)

    assert not docs_in_step.stale(docs)
    assert (docs / "findings" / "notes.md").read_text("utf-8") == "Written by hand.\n"
    for path in docs_in_step.DOCS.rglob("*.*"):
        assert (docs / path.relative_to(docs_in_step.DOCS)).read_bytes() == path.read_bytes()


def test_a_section_that_cannot_be_made_here_stays(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is outside the folders of this server" in (docs / "mcp.md").read_text("utf-8")
    monkeypatch.setitem(docs_in_step.SECTIONS, ("mcp.md", "session"), lambda: None)
    assert docs / "mcp.md" not in docs_in_step.stale(docs)


@pytest.mark.parametrize(
    "page", ["", "<!-- a -->\n", "<!-- /a -->\n<!-- a -->\n", "<!-- a -->\n<!-- a -->\n<!-- /a -->\n"]
)
def test_a_section_needs_its_markers(page: str) -> None:
    with pytest.raises(ValueError, match="expected one section between <!-- a -->"):
        docs_in_step.with_section(page, "a", "text")
