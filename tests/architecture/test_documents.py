"""The documents: every decision names its enforcement, every path exists, and the glossary has the words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.envelope.attributes import Tier
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.core.vocabulary.routing import Disposition, PartyKind
from tests.architecture.source import ROOT

DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "services").glob("*/*.md")),
]
NOTES_MAX, NOTE_LINES_MAX, TERMS_MAX = 40, 40, 100
SECTIONS = ["Context", "Decision", "Consequences"]
BINDING = (
    *("party", "instance", "referral", "item", "assessment", "notice", "case", "hold", "decision", "edge"),
    *("acceptance", "outcome", "acknowledgement", "flow", "trace", "record", "entry", "leaf", "log", "ledger", "audit"),
    *("sealed part", "clear part", "facts", "relay", "stream", "segment", "dead letter", "guard", "tier", "exercise"),
)
RESERVED = {PartyKind.AUDITOR, PartyKind.SUPPORT, PartyKind.REGULATOR}

_PATH = re.compile(r"`((?:services|shared|client|deploy|tests|docs|changelog\.d)/[\w./*-]*)`")
_LINK = re.compile(r"\]\((?!#)([\w./-]+)(?:#[\w-]*)?\)")
_PART = re.compile(r"\]\(((?:[\w./-]+\.md)?)#([\w-]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("path", DECISIONS, ids=[path.stem for path in DECISIONS])
def test_a_decision_is_short_has_its_sections_and_says_what_enforces_it(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(rf"# {path.name[:4]} · [A-Z].*", lines[0])
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == SECTIONS
    assert len(lines) <= NOTE_LINES_MAX
    assert any(line.startswith("*Enforced by* ") for line in lines)


def test_decisions_are_few_and_each_has_a_number_of_its_own() -> None:
    assert 0 < len({path.name[:4] for path in DECISIONS}) == len(DECISIONS) <= NOTES_MAX


def missing(page: str, folder: Path) -> Iterator[str]:
    """Yield paths and links in a page without a target."""
    yield from (path for path in _PATH.findall(page) if not list(ROOT.glob(path)) and not list(ROOT.glob(f"{path}.py")))
    yield from (link for link in _LINK.findall(page) if not (folder / link).exists())


def parts(page: str) -> set[str]:
    """Return the anchors of a page, derived from headings: words joined by hyphens, without punctuation."""
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in _HEADING.findall(page)}


def headless(page: str, folder: Path) -> Iterator[str]:
    """Yield links to a missing section of a page."""
    for link, part in _PART.findall(page):
        if part not in parts((folder / link).read_text(encoding="utf-8") if link else page):
            yield f"{link}#{part}"


def test_a_part_that_is_nowhere_is_found() -> None:
    assert list(headless("# One *word*, or two\n[a](#one-word-or-two) [b](#three)", ROOT)) == ["#three"]


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_every_path_and_part_that_a_page_names_exists(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert [*missing(page, path.parent), *headless(page, path.parent)] == []


def test_the_glossary_has_each_word_once() -> None:
    rows = re.findall(r"^\| (\*\*.*?) \|", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if rows.count(row) > 1] == []


def test_the_glossary_is_short() -> None:
    terms = re.findall(r"\*\*(.*?)\*\*", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    assert len(BINDING) < len(terms) == len(set(terms)) <= TERMS_MAX


def test_a_path_that_leads_nowhere_is_found() -> None:
    assert list(missing("see `tests/nowhere` and [this](nowhere.md)", ROOT)) == ["tests/nowhere", "nowhere.md"]


def unexplained(words: tuple[str, ...], page: str) -> list[str]:
    """Return words that the glossary does not print in bold, as it does with all explained terms."""
    explained = set(re.findall(r"\*\*(.*?)\*\*", page))
    return [word for word in words if word not in explained]


def test_the_glossary_explains_every_binding_word() -> None:
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    assert unexplained(BINDING, page) == []
    assert unexplained(("ticket",), page) == ["ticket"]


def test_the_glossary_names_every_outcome_disposition_tier_and_kind() -> None:
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    words = {word.value for enumeration in (ReceiptOutcome, Disposition, Tier) for word in enumeration}
    words |= {kind.value for kind in set(PartyKind) - RESERVED} | {"auditor"}
    assert sorted(word for word in words if not re.search(rf"\b{word}\b", page)) == []
