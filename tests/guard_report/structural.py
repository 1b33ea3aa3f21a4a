"""Bodies that hide bytes in the structure of a request rather than in a field: each must be refused."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any

from tests.guard_report.attempts import as_bytes
from tests.guard_report.payloads import payloads
from tests.guard_report.positions import BASE


@dataclass(frozen=True)
class Request:
    body: bytes
    content_type: str | None = "application/json"
    encoding: str | None = None


def structural() -> dict[str, Request]:
    """Return requests by name, made of one small PNG and one thumbnail."""
    small, large = payloads()["png_solid"], payloads()["jpeg_thumbnail"]
    return _around(small, large) | _inside(small, large)


def _around(small: bytes, large: bytes) -> dict[str, Request]:
    """Yield bytes instead of the document, or before and after it."""
    plain = as_bytes(BASE)
    text = plain.decode()
    encoded = base64.b64encode(small).decode()
    return {
        "raw picture": Request(large),
        "raw picture under its own type": Request(large, "image/jpeg"),
        "multipart": Request(
            b"--x\r\nContent-Type: image/png\r\n\r\n" + small + b"\r\n--x--", "multipart/form-data; boundary=x"
        ),
        "form": Request(b"file=" + encoded.encode(), "application/x-www-form-urlencoded"),
        "no content type": Request(plain, None),
        "another content type": Request(plain, "application/json, image/png"),
        "compressed": Request(gzip.compress(plain), encoding="gzip"),
        "compressed without saying so": Request(gzip.compress(plain)),
        "bytes after the document": Request(plain + small),
        "text after the document": Request(plain + encoded.encode()),
        "second document": Request(plain + b"\n" + plain),
        "bytes before the document": Request(small + plain),
        "byte order mark": Request(b"\xef\xbb\xbf" + plain),
        "UTF-16": Request(text.encode("utf-16")),
        "latin-1 bytes in a string": Request(plain.replace(b"4711.jpg", b"\xe9" * 200)),
        "comment": Request(plain.replace(b"{", b"/*" + encoded.encode() + b"*/{", 1)),
    }


def _inside(small: bytes, large: bytes) -> dict[str, Request]:
    """Yield bytes in keys, numbers, white space, depth and unknown fields."""
    plain = as_bytes(BASE)
    encoded = base64.b64encode(small).decode()
    return {
        "repeated key": Request(
            plain.replace(b'"external_ref":', b'"external_ref":"' + encoded.encode()[:48] + b'","external_ref":')
        ),
        "unknown field": Request(as_bytes(BASE | {"thumbnail": encoded})),
        "unknown field in an item": Request(as_bytes(_item_with(thumbnail=encoded))),
        "payload as keys": Request(as_bytes(BASE | {encoded[at : at + 40]: 1 for at in range(0, len(encoded), 40)})),
        "list of numbers": Request(as_bytes(BASE | {"data": list(small)})),
        "list of numbers in a known field": Request(as_bytes(BASE | {"user_jurisdictions": list(small)})),
        "one large integer": Request(as_bytes(BASE | {"asn": int.from_bytes(small, "big")})),
        "large integer in a known field": Request(
            as_bytes(_item_with(hosting=[{"asn": int.from_bytes(small, "big")}]))
        ),
        "fraction": Request(plain.replace(b'"exercise":true', b'"exercise":1.00000000000000000137807113')),
        "exponent": Request(as_bytes(_item_with(hosting=[{"asn": 1}])).replace(b'"asn":1', b'"asn":1e0')),
        "not a number": Request(plain.replace(b'"exercise":true', b'"exercise":NaN')),
        "depth": Request(b'{"a":' * 400 + b"1" + b"}" * 400),
        "deep lists": Request(b'{"a":' + b"[" * 30_000 + b"]" * 1_000 + b"}"),
        "many values": Request(as_bytes(BASE | {"data": [0] * 2_000})),
        "white space": Request(
            plain.replace(
                b"{",
                b"{" + b"".join(b" \t"[int(bit) : int(bit) + 1] for byte in large[:900] for bit in f"{byte:08b}") * 5,
                1,
            )
        ),
        "long string": Request(as_bytes(BASE | {"external_ref": "a" * 5_000})),
        "large body": Request(as_bytes(BASE | {"data": "a" * 40_000})),
        "lone surrogates": Request(plain.replace(b"NL-2026-004711", b"\\ud800" * 20)),
        "escaped control characters": Request(plain.replace(b"NL-2026-004711", b"\\u0089PNG\\r\\n")),
    }


def _item_with(**members: Any) -> dict[str, Any]:
    return BASE | {"items": [BASE["items"][0] | members]}


assert json.loads(as_bytes(BASE)) == BASE
