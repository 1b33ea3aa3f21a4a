"""Editions of the guard: which form, model and templates judge a text. A message names the one that its texts passed.

An edition never changes: its files are held to their digests. A later one stands beside it, under further numbers, so
that what an earlier release sent is judged by what it was sent under.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from shared.guard.canonical import FORMS
from shared.guard.charge import MODELS_SHA256, Model, shipped
from shared.guard.files import verified
from shared.guard.templates import TEMPLATES_SHA256, Templates, templates

_DIGITS: Final = 32
#: How `ce_guard` ends: after the edition, whether the record kept to its budget or was let go by a second person.
NORMAL, RELEASED = " normal", " released"


class Edition(NamedTuple):
    """One edition, by the numbers of its canonical form, with rules and walk, its model and its templates."""

    form: int
    model: int
    templates: int

    @property
    def name(self) -> str:
        """32 hexadecimal digits: the first 128 bits of a SHA-256 over the form's number and both files' digests."""
        return _name(self)

    def canonical(self, text: str, kind: str) -> str:
        """The one spelling of a text (`canonical.canonical`)."""
        return FORMS[self.form](text, kind)

    def shipped(self) -> Model:
        """The model of this edition. Raises `ValueError` where the file was altered, as `rows` does."""
        return shipped(self.model)

    def rows(self) -> Templates:
        """What it knows of services."""
        return templates(self.templates)


#: All that are read, the oldest first. Today's is the last.
EDITIONS: tuple[Edition, ...] = (Edition(form=1, model=1, templates=1),)


@lru_cache(64)
def _name(edition: Edition) -> str:
    model, rows = MODELS_SHA256[edition.model], TEMPLATES_SHA256[edition.templates]
    told = f"canonical {edition.form}\nmodel {model}\ntemplates {rows}\n"
    return hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]


def own() -> Edition:
    """The edition of today: the one by which an origin judges what is filed."""
    return EDITIONS[-1]


def known() -> Mapping[str, Edition]:
    """All that are read here, by name, once their files are what they must be. Raises as `check_files` does."""
    check_files()
    return {each.name: each for each in EDITIONS}


def edition() -> str:
    """The name of today's edition. Raises as `check_files` does."""
    check_files()
    return own().name


def check_files() -> None:
    """Raises `ValueError` where a file of an edition was altered: who serves asks this first, and does not start."""
    _checked(EDITIONS)


@lru_cache(4)
def _checked(editions: tuple[Edition, ...]) -> None:
    for each in editions:
        verified(f"charge-{each.model}.model", MODELS_SHA256[each.model])
        verified(f"templates-{each.templates}.json", TEMPLATES_SHA256[each.templates])


def passed(*, released: bool = False) -> str:
    """What a message states of the guard that its texts passed: `ce_guard`. `released`: by two, to the ceiling."""
    return edition() + (RELEASED if released else NORMAL)
