"""What `dumpmap explain` knows beside columns: findings, verdicts, types, kinds, owners, words of evidence, terms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from dumpmap.analysis.rules import RULES
from dumpmap.classify.vocabulary import EVIDENCE, KINDS
from dumpmap.model.types import TYPES
from dumpmap.model.values import value_class
from dumpmap.wording.findings import EXPLANATIONS
from dumpmap.wording.owner_pages import OWNER_PAGES, OwnerPage
from dumpmap.wording.pages import Section, finding_line, finding_sections
from dumpmap.wording.terms import TERMS
from dumpmap.wording.text import whole_sentence
from dumpmap.wording.verdicts import VERDICTS


@value_class(frozen=True, slots=True)
class Topic:
    """Something that has a page.

    Attributes:
        name: as rows, tables, and JSON write it.
        sort: `finding`, `verdict`, `type`, `kind`, `owner`, `evidence`, `term`, `code`, or `column`.
        title: the heading of the page.
        about: a line below the heading, as Markdown.
        sections: the page.
        other_names: what people also call it.
    """

    name: str
    sort: str
    title: str
    about: str
    sections: tuple[Section, ...]
    other_names: tuple[str, ...] = ()


def topics() -> Iterator[Topic]:
    """Findings, verdicts, types, owners, kinds, evidence, and terms, each in the order of its table."""
    for rule in RULES:
        title = EXPLANATIONS[rule.id].title
        yield Topic(rule.id, "finding", title, f"finding {finding_line(rule)}", tuple(finding_sections(rule)))
    for verdict, meaning in VERDICTS.items():
        yield short_topic(verdict, "verdict", "verdict", meaning)
    for info in TYPES:
        yield short_topic(info.name, "type", "type of memory", info.meaning)
    for page in OWNER_PAGES:
        yield _owner(page)
    for kind in KINDS:
        inside = "kind of memory" if kind.type is None else f"kind of memory of type {kind.type.label}"
        source = Section("Where the name comes from", whole_sentence(kind.source))
        yield short_topic(kind.name, "kind", inside, kind.meaning, source)
    for word in EVIDENCE:
        yield short_topic(word.name, "evidence", "word of evidence", word.meaning)
    for term, meaning in TERMS.items():
        yield short_topic(term, "term", "term", meaning)


def short_topic(name: str, sort: str, about: str, meaning: str, *more: Section) -> Topic:
    """Makes a topic whose page is what it means."""
    return Topic(name, sort, name, about, (Section("What it means", whole_sentence(meaning)), *more))


def _owner(page: OwnerPage) -> Topic:
    sections = (
        Section("What it is", page.what),
        Section("What proves it", page.proof),
        Section("What is inferred", page.inferred),
        Section("What to do next", page.advice),
    )
    return Topic(page.name, "owner", page.name, "owner of memory", sections, page.other_names)


_REST = re.compile(r"rest of (.+)'s reservations", re.IGNORECASE)
_PLACE = re.compile(r"(?:[ _-]+(?:0x[0-9a-f]+|\d+))+$", re.IGNORECASE)
_GIVEN = re.compile(r".+ \(heap\)", re.IGNORECASE)
_MODULE = re.compile(r".+\.(?:exe|dll|sys|drv|ocx|cpl|node|pyd)$", re.IGNORECASE)


def find_topics(name: str, among: Sequence[Topic]) -> list[Topic]:
    """Finds the topics of a name as rows write it; ignores case, spaces, `-`, and `_`.

    A name can be that of a type and of a kind. Several kinds of one row are separated by commas. The address or number
    of an owner does not matter, and what an owner leaves of a reservation is explained by the owner.
    """
    found = _named(name, among)
    if found:
        return found
    if rest := _REST.fullmatch(name.strip()):
        return find_topics(rest[1], among)
    if "," in name:
        parts = [_named(part, among) for part in name.split(",")]
        return [topic for part in parts for topic in part] if all(parts) else []
    if found := _named(_PLACE.sub("", name), among):
        return found
    page = "module" if _MODULE.fullmatch(name) else "Reported heap" if _GIVEN.fullmatch(name.strip()) else None
    return [] if page is None else _named(page, among)


def _named(name: str, among: Sequence[Topic]) -> list[Topic]:
    wanted = _key(name)
    own = [topic for topic in among if _key(topic.name) == wanted]
    return own or [topic for topic in among if wanted in map(_key, topic.other_names)]


def similar_names(name: str, among: Iterable[Topic], limit: int = 3) -> list[str]:
    """Names that contain the given one or are spelled like it, the likeliest first."""
    from difflib import get_close_matches

    wanted = _key(name)
    by_key = {_key(topic.name): topic.name for topic in among}
    inside = [key for key in by_key if wanted and wanted in key]
    close = get_close_matches(wanted, by_key, n=limit, cutoff=0.6)
    return [by_key[key] for key in dict.fromkeys((*close, *inside))][:limit]


def _key(name: str) -> str:
    return name.lower().replace(" ", "").replace("-", "").replace("_", "")
