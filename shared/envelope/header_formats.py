"""The one spelling of each header's value, as regular expressions: what `encode_headers` writes, and nothing else.

They leave open what only a value's meaning tells: whether the day exists, and whether a number is within its bounds.
No expression matches a line feed.
"""

from __future__ import annotations

from typing import Final

TEXT_CHARACTERS_MAX: Final = 256

#: A value that has no rule of its own: visible ASCII (RFC 5234 VCHAR).
TEXT: Final = f"[!-~]{{1,{TEXT_CHARACTERS_MAX}}}"

#: The name of a header that is covered and ignored: a later release's.
EXTENSION: Final = "ce_x[a-z0-9]{0,19}"

EXTENSION_CHARACTERS_MAX: Final = 8_192

#: Its value: there is room for a signature of a suite to come (ML-DSA-87 takes 6,170 characters).
EXTENSION_TEXT: Final = f"[!-~]{{1,{EXTENSION_CHARACTERS_MAX}}}"

#: Of one message so many, and so many characters of all their values: its record on Kafka, with a body of 64 KiB,
#: stays below 128 KiB.
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
