"""Bodies of the protocol's own messages: outcomes, resync requests and holdings, from instance to instance.

Their headers are those of any message. Sender and recipient are the two instances, the subject is the message's own id,
and no part is sealed.
"""

from __future__ import annotations

from typing import Final

from shared.core.clock import Clock, coarse
from shared.core.contracts.registry import schema_uri
from shared.core.envelope.attributes import Attributes, Tier
from shared.core.envelope.headers import covered_headers
from shared.core.guard.edition import passed
from shared.core.ids import coarse_uuid7
from shared.messaging.composition import DraftBody
from shared.messaging.contract import ControlBody, encode_control
from shared.messaging.streams import CONTROL_ROLES, WireRole

#: The CloudEvents type of each message of the protocol.
CONTROL_TYPES: Final = {role: f"causeway.{role}.v1" for role in CONTROL_ROLES}
#: The role of a message by its CloudEvents type.
ROLE_BY_TYPE: Final = {type_text: role for role, type_text in CONTROL_TYPES.items()}


class ControlLetterWriter:
    """The writer of one instance's protocol messages (`composition.ControlLetters`)."""

    def __init__(self, instance: str, clock: Clock) -> None:
        self._instance = instance
        self._clock = clock

    def __call__(self, peer: str, role: WireRole, body: ControlBody) -> DraftBody:
        """Return the body of one message to a peer."""
        now = self._clock.now()
        message_id = coarse_uuid7(now)
        attributes = Attributes(
            id=message_id,
            type=CONTROL_TYPES[role],
            source=f"/instances/{self._instance}",
            time=coarse(now),
            subject=str(message_id),
            dataschema=schema_uri(f"{role}.v1"),
            sender=self._instance,
            recipient=peer,
            tier=Tier.HOSTED,
            exercise=False,
            guard=passed(),
        )
        return DraftBody(
            message_id=message_id,
            recipient=peer,
            origin=message_id,
            headers=covered_headers(attributes),
            clear=encode_control(role, body),
        )
