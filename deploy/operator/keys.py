"""API keys of parties, which the operator hands out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from deploy.operator.documents import document_in_force
from deploy.site.installation import Installation
from deploy.site.open import Site
from shared.kernel.authority import Role, Scope
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.routing.shelf import read_directory
from shared.runtime.console.people import Person, require_actor, role_of
from shared.runtime.database.transactions import Database
from shared.runtime.http.identity import issue_key, keep_key, revoke_key
from shared.vocabulary.routing import PartyKind, PartyStatus

#: What people and machines of auditors may be, and of all other parties.
_AUDITING: Final = frozenset({Role.AUDITOR, Role.VIEWER})
_ACTING: Final = frozenset({Role.ANALYST, Role.MACHINE, Role.VIEWER})

_HELD = "SELECT key_hash FROM api_key WHERE party = $1 AND revoked_at IS NULL"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A party's new API key, shown once; `key_id` names it without opening anything."""

    party: str
    role: str
    url: str
    key: str
    key_id: str

    def __repr__(self) -> str:
        return f"IssuedKey({self.party}, {self.key_id})"


async def issue(
    site: Site, party: str, *, role: Role | None = None, scope: Scope | None = None, person: str | None = None
) -> IssuedKey:
    """Let a new key act for `party`: as a machine if no role is named, an auditor's as auditor.

    A key of a `person`, by their opaque name, acts as what they are in the console, and ends with them.

    Raises `Refused`: `party_unknown` for a party that the directory in force does not have, `person_malformed`,
    `person_unknown` for one who may do nothing, `role_not_of_party`, `scope_of_auditors`.
    """
    if person is not None:
        require_actor(person)
    entry = party_of(site, party)
    role = role_at(entry, role, usual=Role.MACHINE)
    # Looked up first: a key that is kept and then not shown would be a live one that nobody knows.
    address = site.endpoints.address(entry.instance)
    text, hashed = issue_key(live=entry.status == PartyStatus.LIVE)
    async with transaction_at(site, entry) as driver:
        if person is not None:
            role = await role_of(driver, Person(entry.id, person))
        await keep_key(driver, hashed, entry.id, role=role, scope=scope, person=person)
    return IssuedKey(entry.id, role.value, address, text, key_id(hashed))


async def revoke(site: Site, party: str, *, keep: str | None, at: datetime) -> list[str]:
    """End the keys of `party`, but for the one with the id `keep`; the ids of those that ended.

    Raises `Refused("key_unknown")` if the party holds no key `keep`: then nothing has ended.
    """
    entry = party_of(site, party)
    async with transaction_at(site, entry) as driver:
        held = {key_id(row["key_hash"]): row["key_hash"] for row in await driver.fetch(_HELD, entry.id)}
        if keep is not None and keep not in held:
            raise Refused("key_unknown", "the party holds no such key", field="/keep")
        ending = {name: hashed for name, hashed in held.items() if name != keep}
        for hashed in ending.values():
            await revoke_key(driver, hashed, at)
    return sorted(ending)


def sample_key(site: Site, party: str) -> tuple[str, str]:
    """Address and API key of a sample party, as `parties.json` of the state directory has them."""
    entries: list[dict[str, Any]] = json.loads(Installation(site.state).parties_file.read_text(encoding="utf-8"))
    for entry in entries:
        if entry["party"] == party:
            return entry["url"], entry["key"]
    raise Refused("party_unknown", "no sample party has this name", status=400)


def key_id(hashed: bytes) -> str:
    """The first 16 hexadecimal digits of an API key's hash: enough to name it, useless for acting."""
    return hashed.hex()[:16]


def directory_of(site: Site) -> DirectoryIndex:
    """The directory in force."""
    return read_directory(document_in_force(site.state, "directory"))


def role_at(entry: PartyEntry, role: Role | None, *, usual: Role) -> Role:
    """The role that is asked for at a party, an auditor's own or the `usual` one if none is.

    Raises `Refused("role_not_of_party")`: the services of other parties open nothing to auditors, nor audit to others.
    """
    auditing = entry.kind == PartyKind.AUDITOR
    taken = role or (Role.AUDITOR if auditing else usual)
    if taken not in (_AUDITING if auditing else _ACTING):
        raise Refused("role_not_of_party", field="--role", status=400)
    return taken


def party_of(site: Site, party: str) -> PartyEntry:
    """A party of the directory in force. Raises `Refused("party_unknown")`."""
    entry = directory_of(site).party(party)
    if entry is None:
        raise Refused("party_unknown", "the directory has no such party", status=400)
    return entry


@asynccontextmanager
async def transaction_at(site: Site, entry: PartyEntry) -> AsyncIterator[asyncpg.Connection]:
    """A transaction in the database of the instance that serves a party."""
    database = Database(site.endpoints.database(entry.instance).service_url, pool_size=1)
    try:
        async with database.transaction() as session:
            yield session.driver
    finally:
        await database.close()
