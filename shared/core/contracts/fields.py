"""Scalar types whose values could hold foreign bytes, with alphabet, length and `ValueKind`.

A JSON Schema can express the pattern and the length. The other rules for a kind are in `shared.core.guard`. A reader
reads addresses, so they have no pattern of their own. All of these are protection class S3 or S2, so only sealed parts
contain them. All patterns run in linear time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.core.contracts.base import in_words

KindName = Literal[
    "url", "onion", "account", "message", "peer", "reference",
    "md5", "sha1", "sha256", "tmk_pdqf", "pdq", "photodna", "ip",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ValueKind:
    """Marks a string type for the guard: it selects the rules and the cost model for its values."""

    name: KindName


_ADDRESS = StringConstraints(
    pattern=in_words(r"\S", "an address, for example https://site.example/photo/1"), min_length=1, max_length=2048
)
#: The address of a location with a host: web, ftp, rtsp. A submission may write it in any form that the address reader
#: reads (`shared.core.guard.canonical`). Records and messages have the canonical form, which is ASCII (RFC 3986).
Url = Annotated[str, _ADDRESS, ValueKind("url")]
#: A version 3 onion service, as a host or an address (Tor rend-spec-v3, section 6). Its forms are those of `Url`.
OnionUrl = Annotated[str, _ADDRESS, ValueKind("onion")]
#: An account at a service: handle, number, address, DID, key or Tox id. 106 characters: did:key of an RSA thumbprint.
AccountId = Annotated[
    str,
    StringConstraints(
        pattern=in_words(
            r"^[A-Za-z0-9@._:+~#/-]{1,106}$",
            "letters, digits and @ . _ : + ~ # / - without spaces, for example anna_1@chat.example",
        ),
        min_length=1,
        max_length=106,
    ),
    ValueKind("account"),
]
#: A message at a service: channel and number, Matrix event, Message-ID without angle brackets (RFC 5322 §3.6.4).
MessageLocator = Annotated[
    str,
    StringConstraints(
        pattern=in_words(
            r"^[A-Za-z0-9@._:+~#/$!=*?&-]{1,200}$",
            "letters, digits and @ . _ : + ~ # / $ ! = * ? & - without spaces, for example channel/4711",
        ),
        min_length=1,
        max_length=200,
    ),
    ValueKind("message"),
]
#: A peer-to-peer file: magnet or ed2k link, IPFS address or info-hash (BEP 9, BEP 52). Its forms are those of `Url`.
PeerId = Annotated[str, _ADDRESS, ValueKind("peer")]
_REFERENCE = StringConstraints(
    pattern=in_words(
        r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,47}$", "letters, digits and . _ / - without spaces, for example 2026-0017"
    ),
    min_length=1,
    max_length=48,
)
#: A case number of another system or of an agency.
CaseReference = Annotated[str, _REFERENCE, ValueKind("reference")]
#: The sender's own reference for a referral, unique per sender.
ExternalRef = Annotated[str, _REFERENCE, ValueKind("reference")]

#: MD5 of the file (RFC 1321), lower-case hexadecimal.
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$", min_length=32, max_length=32), ValueKind("md5")]
#: SHA-1 of the file (FIPS 180-4), lower-case hexadecimal.
Sha1 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$", min_length=40, max_length=40), ValueKind("sha1")]
#: SHA-256 of the file (FIPS 180-4), lower-case hexadecimal.
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64), ValueKind("sha256")]
#: PDQ, 256 bits (Facebook ThreatExchange, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm").
Pdq = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64), ValueKind("pdq")]
#: PhotoDNA, base64 of exactly 144 bytes. Partly invertible (Athalye 2021): sealed part only, never in a log.
PhotoDna = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{192}$", min_length=192, max_length=192), ValueKind("photodna")
]
#: SHA-256 of a TMK+PDQF signature file. The file itself, about 256 KiB, could contain a picture and is never sent.
TmkPdqf = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64), ValueKind("tmk_pdqf")
]

#: An IPv4 or IPv6 address in canonical lower-case text (RFC 5952). The guard checks that a host can have it.
IpAddress = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f.:]{2,45}$", min_length=2, max_length=45), ValueKind("ip")
]
#: A transport port.
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
