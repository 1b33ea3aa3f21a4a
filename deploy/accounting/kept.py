"""Delivery of a reconciliation to audit. Audit shows each auditor the part in their scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import asyncpg

from deploy.accounting.book import CONNECT_S_MAX
from deploy.accounting.differences import Difference, Reconciliation, Terms
from deploy.operator.documents import document_in_force
from deploy.site.endpoints import Endpoints
from deploy.site.kinds import AUDIT
from services.audit.domain.accounts import AccountDifference, Accounts, OriginAccount, PairAccount
from shared.kernel.errors import Unavailable
from shared.routing.shelf import read_directory
from shared.vocabulary.routing import PartyStatus

_KEEP = "INSERT INTO reconciliation (told) VALUES ($1::jsonb)"


async def keep(endpoints: Endpoints, found: Reconciliation, *, at: datetime) -> None:
    """Store the reconciliation at every audit instance of the site. Raises `Unavailable`."""
    text = accounts_of(found, exercises(endpoints.state or Path()), at=at).spelt().decode()
    for name in endpoints.databases:
        if endpoints.kind(name) == AUDIT:
            try:
                connection = await asyncpg.connect(endpoints.database(name).accountant_url, timeout=CONNECT_S_MAX)
                try:
                    # The role reads by default.
                    await connection.execute("SET default_transaction_read_only = off")
                    await connection.execute(_KEEP, text)
                finally:
                    await connection.close()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                raise Unavailable("database_unavailable") from None


def exercises(state: Path) -> Mapping[str, bool]:
    """Return for each party of the directory in force whether all its traffic is exercise."""
    directory = read_directory(document_in_force(state, "directory"))
    parties = (directory.party(each["id"]) for each in directory.document["parties"])
    return {each.id: each.status == PartyStatus.SANDBOX for each in parties if each is not None}


def accounts_of(found: Reconciliation, worlds: Mapping[str, bool], *, at: datetime) -> Accounts:
    """Return the accounts by party.

    `worlds`: whether all traffic of a party is exercise. A party that has left the directory counts as live.
    """
    return Accounts(
        compared_at=at,
        sealed_until=found.sealed_until,
        origins=tuple(_origin(each, worlds) for each in found.origins),
        pairs=tuple(_pair(each, worlds) for each in found.pairs),
        differences=tuple(_difference(each, worlds) for each in found.differences),
    )


def _origin(account: Terms, worlds: Mapping[str, bool]) -> OriginAccount:
    (party,) = account.parties
    terms = {name: count for name, count in account.terms.items() if name in OriginAccount.model_fields}
    return OriginAccount(party=party, exercise=worlds.get(party, False), **terms)


def _pair(account: Terms, worlds: Mapping[str, bool]) -> PairAccount:
    sender, recipient = account.parties
    exercise = worlds.get(sender, False)
    return PairAccount(sender=sender, recipient=recipient, exercise=exercise, sealed=account.sealed, **account.terms)


def _difference(each: Difference, worlds: Mapping[str, bool]) -> AccountDifference:
    known = next(_known(each.parties, worlds), None)
    return AccountDifference(
        equation=each.equation, what=each.what, where=each.where, parties=each.parties, exercise=known
    )


def _known(parties: Iterable[str], worlds: Mapping[str, bool]) -> Iterator[bool]:
    return (worlds[each] for each in parties if each in worlds)
