"""Ways to carry data with a whole record: in each field of each kind, by order, presence, number and repeats.

Each takes a random choice among many equally likely ones, and builds the body of the record for it. It states the
number of bits of that choice, and the guard must charge the record at least as many.
"""

from __future__ import annotations

import base64
import math
import string
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from shared.core.contracts.items import ITEMS_MAX
from shared.core.contracts.referral import ReferralSubmission
from shared.core.guard import as_kept, cost
from shared.core.guard.charge import BIT
from shared.core.vocabulary import judgement
from shared.core.vocabulary import referral as codes
from tests.guard_report.positions import BASE

Body = dict[str, Any]
_LETTERS = string.ascii_letters + string.digits
_BASE32 = string.ascii_lowercase + "234567"


class Said(NamedTuple):
    """A record, and the number of bits chosen in it."""

    body: Body
    bits: float


Channel = Callable[[Random], Said]


def surplus_bits(channel: Channel, r: Random) -> float:
    """Return the bits that a record carries beyond its charge. The schema must accept it."""
    said = channel(r)
    spent = cost(as_kept(ReferralSubmission.model_validate(said.body)))
    return said.bits - (spent.record + spent.hashes) / BIT


def _text(alphabet: str, size: int) -> Callable[[Random], tuple[str, float]]:
    return lambda r: ("".join(r.choices(alphabet, k=size)), size * math.log2(len(alphabet)))


def _in_items(kind: str, before: str, alphabet: str, size: int, after: str = "", count: int = ITEMS_MAX) -> Channel:
    """Put random text into the locator of each of `count` items."""

    def say(r: Random) -> Said:
        texts = [_text(alphabet, size)(r) for _ in range(count)]
        items = [{"locator": {"kind": kind, "value": before + text + after}} for text, _ in texts]
        return Said(BASE | {"items": items}, sum(bits for _, bits in texts))

    return say


def _each_item(name: str, make: Callable[[Random], tuple[Any, float]]) -> Channel:
    """Choose the member `name` of each of ten items independently."""

    def say(r: Random) -> Said:
        made = [make(r) for _ in range(ITEMS_MAX)]
        items = [BASE["items"][0] | {name: value} for value, _ in made]
        return Said(BASE | {"items": items}, sum(bits for _, bits in made))

    return say


def _listed(size: int, make: Callable[[Random], tuple[Any, float]]) -> Callable[[Random], tuple[list[Any], float]]:
    """Choose each of the `size` members of a list independently."""

    def say(r: Random) -> tuple[list[Any], float]:
        made = [make(r) for _ in range(size)]
        return [value for value, _ in made], sum(bits for _, bits in made)

    return say


def _top(name: str, make: Callable[[Random], tuple[Any, float]]) -> Channel:
    def say(r: Random) -> Said:
        value, bits = make(r)
        return Said(BASE | {name: value}, bits)

    return say


def _one_of(values: Sequence[Any]) -> Callable[[Random], tuple[Any, float]]:
    return lambda r: (r.choice(values), math.log2(len(values)))


def _member(name: str, make: Callable[[Random], tuple[Any, float]], **others: Any) -> Callable[[Random], Any]:
    """Choose one member of an object."""

    def say(r: Random) -> tuple[Body, float]:
        value, bits = make(r)
        return others | {name: value}, bits

    return say


def _hash(kind: str, size: int) -> Callable[[Random], tuple[Body, float]]:
    def say(r: Random) -> tuple[Body, float]:
        data = r.randbytes(size)
        return {kind: base64.b64encode(data).decode() if kind == "photodna" else data.hex()}, 8.0 * size

    return say


def _flags(names: Sequence[str], value: Callable[[str], Any]) -> Callable[[Random], tuple[Body, float]]:
    """Choose which of the optional members are present."""
    return lambda r: ({name: value(name) for name in names if r.random() < 0.5}, float(len(names)))


def _permuted(name: str, values: Sequence[Any]) -> Channel:
    """Choose the order of a list whose members are known."""
    bits = math.log2(math.factorial(len(values)))
    return lambda r: Said(BASE | {name: r.sample(values, len(values))}, bits)


def _url(n: int) -> Body:
    return {"locator": {"kind": "url", "value": f"https://site.example/{n}"}}


def _number(least: int, most: int) -> Callable[[Random], tuple[int, float]]:
    return lambda r: (r.randint(least, most), math.log2(most - least + 1))


def _time(r: Random) -> tuple[str, float]:
    at = r.randrange(2**38)
    day, ms = divmod(at, 86_400_000)
    year, day = divmod(day, 336)
    clock = f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
    return f"{2001 + year}-{day // 28 + 1:02d}-{day % 28 + 1:02d}T{clock}Z", 38.0


def _day(r: Random) -> tuple[str, float]:
    return f"{r.randint(2001, 2024)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}", math.log2(24 * 12 * 28)


def _ipv4(r: Random) -> tuple[str, float]:
    return f"{r.randint(11, 99)}.{'.'.join(str(r.randrange(256)) for _ in range(3))}", 24 + math.log2(89)


def _ipv6(r: Random) -> tuple[str, float]:
    return "2a02:" + ":".join(f"{r.randint(1, 65_535):x}" for _ in range(7)), 7 * math.log2(65_535)


_AT = "2026-01-11T10:11:12.000Z"


def _seen(make: Callable[[Random], tuple[Any, float]], name: str) -> Channel:
    """Choose a member of sixteen observations, four of each of four accounts."""
    event = _member(name, make, **{"ip": "198.51.100.7", "at": _AT} | {name: None})
    events = _listed(4, event)
    account = _member("events", events, service="provider-001.example", account="user-1")
    return _top("subject_accounts", _listed(4, account))


def _labels(scheme: judgement.AssessmentScheme) -> Channel:
    values = sorted(judgement.ASSESSMENT_VALUES[scheme] | {judgement.UNKNOWN_VALUE})
    return _each_item("assessments", _listed(4, _member("value", _one_of(values), scheme=scheme.value)))


def _how_many(r: Random) -> Said:
    return Said(BASE | {"items": [_url(1)] * r.randint(1, ITEMS_MAX)}, math.log2(ITEMS_MAX))


def _which_kind(r: Random) -> Said:
    """Choose the kind of each item's locator."""
    kinds = {"url": "https://a.example/", "account": "user-1", "message": "channel-1/2"}
    chosen = r.choices(sorted(kinds), k=ITEMS_MAX)
    items = [{"locator": {"kind": kind, "value": kinds[kind]}} for kind in chosen]
    return Said(BASE | {"items": items}, ITEMS_MAX * math.log2(len(kinds)))


def _host(r: Random) -> Said:
    texts = [_text(string.ascii_lowercase, 24)(r) for _ in range(ITEMS_MAX)]
    items = [{"locator": {"kind": "url", "value": f"https://{text}.example/"}} for text, _ in texts]
    return Said(BASE | {"items": items}, sum(bits for _, bits in texts))


def _code(enumeration: type[Any]) -> Callable[[Random], tuple[str, float]]:
    return _one_of([each.value for each in enumeration])


_REFERENCE = string.ascii_uppercase + string.digits
_TEXTS: dict[str, Channel] = {
    **{
        f"{name} behind {before or kind}": _in_items(kind, before, alphabet, size, after, count)
        for kind, before, after in (
            ("url", "https://site.example/", ".jpg"),
            ("url", "https://site.example/view?id=", "&n=1"),
            ("url", "https://site.example/#", ""),
            ("account", "u", ""),
            ("message", "channel-1/", ""),
            ("p2p", "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=", ""),
        )
        for name, alphabet, size, count in (
            ("letters", _LETTERS, 60, 10),
            ("digits", string.digits, 90, 10),
            ("base32", _BASE32, 16, 10),
            ("hexadecimal", "0123456789abcdef", 100, 1),
            ("two letters", "ab", 100, 4),
        )
    },
    "labels of hosts": _host,
    "references": _top("external_ref", _text(_REFERENCE, 48)),
    "references of others": _top("correlations", _listed(8, _member("ref", _text(_LETTERS, 40), system="other"))),
    "accounts of subjects": _top(
        "subject_accounts", _listed(4, _member("account", _text(_LETTERS, 60), service="provider-001.example"))
    ),
}
_NUMBERS: dict[str, Channel] = {
    "networks": _each_item("hosting", _listed(4, _member("asn", _number(1, 4_294_967_295)))),
    "days of hosting": _each_item("hosting", _listed(4, _member("observed_on", _day))),
    "days of assessments": _each_item(
        "assessments", _listed(4, _member("assessed_on", _day, scheme="ucs", value=judgement.UNKNOWN_VALUE))
    ),
    "IPv4": _seen(_ipv4, "ip"),
    "IPv6": _seen(_ipv6, "ip"),
    "ports": _seen(_number(1, 65_535), "port"),
    "times of observations": _seen(_time, "at"),
    "the time of the report": _top("observed_at", _time),
    **{
        f"hash {kind}": _each_item("hashes", _hash(kind, size))
        for kind, size in (("md5", 16), ("sha1", 20), ("sha256", 32), ("pdq", 32), ("tmk_pdqf", 32), ("photodna", 144))
    },
}
_CODES: dict[str, Channel] = {
    **{f"labels of {scheme.value}": _labels(scheme) for scheme in judgement.AssessmentScheme},
    "status of labels": _each_item(
        "assessments",
        _listed(4, _member("status", _code(judgement.AssessmentStatus), scheme="ucs", value=judgement.UNKNOWN_VALUE)),
    ),
    "sorts of sites": _each_item("site_type", _code(codes.SiteType)),
    "commerciality": _each_item("commerciality", _code(codes.Commerciality)),
    "methods of hosting": _each_item("hosting", _listed(4, _member("method", _code(codes.HostingMethod)))),
    "behind a network": _each_item("hosting", _listed(4, _member("is_cdn", _one_of([True, False])))),
    "sorts of incident": _top("incident_kind", _code(codes.IncidentKind)),
    "flags": _top("incident_flags", _listed(16, _code(codes.IncidentFlag))),
    "media": _top("media_kind", _code(codes.MediaKind)),
    "who viewed": _top("viewed_by", _code(codes.ViewedBy)),
    "reasons of priority": _top("priority", _member("basis", _listed(6, _code(codes.PriorityBasis)))),
    "places of users": _top("user_jurisdictions", _listed(8, _one_of(["NL", "FR", "BE", "DE"]))),
    "places of victims": _top("victim_jurisdictions", _listed(8, _one_of(["NL", "FR", "BE", "DE"]))),
    "systems": _top("correlations", _listed(8, _member("system", _code(codes.CorrelationSystem), ref="4711"))),
}
_SHAPE: dict[str, Channel] = {
    "order of items": _permuted("items", [_url(n) for n in range(ITEMS_MAX)]),
    "order of references": _permuted("correlations", [{"system": "other", "ref": str(n)} for n in range(8)]),
    "order of places": _permuted("user_jurisdictions", ["NL", "FR", "BE", "DE", "ES", "IT", "PL", "SE"]),
    "number of items": _how_many,
    "kinds of items": _which_kind,
    "repeats": lambda r: Said(BASE | {"items": r.choices([_url(1), _url(2)], k=ITEMS_MAX)}, float(ITEMS_MAX)),
    "which hashes": _each_item("hashes", _flags(("md5", "sha1", "sha256", "pdq"), lambda name: _SAMPLE[name])),
    "which of hosting": _each_item("hosting", _listed(4, _flags(("asn", "observed_on"), lambda name: _SAMPLE[name]))),
}
_SAMPLE = {kind: "0" * size for kind, size in (("md5", 32), ("sha1", 40), ("sha256", 64), ("pdq", 64))}
_SAMPLE |= {"asn": 1, "observed_on": "2026-01-01"}
CHANNELS: dict[str, Channel] = {**_TEXTS, **_NUMBERS, **_CODES, **_SHAPE}
