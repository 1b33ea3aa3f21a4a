"""Whether two records name one place: the form by which addresses are compared, by versions. Pure.

It is coarser than the spelling in which an address travels (`shared.guard.canonical`), and nobody is ever sent it: what
is kept of it is a token under a key of its instance. A version never changes; a later one stands beside it. At an
origin tokens of all records are made once more by it; a recipient keeps one by each version that it knows, so that two
releases can share its store, and compares those of one version.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from shared.exchange.minimise import Json
from shared.guard.canonical import canonical
from shared.guard.edition import Edition
from shared.vocabulary.referral import RelationKind

#: Accounts and messages are named within a service, which their locator leaves open.
_PLACES: Final = frozenset({"url", "onion", "p2p"})
_DEFAULT_PORTS: Final = (":80", ":443")


class Form(NamedTuple):
    """One version: what of an address is compared, and by which edition of the guard recipients spell it before."""

    edition: Edition
    compared: Callable[[str, str], str]


class Location(NamedTuple):
    """Where item `n` is, in the form of one version."""

    n: int
    kind: RelationKind
    form: str


def compared_1(value: str, kind: str) -> str:
    """Scheme, default port, fragment, an empty query, dot segments and a last slash say nothing of the place."""
    if kind not in ("url", "onion"):
        return value
    parts = urlsplit(canonical(value, "url"))
    host = parts.netloc.lower()
    for port in _DEFAULT_PORTS:
        host = host.removesuffix(port)
    path = posixpath.normpath(f"/{parts.path.lstrip('/')}").rstrip("/")
    return f"{host}{path}" + (f"?{parts.query}" if parts.query else "")


#: The forms by their versions; origins compare by the highest, and that is of today's edition.
FORMS: Final[Mapping[int, Form]] = {1: Form(Edition(form=1, model=1, templates=1), compared_1)}
#: What can go by one version alone goes by this one, work items: a later one once all that is kept has a token by it.
GROUPED_BY: Final = 1


def in_form(value: str, kind: str, version: int) -> str:
    """Where a locator leads, in the form of one version: what a token is made of."""
    return f"{kind}\n{FORMS[version].compared(value, kind)}"


def locations(record: Json, version: int) -> Iterator[Location]:
    """The places of a kept record's items, as a version of the form has them."""
    for item in record["items"]:
        kind, value = item["locator"]["kind"], item["locator"]["value"]
        if kind in _PLACES:
            yield Location(item["n"], RelationKind.SAME_LOCATOR, in_form(value, kind, version))
