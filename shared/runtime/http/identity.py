"""Who asks: API keys, and what the directory says of the party that a key belongs to.

Only a key's SHA-256 is stored: it is 256 random bits, so a plain hash cannot be searched.
Trust: whoever can write the table `api_key` can act as any party of this instance, towards this instance.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import asyncpg
from starlette.requests import Request

from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.authority import Role, Scope
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database
from shared.runtime.http.budgets import Budgets
from shared.runtime.http.parameters import refuse_unknown
from shared.runtime.http.scope import columns_of, scope_of
from shared.runtime.http.strangers import Strangers
from shared.vocabulary.routing import PartyStatus

#: How long a revoked key may still be believed.
CACHE_S: Final = 5.0
CACHED_KEYS_MAX: Final = 20_000
#: How long a key that nobody has is not asked about again. One issued meanwhile opens that much later.
UNKNOWN_S: Final = 1.0
UNKNOWN_KEYS_MAX: Final = 10_000

#: Roles that a key can be issued for; `service` is the instance itself and has none.
KEY_ROLES: Final = frozenset(Role) - {Role.SERVICE}

_BEARER = re.compile(r"Bearer (cw_(?:test|live)_[A-Za-z0-9_-]{43})", re.IGNORECASE)
_KEEP = """
INSERT INTO api_key (key_hash, party, role, scope_jurisdictions, scope_parties, person)
VALUES ($1, $2, $3, $4, $5, $6)
"""
# The journal of erasures names it by the first half of its hash.
_REVOKE = """
WITH ended AS (UPDATE api_key SET revoked_at = $2 WHERE key_hash = $1 AND revoked_at IS NULL RETURNING key_hash, party)
INSERT INTO ending (kind, subject, party)
SELECT 'api_key', encode(substring(key_hash FROM 1 FOR 16), 'hex')::uuid, party FROM ended ON CONFLICT DO NOTHING
"""
#: What the journal of erasures calls a key that was revoked, and how it ends once more in a restored database.
REVOKED: Final = "api_key"
REVOKE_AGAIN: Final = """
UPDATE api_key AS k SET revoked_at = now() FROM unnest($1::uuid[], $2::text[]) AS e (subject, party)
WHERE substring(k.key_hash FROM 1 FOR 16) = uuid_send(e.subject) AND k.party = e.party AND k.revoked_at IS NULL
"""
_LOOK_UP = """
SELECT k.party, coalesce(p.role, k.role) AS role, k.person,
       CASE WHEN k.person IS NULL THEN k.scope_jurisdictions ELSE p.scope_jurisdictions END AS scope_jurisdictions,
       CASE WHEN k.person IS NULL THEN k.scope_parties ELSE p.scope_parties END AS scope_parties
FROM api_key AS k LEFT JOIN console_person AS p ON p.party = k.party AND p.actor = k.person AND p.ended_at IS NULL
WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND (k.person IS NULL OR p.actor IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """The party that asks, the role it asks in, its kind, and whether all it does is exercise.

    `actor` is opaque: it tells one person, or one API key, from another. `scope` is an auditor's; None: everything.
    """

    party: str
    role: Role
    kind: str
    exercise: bool
    actor: str
    scope: Scope | None = None


class KnownKey(NamedTuple):
    """What a key is for, and whose it is, where it is a person's."""

    party: str
    role: Role
    scope: Scope | None
    person: str | None


def issue_key(*, live: bool) -> tuple[str, bytes]:
    """A new API key and the hash to keep of it. The key itself is shown once and kept nowhere."""
    text = f"cw_{'live' if live else 'test'}_{secrets.token_urlsafe(32)}"
    return text, key_hash(text)


async def keep_key(
    driver: asyncpg.Connection,
    hashed: bytes,
    party: str,
    *,
    role: Role,
    scope: Scope | None = None,
    person: str | None = None,
) -> None:
    """Let the key with this hash act for `party` as `role`. Raises `Refused` for the role of the instance itself.

    A key of a `person`, by the opaque name that the console has for them, acts as what they are, in their name.
    """
    if role not in KEY_ROLES:
        raise Refused("role_has_no_key", "the role is the instance's own")
    await driver.execute(_KEEP, hashed, party, role.value, *columns_of(scope, role), person)


async def revoke_key(driver: asyncpg.Connection, hashed: bytes, at: datetime) -> None:
    """End the key with this hash; it may be believed for `CACHE_S` more. A revoked key stays revoked.

    Also in a restored database, once the running instance has it in the journal of erasures.
    """
    await driver.execute(_REVOKE, hashed, at)


def key_hash(text: str) -> bytes:
    """What is stored of an API key, 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


class ApiKeys:
    """Resolves `Authorization: Bearer` headers. An answer is believed for `CACHE_S`."""

    def __init__(
        self,
        database: Database,
        *,
        instance: str,
        directory: Callable[[], DirectoryIndex],
        clock: Clock,
        kek: KeyEncryptionKey,
    ) -> None:
        """`instance` is who asks: it answers for the parties that the directory has it serve, and for no others."""
        self._instance = instance
        self._database = database
        self._directory = directory
        self._clock = clock
        self._kek = kek
        self._cache: dict[bytes, tuple[datetime, KnownKey]] = {}
        self._unknown: dict[bytes, datetime] = {}
        self._strangers = Strangers()
        #: Whether people of a party are told one from another by its provider: then they hold keys by name.
        self.by_name: Callable[[str], bool] = lambda _: False
        self._asking: dict[bytes, asyncio.Task[KnownKey | None]] = {}

    async def identify(self, authorization: str | None) -> Identity:
        """Who sent this header.

        Raises `Refused`: `unauthenticated` (401) alike for no key, a malformed, unknown or revoked one, and one of a
        party that is gone, is served elsewhere now, or is of the wrong world (`cw_test_` acts for sandbox parties only,
        `cw_live_` for live ones).
        Raises `Unavailable` for a key not seen before while too many such keys wait to be looked up.
        """
        match = _BEARER.fullmatch(authorization or "")
        known = await self._holder(match[1]) if match is not None else None
        if match is None or known is None:
            raise unauthenticated()
        party = self._directory().party(known.party)
        status = PartyStatus.SANDBOX if match[1].startswith("cw_test_") else PartyStatus.LIVE
        if party is None or party.instance != self._instance or party.status != status:
            raise unauthenticated()
        exercise, role = status is PartyStatus.SANDBOX, known.role
        if known.person is None and role is Role.ANALYST and self.by_name(party.id):
            # Where people are known by name to their provider, a key that is nobody's is no second person.
            role = Role.MACHINE
        whose = key_hash(match[1]) if known.person is None else bytes.fromhex(known.person)
        actor = self._kek.actor_id(party.id, whose)
        return Identity(party.id, role, party.kind, exercise=exercise, actor=actor, scope=known.scope)

    async def _holder(self, text: str) -> KnownKey | None:
        hashed, now = key_hash(text), self._clock.now()
        known = self._cache.get(hashed)
        if known is not None and now < known[0]:
            return known[1]
        if now < self._unknown.get(hashed, now):
            return None
        # Many requests of one party find its entry outdated at once: one of them asks, all take the answer.
        task = self._asking.get(hashed)
        if task is None:
            # A key that was good a moment ago does not wait behind those that somebody makes up.
            look_up = (
                self._look_up(hashed) if known is not None else self._strangers.look_up(partial(self._look_up, hashed))
            )
            task = self._asking[hashed] = asyncio.create_task(look_up)
            task.add_done_callback(lambda done: self._asked(hashed, done))
        return await asyncio.shield(task)

    def _asked(self, hashed: bytes, task: asyncio.Task[KnownKey | None]) -> None:
        del self._asking[hashed]
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as lost when all who waited are gone

    async def _look_up(self, hashed: bytes) -> KnownKey | None:
        now = self._clock.now()
        async with self._database.transaction() as session:
            row = await session.driver.fetchrow(_LOOK_UP, hashed)
        if row is None:
            # Kept apart: made-up keys must not push real ones out.
            self._cache.pop(hashed, None)
            make_room(self._unknown, UNKNOWN_KEYS_MAX)
            self._unknown[hashed] = now + timedelta(seconds=UNKNOWN_S)
            return None
        make_room(self._cache, CACHED_KEYS_MAX)
        scope = scope_of(row["scope_jurisdictions"], row["scope_parties"])
        known = KnownKey(row["party"], Role(row["role"]), scope, row["person"])
        self._cache[hashed] = now + timedelta(seconds=CACHE_S), known
        return known


def make_room(cache: dict[bytes, Any], entries_max: int) -> None:
    """Forget the oldest entries, so that one more has room."""
    while len(cache) >= entries_max:
        cache.pop(next(iter(cache)))


def unauthenticated() -> Refused:
    """The one answer to every key that does not open."""
    return Refused("unauthenticated", "send a valid API key as a bearer token", status=401)


def identified(keys: ApiKeys, budgets: Budgets) -> Callable[[Request], Awaitable[Identity]]:
    """A FastAPI dependency: who asks, with the request charged to its budget before its body is read.

    It takes no parameter that the route does not have: whoever may not ask learns nothing of those.
    """

    async def identity_of(request: Request) -> Identity:
        identity = await keys.identify(request.headers.get("authorization"))
        budgets.charge(identity.party, announced_bytes(request))
        refuse_unknown(request)
        return identity

    return identity_of


def announced_bytes(request: Request) -> int:
    """The length the body will have, or the most it may have if the client does not say (`http.BodyBound`)."""
    announced = request.headers.get("content-length")
    if announced is None and "transfer-encoding" not in request.headers:
        return 0
    bound: int = request.scope["body_bytes_max"]
    return min(int(announced), bound) if announced is not None and announced.isdecimal() else bound
