"""Bodies within the limits of the envelope that cost the guard the most processor time, each for another reason."""

from __future__ import annotations

import string
import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

from pydantic import ValidationError

from shared.core.contracts.items import ITEMS_MAX
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.guard import ADDED, BUDGET, CEILING, as_kept, inspect, parse_body, trips
from tests.guard_report.attempts import as_bytes
from tests.guard_report.encodings import b64u
from tests.guard_report.positions import BASE

_CHARACTERS_MAX = 2_048
_HERE = "https://site.example/"
_LEADS_ON = "http://href.li/?z="
_ONION = "a" * 56 + ".onion"
_MAGNET = "magnet:?xt=urn:btih:" + "a" * 40
_R = Random(27)


def _filled(before: str, unit: str, after: str = "") -> str:
    return before + unit * ((_CHARACTERS_MAX - len(before) - len(after)) // len(unit)) + after


def _runs(size: int, between: str) -> str:
    return between.join("".join(_R.choices(string.ascii_letters + string.digits, k=size)) for _ in range(150))


#: Costly addresses, by the reason.
ADDRESSES = {
    "labels of a host": "https://" + "a." * 1_000 + "a/",
    "random characters": _HERE
    + "".join(_R.choices(string.ascii_letters + string.digits + "-._~:/?@!$&'()*+,;=", k=2_000)),
    "random base64url": _HERE + b64u(_R.randbytes(1_500)),
    "short opaque runs": _HERE + _runs(9, "/"),
    "short opaque runs in one": _HERE + _runs(9, "-"),
    "words": _filled(_HERE, "holiday-in-the-garden/"),
    "slashes": _filled(_HERE, "/"),
    "one letter": _filled(_HERE, "a"),
    "escapes": _filled(_HERE, "%E3%81%82"),
    "escapes in small letters": _filled(_HERE, "%e3a"),
    "escapes of letters": _filled(_HERE, "%61"),
    "lone percent signs": _filled(_HERE, "%"),
    "parameters": _filled(f"{_HERE}?a=1", "&a=1"),
    "parameters that are cut": _filled(f"{_HERE}?a=1", "&X-Amz-Signature"),
    "parameters that are not quite cut": _filled(f"{_HERE}?a=1", "&X-Amz-Signature_"),
    "parameters of a service": _filled("https://r.googlevideo.com/?id=1", "&z"),
    "redirectors": _filled("", _LEADS_ON, "https://a.example/"),
    "redirectors to escapes": _filled(_LEADS_ON * 4 + _HERE, "%E3%81%82a"),
    "redirectors to percent signs": _filled(_LEADS_ON * 4 + _HERE, "%25"),
    "redirectors with differently encoded targets": _filled(f"{_LEADS_ON * 4}{_HERE}%2525252561", "%E3%81%82a"),
}


def dearest() -> Iterator[tuple[str, bytes]]:
    """Return the bodies by name, each with as many items as a record may have."""
    for name, address in ADDRESSES.items():
        for uncut in (False, True):
            yield f"{name}, uncut" if uncut else name, _body({"kind": "url", "value": address}, uncut=uncut)
    for name, unit in (("words", "/holiday-in-the-garden"), ("escapes", "/%E3%81%82"), ("parameters", "&a=b")):
        yield f"onions with {name}", _body({"kind": "onion", "value": f"{_ONION}/?{unit * (1_700 // len(unit))}"})
    yield "magnets", _body({"kind": "p2p", "value": _MAGNET + ("&ws=" + "a%2F" * 8) * 24})
    yield "everything", as_bytes(_everything())


def _body(locator: dict[str, str], *, uncut: bool = False) -> bytes:
    return as_bytes(BASE | {"items": [{"locator": locator, "uncut": uncut}] * ITEMS_MAX})


def _everything() -> dict[str, Any]:
    """Return a record with as many members of each kind as fit into a body."""
    event = {"ip": "2001:db8:1:2:3:4:5:6", "port": 65_535, "at": "2025-01-01T10:11:12.123Z"}
    account = {"service": "provider-001.example", "account": "a-b." * 26, "events": [event] * 4}
    hashes = {"md5": "0" * 32, "sha1": "1" * 40, "sha256": "2" * 64, "pdq": "3" * 64, "tmk_pdqf": "4" * 64}
    hosting = {"jurisdiction": "NL", "asn": 1, "provider": "provider-001.example", "observed_on": "2025-01-01"}
    label = {"scheme": "ucs", "value": "unknown", "assessor": "provider-001.example", "assessed_on": "2025-01-01"}
    item = {
        "locator": {"kind": "url", "value": _HERE + "the-in-" * 90},
        "hashes": hashes | {"photodna": "A" * 192},
        "hosting": [hosting] * 3,
        "assessments": [label] * 3,
    }
    others = [{"system": "other", "ref": "a/b-" * 12}] * 8
    return BASE | {"items": [item] * ITEMS_MAX, "subject_accounts": [account] * 4, "correlations": others}


def seconds(body: bytes) -> float:
    """Return the processor time of the whole guard for a body, as `POST /v1/referrals` calls it."""
    start = time.process_time()
    with suppress(Refused, ValidationError):
        kept = as_kept(ReferralSubmission.model_validate(parse_body("application/json", None, body)))
        if not inspect(kept, limits=CEILING).within(BUDGET, added=ADDED):
            trips(kept.spelt())
    return time.process_time() - start
