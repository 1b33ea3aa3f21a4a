"""What of an address stays and what is cut, service by service: `data/templates.json`.

Three classes. What *identifies* is kept: all that no row names. What *opens* (share keys, invitations) is kept, and
named so that nobody cuts it. What *expires or tracks* is cut: nobody else can use it, and it costs as much as a file.
Rows name hosts by their ending, and may bound the path. A row that `unwrap`s is a redirector's: its target stands for
it. Of a service that no row knows only the names under `everywhere` are cut, and only where the address costs over 128
bytes.
"""

from __future__ import annotations

import functools
import json
import re
from importlib.resources import files
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from shared.contracts.referral import CutOnion, CutUrl, Item, Locator, OnionLocator, ReferralContent, UrlLocator
from shared.guard.canonical import canonical
from shared.guard.charge import BYTE, charge

_CHEAP: Final = 128 * BYTE
#: Rules by which something is cut where no row knows the service.
TRACKERS: Final = "trackers"
_TARGET: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,2040}")
_URI: Final = "%/:?#[]@!$&'()*+,;=~"
_UNWRAPS_MAX: Final = 3
_RULES_MAX: Final = 8
ContentT = TypeVar("ContentT", bound=ReferralContent)


class Row(NamedTuple):
    """One service. `cuts` matches the names of parameters that are cut, `unwrap` names those that hold a target."""

    name: str
    hosts: tuple[str, ...]
    path: re.Pattern[str]
    opens: tuple[str, ...]
    cuts: re.Pattern[str]
    unwrap: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


class Templates(NamedTuple):
    """All rows, and by the ending of hosts; and the names that are cut everywhere."""

    rows: tuple[Row, ...]
    by_host: dict[str, list[Row]]
    everywhere: frozenset[str]


class Kept(NamedTuple):
    """An address as it is kept, and by which rules something was cut from it."""

    text: str
    rules: tuple[str, ...]


def as_kept(content: ContentT) -> ContentT:
    """The content with each address in its one spelling, without what expires or tracks."""
    items = tuple([_kept_item(item) for item in content.items])
    changed = any(new is not old for new, old in zip(items, content.items, strict=True))
    return content.model_copy(update={"items": items}) if changed else content


def cuts(content: ReferralContent) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Of which items, counted from 1, something was cut, and by which rules."""
    return tuple(
        (n, item.locator.cut)
        for n, item in enumerate(content.items, 1)
        if isinstance(item.locator, CutUrl | CutOnion) and item.locator.cut
    )


def _kept_item(item: Item) -> Item:
    locator = _kept_locator(item.locator)
    return item if locator is item.locator else item.model_copy(update={"locator": locator})


def _kept_locator(locator: Locator) -> Locator:
    if isinstance(locator, UrlLocator):
        text, rules = kept(locator.value)
        return CutUrl(kind="url", value=text, cut=rules) if rules else _spelt(locator, text)
    if isinstance(locator, OnionLocator):
        text, rules = _cut_everywhere(canonical(locator.value, "onion"), "onion")
        return CutOnion(kind="onion", value=text, cut=rules) if rules else _spelt(locator, text)
    return _spelt(locator, canonical(locator.value, "peer")) if locator.kind == "p2p" else locator


def _spelt(locator: Locator, text: str) -> Locator:
    return locator if text == locator.value else locator.model_copy(update={"value": text})


def kept(address: str) -> Kept:
    """A web address as it is kept, and by which rules of this edition something was cut."""
    address, rules = canonical(address, "url"), list[str]()
    for _ in range(_UNWRAPS_MAX):
        if (row := _row(address)) is None:
            break
        if (target := _target(address, row)) is None:
            if (without := _without(address, row.cuts)) != address:
                address = without
                rules.append(row.name)
            return Kept(address, tuple(rules))
        address = target
        rules.append(row.name)
    cut, more = _cut_everywhere(address, "url")
    return Kept(cut, (*rules, *more)[:_RULES_MAX])


def _cut_everywhere(address: str, kind: str) -> tuple[str, tuple[str, ...]]:
    if "?" not in address or charge_or_more(address, kind) <= _CHEAP:
        return address, ()
    cut = _without(address, _everywhere())
    return (cut, (TRACKERS,)) if cut != address else (address, ())


def charge_or_more(address: str, kind: str) -> int:
    """What an address costs; one with characters that no canonical one has, as if too much: the rules refuse it."""
    try:
        return charge(address, kind)
    except KeyError:
        return _CHEAP + 1


def _row(address: str) -> Row | None:
    rest = address.partition("://")[2]
    host, _, path = rest.partition("/")
    labels = host.partition(":")[0].split(".")
    known = templates().by_host
    for at in range(len(labels) - 1):
        for row in known.get(".".join(labels[at:]), ()):
            if row.path.fullmatch(f"/{re.split('[?#]', path, maxsplit=1)[0]}"):
                return row
    return None


def _target(address: str, row: Row) -> str | None:
    """The address that a redirector's leads to, None where it has none."""
    query = address.partition("#")[0].partition("?")[2]
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in row.unwrap and _TARGET.fullmatch(target := quote(unquote(value), safe=_URI)):
            return canonical(target, "url")
    return None


def _without(address: str, cuts: re.Pattern[str]) -> str:
    before, hash_, fragment = address.partition("#")
    base, mark, query = before.partition("?")
    pairs = query.split("&")
    left = [pair for pair in pairs if pair and not cuts.fullmatch(pair.partition("=")[0])]
    if len(left) == len(pairs) or not mark:
        return address
    return f"{base}{'?' if left else ''}{'&'.join(left)}{hash_}{fragment}"


def _pattern(names: list[str]) -> re.Pattern[str]:
    """Of names; one that ends in `*` stands for all that begin so."""
    return re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in names) or r"(?!)")


@functools.cache
def _everywhere() -> re.Pattern[str]:
    return _pattern(sorted(templates().everywhere))


@functools.cache
def templates() -> Templates:
    """The rows of this edition."""
    told = json.loads(files("shared.guard").joinpath("data", "templates.json").read_text("utf-8"))
    rows = tuple(
        Row(
            name=row["name"],
            hosts=tuple(row["hosts"]),
            path=re.compile(row.get("path", ".*")),
            opens=tuple(row.get("opens", ())),
            cuts=_pattern(row.get("cut", [])),
            unwrap=tuple(row.get("unwrap", "").split()),
            examples=tuple((before, after) for before, after in row["examples"]),
        )
        for row in told["rows"]
    )
    by_host: dict[str, list[Row]] = {}
    for row in rows:
        for host in row.hosts:
            by_host.setdefault(host, []).append(row)
    return Templates(rows, by_host, frozenset(told["everywhere"]))
