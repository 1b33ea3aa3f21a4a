"""Requests that intake must refuse, over two hundred: no JSON, odd JSON, foreign names, wrong values, content."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.guard_report.attempts import as_bytes
from tests.guard_report.encodings import b64u
from tests.guard_report.legitimate import submission
from tests.guard_report.payloads import payloads
from tests.guard_report.positions import BASE, POSITIONS, ROOMY

JSON = "application/json"


@dataclass
class Hostile:
    """One request that must be refused."""

    name: str
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


class Marks:
    """Unique random texts. No answer and no log line may repeat a text in `drawn`."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.drawn: list[str] = []

    def mark(self, alphabet: str = "abcdefghjkmnpqrstuvwxyz23456789", size: int = 36) -> str:
        text = "".join(self._random.choices(alphabet, k=size))
        self.drawn.append(text)
        return text


def hostile(seed: int) -> tuple[list[Hostile], list[str]]:
    """Return more than two hundred requests that must be refused, and the sender's texts in them."""
    marks = Marks(seed)
    families = (_not_json, _odd_json, _foreign_names, _wrong_values, _content)
    return [request for family in families for request in family(marks)], marks.drawn


def structural() -> list[Hostile]:
    """Return those of them whose bytes lie outside the values of a referral."""
    marks = Marks(7)
    return [request for family in (_not_json, _odd_json, _foreign_names) for request in family(marks)]


def _not_json(marks: Marks) -> Iterator[Hostile]:
    """Yield bodies that are no JSON document, and requests with a wrong content type."""
    plain = json.dumps(BASE)
    bodies: dict[str, bytes] = {
        "raw bytes": Random(3).randbytes(900) + marks.mark().encode(),
        "text": marks.mark().encode(),
        "nothing": b"",
        "cut short": f'{{"external_ref": "{marks.mark()}'.encode(),
        "after the document": (plain + marks.mark()).encode(),
        "before the document": (marks.mark() + plain).encode(),
        "UTF-16": f'{{"{marks.mark()}": "{marks.mark()}"}}'.encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + f'{{"{marks.mark()}": 1}}'.encode(),
        "latin-1": f'{{"external_ref": "\xe9{marks.mark()}"}}'.encode("latin-1"),
        "bad escape": f'{{"external_ref": "\\q{marks.mark()}"}}'.encode(),
        "control character": f'{{"external_ref": "\x01{marks.mark()}"}}'.encode(),
        "bare word": f'{{"external_ref": {marks.mark()}}}'.encode(),
        "single quotes": f"{{'external_ref': '{marks.mark()}'}}".encode(),
        "XML": f"<referral><ref>{marks.mark()}</ref></referral>".encode(),
        "compressed": gzip.compress(plain.encode()),
        "comment": f"/*{marks.mark()}*/{plain}".encode(),
        "white space": plain.replace("{", "{" + " \t" * 20_000, 1).encode(),
        "too large": f'{{"external_ref": "{marks.mark()}"}}'.encode() + b" " * 40_000,
    }
    for name, body in bodies.items():
        yield Hostile(name, body)
    for content_type in ("text/plain", "multipart/form-data; boundary={}", "application/{}", "application/json; x={}"):
        yield Hostile(f"as {content_type}", plain.encode(), content_type.format(marks.mark()))
    yield Hostile("content encoding", plain.encode(), headers={"content-encoding": marks.mark()})


def _odd_json(marks: Marks) -> Iterator[Hostile]:
    """Yield JSON that two parsers could read differently, or that costs too much."""
    for name, text in {
        "NaN": f'{{"{marks.mark()}": NaN}}',
        "Infinity in a field": f'{{"external_ref": "{marks.mark()}", "exercise": -Infinity}}',
        "fraction": f'{{"exercise": 1.{marks.mark("123456789", 40)}}}',
        "exponent": f'{{"exercise": 1e{marks.mark("123456789", 18)}}}',
        "long integer": f'{{"items": [{marks.mark("123456789", 60)}]}}',
        "very long integer": f'{{"items": [{marks.mark("123456789", 20_000)}]}}',
        "integer of 64 bits": f'{{"{marks.mark()}": 18446744073709551615}}',
        "lone surrogate": f'{{"external_ref": "\\ud800{marks.mark()}"}}',
        "lone surrogate in a name": f'{{"\\udfff{marks.mark()}": 1}}',
        "repeated name": f'{{"{(twice := marks.mark())}": "{marks.mark()}", "{twice}": 1}}',
        "repeated name below": f'{{"items": [{{"locator": "{marks.mark()}", "locator": 1}}]}}',
        "objects too deep": f'{{"{marks.mark()}":' * 30 + "1" + "}" * 30,
        "lists too deep": "[" * 9_000 + f'"{marks.mark()}"' + "]" * 9_000,
        "too many values": json.dumps({marks.mark(): [marks.mark()] * 700}),
        "long name": json.dumps({marks.mark(size=300): 1}),
        "foreign name": json.dumps({f"\u4e2d{marks.mark()}": 1}),
        "long string": json.dumps({"external_ref": marks.mark(size=2_049)}),
        "list": json.dumps([marks.mark()]),
        "string": json.dumps(marks.mark()),
        "number": marks.mark("123456789", 19),
        "name in a list of referrals": json.dumps({"referrals": [{marks.mark(): marks.mark()}], marks.mark(): 1}),
        "referrals that are none": json.dumps({"referrals": [marks.mark(), [marks.mark()], None, 7]}),
        "too many referrals": json.dumps({"referrals": [{"external_ref": marks.mark()}] * 101}),
    }.items():
        yield Hostile(name, text.encode())


def _foreign_names(marks: Marks) -> Iterator[Hostile]:
    """Yield a full referral with an unknown name in one of its objects, for every object."""
    full = _full()
    for place in _objects(full):
        changed = copy.deepcopy(full)
        _at(changed, place)[marks.mark(size=39)] = marks.mark()
        yield Hostile(f"unknown name in {place}", json.dumps(changed).encode())


def _wrong_values(marks: Marks) -> Iterator[Hostile]:
    """Yield a full referral with one value replaced by another type, form or length, for every value."""
    full = _full()
    for place in _values(full):
        for name, value in {
            "text": marks.mark("ABCDEFGHIJabcdefghij0123456789+/=", 1_600),
            "markup": f"<img src={marks.mark()}>",
            "other script": f"\u0436\u4e2d{marks.mark()}\u202e",
            "object": {marks.mark(): marks.mark()},
            "list": [marks.mark(), [marks.mark()]],
        }.items():
            changed = copy.deepcopy(full)
            _at(changed, place[:-1])[place[-1]] = value
            yield Hostile(f"{name} at {place}", json.dumps(changed).encode())


def _content(marks: Marks) -> Iterator[Hostile]:
    """Yield a file and a page of random bytes in every value that has space for more than a field may cost."""
    for name, data in {"file": payloads()["jpeg_thumbnail"], "random bytes": Random(9).randbytes(1_000)}.items():
        text = b64u(data)
        marks.drawn.append(text)
        for position in ROOMY:
            place = POSITIONS[position]
            yield Hostile(f"{name} in {position}", as_bytes(place(text).body))


def _full() -> dict[str, Any]:
    """Return a referral with a value in every optional field that takes one."""
    body = submission(Random("hostile"))
    item = {
        "locator": {"kind": "url", "value": "https://site.example/gallery/4711.jpg"},
        "site_type": "website",
        "commerciality": "not_determined",
        "hosting": [{"jurisdiction": "NL", "asn": 64496, "provider": "provider-001.example", "is_cdn": False}],
        "hashes": {"md5": "0123456789abcdef" * 2, "sha256": "0123456789abcdef" * 4, "photodna": "AbCd" * 48},
        "assessments": [{"scheme": "ucs", "value": "AGE_0_2", "assessor": "hotline-nl.example"}],
    }
    event = {"ip": "192.0.2.7", "port": 443, "at": "2026-01-11T10:11:12.000Z", "kind": "login"}
    account = {"service": "provider-001.example", "account": "reported_user", "events": [event]}
    correlations = [{"system": "other", "ref": "case-4711"}]
    return body | {"items": [item], "subject_accounts": [account], "correlations": correlations}


Place = tuple[str | int, ...]


def _objects(node: Any, place: Place = ()) -> Iterator[Place]:
    if isinstance(node, dict):
        yield place
        for name, child in node.items():
            yield from _objects(child, (*place, name))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _objects(child, (*place, index))


def _values(node: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the places of all scalar values."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for part, child in children:
        if isinstance(child, dict | list):
            yield from _values(child, (*place, part))
        else:
            yield (*place, part)


def _at(node: Any, place: Place) -> Any:
    for part in place:
        node = node[part]
    return node
