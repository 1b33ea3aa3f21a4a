"""What of an address stays and what is cut, service by service, as the templates of an edition say.

Three classes. What *identifies* is kept: all that no row names. What *opens* (share keys, invitations) is kept. What
*expires or tracks* is cut: nobody else can use it, and it costs as much as a file. The target of a redirector's address
stands for it. Of a service that no row knows only the names under `everywhere` are cut, and only where the address
costs over 128 bytes. Nothing is cut from an item that is `uncut`: whoever filed it says that what would be cut is the
only way in.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from shared.contracts.referral import (
    CutOnion,
    CutUrl,
    Item,
    Locator,
    NoticeItem,
    NoticeRecord,
    OnionLocator,
    ReferralContent,
    UrlLocator,
)
from shared.guard.charge import BYTE, coded
from shared.guard.edition import Edition, own
from shared.guard.templates import Names, Row
from shared.kernel.errors import Refused

_CHEAP: Final = 128 * BYTE
#: Rules by which something is cut where no row knows the service.
TRACKERS: Final = "trackers"
_TARGET: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,2040}")
_URI: Final = "%/:?#[]@!$&'()*+,;=~"
_RULES_MAX: Final = 8
#: The redirectors of one address that are followed. The address of one more is not as it is kept, so it is refused.
_REDIRECTORS_MAX: Final = 4
_LOCATED: Final = frozenset({"url", "onion"})
ContentT = TypeVar("ContentT", bound=ReferralContent)


class Kept(NamedTuple):
    """An address as it is kept, and by which rules something was cut from it."""

    text: str
    rules: tuple[str, ...]


class WasCut(NamedTuple):
    """Of item `n`, counted from 1, something was cut by these rules; `target` is what a redirector's address led to."""

    n: int
    rules: tuple[str, ...]
    target: str | None


def as_kept(content: ContentT) -> ContentT:
    """The content with each address in the one spelling of today's edition, without what expires or tracks."""
    items = tuple([_kept_item(item) for item in content.items])
    changed = any(new is not old for new, old in zip(items, content.items, strict=True))
    return content.model_copy(update={"items": items}) if changed else content


def cuts(content: ReferralContent) -> tuple[WasCut, ...]:
    """Of which items something was cut."""
    places = [(n, item.locator) for n, item in enumerate(content.items, 1)]
    return tuple([WasCut(n, rules, _led_to(each)) for n, each in places if (rules := cut_of(each))])


def cut_of(locator: Locator) -> tuple[str, ...]:
    """By which rules something was cut from it. Asked without `isinstance`, which costs as much as all else here."""
    rules: tuple[str, ...] = getattr(locator, "cut", ())
    return rules


def _led_to(locator: Locator) -> str | None:
    redirectors = {row.name for row in own().rows().rows if row.unwrap}
    return None if redirectors.isdisjoint(cut_of(locator)) else locator.value


def kept_locator(locator: Locator, edition: Edition) -> Locator:
    """A location in the one spelling of an edition, without what expires or tracks: of two spellings either one.

    By it is told whether two records speak of one place, whatever was kept uncut in one of them.
    """
    kept_one = _kept_locator(locator, edition, uncut=False)
    return UrlLocator(kind="url", value=kept_one.value) if isinstance(kept_one, CutUrl) else _plain(kept_one)


def check_kept(record: BaseModel, edition: Edition) -> None:
    """Raises `Refused` for an item that is not as this edition keeps it: two records would say the same."""
    if not isinstance(record, ReferralContent | NoticeRecord):
        return
    items: tuple[Item | NoticeItem, ...] = record.items
    for place, item in enumerate(items):
        locator = item.locator
        if _kept_locator(locator, edition, uncut=item.uncut) is not locator or (item.uncut and cut_of(locator)):
            detail = "the one spelling of an address, without what expires or tracks"
            raise Refused("guard_rules_not_kept", detail, field=f"/items/{place}/locator/value")


def _kept_item(item: Item) -> Item:
    locator = _kept_locator(item.locator, own(), uncut=item.uncut)
    return item if locator is item.locator else item.model_copy(update={"locator": locator})


def _kept_locator(locator: Locator, edition: Edition, *, uncut: bool) -> Locator:
    if uncut or locator.kind not in _LOCATED:
        return _spelt(locator, edition.canonical(locator.value, _KINDS.get(locator.kind, locator.kind)))
    text, rules = kept(locator.value, locator.kind, edition)
    if not rules:
        return _spelt(locator, text)
    rules = tuple(dict.fromkeys((*cut_of(locator), *rules)))[:_RULES_MAX]
    if locator.kind == "url":
        return CutUrl(kind="url", value=text, cut=rules)
    return CutOnion(kind="onion", value=text, cut=rules)


def _plain(locator: Locator) -> Locator:
    return OnionLocator(kind="onion", value=locator.value) if isinstance(locator, CutOnion) else locator


#: Kinds of locators whose texts are of another kind by name.
_KINDS: Final = {"p2p": "peer"}


def _spelt(locator: Locator, text: str) -> Locator:
    return locator if text == locator.value else locator.model_copy(update={"value": text})


def kept(address: str, kind: str = "url", edition: Edition | None = None) -> Kept:
    """A web or onion address as it is kept, and by which rules of the edition something was cut: today's, if none."""
    edition = edition or own()
    address, rules = edition.canonical(address, kind), list[str]()
    while kind == "url" and (row := edition.rows().row(address)) is not None:
        target = _target(address, row, edition) if len(rules) < _REDIRECTORS_MAX else None
        if target is None:
            if (without := _without(address, row.cuts)) != address:
                address = without
                rules.append(row.name)
            return Kept(address, tuple(rules))
        address = target
        rules.append(row.name)
    cut = _without(address, edition.rows().everywhere)
    if cut != address and _cost_or_more(address, kind, edition) > _CHEAP:
        return Kept(cut, (*rules, TRACKERS))
    return Kept(address, tuple(rules))


def _cost_or_more(address: str, kind: str, edition: Edition) -> int:
    """What an address costs; one with characters that no canonical one has, as if too much: the rules refuse it."""
    try:
        return coded(address, kind, edition.shipped()).charge
    except KeyError:
        return _CHEAP + 1


def _target(address: str, row: Row, edition: Edition) -> str | None:
    """The address that a redirector's leads to, None where it has none."""
    query = address.partition("#")[0].partition("?")[2]
    for pair in query.split("&") if row.unwrap else ():
        name, _, value = pair.partition("=")
        if name in row.unwrap:
            target = _unquoted(value)
            if _TARGET.fullmatch(target) or _TARGET.fullmatch(target := quote(target, safe=_URI)):
                return edition.canonical(target, "url")
    return None


def _unquoted(text: str) -> str:
    """A canonical text without its escapes, as `urllib.parse.unquote` reads it, in a tenth of the time."""
    escapes = text.replace("\\", r"\\").replace("%", r"\x")
    return escapes.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")


def _without(address: str, cuts: Names) -> str:
    if "?" not in address:
        return address
    before, hash_, fragment = address.partition("#")
    base, mark, query = before.partition("?")
    pairs = query.split("&")
    left = cuts.others(pairs)
    if len(left) == len(pairs) or not mark:
        return address
    return f"{base}{'?' if left else ''}{'&'.join(left)}{hash_}{fragment}"
