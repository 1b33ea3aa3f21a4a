"""A message's proof is shown as received, and its signature is checked again. The record's holder checks the rest."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from services.audit import use_cases
from services.audit.domain.proof import ProofView, SignatureStatus
from services.audit.domain.shown import Access, ScopeSet
from shared.envelope.base64url import from_base64url
from shared.envelope.content_proof import MessageProof
from shared.envelope.keys import VerifyKey
from shared.exchange.message import Record
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.messaging.placement import covered_bytes
from tests.services.audit.log import AUDITOR, PURPOSE, Log, identity
from tests.support.builders import AT, POLICE

LATER = AT + timedelta(days=1)


async def proven(log: Log, referral_id: UUID, record: Record, *scope: str) -> ProofView:
    within = ScopeSet(frozenset(scope), frozenset()) if scope else None
    look = Access(AUDITOR, Role.AUDITOR, True, PURPOSE, within)
    entry, proof = await use_cases.show_proof(
        referral_id, identity(record)[1], look, entries=log.entries, keys=log.reading.signing_keys
    )
    assert entry.digest == proof.digest
    return proof


async def test_a_proof_proves_its_record_to_an_outsider(log: Log) -> None:
    """The outsider needs only the key from the directory and the record's own bytes."""
    filed = log.world.prepared()
    for record in await log.file(filed):
        shown = await proven(log, filed.referral_id, record)
        path = tuple(map(bytes.fromhex, shown.path))
        signature, salt = from_base64url(shown.signature), from_base64url(shown.salt)
        told = MessageProof(shown.key_id, signature, shown.size, shown.position, path, salt)
        assert told == record.proof
        key = log.world.documents.directory.signing_key(shown.key_id)
        assert key is not None
        covered = covered_bytes(record.headers, record.value or b"")
        told.check(covered, VerifyKey(key.public))
        with pytest.raises(Refused, match=r"^signature_invalid"):
            told.check(covered + b" ", VerifyKey(key.public))
        assert shown.digest == identity(record)[1]
        assert (shown.signature_is, shown.signed_by) == (SignatureStatus.VALID, "hotline")
        assert (shown.topic, shown.partition, shown.offset) == (record.topic, record.partition, record.offset)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("leaf_position = (leaf_position + 1) % 16", SignatureStatus.INVALID),
        ("tree_size = tree_size + 1", SignatureStatus.INVALID),
        ("path = sha256(path) || path", SignatureStatus.INVALID),
        ("signature = sha512(signature)", SignatureStatus.INVALID),
        ("key_id = 'ed25519-of-nobody'", SignatureStatus.OF_NO_KEY),
    ],
)
async def test_a_proof_that_was_changed_in_the_table_is_seen_to_hold_no_more(
    change: str, expected: SignatureStatus, log: Log, audit_endpoint: DatabaseEndpoint
) -> None:
    filed = log.world.prepared()
    record = (await log.file(filed))[0]
    owner = await asyncpg.connect(audit_endpoint.owner_url)
    await owner.execute(f"UPDATE entry SET {change} WHERE digest = decode($1, 'hex')", identity(record)[1])
    await owner.close()
    assert (await proven(log, filed.referral_id, record)).signature_is is expected


async def test_a_key_that_was_revoked_since_signs_nothing_any_more(log: Log) -> None:
    filed = log.world.prepared()
    record = (await log.file(filed))[0]
    instances = tuple(
        each.model_copy(update={"keys": tuple(key.model_copy(update={"revoked_at": LATER}) for key in each.keys)})
        if each.id == "hotline"
        else each
        for each in log.world.document.instances
    )
    log.world.place(log.world.document.model_copy(update={"version": 2, "instances": instances}), LATER)
    shown = await proven(log, filed.referral_id, record)
    assert (shown.signature_is, shown.signed_by) == (SignatureStatus.OF_NO_KEY, None)


async def test_the_proof_of_another_s_pair_is_not_there(log: Log) -> None:
    """A proof under the id of no referral does not exist either. The proof of a pair in scope exists."""
    filed = log.world.prepared()
    records = {dict(each.headers)["ce_recipient"].decode(): each for each in await log.file(filed)}
    other = next(recipient for recipient in records if recipient not in (POLICE, "audit"))
    assert (await proven(log, filed.referral_id, records[POLICE], POLICE)).offset == records[POLICE].offset
    for referral_id, record in ((filed.referral_id, records[other]), (UUID(int=1), records[POLICE])):
        with pytest.raises(Refused, match=r"^not_found"):
            await proven(log, referral_id, record, POLICE)
