"""A message's proof is shown as received, and its signature is checked again. The record's holder checks the rest."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from uuid import UUID

import asyncpg
import pytest

from deploy.accounting.book import Difference, Reconciliation, SumTerms
from deploy.accounting.edges import OF_ORIGINS
from deploy.accounting.run import accounts_of
from deploy.accounting.streams import TERMS
from deploy.site.endpoints import DatabaseEndpoint
from services.audit import use_cases
from services.audit.domain.proof import ProofView, SignatureStatus
from services.audit.domain.shown import Access, Accounts, ScopeSet
from services.audit.store.entries import PostgresEntries
from shared.core.authority import Role
from shared.core.envelope.base64url import from_base64url
from shared.core.envelope.content_proof import MessageProof
from shared.core.envelope.keys import VerifyKey
from shared.core.errors import Refused
from shared.core.protocol.message import Record
from shared.messaging.placement import covered_bytes
from shared.platform.database.transactions import Database
from tests.services.audit.log import AUDITOR, PURPOSE, Log, identity
from tests.support.builders import AT, POLICE
from tests.support.running import rows_of

LATER = AT + timedelta(days=1)
#: Places in a packed proof: those of its first group.
KEY_ID_AT = 4
SIGNATURE_AT = KEY_ID_AT + len("ed25519-") + 32
SEED_AT = SIGNATURE_AT + 64
SIZE_AT = SEED_AT + 16


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
    ("byte", "expected"),
    [
        (KEY_ID_AT, SignatureStatus.OF_NO_KEY),
        (SIGNATURE_AT, SignatureStatus.INVALID),
        (SEED_AT, SignatureStatus.INVALID),
        (SIZE_AT, None),
    ],
)
async def test_a_proof_that_was_changed_in_the_table_is_seen_to_hold_no_more(
    byte: int, expected: SignatureStatus | None, log: Log, audit_endpoint: DatabaseEndpoint
) -> None:
    """Bytes that are no proof are not shown as one."""
    filed = log.world.prepared()
    record = (await log.file(filed))[0]
    query = f"""
    UPDATE content_proof SET packed = set_byte(packed, {byte}, 1 - sign(get_byte(packed, {byte}))::integer)
    WHERE proof_id = (SELECT proof_id FROM entry WHERE digest = decode($1, 'hex'))"""
    await rows_of(audit_endpoint.owner_url, query, identity(record)[1])
    if expected is not None:
        assert (await proven(log, filed.referral_id, record)).signature_is is expected
        return
    with pytest.raises(Refused, match=r"^not_found"):
        await proven(log, filed.referral_id, record)


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


# -- An auditor sees the findings of the operator's tool that are in scope. No role can change them.


COMPARED_AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
PARTIES = ("hotline.example", "police.example", "provider.example", "live.example")
WORLDS = {party: party != "live.example" for party in PARTIES}


def found() -> Reconciliation:
    """Return a message of each pair, and a difference of each pair, of each party and of no known party."""
    pairs = [pair for pair in combinations(PARTIES, 2) if len({WORLDS[each] for each in pair}) == 1]
    pairs.append(("live.example", "live.example"))
    differences = [Difference("II", "delivered, not in audit's log", f"of {pair}", pair) for pair in pairs]
    differences += [Difference("I", "submitted is not refused + accepted", each, (each,)) for each in PARTIES]
    differences.append(Difference("II", "taken by its recipient, lost to audit", "of instances", ("hotline", "audit")))
    return Reconciliation(
        {},
        {},
        {},
        differences=tuple(differences),
        origins=tuple(SumTerms((each,), dict.fromkeys(OF_ORIGINS, 7)) for each in PARTIES),
        pairs=tuple(SumTerms(pair, dict.fromkeys(TERMS, 3), sealed=2) for pair in pairs),
        sealed_until=date(2026, 5, 3),
    )


def look(*parties: str, exercise: bool = True) -> Access:
    scope = ScopeSet(frozenset(parties), frozenset()) if parties else None
    return Access(AUDITOR, Role.AUDITOR, exercise, PURPOSE, scope)


async def shown(database: Database, seen: Access, cursor: str | None = None) -> Accounts:
    page = await use_cases.show_accounts(seen, cursor=cursor, entries=PostgresEntries(database))
    assert page.accounts is not None
    return page.accounts


async def kept(endpoint: DatabaseEndpoint, accounts: Accounts) -> None:
    """Store the accounts as the operator's tool does."""
    connection = await asyncpg.connect(endpoint.accountant_url)
    await connection.execute("SET default_transaction_read_only = off")
    await connection.execute("INSERT INTO reconciliation (report) VALUES ($1::jsonb)", accounts.spelt().decode())
    await connection.close()


async def test_an_auditor_is_shown_its_scope_and_no_more(database: Database, audit_endpoint: DatabaseEndpoint) -> None:
    """Recounted for every set of parties.

    Without a scope, all of the auditor's own world and unnamed differences are shown.
    """
    everything = accounts_of(found(), WORLDS, at=COMPARED_AT)
    await kept(audit_endpoint, everything)
    for exercise in (True, False):
        for number in range(1, len(PARTIES) + 1):
            for scope in combinations(PARTIES, number):
                seen = await shown(database, look(*scope, exercise=exercise))
                assert Counter((each.sender, each.recipient) for each in seen.pairs) == Counter(
                    (each.sender, each.recipient)
                    for each in everything.pairs
                    if {each.sender, each.recipient} & set(scope) and WORLDS[each.sender] is exercise
                )
                assert {each.party for each in seen.origins} == {each for each in scope if WORLDS[each] is exercise}
                assert all(set(each.parties) & set(scope) for each in seen.differences)
                assert all(WORLDS[party] is exercise for each in seen.differences for party in each.parties)
                hidden = {party for party in PARTIES if WORLDS[party] is not exercise}
                assert not [party for party in hidden if party in seen.model_dump_json()]
        unscoped = await shown(database, look(exercise=exercise))
        assert {each.exercise for each in unscoped.pairs} == {exercise}
        assert "of instances" in {each.where for each in unscoped.differences}
    assert (unscoped.compared_at, unscoped.sealed_until) == (COMPARED_AT, date(2026, 5, 3))


async def test_the_newest_is_before_the_earlier_ones(database: Database, audit_endpoint: DatabaseEndpoint) -> None:
    for day in (1, 2):
        await kept(audit_endpoint, accounts_of(found(), WORLDS, at=COMPARED_AT.replace(day=day)))
    page = await PostgresEntries(database).accounts(None)
    assert page.accounts is not None
    assert page.accounts.compared_at.day == 2
    assert (await shown(database, look(), page.next)).compared_at.day == 1


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.AUDITOR])
async def test_nobody_but_an_auditor_with_a_purpose_is_shown_any(role: Role, database: Database) -> None:
    for seen, code in ((Access(AUDITOR, role, True, PURPOSE), "forbidden"), (look_for_nothing(), "purpose_missing")):
        with pytest.raises(Refused, match=f"^{code}"):
            await shown(database, seen)


def look_for_nothing() -> Access:
    return Access(AUDITOR, Role.AUDITOR, True, None)


async def test_the_service_adds_and_operators_change_none(database: Database, audit_endpoint: DatabaseEndpoint) -> None:
    await kept(audit_endpoint, accounts_of(found(), WORLDS, at=COMPARED_AT))
    for url, statements in (
        (audit_endpoint.service_url, ("INSERT INTO reconciliation (report) VALUES ('{}')",)),
        (audit_endpoint.service_url, ("UPDATE reconciliation SET report = '{}'", "DELETE FROM reconciliation")),
        (audit_endpoint.accountant_url, ("UPDATE reconciliation SET report = '{}'", "DELETE FROM reconciliation")),
    ):
        connection = await asyncpg.connect(url)
        await connection.execute("SET default_transaction_read_only = off")
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.close()
