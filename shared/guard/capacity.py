"""L4: how many bytes of anything a record could carry. This is the guarantee; recognition is only a help.

Nobody can recognise encrypted bytes. What can be promised is that no record has room for many of them: every
value counts with the bits its alphabet allows, repeats count once, and every role and the record have a budget.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.guard.leaves import INTEGER, Leaf, Path, pointer
from shared.guard.parts import DIGEST_KINDS, Part, Split
from shared.kernel.errors import Refused

#: Bytes that one record could carry in all, however encoded and whatever they look like.
RECORD_BYTES_MAX = 4_032
#: Opaque bytes per value, per address and per record (where repeats count once), by role.
#: A value has room for a SHA-256 digest or a code of 46 mixed digits, and for no file that we know of.
BUDGETS: dict[str, tuple[float, float, float]] = {
    "host": (24, 28, 280),
    "path": (34.5, 72, 400),
    "name": (16, 32, 64),
    "value": (34.5, 96, 400),
    "fragment": (57, 60, 300),
    "account": (34.5, 34.5, 160),
    "message": (40, 40, 160),
    "reference": (21, 21, 80),
    "code": (8, 8, 32),
    # Parameters that by their name hold a signature, token or key, or that delivery networks are known to fill.
    "credential": (136, 320, 1_792),
    # The few whose form is known to need more: security tokens, and signatures of RSA keys by their sizes.
    "long_credential": (825, 900, 2_816),
    # Path segments at the storage services that put their access tokens there.
    "storage": (160, 240, 1_280),
}
#: The storage services whose own direct links have an access token of up to 255 characters as a path segment.
STORAGE_SERVICES = (
    "googleusercontent.com",
    "usercontent.google.com",
    "ggpht.com",
    "dropboxusercontent.com",
    "dropbox.com",
    "1drv.com",
    "1drv.ms",
    "sharepoint.com",
    "icloud-content.com",
    "mediafire.com",
    "yandex.ru",
    "yandex.net",
    "mail.ru",
    "pcloud.com",
    "baidupcs.com",
    "userapi.com",
    "vkuserphoto.ru",
    "mycdn.me",
    "ok.ru",
    "qpic.cn",
    "qq.com",
)
#: Opaque bytes of a host, path or account whose text has one of the long forms below.
KNOWN_FORM_MAX = 44
#: Words, abbreviations and small numbers per value, address and record: words can stand for bytes.
WORDS_MAX = (30, 72, 260)

_KNOWN_FORM = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:1220)?[0-9a-f]{64}|[0-9A-F]{64}|baf[a-z2-7]{56}|Qm[1-9A-HJ-NP-Za-km-z]{44}|[a-z2-7]{56}\.onion|[a-z2-7]{52}\.b32\.i2p"
    r"|npub1[02-9ac-hj-np-z]{58}|did:key:z[1-9A-HJ-NP-Za-km-z]{46,48}|[0-9A-F]{76}|05[0-9a-f]{64})(?![A-Za-z0-9])"
)
_STORAGE_ENDINGS = tuple(f".{service}" for service in STORAGE_SERVICES)
_CREDENTIAL = re.compile(
    r"sig|token|auth|key|hmac|policy|cred|jwt|ticket|session|secret|passw|clid|_cft_|cookie|nonce|verif|secur|state"
    r"|^(?:tempauth|oh|hm|hdnea|hdnts|_nc_ohc|_nc_gid|ig_cache_key|efg|ei|ns|lmt|clen|initcwndbps|rc|ft|bti|ved|h|url|u|smp)$"
)
_LONG_NAMES = frozenset({"x-amz-security-token", "x-goog-signature", "tempauth"})
#: RSA signatures of 1,024 to 4,096 bits in base64, without or with padding.
_SIGNATURE_SIZES = frozenset({171, 172, 342, 343, 344, 512, 683, 684})
_DIGEST_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "tmk_pdqf": 32, "pdq": 32, "photodna": 144}


class Capacity(NamedTuple):
    """Upper bounds, in bytes: what the record could carry, and how much of its text is opaque."""

    record_bytes: float
    opaque_bytes: float
    address_opaque_bytes_max: float


def check_capacity(found: list[Leaf], texts: Split) -> None:
    """Check budgets per value, address and record. Raises `Refused` with a code `guard_capacity_…`."""
    seen: set[tuple[str, str]] = set()
    in_record: dict[str, float] = {}
    in_address: dict[str, float] = {}
    address: Path = None
    words = record_words = 0
    storage = False
    capacity_bits = _closed_bits(found)
    for part in texts.parts:
        if part.path is not address:
            address, in_address, words, storage = part.path, {}, 0, False
        if part.role == "host":
            storage = f".{part.text}".endswith(_STORAGE_ENDINGS)
        key = (part.role, part.text)
        fresh = key not in seen
        if fresh:
            seen.add(key)
            capacity_bits += part.capacity_bits
        if part.words and part.role not in ("name", "host"):
            words += part.words
            record_words += part.words if fresh else 0
            _within("words", (part.words, words, record_words), WORDS_MAX, path=part.path)
        if part.opaque_bits:
            role = _budget(part, storage)
            in_address[role] = in_address.get(role, 0.0) + part.opaque_bits
            in_record[role] = in_record.get(role, 0.0) + (part.opaque_bits if fresh else 0.0)
            budget = BUDGETS[role]
            if part.opaque_bits > 8 * budget[0] and _KNOWN_FORM.search(part.text):
                budget = (KNOWN_FORM_MAX, max(KNOWN_FORM_MAX, budget[1]), budget[2])
            spent = (part.opaque_bits / 8, in_address[role] / 8, in_record[role] / 8)
            _within(role, spent, budget, path=part.path)
    if capacity_bits > 8 * RECORD_BYTES_MAX:
        _refuse("record", f"room for at most {RECORD_BYTES_MAX} bytes in one record", None)


def measure_capacity(found: list[Leaf], texts: Split) -> Capacity:
    """What `check_capacity` compares with its budgets."""
    distinct = {(part.role, part.text): part for part in texts.parts}.values()
    by_address: dict[int, float] = {}
    for part in texts.parts:
        by_address[id(part.path)] = by_address.get(id(part.path), 0.0) + part.opaque_bits
    return Capacity(
        record_bytes=(sum(part.capacity_bits for part in distinct) + _closed_bits(found)) / 8,
        opaque_bytes=sum(part.opaque_bits for part in distinct) / 8,
        address_opaque_bytes_max=max(by_address.values(), default=0.0) / 8,
    )


def _within(what: str, spent: tuple[float, float, float], budget: tuple[float, float, float], *, path: Path) -> None:
    """Refuse when more was spent in the value, the address or the record than the budget has for it."""
    value, address, record = budget
    if spent[0] > value:
        _refuse(f"{what}_value", f"at most {value:g} in one value", path)
    if spent[1] > address:
        _refuse(f"{what}_address", f"at most {address:g} in one address", path)
    if spent[2] > record:
        _refuse(f"{what}_record", f"at most {record:g} in one record", path)


def _budget(part: Part, storage: bool) -> str:
    """Which of `BUDGETS` the part falls under."""
    if part.role == "value" and (storage or _CREDENTIAL.search(part.name)):
        sized = len(part.text.rsplit(".", 1)[-1]) in _SIGNATURE_SIZES
        return "long_credential" if sized or part.name in _LONG_NAMES else "credential"
    return "storage" if storage and part.role == "path" else part.role


def _closed_bits(found: list[Leaf]) -> float:
    """Bits of everything that is not text: digests, addresses of hosts, numbers, times and choices; repeats once."""
    bits = 0.0
    seen: set[tuple[str, object]] = set()
    for kind, value, _, closed in found:
        if closed:
            if closed < 8:
                bits += closed
                continue
        elif kind in _DIGEST_BYTES:
            closed = 8.0 * _DIGEST_BYTES[kind]
        elif kind == "ip":
            closed = 128.0 if ":" in value else 32.0
        elif kind == INTEGER:
            closed = float(max(1, int(value).bit_length()))
        else:
            continue
        key = (kind, value)
        if key not in seen:
            seen.add(key)
            bits += closed
    return bits


def _refuse(rule: str, detail: str, path: Path) -> None:
    raise Refused(f"guard_capacity_{rule}", detail, field=pointer(path))


assert _DIGEST_BYTES.keys() == DIGEST_KINDS
