"""L4: how many bytes of anything a record could carry. This is the guarantee; recognition is only a help.

Nobody can recognise encrypted bytes. What can be promised is that no record has room for many of them: every
value counts with the bits its alphabet allows, repeats count once, and every role and the record have a budget.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.guard.leaves import CLOSED_BITS, INSTANT, Path, pointer
from shared.guard.parts import Part, Split
from shared.kernel.errors import Refused

#: Bytes that one record could carry in all, however encoded and whatever they look like.
RECORD_BYTES_MAX = 4_032
#: Opaque bytes per value, per address and per record (where repeats count once), by role.
#: A value has room for a SHA-256 digest or a code of 46 mixed digits, and for no file that we know of.
BUDGETS: dict[str, tuple[float, float, float]] = {
    "host": (24, 28, 200),
    "path": (34.5, 72, 340),
    "name": (16, 32, 64),
    "value": (34.5, 96, 400),
    "fragment": (57, 60, 260),
    "account": (34.5, 34.5, 160),
    "message": (40, 40, 160),
    "reference": (21, 21, 80),
    "code": (8, 8, 32),
    # Parameters that by their name hold a signature, token or key, or that delivery networks are known to fill.
    "credential": (130, 240, 1_792),
    # The few whose form is known to need more: security tokens, and signatures of RSA keys by their sizes.
    "long_credential": (825, 900, 2_816),
    # Path segments at the storage services that put their access tokens there.
    "storage": (160, 200, 640),
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
#: Opaque bytes per record in all roles that are not granted their own for credentials.
TEXT_MAX = 560
_GRANTED = frozenset({"credential", "long_credential", "storage"})
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
    r"|^(?:tempauth|oh|hm|hdnea|hdnts|_nc_ohc|_nc_gid|ig_cache_key|efg|ei|ns|lmt|clen|initcwndbps|rc|ft|bti|ved|h|smp)$"
)
_LONG_NAMES = frozenset({"x-amz-security-token", "x-goog-signature", "tempauth"})
#: RSA signatures of 1,024 to 4,096 bits in base64, without or with padding.
_SIGNATURE_SIZES = frozenset({171, 172, 342, 343, 344, 512, 683, 684})


class Capacity(NamedTuple):
    """Upper bounds, in bytes: what the record could carry, and how much of its text is opaque."""

    record_bytes: float
    opaque_bytes: float
    address_opaque_bytes_max: float


def check_capacity(texts: Split) -> None:
    """Check budgets per value, address and record. Raises `Refused` with a code `guard_capacity_…`."""
    seen: set[tuple[str, str]] = set()
    in_record: dict[str, float] = {}
    in_address: dict[str, float] = {}
    address: Path = None
    words = record_words = 0
    text_bits = 0.0
    storage = False
    for part in texts.parts:
        role, text, path, _, opaque_bits, _, part_words, _ = part
        if path is not address:
            address, in_address, words, storage = path, {}, 0, False
        if role == "host":
            storage = f".{text}".endswith(_STORAGE_ENDINGS)
        key = (role, text)
        fresh = key not in seen
        if fresh:
            seen.add(key)
        if part_words and role != "name" and role != "host":
            words += part_words
            if fresh:
                record_words += part_words
            if part_words > WORDS_MAX[0] or words > WORDS_MAX[1] or record_words > WORDS_MAX[2]:
                _within("words", (part_words, words, record_words), WORDS_MAX, path=path)
        if opaque_bits:
            name = _budget(part, storage) if storage or role == "value" else role
            address_bits = in_address[name] = in_address.get(name, 0.0) + opaque_bits
            record_bits = in_record[name] = in_record.get(name, 0.0) + (opaque_bits if fresh else 0.0)
            value_max, address_max, record_max = budget = BUDGETS[name]
            if opaque_bits > 8 * value_max or address_bits > 8 * address_max or record_bits > 8 * record_max:
                if opaque_bits > 8 * value_max and _KNOWN_FORM.search(text):
                    budget = (KNOWN_FORM_MAX, max(KNOWN_FORM_MAX, address_max), record_max)
                _within(name, (opaque_bits / 8, address_bits / 8, record_bits / 8), budget, path=path)
            if fresh and name not in _GRANTED:
                text_bits += opaque_bits
    if text_bits > 8 * TEXT_MAX:
        _refuse("text_record", f"at most {TEXT_MAX} opaque bytes of text in one record", None)
    if _bits_at_most(texts) > 8 * RECORD_BYTES_MAX and _bits(texts) > 8 * RECORD_BYTES_MAX:
        _refuse("record", f"room for at most {RECORD_BYTES_MAX} bytes in one record", None)


def measure_capacity(texts: Split) -> Capacity:
    """What `check_capacity` compares with its budgets."""
    distinct = {(part.role, part.text): part for part in texts.parts}.values()
    by_address: dict[int, float] = {}
    for part in texts.parts:
        by_address[id(part.path)] = by_address.get(id(part.path), 0.0) + part.opaque_bits
    return Capacity(
        record_bytes=(sum(part.capacity_bits for part in distinct) + _closed_bits(texts)) / 8,
        opaque_bytes=sum(part.opaque_bits for part in distinct) / 8,
        address_opaque_bytes_max=max(by_address.values(), default=0.0) / 8,
    )


def _within(what: str, spent: tuple[float, float, float], budget: tuple[float, float, float], *, path: Path) -> None:
    """Refuse when more was spent in the value, the address or the record than the budget has for it."""
    value, address, record = spent
    if value > budget[0]:
        _refuse(f"{what}_value", f"at most {budget[0]:g} in one value", path)
    if address > budget[1]:
        _refuse(f"{what}_address", f"at most {budget[1]:g} in one address", path)
    if record > budget[2]:
        _refuse(f"{what}_record", f"at most {budget[2]:g} in one record", path)


def _budget(part: Part, storage: bool) -> str:
    """Which of `BUDGETS` the part falls under."""
    if part.role == "value" and (storage or _CREDENTIAL.search(part.name)):
        sized = len(part.text.rsplit(".", 1)[-1]) in _SIGNATURE_SIZES
        return "long_credential" if sized or part.name in _LONG_NAMES else "credential"
    return "storage" if storage and part.role == "path" else part.role


def _bits(texts: Split) -> float:
    """What the record could carry; repeats count once."""
    total = _closed_bits(texts)
    for bits in {(part.role, part.text): part.capacity_bits for part in texts.parts}.values():
        total += bits
    return total


def _bits_at_most(texts: Split) -> float:
    """More than `_bits` can be, without a look for repeats: nearly all records are far below the budget."""
    return (
        1.0
        + texts.choice_bits
        + sum([part.capacity_bits for part in texts.parts])
        + 8 * sum([len(digest.data) for digest in texts.digests])
        + 128 * len(texts.hosts)
        + float(sum([value.bit_length() + 1 for _, value, _ in texts.integers]))
        + CLOSED_BITS[INSTANT] * len(texts.instants)
        + max(CLOSED_BITS.values()) * len(texts.closed)
    )


def _closed_bits(texts: Split) -> float:
    """Bits of everything that is not text: digests, addresses of hosts, numbers, times and choices; repeats once."""
    data_bytes = sum([len(data) for _, data in {(kind, data) for kind, data, _ in texts.digests}])
    hosts = {host.text for host in texts.hosts}
    longest = len([host for host in hosts if ":" in host])
    return (
        texts.choice_bits
        + 8.0 * data_bytes
        + 128.0 * longest
        + 32.0 * (len(hosts) - longest)
        + float(sum([max(1, value.bit_length()) for value in {value for _, value, _ in texts.integers}]))
        + CLOSED_BITS[INSTANT] * len({value for _, value, _ in texts.instants})
        + sum([CLOSED_BITS[kind] for kind, _ in {(kind, value) for kind, value, _ in texts.closed}])
    )


def _refuse(rule: str, detail: str, path: Path) -> None:
    raise Refused(f"guard_capacity_{rule}", detail, field=pointer(path))
