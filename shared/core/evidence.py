"""Evidence of a received message: stored as it arrived, issued on request, verified offline.

The sender's signature covers the exact value, so the value is stored unchanged. It contains the sealed part, which only
the instance can open. It is still encrypted with the data key of the record, and is erased with that key.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.core.canonical import canonical_json, signed_statement
from shared.core.clock import rfc3339
from shared.core.contracts.base import read_versioned
from shared.core.contracts.evidence import Evidence, KeptEvidence
from shared.core.envelope.base64url import from_base64url, to_base64url
from shared.core.envelope.content_proof import MessageProof, leaf_digest
from shared.core.envelope.headers import decode_headers, is_signed
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Defect, Refused
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.message import Record
from shared.core.protocol.sender_verification import signing_key, verify_sender
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.proofs import NotProven, Proven

#: Precedes the signed bytes, so that no other statement of the same key matches.
CONTEXT: Final = "causeway-evidence/v1"
#: The lists of proven and unproven claims in evidence of version 1, in this order. Stored evidence contains them.
PROVEN: Final = (Proven.SENDER_SIGNED,)
NOT_PROVEN: Final = (NotProven.ARRIVAL, NotProven.ACT_OF_THE_PARTY, NotProven.SEEN, NotProven.RECORD_SHOWN)


@dataclass(frozen=True, slots=True)
class Witness:
    """Issues signed statements for one instance about its stored messages."""

    instance: str
    key: SigningKey

    def state(self, record: Record, *, party: str, at: datetime) -> Evidence:
        """Return the evidence of a record that `accept` has accepted, for the party that received it."""
        value = record.value or b""
        headers = [(name, text) for name, text in record.headers if text is not None and is_signed(name)]
        envelope = decode_headers(headers, value)
        proof = record.proof
        if envelope.attributes.recipient != party or proof is None:
            raise Defect("evidence_of_another")
        stated: dict[str, object] = {
            "topic": record.topic,
            "broker_time": rfc3339(record.broker_time),
            "instance": self.instance,
            "party": party,
            "message_digest": leaf_digest(record.salt, envelope.attributes.head.encode() + value).hex(),
            "stated_at": rfc3339(at),
            "proven": [each.value for each in PROVEN],
            "not_proven": [each.value for each in NOT_PROVEN],
        }
        signed = stated | {
            "key_id": self.key.key_id,
            "signature": to_base64url(self.key.sign(signed_statement(CONTEXT, stated))),
        }
        return Evidence.model_validate_json(
            canonical_json(
                {
                    "headers": [(name, text.decode()) for name, text in headers],
                    "value": b64encode(value).decode(),
                    "salt": record.salt.hex(),
                    "proof": proof.members(),
                    "statement": signed,
                }
            )
        )


def read_evidence(text: bytes) -> KeptEvidence:
    """Parse evidence from JSON text. Raises `Refused`: `evidence_malformed` or `proof_of_later_release`."""
    return read_versioned(KeptEvidence, text, Refused("evidence_malformed", "not evidence of a received message"))


def check_evidence(evidence: Evidence, directory: DirectoryIndex) -> None:
    """Check the sender's proof, and that the instance's own statement is about this message.

    Both keys must be valid in this directory: the sender's at the stated time of arrival, the instance's at the time of
    the statement. Their instances serve sender and recipient, or served them until these moved. Success proves only the
    claims in `statement.proven`. Raises `Refused`: the codes of `decode_headers` and `verify_sender`,
    `value_malformed`, `key_unknown`, `statement_mismatch`, `statement_key_unknown`, `signature_invalid`.
    """
    value, statement = _value(evidence.value), evidence.statement
    envelope = decode_headers([(name, text.encode()) for name, text in evidence.headers], value)
    attributes = envelope.attributes
    sender = attributes.source.removeprefix("/instances/")
    verify_sender(attributes, directory, writer=sender, in_force=directory)
    key = signing_key(sender, evidence.proof.key_id, directory, at=statement.broker_time, in_force=directory)
    if key is None:
        raise Refused("key_unknown", "no key of the sender's instance for that time", field="/proof/key_id")
    proof, covered = MessageProof.read(evidence.proof, evidence.salt), attributes.head.encode() + value
    proof.check(covered, key)
    if statement.instance not in directory.places_of(statement.party) or statement.stated_at < statement.broker_time:
        raise Refused(
            "statement_mismatch", "the instance never served the party, or the time is too early", field="/statement"
        )
    if statement.topic != inbox_topic(statement.instance, sender):
        raise Refused("statement_mismatch", "the topic is not the one of this sender", field="/statement/topic")
    if (statement.proven, statement.not_proven) != (PROVEN, NOT_PROVEN):
        raise Refused("statement_mismatch", "the claims differ from version 1", field="/statement/proven")
    if (attributes.recipient, leaf_digest(proof.salt, covered).hex()) != (statement.party, statement.message_digest):
        raise Refused("statement_mismatch", "the statement is about another message", field="/statement")
    stated_by = signing_key(statement.instance, statement.key_id, directory, at=statement.stated_at, in_force=directory)
    if stated_by is None:
        raise Refused("statement_key_unknown", "no key of that instance for that time", field="/statement/key_id")
    said = statement.model_dump(mode="json", exclude={"key_id", "signature"})
    stated_by.verify(from_base64url(statement.signature), signed_statement(CONTEXT, said))


def _value(text: str) -> bytes:
    """Decode base64 text. Only the canonical encoding is valid; another one would allow unnoticed changes."""
    try:
        value = b64decode(text, validate=True)
    except ValueError:
        raise Refused("value_malformed", "not base64", field="/value") from None
    if b64encode(value).decode() != text:
        raise Refused("value_malformed", "not in canonical base64", field="/value")
    return value
