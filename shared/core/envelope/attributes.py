"""The signed attributes of one message, as its headers state them.

A signature covers every `ce_` header and the content type: those of `COVERED`, which every message has, and unknown
extensions `ce_x…`, which are covered and otherwise ignored. So a header can be added without a coordinated update.
The place of a message in its stream and its salt are not attributes: `shared.messaging.placement` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.core.errors import Refused
from shared.core.ids import is_uuid7

TEXT_CHARACTERS_MAX: Final = 256

#: A value without a rule of its own: visible ASCII (RFC 5234 VCHAR).
TEXT: Final = f"[!-~]{{1,{TEXT_CHARACTERS_MAX}}}"

#: The name of an extension header of a later release, which is covered and ignored.
EXTENSION: Final = "ce_x[a-z0-9]{0,19}"

EXTENSION_CHARACTERS_MAX: Final = 8_192

#: The value of an extension. It has room for a future signature suite (ML-DSA-87 needs 6,170 characters).
EXTENSION_TEXT: Final = f"[!-~]{{1,{EXTENSION_CHARACTERS_MAX}}}"

#: Maximum extensions of one message, and maximum characters of all their values. With a body of 64 KiB, the Kafka
#: record stays below 128 KiB.
EXTENSIONS_MAX: Final = 32

EXTENSIONS_CHARACTERS_MAX: Final = 16_384

_INSTANCES = "/instances/"

_UUID7 = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

SPELLINGS: Final = {
    "ce_exercise": "(?:true|false)",
    "ce_guard": "[0-9a-f]{32} (?:normal|released)",
    "ce_id": _UUID7,
    "ce_source": f"{_INSTANCES}[A-Za-z0-9._~-]{{1,{TEXT_CHARACTERS_MAX - len(_INSTANCES)}}}",
    "ce_specversion": r"1\.0",
    "ce_tier": "hosted",
    "ce_time": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5]0Z",
    "content-type": r"application/vnd\.causeway\.message",
}

SPEC_VERSION = "1.0"

#: A value is the clear part as JSON, a line feed, and the sealed part as bytes (`shared.core.envelope.record_value`).
CONTENT_TYPE = "application/vnd.causeway.message"

COVERED = (
    "ce_dataschema",
    "ce_exercise",
    "ce_guard",
    "ce_id",
    "ce_recipient",
    "ce_sender",
    "ce_source",
    "ce_specversion",
    "ce_subject",
    "ce_tier",
    "ce_time",
    "ce_type",
    "content-type",
)

TIME_STEP_S: Final = 10

_RULES = {
    "ce_guard": "an edition, a space, and normal or released",
    "ce_id": "a UUID of version 7",
    "ce_source": "/instances/ and an instance name",
    "ce_tier": "hosted",
    "ce_time": "an RFC 3339 time in UTC, cut to 10 s",
}

#: Only values without a type of their own can be invalid. The others are written from a number, a UUID or a time.
_FREE = ("ce_guard", "ce_source")

_WRITABLE = re.compile("\n".join(SPELLINGS[name] if name in _FREE else TEXT for name in COVERED))

_EXTENSION_NAME, _EXTENSION_VALUE = re.compile(EXTENSION), re.compile(EXTENSION_TEXT)

_HEAD = "".join(f"{name}:%s\n" for name in COVERED) + "\n"


class Tier(StrEnum):
    """The holder of the sender's signing key: the instance that serves it."""

    HOSTED = "hosted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The signed attributes of one message.

    `subject` is the Kafka key's text. `time` is cut to `TIME_STEP_S`. `extensions` are the unknown `ce_x…` headers,
    name and value. Texts are 1 to 256 visible ASCII characters, those of extensions up to 8,192. `head` is the signed
    text before the body. Raises `Refused("header_malformed")` for a value that no header can have.
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
    exercise: bool
    guard: str
    extensions: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = field(init=False, repr=False, compare=False)
    further: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    head: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_uuid7(self.id):
            raise malformed("ce_id")
        if self.time.tzinfo is None or self.time.second % TIME_STEP_S or self.time.microsecond:
            raise malformed("ce_time")
        if self.extensions:
            _check_extensions(self.extensions)
        # Written once here: the header encoding, the signed bytes and the decoder's check all use it.
        texts = (
            self.dataschema,
            "true" if self.exercise else "false",
            self.guard,
            str(self.id),
            self.recipient,
            self.sender,
            self.source,
            SPEC_VERSION,
            self.subject,
            self.tier.value,
            # RFC 3339 in UTC: the offset is always `+00:00` here, and the time is cut to whole seconds.
            self.time.astimezone(UTC).isoformat()[:-6] + "Z",
            self.type,
            CONTENT_TYPE,
        )
        if not _WRITABLE.fullmatch("\n".join(texts)):
            raise _unwritable(texts)
        further = tuple(sorted(self.extensions))
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "further", further)
        head = covered_head((*zip(COVERED, texts, strict=True), *further)) if further else head_of(texts)
        object.__setattr__(self, "head", head)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as Kafka carries it: headers and the exact value bytes."""

    attributes: Attributes
    body: bytes
    traceparent: str | None = field(default=None, kw_only=True)


def head_of(texts: tuple[str, ...]) -> str:
    """Return the covered head of a message that has only the headers of `COVERED`."""
    return _HEAD % texts


def covered_head(headers: Iterable[tuple[str, str]]) -> str:
    """Return the covered head: each header as `name:value` and a line feed, sorted, and a final line feed.

    Names contain no colon and values no line feed, so two different messages never have the same covered bytes.
    """
    return "".join([f"{name}:{value}\n" for name, value in sorted(headers)]) + "\n"


def malformed(name: str) -> Refused:
    """Return the error for a header's value, with the violated rule."""
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


def _unwritable(texts: tuple[str, ...]) -> Refused:
    for name, text in zip(COVERED, texts, strict=True):
        if name != "ce_guard" and not re.fullmatch(TEXT, text):
            return Refused("header_malformed", "1 to 256 visible ASCII characters", field=name)
    guard = texts[COVERED.index("ce_guard")]
    return malformed("ce_source" if re.fullmatch(SPELLINGS["ce_guard"], guard) else "ce_guard")
