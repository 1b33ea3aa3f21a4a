"""L4: how many bytes of anything a record could carry. This is the guarantee; recognition is only a help.

Nobody can recognise encrypted bytes. What can be promised is that no record has room for many of them: every
value counts with the bits its alphabet allows, repeats count once, and every role and the record have a budget.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.guard.leaves import INTEGER, Leaf, Path, pointer
from shared.guard.parts import DIGEST_KINDS, Part, Role, Split
from shared.kernel.errors import Refused

#: Bytes that one record could carry in all, however encoded and whatever they look like.
RECORD_BYTES_MAX = 3_840
#: Opaque bytes per value of a role.
VALUE_OPAQUE_MAX: dict[Role, int] = {
    "host": 44, "path": 48, "value": 96, "name": 24, "fragment": 64,
    "account": 48, "message": 64, "reference": 21, "code": 12,
}  # fmt: skip
#: Opaque bytes per address and role; a role that is not named is bounded by its values.
ADDRESS_OPAQUE_MAX: dict[Role, int] = {"host": 48, "path": 112, "value": 256, "name": 64, "fragment": 72}
#: Opaque bytes per record and role, repeats counted once.
RECORD_OPAQUE_MAX: dict[Role, int] = {
    "host": 400, "path": 640, "value": 1_024, "name": 160, "fragment": 400,
    "account": 400, "message": 320, "reference": 64, "code": 64,
}  # fmt: skip
#: Opaque bytes in parameters that by their name hold a signature, token or key: per value, address and record.
CREDENTIAL_VALUE_MAX, CREDENTIAL_ADDRESS_MAX, CREDENTIAL_RECORD_MAX = 825, 900, 2_304
#: One path segment of this many opaque bytes at the storage services that put their access tokens there.
STORAGE_SEGMENT_MAX = 192
WORDS_PER_ADDRESS_MAX = 48

_CREDENTIAL = re.compile(
    r"sig|token|auth|key|hmac|policy|cred|jwt|ticket|session|secret|passw|clid|_cft_|cookie|nonce|verif|secur|state"
    r"|^(?:oh|code|hm|hdnea|hdnts|_nc_ohc|_nc_gid|ig_cache_key|efg)$"
)
_STORAGE = re.compile(
    r"(?:googleusercontent\.com|usercontent\.google\.com|ggpht\.com|dropboxusercontent\.com|dropbox\.com|1drv\.com"
    r"|1drv\.ms|sharepoint\.com|icloud-content\.com|mediafire\.com|yandex\.(?:ru|net|com)|mail\.ru|pcloud\.com"
    r"|baidupcs\.com|userapi\.com|vkuserphoto\.ru|mycdn\.me|ok\.ru|qpic\.cn|qq\.com)$"
)
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
    words = 0
    storage = False
    capacity_bits = _closed_bits(found)
    for part in texts.parts:
        if part.path is not address:
            address, in_address, words, storage = part.path, {}, 0, False
        if part.role == "host":
            storage = _STORAGE.search(part.text) is not None
        elif part.role != "name":
            words += part.words
            if words > WORDS_PER_ADDRESS_MAX:
                _refuse("words", f"at most {WORDS_PER_ADDRESS_MAX} words in an address", part.path)
        key = (part.role, part.text)
        fresh = key not in seen
        if fresh:
            seen.add(key)
            capacity_bits += part.capacity_bits
        if part.opaque_bits:
            role, *budget = _budget(part, storage)
            in_address[role] = in_address.get(role, 0.0) + part.opaque_bits
            if fresh:
                in_record[role] = in_record.get(role, 0.0) + part.opaque_bits
            spent = part.opaque_bits, in_address[role], in_record.get(role, 0.0)
            for used, limit, unit in zip(spent, budget, ("value", "address", "record"), strict=True):
                if limit and used > 8 * limit:
                    _refuse(f"{role}_{unit}", f"at most {limit} opaque bytes in one {unit}", part.path)
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


def _budget(part: Part, storage: bool) -> tuple[str, int, int, int]:
    role = part.role
    if role == "value" and (storage or _CREDENTIAL.search(part.name)):
        return "credential", CREDENTIAL_VALUE_MAX, CREDENTIAL_ADDRESS_MAX, CREDENTIAL_RECORD_MAX
    if role == "path" and storage:
        return "storage", STORAGE_SEGMENT_MAX, STORAGE_SEGMENT_MAX + ADDRESS_OPAQUE_MAX["path"], CREDENTIAL_RECORD_MAX
    return role, VALUE_OPAQUE_MAX[role], ADDRESS_OPAQUE_MAX.get(role, 0), RECORD_OPAQUE_MAX[role]


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
