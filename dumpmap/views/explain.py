"""What `explain` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from dumpmap.views.blocks import Blank, Block, Heading, Lines, Paragraph
from dumpmap.views.table import Column, Table
from dumpmap.wording.codes import code_topics
from dumpmap.wording.topics import Topic, topics

_COLUMNS = (Column("sort"), Column("name"), Column("title", prose=True), Column("text", prose=True))

_SHOWN_NAMES = 3
"""Names of a group in the index."""

_HEADINGS = {
    "finding": "Findings",
    "verdict": "Verdicts",
    "type": "Types",
    "kind": "Kinds",
    "owner": "Owners",
    "evidence": "Words of evidence",
    "term": "Terms",
    "code": "Exception codes and errors",
    "column": "Columns and figures",
}


def every_topic() -> list[Topic]:
    """Returns every topic, those of columns last."""
    from dumpmap.views.column_topics import column_topics

    return [*topics(), *code_topics(), *column_topics()]


def explain_view(topics: Sequence[Topic]) -> Iterator[Block]:
    """The pages of topics, one below the other."""
    for index, topic in enumerate(topics):
        if index:
            yield Blank()
        yield Heading(topic.title)
        yield Paragraph(topic.about, "muted")
        for section in topic.sections:
            yield Blank()
            yield Heading(section.heading)
            yield Paragraph(section.text)
            if section.columns:
                columns = tuple(Column(name.replace(" ", "_"), "text", name, prose=True) for name in section.columns)
                yield Table(columns, section.rows)


def topic_index(topics: Iterable[Topic]) -> Iterator[Block]:
    """The groups of topics, one line each, with the names that a reader meets first."""
    rows = []
    for sort, members in groupby(topics, key=lambda topic: topic.sort):
        names = list(dict.fromkeys(topic.name for topic in members))
        rows.append((_HEADINGS[sort], len(names), ", ".join(names[:_SHOWN_NAMES])))
    yield Table(
        (Column("group"), Column("count", "count", "Names"), Column("names", prose=True, heading="Such as")), rows
    )
    yield Blank()
    yield Lines(["dumpmap explain NAME   shows the page of one of them.", "dumpmap explain --all  lists every name."])


def topic_list(topics: Iterable[Topic]) -> Iterator[Block]:
    """The names of all topics."""
    for sort, members in groupby(topics, key=lambda topic: topic.sort):
        yield Heading(_HEADINGS[sort])
        yield Lines(list(dict.fromkeys(map(_listed, members))), 2)
        yield Blank()
    yield Paragraph("dumpmap explain NAME shows the page of one of them.", "muted")


def _listed(topic: Topic) -> str:
    return topic.name if topic.title == topic.name else f"{topic.name}: {topic.title}"


def topic_table(topics: Iterable[Topic]) -> Table:
    """One row per topic."""
    return Table(_COLUMNS, [[topic.sort, topic.name, topic.title, topic.sections[0].text] for topic in topics])


def explain_document(topics: Iterable[Topic]) -> dict[str, Any]:
    """Returns `dumpmap.explain/1`."""
    return {
        "schema": "dumpmap.explain/1",
        "topics": [
            {
                "name": topic.name,
                "sort": topic.sort,
                "title": topic.title,
                "sections": [
                    {
                        "heading": section.heading,
                        "text": section.text,
                        "rows": [dict(zip(section.columns, row, strict=True)) for row in section.rows],
                    }
                    for section in topic.sections
                ],
            }
            for topic in topics
        ],
    }
