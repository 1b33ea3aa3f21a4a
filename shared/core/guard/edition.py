"""Editions of the guard: the form, model and templates for checking a text.

A message names its guard edition. An edition never changes: its files are checked against their digests. A later
edition is added under further numbers, so messages of an earlier release are checked by the edition of that release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from shared.core.guard.canonical import FORMS
from shared.core.guard.charge import MODELS_SHA256, Model, shipped
from shared.core.guard.files import verified
from shared.core.guard.templates import TEMPLATES_SHA256, Templates, templates

_DIGITS: Final = 32
#: The end of `ce_guard`, after the edition: the record is within its budget, or a second review released it.
NORMAL, RELEASED = " normal", " released"


class GuardVersion(NamedTuple):
    """One edition: the numbers of its canonical form (with rules and walk), its model and its templates."""

    form: int
    model: int
    templates: int

    @property
    def name(self) -> str:
        """The first 128 bits of a SHA-256 over the form's number and both files' digests, hexadecimal."""
        return _name(self)

    def canonical(self, text: str, kind: str) -> str:
        """Return the canonical form of a text (`canonical.canonical`)."""
        return FORMS[self.form](text, kind)

    def shipped(self) -> Model:
        """Return the model of this edition. Raises `ValueError` if the file was altered, as `rows` does."""
        return shipped(self.model)

    def rows(self) -> Templates:
        """Return the templates of services."""
        return templates(self.templates)


#: All known editions, the oldest first. The last is the current one.
EDITIONS: tuple[GuardVersion, ...] = (GuardVersion(form=1, model=1, templates=1),)


@lru_cache(64)
def _name(edition: GuardVersion) -> str:
    model, rows = MODELS_SHA256[edition.model], TEMPLATES_SHA256[edition.templates]
    told = f"canonical {edition.form}\nmodel {model}\ntemplates {rows}\n"
    return hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]


def own() -> GuardVersion:
    """Return the current edition, by which an origin checks submissions."""
    return EDITIONS[-1]


def known() -> Mapping[str, GuardVersion]:
    """Return all known editions by name, after a check of their files. Raises as `check_files` does."""
    check_files()
    return {each.name: each for each in EDITIONS}


def edition() -> str:
    """Return the name of the current edition. Raises as `check_files` does."""
    check_files()
    return own().name


def check_files() -> None:
    """Raise `ValueError` if a file of an edition was altered.

    A service calls this first and then does not start.
    """
    _checked(EDITIONS)


@lru_cache(4)
def _checked(editions: tuple[GuardVersion, ...]) -> None:
    for each in editions:
        verified(f"charge-{each.model}.model", MODELS_SHA256[each.model])
        verified(f"templates-{each.templates}.json", TEMPLATES_SHA256[each.templates])


def passed(*, released: bool = False) -> str:
    """Return `ce_guard` for a message whose texts were checked.

    `released`: a second review allowed the ceiling.
    """
    return edition() + (RELEASED if released else NORMAL)
