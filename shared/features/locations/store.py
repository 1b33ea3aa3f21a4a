"""Tokens by which the locations of records are compared, and the order in which their rows are locked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from shared.core.contracts.referral import Locator
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.guard import kept_locator
from shared.core.protocol.locations import FORMS, in_form


class LocationToken(NamedTuple):
    """The token of a location by one version of the form, 16 bytes."""

    version: int
    token: bytes


def tokens(locator: Locator, kek: KeyEncryptionKey, party: str) -> Iterator[LocationToken]:
    """Yield the tokens of one location of one party, by each form that this release knows."""
    for version, form in FORMS.items():
        kept = kept_locator(locator, form.edition)
        yield LocationToken(version, kek.location_token(party, version, in_form(kept.value, kept.kind, version)))
