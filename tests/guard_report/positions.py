"""Positions for foreign text in a submission: every field that takes a string, alone and in numbers.

A position writes as much of the text as fits and returns how much that was. Addresses are percent-encoded as by a
client. Text outside a field's alphabet is inserted unchanged, for the schema to refuse.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Body = dict[str, Any]
_SAFE = "-._~!$'()*+,;:@"

BASE: Body = {
    "external_ref": "NL-2026-004711",
    "exercise": True,
    "incident_kind": "csam",
    "observed_at": "2026-01-11T10:11:12.000Z",
    "media_kind": "image",
    "correlations": [],
    "subject_accounts": [],
    "items": [
        {"locator": {"kind": "url", "value": "https://site.example/gallery/4711.jpg"}, "hosting": [], "assessments": []}
    ],
}


@dataclass(frozen=True)
class Placed:
    """A body and the number of characters of the text in it."""

    body: Body
    characters: int


Position = Callable[[str], Placed]


def _item(kind: str, value: str) -> Body:
    return {"locator": {"kind": kind, "value": value}}


def _fresh() -> Body:
    return copy.deepcopy(BASE)


def _with_items(items: list[Body], characters: int) -> Placed:
    body = _fresh()
    body["items"] = items
    return Placed(body, characters)


def _cut(text: str, size: int, most: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)][:most]


def _fitting(text: str, room: int) -> tuple[str, int]:
    """Return the percent-encoded beginning of `text` that takes at most `room` characters."""
    encoded = quote(text, safe=_SAFE)
    if len(encoded) <= room:
        return encoded, len(text)
    low = room // 12
    while low < len(text) and len(quote(text[: low + 1], safe=_SAFE)) <= room:
        low += max(1, (room - len(quote(text[:low], safe=_SAFE))) // 12)
        low = min(low, len(text))
        if len(quote(text[:low], safe=_SAFE)) > room:
            low -= 1
            break
    return quote(text[:low], safe=_SAFE)[:room], low


def _one_url(before: str, after: str = "", room: int = 1_990) -> Position:
    def place(text: str) -> Placed:
        encoded, characters = _fitting(text, room - len(before) - len(after))
        return _with_items([_item("url", before + encoded + after)], characters)

    return place


def _many_urls(before: str, after: str, size: int) -> Position:
    def place(text: str) -> Placed:
        chunks = _cut(text, size, 10)
        urls = [before + quote(chunk, safe=_SAFE) + after for chunk in chunks]
        return _with_items([_item("url", url) for url in urls], sum(map(len, chunks)))

    return place


def _segments(text: str) -> Placed:
    chunks = _cut(text, 40, 36)
    return _with_items(
        [_item("url", "https://site.example/" + "/".join(quote(c, safe=_SAFE) for c in chunks))], sum(map(len, chunks))
    )


def _parameters(text: str) -> Placed:
    chunks = _cut(text, 60, 36)
    query = "&".join(f"p{number}={quote(chunk, safe=_SAFE)}" for number, chunk in enumerate(chunks))
    return _with_items([_item("url", "https://site.example/view?" + query)], sum(map(len, chunks)))


def _labels(text: str) -> Placed:
    labels = _cut(text, 60, 3)
    return _with_items([_item("url", f"https://{'.'.join(labels)}.site.example/")], sum(map(len, labels)))


def _in_field(kind: str, size: int, before: str = "", after: str = "") -> Position:
    return lambda text: _with_items([_item(kind, before + text[:size] + after)], min(size, len(text)))


def _items_of(kind: str, size: int) -> Position:
    return lambda text: _with_items([_item(kind, chunk) for chunk in _cut(text, size, 10)], min(10 * size, len(text)))


def _external_ref(text: str) -> Placed:
    return Placed(_fresh() | {"external_ref": text[:48]}, min(48, len(text)))


def _references(size: int) -> Position:
    def place(text: str) -> Placed:
        chunks = _cut(text, size, 8)
        return Placed(
            _fresh() | {"correlations": [{"system": "other", "ref": chunk} for chunk in chunks]}, sum(map(len, chunks))
        )

    return place


def _subject_accounts(text: str) -> Placed:
    chunks = _cut(text, 100, 4)
    accounts = [{"service": "provider-001.example", "account": chunk} for chunk in chunks]
    return Placed(_fresh() | {"subject_accounts": accounts}, sum(map(len, chunks)))


def _codes(field: str, size: int) -> Position:
    """Put text into a code field of every hosting or assessment entry of ten items."""

    def place(text: str) -> Placed:
        chunks = iter(_cut(text, size, 40))
        items = []
        for _ in range(10):
            item = copy.deepcopy(BASE["items"][0])
            for _, chunk in zip(range(4), chunks, strict=False):
                if field in ("value", "assessor"):
                    entry = {"scheme": "ucs", "value": "AGE_0_2"} | {field: chunk}
                    item["assessments"].append(entry)
                else:
                    item["hosting"].append({field: chunk})
            items.append(item)
        return _with_items(items, min(40 * size, len(text)))

    return place


#: Single values that a schema permits to be longer than a field may cost.
ROOMY = (
    "URL path",
    "URL path before a suffix",
    "URL path segments",
    "URL query value",
    "URL query token",
    "URL query values",
    "URL query alone",
    "onion path",
)
POSITIONS: dict[str, Position] = {
    "URL path": _one_url("https://site.example/"),
    "URL path before a suffix": _one_url("https://cdn.site.example/media/v2/", "/preview.jpg"),
    "URL path segments": _segments,
    "URL query value": _one_url("https://site.example/view?q="),
    "URL query token": _one_url("https://site.example/view?id=4711&token="),
    "URL query values": _parameters,
    "URL query alone": _one_url("https://site.example/view?"),
    "URL fragment": _one_url("https://site.example/view#", room=230),
    "URL host labels": _labels,
    "URL paths of ten items": _many_urls("https://site.example/i/", ".jpg", 44),
    "long URL paths of ten items": _many_urls("https://site.example/i/", ".jpg", 200),
    "URL queries of ten items": _many_urls("https://site.example/view?s=", "&n=1", 110),
    "URL queries in short pieces": _many_urls("https://site.example/view?s=", "", 18),
    "onion path": _one_url(
        "http://" + "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwd" + ".onion/", room=1_800
    ),
    "account": _in_field("account", 106),
    "account address": _in_field("account", 90, "", "@mail.example"),
    "accounts of ten items": _items_of("account", 100),
    "subject accounts": _subject_accounts,
    "message": _in_field("message", 200),
    "messages of ten items": _items_of("message", 190),
    "magnet name": _in_field("p2p", 200, "magnet:?xt=urn:btih:" + "0123456789abcdef0123456789abcdef01234567&dn="),
    "external reference": _external_ref,
    "references": _references(48),
    "references in short pieces": _references(20),
    "jurisdictions": _codes("jurisdiction", 24),
    "providers": _codes("provider", 30),
    "assessment labels": _codes("value", 24),
    "assessors": _codes("assessor", 30),
}
