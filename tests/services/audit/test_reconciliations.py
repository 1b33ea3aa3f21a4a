"""An auditor sees the findings of the operator's tool that are in scope. No role can change them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from itertools import combinations

import asyncpg
import pytest

from deploy.accounting.book import LedgerDiff, Reconciliation, SumTerms
from deploy.accounting.edges import OF_ORIGINS
from deploy.accounting.run import accounts_of
from deploy.accounting.streams import TERMS
from deploy.site.endpoints import DatabaseEndpoint
from services.audit import use_cases
from services.audit.domain.shown import Access, Accounts, ScopeSet
from services.audit.store.entries import PostgresEntries
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.runtime.database.transactions import Database
from tests.services.audit.log import AUDITOR, PURPOSE

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
PARTIES = ("hotline.example", "police.example", "provider.example", "live.example")
WORLDS = {party: party != "live.example" for party in PARTIES}


def found() -> Reconciliation:
    """Return a message of each pair, and a difference of each pair, of each party and of no known party."""
    pairs = [pair for pair in combinations(PARTIES, 2) if len({WORLDS[each] for each in pair}) == 1]
    pairs.append(("live.example", "live.example"))
    differences = [LedgerDiff("II", "delivered, not in audit's log", f"of {pair}", pair) for pair in pairs]
    differences += [LedgerDiff("I", "submitted is not refused + accepted", each, (each,)) for each in PARTIES]
    differences.append(LedgerDiff("II", "taken by its recipient, lost to audit", "of instances", ("hotline", "audit")))
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
    await connection.execute("INSERT INTO reconciliation (told) VALUES ($1::jsonb)", accounts.spelt().decode())
    await connection.close()


async def test_an_auditor_is_shown_what_names_a_party_in_scope_and_nothing_else(
    database: Database, audit_endpoint: DatabaseEndpoint
) -> None:
    """Recounted for every set of parties.

    Without a scope, all of the auditor's own world and unnamed differences are shown.
    """
    everything = accounts_of(found(), WORLDS, at=AT)
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
    assert (unscoped.compared_at, unscoped.sealed_until) == (AT, date(2026, 5, 3))


async def test_the_newest_is_shown_first_and_the_ones_before_it_behind_it(
    database: Database, audit_endpoint: DatabaseEndpoint
) -> None:
    for day in (1, 2):
        await kept(audit_endpoint, accounts_of(found(), WORLDS, at=AT.replace(day=day)))
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


async def test_the_service_adds_none_and_the_operator_changes_none(
    database: Database, audit_endpoint: DatabaseEndpoint
) -> None:
    await kept(audit_endpoint, accounts_of(found(), WORLDS, at=AT))
    for url, statements in (
        (audit_endpoint.service_url, ("INSERT INTO reconciliation (told) VALUES ('{}')",)),
        (audit_endpoint.service_url, ("UPDATE reconciliation SET told = '{}'", "DELETE FROM reconciliation")),
        (audit_endpoint.accountant_url, ("UPDATE reconciliation SET told = '{}'", "DELETE FROM reconciliation")),
    ):
        connection = await asyncpg.connect(url)
        await connection.execute("SET default_transaction_read_only = off")
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.close()
