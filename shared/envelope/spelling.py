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

#: Of one message so many, and so many characters of all their values: what is kept of it and its record on Kafka,
#: with a body of 64 KiB, stay below 128 KiB.
EXTENSIONS_MAX: Final = 32
EXTENSIONS_CHARACTERS_MAX: Final = 16_384

#: What a sender writes of the epoch before where it does not know.
UNKNOWN: Final = "unknown"

_INSTANCES = "/instances/"
_UUID7 = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_NUMBER = "(?:0|[1-9][0-9]{0,15})"
#: The base64url of 96, 64 and 32 bytes. In a last character the bits that no byte fills are zero.
_OF_96, _OF_64, _OF_32 = "[A-Za-z0-9_-]{128}", "[A-Za-z0-9_-]{85}[AQgw]", "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"

SPELLINGS: Final = {
    "ce_epoch": _UUID7,
    "ce_exercise": "(?:true|false)",
    "ce_guard": "[0-9a-f]{32} (?:normal|released)",
    "ce_id": _UUID7,
    "ce_prevepoch": f"(?:{_UUID7}|{UNKNOWN})",
    "ce_prevlast": f"(?:{_NUMBER}|{UNKNOWN})",
    "ce_sequence": _NUMBER,
    "ce_source": f"{_INSTANCES}[A-Za-z0-9._~-]{{1,{TEXT_CHARACTERS_MAX - len(_INSTANCES)}}}",
    "ce_specversion": r"1\.0",
    "ce_tier": "(?:hosted|party)",
    "ce_time": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5]0Z",
    "content-type": "application/json",
    "ce_batchroot": "[0-9a-f]{64}",
    "ce_batchsig": _OF_64,
    "ce_batchindex": "(?:0|[1-9][0-9]{0,4})",
    "ce_batchsize": "[1-9][0-9]{0,4}",
    "ce_batchpath": f"(?:{_OF_96}){{0,5}}(?:{_OF_64}|{_OF_32})?",  # three hashes at a time, then the one or two left
}
