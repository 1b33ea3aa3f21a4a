"""What the headers of one message say: the signed attributes, and the batch proof.

A signature covers every `ce_` header but the proof, and the content type: those of `COVERED`, which every message has,
those of `FIRST_OF_EPOCH`, which the first message of an epoch has, and unknown extensions `ce_x…`, which are kept in
the covered bytes and otherwise ignored. So a header can be added without a flag day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.envelope.spelling import (
    EXTENSION,
    EXTENSION_CHARACTERS_MAX,
    EXTENSION_TEXT,
    EXTENSIONS_CHARACTERS_MAX,
    EXTENSIONS_MAX,
    SPELLINGS,
    TEXT,
    TEXT_CHARACTERS_MAX,
    UNKNOWN,
)
from shared.kernel.errors import Refused
from shared.kernel.ids import is_uuid7
from shared.ledger.tree import HASH_BYTES

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
COVERED = (
    "ce_dataschema",
    "ce_epoch",
    "ce_exercise",
    "ce_guard",
    "ce_id",
    "ce_keyid",
    "ce_recipient",
    "ce_sender",
    "ce_sequence",
    "ce_source",
    "ce_specversion",
    "ce_subject",
    "ce_tier",
    "ce_time",
    "ce_type",
    "content-type",
)
"""The headers that every message has and a signature covers, sorted; `Attributes.texts` has their values so."""

FIRST_OF_EPOCH = ("ce_prevepoch", "ce_prevlast")
"""Covered as well, on the first message of an epoch alone: which epoch came before it, and its last number."""

PROOF = ("ce_batchroot", "ce_batchsig", "ce_batchindex", "ce_batchsize", "ce_batchpath")

#: What every reader of JSON can hold.
SEQUENCE_MAX = 2**53 - 1
BATCH_SIZE_MAX = 2**16
SIGNATURE_BYTES = 64
PATH_HASHES_MAX = BATCH_SIZE_MAX.bit_length() - 1
TIME_STEP_S: Final = 10

_RULES = {
    "ce_epoch": "a UUID of version 7",
    "ce_guard": "an edition, a space, and normal or released",
    "ce_id": "a UUID of version 7",
    "ce_prevepoch": "a UUID of version 7, or unknown",
    "ce_prevlast": "0 to 2^53-1, or unknown",
    "ce_sequence": "0 to 2^53-1",
    "ce_source": "/instances/ and an instance name",
    "ce_tier": "hosted or party",
    "ce_time": "an RFC 3339 time in UTC, cut to 10 s",
    "ce_batchroot": "32 bytes in hexadecimal",
    "ce_batchsig": "64 bytes in base64url without padding",
    "ce_batchindex": "0 to the batch size less one",
    "ce_batchsize": "1 to 65536",
    "ce_batchpath": "0 to 16 hashes of 32 bytes, in base64url without padding",
}
#: Only what has no type of its own can be unwritable: the rest is written from a number, a UUID or a time.
_FREE = ("ce_guard", "ce_source")
_WRITABLE = re.compile("\n".join(SPELLINGS[name] if name in _FREE else TEXT for name in COVERED))
_EXTENSION_NAME, _EXTENSION_VALUE = re.compile(EXTENSION), re.compile(EXTENSION_TEXT)
_HEAD = "".join(f"{name}:%s\n" for name in COVERED) + "\n"
_HASH_LENGTHS = frozenset({HASH_BYTES})


class Tier(StrEnum):
    """Who holds the sender's signing key: the instance that serves it, or the party itself."""

    HOSTED = "hosted"
    PARTY = "party"


@dataclass(frozen=True, slots=True)
class Previous:
    """The epoch before this one and the last number given out in it; None for what its sender does not know."""

    epoch: UUID | None = None
    last: int | None = None

    def texts(self) -> tuple[str, str]:
        """The values of `FIRST_OF_EPOCH`."""
        return (
            UNKNOWN if self.epoch is None else str(self.epoch),
            UNKNOWN if self.last is None else str(self.last),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The signed attributes of one message.

    `subject` is the Kafka key's text; `sequence` is dense per (sender, recipient, `epoch`). `previous` stands on the
    first message of an epoch. `time` is cut to `TIME_STEP_S`. `extensions` are the unknown `ce_x…` headers, name and
    value. Texts are 1 to 256 visible ASCII characters, theirs to 8,192. `head` is what a signature covers before the
    body. Raises `Refused("header_malformed")` for anything that cannot be written as a header.
    """

    id: UUID
    type: str
    source: str
    time: datetime
    subject: str
    dataschema: str
    sender: str
    recipient: str
    tier: Tier
    key_id: str
    sequence: int
    exercise: bool
    epoch: UUID
    guard: str
    previous: Previous | None = None
    extensions: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = field(init=False, repr=False, compare=False)
    further: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    head: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check()
        # Written once here: the header encoding, the signed bytes and the decoder's check all use it.
        texts = (
            self.dataschema,
            str(self.epoch),
            "true" if self.exercise else "false",
            self.guard,
            str(self.id),
            self.key_id,
            self.recipient,
            self.sender,
            str(self.sequence),
            self.source,
            SPEC_VERSION,
            self.subject,
            self.tier.value,
            _time_text(self.time),
            self.type,
            CONTENT_TYPE,
        )
        if not _WRITABLE.fullmatch("\n".join(texts)):
            raise _unwritable(texts)
        further = tuple(sorted((*_first_of_epoch(self.previous), *self.extensions)))
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "further", further)
        head = covered_head((*zip(COVERED, texts, strict=True), *further)) if further else head_of(texts)
        object.__setattr__(self, "head", head)

    def _check(self) -> None:
        if not is_uuid7(self.id):
            raise malformed("ce_id")
        if not is_uuid7(self.epoch):
            raise malformed("ce_epoch")
        if self.time.tzinfo is None or self.time.second % TIME_STEP_S or self.time.microsecond:
            raise malformed("ce_time")
        if not 0 <= self.sequence <= SEQUENCE_MAX:
            raise malformed("ce_sequence")
        if self.previous is not None:
            if self.previous.epoch is not None and not is_uuid7(self.previous.epoch):
                raise malformed("ce_prevepoch")
            if self.previous.last is not None and not 0 <= self.previous.last <= SEQUENCE_MAX:
                raise malformed("ce_prevlast")
        if self.extensions:
            _check_extensions(self.extensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The batch proof of one message: a signed Merkle root and the way to it.

    `root` 32 bytes, `signature` 64 bytes (Ed25519), `path` 0 to 16 hashes of 32 bytes, lowest first. A proof that
    exists is well-formed, not valid: `batch.verify` says that.
    """

    root: bytes
    signature: bytes
    index: int
    size: int
    path: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.root) != HASH_BYTES:
            raise malformed("ce_batchroot")
        if len(self.signature) != SIGNATURE_BYTES:
            raise malformed("ce_batchsig")
        if not 1 <= self.size <= BATCH_SIZE_MAX:
            raise malformed("ce_batchsize")
        if not 0 <= self.index < self.size:
            raise malformed("ce_batchindex")
        if len(self.path) > PATH_HASHES_MAX or not _HASH_LENGTHS.issuperset(map(len, self.path)):
            raise malformed("ce_batchpath")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as Kafka carries it: headers and the exact value bytes. `proof` is None before it is signed."""

    attributes: Attributes
    proof: Proof | None
    body: bytes
    traceparent: str | None = field(default=None, kw_only=True)


def head_of(texts: tuple[str, ...]) -> str:
    """The covered head of a message that has the headers of `COVERED` and no other."""
    return _HEAD % texts


def covered_head(headers: Iterable[tuple[str, str]]) -> str:
    """Each covered header with its name, `:` and a line feed, sorted by name, then one line feed more.

    Names hold no colon and no value holds a line feed, so no two messages have the same covered bytes.
    """
    return "".join(f"{name}:{value}\n" for name, value in sorted(headers)) + "\n"


def malformed(name: str) -> Refused:
    """The refusal of a header's value, with the rule that it breaks."""
    return Refused("header_malformed", _RULES[name], field=name)


def _check_extensions(extensions: tuple[tuple[str, str], ...]) -> None:
    for name, value in extensions:
        if not _EXTENSION_NAME.fullmatch(name):
            raise Refused("header_unknown")
        if not _EXTENSION_VALUE.fullmatch(value):
            raise Refused("header_malformed", f"1 to {EXTENSION_CHARACTERS_MAX} visible ASCII characters")
    if len(extensions) > EXTENSIONS_MAX or sum(len(value) for _, value in extensions) > EXTENSIONS_CHARACTERS_MAX:
        most = f"{EXTENSIONS_MAX} extensions of {EXTENSIONS_CHARACTERS_MAX} characters in all"
        raise Refused("header_malformed", f"at most {most}")


def _first_of_epoch(previous: Previous | None) -> Iterable[tuple[str, str]]:
    return () if previous is None else zip(FIRST_OF_EPOCH, previous.texts(), strict=True)


def _time_text(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`, without a fraction. Loses nothing of a time that is cut to whole seconds."""
    return instant.astimezone(UTC).isoformat()[:-6] + "Z"  # the offset is always `+00:00` here


def _unwritable(texts: tuple[str, ...]) -> Refused:
    for name, text in zip(COVERED, texts, strict=True):
        if name == "ce_guard":
            continue
        if not 0 < len(text) <= TEXT_CHARACTERS_MAX or not _is_visible_ascii(text):
            return Refused("header_malformed", "1 to 256 visible ASCII characters", field=name)
    guard = texts[COVERED.index("ce_guard")]
    return malformed("ce_source" if re.fullmatch(SPELLINGS["ce_guard"], guard) else "ce_guard")


def _is_visible_ascii(text: str) -> bool:
    """Whether every character is %x21-7E (RFC 5234 VCHAR)."""
    return text.isascii() and text.isprintable() and " " not in text
