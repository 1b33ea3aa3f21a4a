"""Headers of the first release, which nothing reads any more: known, so that a sender is told what is the matter.

It had no epoch and a relative data schema. Its covered headers are as now all that there are but the proof, so its
signature can still be judged; what it signed is refused as `format_superseded`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.envelope.attributes import BEFORE_EPOCHS, PROOF, SEQUENCE_MAX, Attributes, Tier, covered_head, malformed
from shared.envelope.spelling import SPELLINGS, TEXT
from shared.kernel.clock import parse_rfc3339
from shared.kernel.errors import Refused

_SCHEMAS: Final = "/schemas/"
_TEXT: Final = re.compile(TEXT)
_NAMES = (
    "ce_dataschema",
    "ce_exercise",
    "ce_id",
    "ce_keyid",
    "ce_recipient",
    "ce_sender",
    "ce_sequence",
    "ce_source",
    "ce_subject",
    "ce_tier",
    "ce_time",
    "ce_type",
)


def is_its_format(texts: Mapping[str, str]) -> bool:
    """Whether headers are those of the first release."""
    return "ce_epoch" not in texts and texts.get("ce_dataschema", "").startswith(_SCHEMAS)


def attributes(texts: Mapping[str, str]) -> Attributes:
    """What such headers say, `epoch` being `BEFORE_EPOCHS`: enough to judge the signature and to answer.

    They cannot be written again. Raises `Refused`: `header_missing`, `header_malformed`.
    """
    for name in _NAMES:
        if name not in texts:
            raise Refused("header_missing", field=name)
    covered = [(name, text) for name, text in texts.items() if name not in PROOF]
    for name, text in covered:
        if not _TEXT.fullmatch(text):
            raise Refused("header_malformed", "1 to 256 visible ASCII characters", field=name)
    made = object.__new__(Attributes)
    # Not through the constructor, which takes nothing that this release would not write.
    for name, value in _read(texts).items():
        object.__setattr__(made, name, value)
    object.__setattr__(made, "head", covered_head(covered))
    return made


def _read(texts: Mapping[str, str]) -> dict[str, object]:
    sequence = texts["ce_sequence"]
    if not re.fullmatch(SPELLINGS["ce_sequence"], sequence) or int(sequence) > SEQUENCE_MAX:
        raise malformed("ce_sequence")
    if not re.fullmatch(SPELLINGS["ce_id"], texts["ce_id"]):
        raise malformed("ce_id")
    if texts["ce_tier"] not in set(Tier):
        raise malformed("ce_tier")
    return {
        "id": UUID(texts["ce_id"]),
        "type": texts["ce_type"],
        "source": texts["ce_source"],
        "time": _time(texts["ce_time"]),
        "subject": texts["ce_subject"],
        "dataschema": texts["ce_dataschema"],
        "sender": texts["ce_sender"],
        "recipient": texts["ce_recipient"],
        "tier": Tier(texts["ce_tier"]),
        "key_id": texts["ce_keyid"],
        "sequence": int(sequence),
        "exercise": texts["ce_exercise"] == "true",
        "epoch": BEFORE_EPOCHS,
        "guard": "",
        "previous": None,
        "extensions": (),
        "texts": (),
        "further": (),
    }


def _time(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError):
        pass  # refused outside this block: the parser's own error quotes the text and must not ride along as context
    raise malformed("ce_time")
