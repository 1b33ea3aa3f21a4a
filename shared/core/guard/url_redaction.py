"""Reading of the addresses of a record, and their redaction by the templates of an edition, service by service.

Parts of an address have three classes. *Identifying* parts are kept: all parts that no row names. *Opening* parts
(share keys, invitations) are kept. *Expiring or tracking* parts are redacted: they are useless to others and cost as
much as a file. The address of a redirector is replaced by its target. For a service without a row, trackers and JSON
Web Tokens in paths are redacted if the address costs over 128 bytes, and signatures if it costs more than a field may.
In an `uncut` item nothing is redacted: the submitter states that the location works only in full.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from pydantic import BaseModel
from pydantic_core import from_json

from shared.core.codes import find_remedy
from shared.core.contracts.referral import (
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
from shared.core.errors import InvalidFields, Refused
from shared.core.guard.budget import BUDGET
from shared.core.guard.charge import BYTE, coded
from shared.core.guard.edition import GuardVersion, own
from shared.core.guard.templates import Names, TemplateRule

_CHEAP: Final = 128 * BYTE
#: The rules for redactions at services without a row.
TRACKERS, SIGNATURES = "trackers", "signatures"
_TARGET: Final = re.compile("https?://", re.IGNORECASE)
#: A JSON Web Token that is a segment of a path (RFC 7519). Its second part has the claims.
_TOKEN: Final = re.compile(r"(?<=/)eyJ[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
_CLAIM: Final = re.compile(r"(?!eyJ)[A-Za-z0-9_-]{8,64}")
_PATH: Final = re.compile("[^?#]*")
_RULES_MAX: Final = 8
#: Maximum redirectors that are followed in one address. An address with more is not in stored form and is rejected.
_REDIRECTORS_MAX: Final = 4
_LOCATED: Final = frozenset({"url", "onion"})
ContentT = TypeVar("ContentT", bound=ReferralContent)
_ReadT = TypeVar("_ReadT")


class RedactedUrl(NamedTuple):
    """An address in stored form, and the rules that redacted it."""

    text: str
    rules: tuple[str, ...]


class Redaction(NamedTuple):
    """The redaction rules of item `n`, counted from 1.

    `target` is the destination of a redirector's address.
    """

    n: int
    rules: tuple[str, ...]
    target: str | None


def as_kept(content: ContentT) -> ContentT:
    """Return the content with each address in the canonical form of the current edition, redacted.

    Raises `InvalidFields` as `read_each` does.
    """
    items = read_each(content.items, _kept_item, "/items/{}/locator/value")
    changed = any(new is not old for new, old in zip(items, content.items, strict=True))
    return content.model_copy(update={"items": items}) if changed else content


def read_each(entries: Sequence[_ReadT], read: Callable[[_ReadT], _ReadT], pointer: str) -> tuple[_ReadT, ...]:
    """Return each entry read. `pointer` is the JSON pointer of an address, with `{}` for the place of its entry.

    Raises `InvalidFields` with the rule of each unreadable address and its remedy. Its code is that of the first.
    """
    done, errors = list[_ReadT](), list[dict[str, str]]()
    for place, entry in enumerate(entries):
        try:
            done.append(read(entry))
        except Refused as error:
            errors.append(
                {"field": pointer.format(place), "rule": error.code, "expected": find_remedy(error.code) or ""}
            )
    if errors:
        raise InvalidFields(errors, code=errors[0]["rule"], what="addresses")
    return tuple(done)


def respelled(locators: Iterable[Locator]) -> tuple[int, ...]:
    """Return the numbers of the readable locators, counted from 1, that have another form than the canonical one."""
    spelt = own().canonical
    return tuple([n for n, each in enumerate(locators, 1) if spelt(each.value, _kind(each.kind)) != each.value])


def cuts(content: ReferralContent) -> tuple[Redaction, ...]:
    """Return the redacted items."""
    places = [(n, item.locator) for n, item in enumerate(content.items, 1)]
    return tuple([Redaction(n, rules, _led_to(each)) for n, each in places if (rules := cut_of(each))])


def cut_of(locator: Locator) -> tuple[str, ...]:
    """Return the rules that redacted a locator.

    Without `isinstance`, which costs as much as the rest here.
    """
    rules: tuple[str, ...] = getattr(locator, "cut", ())
    return rules


def _led_to(locator: Locator) -> str | None:
    redirectors = {row.name for row in own().rows().rows if row.unwrap}
    return None if redirectors.isdisjoint(cut_of(locator)) else locator.value


def kept_locator(locator: Locator, edition: GuardVersion) -> Locator:
    """Return a location in the canonical form of an edition, redacted.

    Comparison of locations uses this form, even if a record stores the location unredacted.
    """
    kept_one = _kept_locator(locator, edition, uncut=False)
    return UrlLocator(kind="url", value=kept_one.value) if isinstance(kept_one, CutUrl) else _plain(kept_one)


def check_kept(record: BaseModel, edition: GuardVersion) -> None:
    """Check that the items are in the stored form of this edition, which is unique.

    Raises `Refused` if not.
    """
    if not isinstance(record, ReferralContent | NoticeRecord):
        return
    items: tuple[Item | NoticeItem, ...] = record.items
    for place, item in enumerate(items):
        locator = item.locator
        if _kept_locator(locator, edition, uncut=item.uncut) is not locator or (item.uncut and cut_of(locator)):
            detail = "send the canonical address, without expiring or tracking parts"
            raise Refused("guard_rules_not_kept", detail, field=f"/items/{place}/locator/value")


def _kept_item(item: Item) -> Item:
    locator = _kept_locator(item.locator, own(), uncut=item.uncut)
    return item if locator is item.locator else item.model_copy(update={"locator": locator})


def _kept_locator(locator: Locator, edition: GuardVersion, *, uncut: bool) -> Locator:
    if uncut or locator.kind not in _LOCATED:
        return _spelt(locator, edition.canonical(locator.value, _kind(locator.kind)))
    text, rules = kept(locator.value, locator.kind, edition)
    if not rules:
        return _spelt(locator, text)
    rules = tuple(dict.fromkeys((*cut_of(locator), *rules)))[:_RULES_MAX]
    if locator.kind == "url":
        return CutUrl(kind="url", value=text, cut=rules)
    return CutOnion(kind="onion", value=text, cut=rules)


def _plain(locator: Locator) -> Locator:
    return OnionLocator(kind="onion", value=locator.value) if isinstance(locator, CutOnion) else locator


def stored_form(text: str, kind: str) -> str:
    """Return the text that is stored for a location of this kind. Raises `Refused` if it cannot be read."""
    return kept(text, kind).text if kind in _LOCATED else own().canonical(text, _kind(kind))


def _kind(kind: str) -> str:
    """Return the kind of text that locators of a kind have."""
    return "peer" if kind == "p2p" else kind


def _spelt(locator: Locator, text: str) -> Locator:
    return locator if text == locator.value else locator.model_copy(update={"value": text})


def kept(address: str, kind: str = "url", edition: GuardVersion | None = None) -> RedactedUrl:
    """Return a web or onion address in stored form, with the rules that redacted it.

    Default: the current edition.
    """
    edition = edition or own()
    address, rules = edition.canonical(address, kind), list[str]()
    while kind == "url" and (row := edition.rows().row(address)) is not None:
        target = _target(address, row, edition) if len(rules) < _REDIRECTORS_MAX else None
        if target is None:
            if (without := _without_token(_without(address, row.cuts), row.claim)) != address:
                address = without
                rules.append(row.name)
            return RedactedUrl(address, tuple(rules))
        address = target
        rules.append(row.name)
    rows, model = edition.rows(), edition.shipped()
    for rule, names, most in ((TRACKERS, rows.trackers, _CHEAP), (SIGNATURES, rows.signatures, BUDGET.field * BYTE)):
        cut = _without_token(_without(address, names), "")
        if cut != address and coded(address, kind, model).charge > most:
            address = cut
            rules.append(rule)
    return RedactedUrl(address, tuple(rules))


def _target(address: str, row: TemplateRule, edition: GuardVersion) -> str | None:
    """Return the target of a redirector's address, None if it has none."""
    query = address.partition("#")[0].partition("?")[2]
    for pair in query.split("&") if row.unwrap else ():
        name, _, value = pair.partition("=")
        if name in row.unwrap:
            target = _unquoted(value)
            try:
                return edition.canonical(target, "url") if _TARGET.match(target) else None
            except Refused:
                return None
    return None


def _unquoted(text: str) -> str:
    """Return a canonical text without its escapes, like `urllib.parse.unquote` but in a tenth of the time."""
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


def _without_token(address: str, claim: str) -> str:
    """Return an address without a token in its path: a service that names the claim has the item's id there."""
    path = _PATH.match(address) if "/eyJ" in address else None
    if path is None:
        return address
    return _TOKEN.sub(lambda found: _claimed(found[1], claim), path[0]) + address[path.end() :]


def _claimed(payload: str, claim: str) -> str:
    try:
        claims = from_json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        claims = None
    told = claims.get(claim) if isinstance(claims, dict) else None
    return told if isinstance(told, str) and _CLAIM.fullmatch(told) else "-"
