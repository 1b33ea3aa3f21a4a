"""The records of delivery itself, as the AsyncAPI document describes them: proofs, acknowledgements, outcomes, resync.

They are of no message's schema: `shared/messaging/contract.py`, `ack_record.py` and `placement.py` read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.envelope.attributes import CONTENT_TYPE
from shared.exchange.correspondents import Pair
from shared.exchange.topics import AUDIT
from shared.messaging.ack_record import ACK
from shared.messaging.placement import KIND, PROOF
from shared.runtime.delivery.control import CONTROL_TYPES

PROOF_RECORD: Final = "proof_record.v1"
ACKNOWLEDGEMENT: Final = "acknowledgement.v1"
#: The messages of the protocol, by the name of their CloudEvents type without `causeway.`.
CONTROL: Final = tuple(sorted(type_text.removeprefix("causeway.") for type_text in CONTROL_TYPES.values()))
_SAYS: Final = {
    "outcomes.v1": "The outcome of each message of one transaction that was not simply applied.",
    "resync.v1": "Asks a peer which subjects it holds, and states the exceptions that the asker has open.",
    "holdings.v1": "The answer: digests by day, then the rows of the days that differ.",
}


def list_records(pair: Pair) -> tuple[str, ...]:
    """Return the names of the records of delivery that a pair's topic may hold. Audit writes acknowledgements alone."""
    if pair.sender == AUDIT:
        return (ACKNOWLEDGEMENT,)
    return PROOF_RECORD, ACKNOWLEDGEMENT, *(() if pair.to == AUDIT else CONTROL)


def describe_records() -> dict[str, dict[str, object]]:
    """Return each record of delivery as a message of the AsyncAPI document."""
    return {
        PROOF_RECORD: _unnumbered(
            PROOF_RECORD,
            "Proves place and content of the records behind it: signed by the writer of the topic.",
            kind=PROOF,
            content_type="application/octet-stream",
            payload={"type": "string", "format": "binary"},
        ),
        ACKNOWLEDGEMENT: _unnumbered(
            ACKNOWLEDGEMENT,
            "States up to which number of each lane all messages were taken: signed by the writer of the topic.",
            kind=ACK,
            content_type="application/json",
            payload={"type": "object"},
        ),
        **{name: _control(name) for name in CONTROL},
    }


def _unnumbered(
    name: str, summary: str, *, kind: bytes, content_type: str, payload: Mapping[str, object]
) -> dict[str, object]:
    return {
        "name": name,
        "title": name,
        "summary": summary,
        "contentType": content_type,
        "headers": {"type": "object", "required": [KIND], "properties": {KIND: {"const": kind.decode()}}},
        "payload": dict(payload),
    }


def _control(name: str) -> dict[str, object]:
    return {
        "name": f"causeway.{name}",
        "title": name,
        "summary": _SAYS[name],
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {"type": "object"},
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
    }
