"""Comparison of locations: the versioned forms in which two addresses are compared. Pure.

A form is coarser than the address in messages (`shared.core.guard.canonical`) and is never sent. Only a token of it is
stored, under a key of the instance. A version never changes; later versions are added. An origin recomputes the tokens
of all records for a new version. A recipient stores one token for each version that it knows, so that two releases can
share its store. It compares tokens of the same version.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from shared.core.canonical import Json
from shared.core.guard.canonical import canonical
from shared.core.guard.edition import GuardVersion
from shared.core.vocabulary.referral import RelationKind

#: Accounts and messages are named within a service, which their locator does not state.
_PLACES: Final = frozenset({"url", "onion", "p2p"})
_DEFAULT_PORTS: Final = (":80", ":443")


class Form(NamedTuple):
    """One version: the compared form of an address, and the guard edition of its canonical form."""

    edition: GuardVersion
    compared: Callable[[str, str], str]


class Location(NamedTuple):
    """The location of item `n`, in the form of one version."""

    n: int
    kind: RelationKind
    form: str


def compared_1(value: str, kind: str) -> str:
    """Return the address without web scheme, default port, fragment, empty query, dot segments and last slash."""
    if kind not in ("url", "onion"):
        return value
    parts = urlsplit(canonical(value, "url"))
    host = parts.netloc.lower() if parts.scheme in ("http", "https") else f"{parts.scheme}://{parts.netloc}"
    for port in _DEFAULT_PORTS:
        host = host.removesuffix(port)
    path = posixpath.normpath(f"/{parts.path.lstrip('/')}").rstrip("/")
    return f"{host}{path}" + (f"?{parts.query}" if parts.query else "")


#: The forms by version. Origins compare by the highest, which uses the current edition.
FORMS: Final[Mapping[int, Form]] = {1: Form(GuardVersion(form=1, model=1, templates=1), compared_1)}
#: The version for comparisons that use only one, such as work items. Raise it once all stored records have its tokens.
GROUPED_BY: Final = 1


def in_form(value: str, kind: str, version: int) -> str:
    """Return the form of a locator in one version. The token is computed from it."""
    return f"{kind}\n{FORMS[version].compared(value, kind)}"


def locations(record: Json, version: int) -> Iterator[Location]:
    """Yield the locations of a stored record's items in one version of the form."""
    for item in record["items"]:
        kind, value = item["locator"]["kind"], item["locator"]["value"]
        if kind in _PLACES:
            yield Location(item["n"], RelationKind.SAME_LOCATOR, in_form(value, kind, version))
