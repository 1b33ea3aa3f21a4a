"""`causeway audit`: reconcile until two readings agree, store the result, and show audit's reading state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
from cyclopts import App, Parameter
from pydantic_core import from_json
from rich.console import Console
from rich.table import Table

from deploy.accounting import views
from deploy.accounting.book import CONNECT_S_MAX, Difference, Reconciliation, open_snapshot
from deploy.accounting.books import compare_all
from deploy.accounting.edges import SealedDays, read_sealed, write_sealed
from deploy.operator.documents import document_in_force
from deploy.site.endpoints import Endpoints
from deploy.site.open import site
from deploy.site.options import OPTIONS, Listing, Options, Output, verb
from deploy.site.settings import AUDIT
from services.audit.domain.shown import (
    AcceptedDifference,
    AccountDifference,
    Accounts,
    OriginAccount,
    PairAccount,
)
from services.audit.store.entries import STATES
from shared.core.clock import SystemClock, rfc3339
from shared.core.errors import Refused, Unavailable
from shared.core.routing.documents import read_directory
from shared.core.vocabulary.routing import PartyStatus


async def reconciled(endpoints: Endpoints, *, everything: bool = False, pause_s: float = 1.0) -> Reconciliation:
    """Reconcile. A difference counts only if a second reading, `pause_s` later, shows the same one.

    The sealed part is read only with `everything`: then all seals must still hold. If nothing differs, the settled part
    is sealed.
    """
    sealed = read_sealed(endpoints.state) if endpoints.state else SealedDays()
    begun, before = (SealedDays(), sealed) if everything else (sealed, SealedDays())
    found = await compare_all(endpoints, begun, before=before)
    if found.result.differences:
        await asyncio.sleep(pause_s)
        second = await compare_all(endpoints, begun, before=before)
        lasting = set(found.result.differences) & set(second.result.differences)
        second.result = replace(second.result, differences=tuple(sorted(lasting)))
        found = second
    known = frozenset(map(_difference, await _accepted(endpoints)))
    found.result = replace(found.result, accepted=known & set(found.result.differences))
    if not found.result.open:
        sealed = found.sealed
        if endpoints.state is not None:
            write_sealed(endpoints.state, sealed)
    counts = sealed.counts()
    pairs = tuple(each._replace(sealed=counts[each.parties]) for each in found.result.pairs)
    return replace(found.result, pairs=pairs, sealed_until=sealed.until)


async def keep(endpoints: Endpoints, found: Reconciliation, *, at: datetime) -> None:
    """Store the reconciliation at every audit instance, which shows each auditor the part in their scope.

    Raises `Unavailable`.
    """
    directory = read_directory(document_in_force(endpoints.state or Path(), "directory"))
    parties = (directory.party(each["id"]) for each in directory.document["parties"])
    worlds = {each.id: each.status == PartyStatus.SANDBOX for each in parties if each is not None}
    accounts = accounts_of(found, worlds, at=at)
    await _store(endpoints, accounts.model_copy(update={"accepted": await _listed_as_accepted(endpoints)}))


async def accept_difference(
    endpoints: Endpoints, equation: str, where: str, *, by: str, reason: str, at: datetime
) -> tuple[AcceptedDifference, ...]:
    """Note at every audit instance that a person accepts the differences of the last reconciliation at a place.

    They are closed with the second person. Raises `Refused`: `difference_unknown` for none such; `person_repeated` for
    one that this person accepted before. Raises `Unavailable`.
    """
    last = await _last(endpoints)
    found = [each for each in (last.differences if last else ()) if (each.equation, each.where) == (equation, where)]
    if last is None or not found:
        raise Refused("difference_unknown", field="where")
    before = {_difference(each): each for each in last.accepted}
    noted = {}
    for each in found:
        persons = before[_difference(each)].accepted_by if _difference(each) in before else ()
        if by in persons:
            raise Refused("person_repeated", field="by")
        stated = {"reason": reason, "accepted_by": (*persons, by), "accepted_at": at}
        noted[_difference(each)] = AcceptedDifference(**(each.model_dump() | stated))
    closed = {key for key, each in noted.items() if len(each.accepted_by) > 1}
    is_open = [each for each in last.differences if _difference(each) not in closed]
    changed = {"differences": tuple(is_open), "accepted": tuple((before | noted).values())}
    await _store(endpoints, last.model_copy(update=changed))
    return tuple(noted.values())


async def _last(endpoints: Endpoints) -> Accounts | None:
    """Return the last reconciliation that an audit instance has."""
    found = []
    for url in _audits(endpoints):
        async with open_snapshot(url, kind=AUDIT) as book:
            found += [Accounts.model_validate(from_json(report)) for (report,) in await book.fetch(views.LAST_REPORT)]
    return max(found, key=lambda each: each.compared_at, default=None)


async def _listed_as_accepted(endpoints: Endpoints) -> tuple[AcceptedDifference, ...]:
    last = await _last(endpoints)
    return last.accepted if last else ()


async def _accepted(endpoints: Endpoints) -> list[AcceptedDifference]:
    """Return the differences that two persons have accepted."""
    return [each for each in await _listed_as_accepted(endpoints) if len(each.accepted_by) > 1]


def _difference(each: AccountDifference) -> Difference:
    return Difference(each.equation, each.what, each.where, each.parties)


async def _store(endpoints: Endpoints, accounts: Accounts) -> None:
    text = accounts.spelt().decode()
    for url in _audits(endpoints):
        try:
            connection = await asyncpg.connect(url, timeout=CONNECT_S_MAX)
            try:
                # The role reads by default.
                await connection.execute("SET default_transaction_read_only = off")
                await connection.execute("INSERT INTO reconciliation (report) VALUES ($1::jsonb)", text)
            finally:
                await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            raise Unavailable("database_unavailable") from None


def accounts_of(found: Reconciliation, worlds: Mapping[str, bool], *, at: datetime) -> Accounts:
    """Return the accounts by party.

    `worlds`: whether all traffic of a party is exercise. A party that has left the directory counts as live.
    """
    fields = OriginAccount.model_fields
    return Accounts(
        compared_at=at,
        sealed_until=found.sealed_until,
        origins=tuple(
            OriginAccount(
                party=party, exercise=worlds.get(party, False), **{n: c for n, c in terms.items() if n in fields}
            )
            for (party,), terms, _ in found.origins
        ),
        pairs=tuple(
            PairAccount(sender=sender, recipient=recipient, exercise=worlds.get(sender, False), sealed=sealed, **terms)
            for (sender, recipient), terms, sealed in found.pairs
        ),
        differences=tuple(
            AccountDifference(
                **asdict(each), exercise=next((worlds[party] for party in each.parties if party in worlds), None)
            )
            for each in found.open
        ),
    )


async def topic_states(endpoints: Endpoints) -> list[dict[str, object]]:
    """Return audit's reading state of every partition, those with a problem first. Raises `Unavailable`."""
    found: list[dict[str, object]] = []
    for url in _audits(endpoints):
        async with open_snapshot(url, kind=AUDIT) as book:
            rows = [dict(row) for row in await book.fetch(STATES)]
        columns = ("topic", "partition", "state", "since", "next_offset", "losses", "missing_count")
        rows = [row | {"since": rfc3339(row["since"]), "next_offset": row["next_offset"] or 0} for row in rows]
        found += [{name: row[name] for name in columns} for row in rows]
    return found


def _audits(endpoints: Endpoints) -> list[str]:
    """Return the databases of audit, as its accountant opens them."""
    audits = [name for name in endpoints.databases if endpoints.kind(name) == AUDIT]
    return [endpoints.database(name).accountant_url for name in audits]


audit_app = App(name="audit", help="Check the exchange from outside.")
_DIFFERENCES_SHOWN_MAX: Final = 20
_TOPIC: Final = ("topic", "partition", "state", "since", "next offset", "losses", "missing")


@verb(audit_app)
async def reconcile(
    *, everything: Annotated[bool, Parameter(name="--all", negative="")] = False, options: Options = OPTIONS
) -> Output:
    """Compare the accounts of writers, recipients and audit with Kafka; exit code 1 if they differ.

    Each database is read as its accountant. Messages in transit are counted as in flight. A difference counts only if a
    second reading confirms it. Those that two persons have accepted are listed apart. Settled messages that are a day
    old are sealed, and not read again. Audit's console shows the result to auditors, within their scope.

    Parameters
    ----------
    everything
        Read the sealed messages too, and compare them with their seals.
    """
    endpoints = site(options).endpoints
    found = await reconciled(endpoints, everything=everything)
    await keep(endpoints, found, at=SystemClock().now())
    accounts = found.as_json()
    if not options.json:
        print_accounts(Console(), accounts)
    return Output(accounts, well=not accounts["differences"])


@verb(audit_app)
async def accept(equation: str, where: str, /, *, by: str, reason: str, options: Options = OPTIONS) -> Output:
    """Accept the differences of the last reconciliation at one place: known, and closed once two persons accept them.

    Audit stores both persons and the reason, and shows them. A difference that changes is open again.

    Parameters
    ----------
    equation
        The equation, as `reconcile` prints it.
    where
        The place, as `reconcile` prints it.
    by
        Your name, stored with the difference. The second person needs another.
    reason
        Why the difference is known, at most 400 characters.
    """
    at = SystemClock().now()
    found = await accept_difference(site(options).endpoints, equation, where, by=by, reason=reason, at=at)
    lines = [f"{each.equation}: {each.what}: accepted by {', '.join(each.accepted_by)}" for each in found]
    return Output({"accepted": [each.model_dump(mode="json") for each in found]}, lines)


@verb(audit_app)
async def topics(*, options: Options = OPTIONS) -> Output:
    """Show audit's state of each partition: reading, gap, truncated, forbidden, new.

    Exit code 1 if one is not read.
    """
    states = await topic_states(site(options).endpoints)
    table = Listing(_TOPIC, [tuple(each.values()) for each in states])
    return Output(states, [table], well=all(each["state"] == "reading" for each in states))


def print_accounts(console: Console, accounts: dict[str, Any]) -> None:
    """Print a reconciliation (`Reconciliation.as_json`): the equations, then the differences."""
    table = Table(title="Reconciliation", title_justify="left")
    for column in ("equation", "terms", "difference"):
        table.add_column(column)
    for name in ("I", "II", "III", "IV"):
        terms = {key: value for key, value in accounts[name].items() if key != "difference"}
        listed = ", ".join(f"{key} {value}" for key, value in terms.items())
        table.add_row(name, listed, str(accounts[name]["difference"]))
    console.print(table)
    for note in accounts["notes"]:
        console.print(f"  note: {note}", soft_wrap=True)
    for each in accounts["differences"][:_DIFFERENCES_SHOWN_MAX]:
        console.print(f"  {each['equation']}: {each['what']}: {each['where']}", soft_wrap=True)
    for each in accounts["accepted"]:
        console.print(f"  accepted: {each['equation']}: {each['what']}: {each['where']}", soft_wrap=True)
    if (more := len(accounts["differences"]) - _DIFFERENCES_SHOWN_MAX) > 0:
        console.print(f"  and {more} more: --json lists them all")
