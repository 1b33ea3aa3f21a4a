"""Legitimate referrals, generated with a fixed seed: honest reports of hotlines and providers.

Addresses of thirty shapes in nineteen languages, accounts and messages of many families, every hash kind.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

from shared.core.clock import rfc3339
from shared.core.vocabulary import referral as codes
from shared.core.vocabulary.judgement import ASSESSMENT_VALUES, AssessmentScheme, AssessmentStatus
from tests.guard_report.addresses import (
    BASE32,
    BASE58,
    BASE64,
    HOSTS,
    TYPICAL_SHAPES,
    URL_SHAPES,
    URLSAFE,
    digits,
    hexadecimal,
    of,
    one_of,
    onion,
    uuid,
    words,
)
from tests.guard_report.word_lists import WORDS


def submissions(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield `count` bodies of `POST /v1/referrals`, the same for the same seed."""
    for index in range(count):
        yield submission(Random(f"{seed}/{index}"))


def submission(r: Random) -> dict[str, Any]:
    items = r.choices([1, 2, 3, 5, 8, 10], [55, 18, 12, 8, 4, 3])[0]
    body: dict[str, Any] = {
        "external_ref": _reference(r),
        "exercise": True,
        "incident_kind": r.choice(list(codes.IncidentKind)).value,
        "incident_flags": [flag.value for flag in r.sample(list(codes.IncidentFlag), r.choice([0, 0, 1, 2]))],
        "observed_at": _instant(r),
        "media_kind": r.choice(list(codes.MediaKind)).value,
        "viewed_by": r.choice(list(codes.ViewedBy)).value,
        "priority": {"level": r.choice(list(codes.PriorityLevel)).value, "basis": []},
        "items": _items(r, items),
        "user_jurisdictions": r.sample(["NL", "US-CA", "DE", "JP", "BR", "GB-EAW", "Europe"], r.choice([0, 0, 1, 2])),
        "victim_jurisdictions": r.sample(["FR", "TH", "PH", "No Country Listed", "AU"], r.choice([0, 0, 1])),
        "correlations": [
            {"system": r.choice(list(codes.CorrelationSystem)).value, "ref": _reference(r)}
            for _ in range(r.choice([0, 1, 1, 2, 3]))
        ],
    }
    if r.random() < 0.4:
        body["subject_accounts"] = [_subject(r) for _ in range(r.choice([1, 1, 1, 2, 4]))]
    return body


def _items(r: Random, count: int) -> list[dict[str, Any]]:
    """Return items of one report, mostly on one site: same shape of address, sometimes the very same prefix."""
    shape = r.choice(URL_SHAPES)
    items = []
    for _ in range(count):
        roll = r.random()
        if roll < 0.80:
            locator = {"kind": "url", "value": (shape if r.random() < 0.8 else r.choice(URL_SHAPES))(r)}
        elif roll < 0.86:
            locator = {"kind": "onion", "value": onion(r)}
        elif roll < 0.92:
            locator = {"kind": "account", "value": account(r)}
        elif roll < 0.96:
            locator = {"kind": "message", "value": _message(r)}
        else:
            locator = {"kind": "p2p", "value": _peer(r)}
        item: dict[str, Any] = {"locator": locator, "site_type": r.choice(list(codes.SiteType)).value}
        if r.random() < 0.7:
            item["hosting"] = [_hosting(r) for _ in range(r.choice([1, 1, 2]))]
        if r.random() < 0.6:
            item["hashes"] = _hashes(r)
        if r.random() < 0.8:
            item["assessments"] = [_assessment(r) for _ in range(r.choice([1, 1, 2]))]
        items.append(item)
    return items


def _instant(r: Random) -> str:
    return rfc3339(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=r.randrange(60_000_000_000)))


def _reference(r: Random) -> str:
    return one_of(
        r,
        lambda: f"NL-2026-{digits(r, 6)}",
        lambda: digits(r, r.randint(5, 10)),
        lambda: uuid(r),
        lambda: f"REF/{r.randint(2019, 2026)}/{digits(r, 5)}",
        lambda: of(r, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26),
        lambda: f"case.{digits(r, 7)}-{r.choice('ABC')}",
        lambda: hexadecimal(r, 24),
        lambda: hexadecimal(r, 40),
        lambda: f"ICCAM-{digits(r, 8)}",
        lambda: f"{of(r, BASE58, 22)}",
    )


def _hosting(r: Random) -> dict[str, Any]:
    return {
        "jurisdiction": r.choice(["NL", "US", "DE", "RU", "JP", "FR", "US-TX", "Netherlands Antilles", "Europe"]),
        "asn": r.choice([64496, 64511, 65551, r.randint(1, 400_000)]),
        "provider": r.choice(["provider-001.example", "provider-002.example", "hosting-big.example"]),
        "is_cdn": r.random() < 0.3,
        "method": r.choice(list(codes.HostingMethod)).value,
        "observed_on": _instant(r)[:10],
    }


def _hashes(r: Random) -> dict[str, str]:
    whole = {
        "md5": hexadecimal(r, 32),
        "sha1": hexadecimal(r, 40),
        "sha256": hexadecimal(r, 64),
        "pdq": _pdq(r),
        "photodna": base64.b64encode(bytes(min(255, int(r.expovariate(1 / 40))) for _ in range(144))).decode(),
        "tmk_pdqf": hexadecimal(r, 64),
    }
    return {kind: whole[kind] for kind in r.sample(list(whole), r.choice([1, 2, 3, 4, 5]))}


def _pdq(r: Random) -> str:
    """Return a PDQ hash. Those of smooth pictures have long runs of equal nibbles."""
    return (
        hexadecimal(r, 64) if r.random() < 0.8 else "".join(r.choice("0f3c") * r.randint(1, 8) for _ in range(64))[:64]
    )


def _assessment(r: Random) -> dict[str, Any]:
    scheme = r.choice(list(AssessmentScheme))
    value = r.choice(sorted(ASSESSMENT_VALUES[scheme] or {"AGE_0_2", "SEX_ACT_3", "ucs17"}))
    by = r.choice(["hotline-nl.example", "hotline-de.example", "provider-001.example"])
    status = r.choice(list(AssessmentStatus)).value
    return {"scheme": scheme.value, "value": value, "assessor": by, "assessed_on": _instant(r)[:10], "status": status}


def _subject(r: Random) -> dict[str, Any]:
    events = [
        {
            "ip": _ip(r),
            "port": r.randint(1024, 65535),
            "at": _instant(r),
            "kind": r.choice(list(codes.NetworkEvent)).value,
        }
        for _ in range(r.choice([0, 1, 2, 4]))
    ]
    return {"service": "provider-001.example", "account": account(r), "events": events}


def _ip(r: Random) -> str:
    """Return a public-looking address. Consumers have whole random interface identifiers in IPv6."""
    if r.random() < 0.5:
        return f"{r.choice([192, 198, 203])}.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}"
    return "2001:db8:" + ":".join(f"{r.randint(1, 0xFFFF):x}" for _ in range(6))


def account(r: Random) -> str:
    """Return an account identifier of one of twenty families."""
    word = r.choice(WORDS["en"])
    other = r.choice(WORDS["id"])
    return one_of(
        r,
        lambda: f"{word}_{other}{r.randint(1, 9999)}",
        lambda: f"@{word}.{other}",
        lambda: digits(r, r.randint(6, 19)),
        lambda: f"{word}.{other}{r.randint(1, 99)}@mail.example",
        lambda: f"+{digits(r, 12)}",
        lambda: f"@{word}{r.randint(1, 999)}:matrix.example",
        lambda: f"did:plc:{of(r, BASE32, 24)}",
        lambda: f"did:key:z6Mk{of(r, BASE58, 44)}",
        lambda: f"npub1{of(r, 'qpzry9x8gf2tvdw0s3jn54khce6mua7l', 58)}",
        lambda: hexadecimal(r, 76).upper(),
        lambda: f"05{hexadecimal(r, 64)}",
        lambda: f"UC{of(r, URLSAFE.replace('_', ''), 22)}",
        lambda: f"{word}#{digits(r, 4)}",
        lambda: f"xX{word.title()}{other.title()}Xx",
        lambda: uuid(r),
        lambda: f"{other}.bsky.example",
        lambda: f"live:.cid.{hexadecimal(r, 16)}",
        lambda: f"{word}-{of(r, BASE32, 5)}",
        lambda: f"STEAM_0:{r.randint(0, 1)}:{digits(r, 9)}",
        lambda: f"https://social.example/@{word}{other}",
        lambda: f"{hexadecimal(r, 24)}",
        lambda: f"{of(r, string.ascii_letters + string.digits, 28)}",
        lambda: f"{word}+{of(r, string.ascii_lowercase + string.digits, 8)}@relay.mail.example",
    )


def _message(r: Random) -> str:
    return one_of(
        r,
        lambda: f"{digits(r, 19)}/{digits(r, 19)}",
        lambda: f"${of(r, URLSAFE, 43)}:matrix.example",
        lambda: f"CA{of(r, BASE64, 48).replace('/', '+')}@mail.mail.example",
        lambda: f"-100{digits(r, 10)}/{digits(r, 5)}",
        lambda: hexadecimal(r, 32).upper(),
        lambda: f"wamid.{of(r, BASE64, 40)}==",
        lambda: f"channels/{digits(r, 18)}/{digits(r, 18)}/{digits(r, 19)}",
        lambda: uuid(r),
        lambda: f"{digits(r, 14)}.{hexadecimal(r, 16)}@{r.choice(HOSTS)}",
        lambda: f"{of(r, URLSAFE, 22)}",
    )


def _peer(r: Random) -> str:
    name = quote(".".join(words(r, 2, 6)) + ".mp4", safe="")[:190].rstrip("%0123456789ABCDEF")
    tracker = quote("udp://tracker.peers.example:1337/announce", safe="")
    return one_of(
        r,
        lambda: f"magnet:?xt=urn:btih:{hexadecimal(r, 40)}",
        lambda: f"magnet:?xt=urn:btih:{of(r, BASE32.upper(), 32)}",
        lambda: f"magnet:?xt=urn:btih:{hexadecimal(r, 40).upper()}&dn={name}&tr={tracker}&tr={tracker}",
        lambda: f"magnet:?xt=urn:btmh:1220{hexadecimal(r, 64)}&xl={digits(r, 9)}",
        lambda: f"ed2k://|file|{name}|{digits(r, 9)}|{hexadecimal(r, 32)}|/",
        lambda: f"ipfs://baf{r.choice(['ybei', 'krei'])}{of(r, BASE32, 52)}",
        lambda: hexadecimal(r, 40),
        lambda: hexadecimal(r, 64),
    )


def typical(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield records of one to three items of common shapes, with digests, hosting and assessment."""
    for index in range(count):
        r = Random(f"typical/{seed}/{index}")
        body = submission(r)
        body["items"] = body["items"][: r.choice([1, 1, 1, 2, 3])]
        for item in body["items"]:
            item["locator"] = {"kind": "url", "value": r.choice(TYPICAL_SHAPES)(r)}
        body["subject_accounts"] = body.get("subject_accounts", [])[:1]
        yield body
