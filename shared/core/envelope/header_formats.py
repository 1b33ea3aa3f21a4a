"""The canonical text of each header's value as regular expressions, as `encode_headers` writes it.

They do not check the meaning of a value: whether the day exists, and whether a number is within its bounds. No
expression matches a line feed.
"""

from __future__ import annotations

from typing import Final

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
