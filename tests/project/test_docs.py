"""The tool that writes the generated documents; `make docs` runs its check on docs/."""

from __future__ import annotations

import shutil
from pathlib import Path

import docs_in_step
import pytest


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(docs_in_step.DOCS, tmp_path / "docs"))


def test_generated_documents_are_in_step() -> None:
    assert not docs_in_step.stale(), "run: python -m tests.docs_in_step --write"


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
