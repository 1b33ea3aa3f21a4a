"""Console accounts: people of parties, single-use sign-in links, and sessions.

Only the SHA-256 of a link or session is stored. Each has 256 random bits, so a plain hash cannot be searched.
Trust: a client that can write the tables `console_…` can act as any party of this instance, towards this instance.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
from starlette.requests import Request

from shared.core.authority import AccessScope, Role
from shared.core.clock import Clock
from shared.core.envelope.base64url import to_base64url
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.routing import PartyStatus
from shared.platform.admission.budgets import PlacePool, columns_of, read_address, scope_of, sign_in_places
from shared.platform.admission.key_table import NOTIFY
from shared.platform.database.transactions import Database
from shared.platform.http.identity import KEY_ROLES, Identity

#: A link opens one session and expires after this time.
LINK_MINUTES: Final = 10
#: A session ends this long after it began, or after this time without a request.
SESSION_HOURS: Final = 8
IDLE_MINUTES: Final = 30
#: The random part of a session's text; its MAC follows.
RANDOM_CHARACTERS: Final = 43
#: The limit of ended sessions that the process remembers.
OVER_MAX: Final = 10_000
#: The shortest time between two updates of a session's `last_seen_at`.
_SEEN_EVERY: Final = timedelta(seconds=30)

_ACTOR = re.compile(r"[0-9a-f]{32}")
#: A display name: words of letters, with the separators that names have.
_CALLED = re.compile(r"[^\W\d_](?:[^\W\d_]|[ .'’-]){0,59}")

# A changed role or scope is recorded in `access_end`, so that a restored database does not bring back the old rights.
_KEEP_PERSON = """
WITH changed AS (
    SELECT party, actor FROM console_account WHERE party = $1 AND actor = $2 AND ended_at IS NULL
    AND (role, scope_jurisdictions, scope_parties) IS DISTINCT FROM ($3::text, $4::text[], $5::text[])
), noted AS (
    INSERT INTO access_end (kind, subject, party) SELECT 'person', actor::uuid, party FROM changed
        ON CONFLICT DO NOTHING
)
INSERT INTO console_account (party, actor, role, scope_jurisdictions, scope_parties, display_name)
VALUES ($1, $2, $3, $4::text[], $5::text[], nullif($6::text, ''))
ON CONFLICT (party, actor) DO UPDATE SET role = excluded.role, ended_at = NULL,
    display_name = CASE WHEN $6 IS NULL THEN console_account.display_name ELSE excluded.display_name END,
    scope_jurisdictions = excluded.scope_jurisdictions, scope_parties = excluded.scope_parties RETURNING xmax = 0 AS new
"""
_ROLE_OF = "SELECT role FROM console_account WHERE party = $1 AND actor = $2 AND ended_at IS NULL"
_KEEP_LINK = "INSERT INTO console_link (link_hash, party, actor, expires_at) VALUES ($1, $2, $3, $4)"
_END_PERSON = """
WITH links AS (UPDATE console_link SET used_at = $3 WHERE party = $1 AND actor = $2 AND used_at IS NULL),
     sessions AS (UPDATE console_session SET ended_at = $3 WHERE party = $1 AND actor = $2 AND ended_at IS NULL),
     keys AS (UPDATE api_key SET revoked_at = $3 WHERE party = $1 AND person = $2 AND revoked_at IS NULL),
     ended AS (UPDATE console_account SET ended_at = $3 WHERE party = $1 AND actor = $2 AND ended_at IS NULL
               RETURNING party, actor),
     noted AS (INSERT INTO access_end (kind, subject, party) SELECT 'person', actor::uuid, party FROM ended
               ON CONFLICT DO NOTHING)
SELECT actor FROM ended
"""
#: The identity of a database: its cluster, its current timeline, and the file of a table. Loading a dump creates a new
#: file.
_HERE: Final = """
(SELECT system_identifier AS system_id,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline,
        pg_relation_filenode('erasure_journal_position')::bigint AS file_node
 FROM pg_control_system()) AS here
"""
_ELSEWHERE: Final = (
    "(p.system_id, p.timeline, p.file_node) IS DISTINCT FROM (here.system_id, here.timeline, here.file_node)"
)
#: The kind of a person's line in the erasure journal, and the statement that ends the role again in a restored
#: database. In any other database the role has already ended, and may have been granted again since.
PERSON: Final = "person"
END_AGAIN: Final = f"""
WITH people AS (
    SELECT party, replace(subject::text, '-', '') AS actor FROM unnest($1::uuid[], $2::text[]) AS e (subject, party)
    WHERE EXISTS (SELECT FROM erasure_journal_position AS p, {_HERE} WHERE {_ELSEWHERE})
), links AS (
    UPDATE console_link AS l SET used_at = now() FROM people AS p
    WHERE (l.party, l.actor) = (p.party, p.actor) AND used_at IS NULL
), sessions AS (
    UPDATE console_session AS s SET ended_at = now() FROM people AS p
    WHERE (s.party, s.actor) = (p.party, p.actor) AND ended_at IS NULL
), keys AS (
    UPDATE api_key AS k SET revoked_at = now() FROM people AS p
    WHERE (k.party, k.person) = (p.party, p.actor) AND revoked_at IS NULL
)
UPDATE console_account AS c SET ended_at = now() FROM people AS p
WHERE (c.party, c.actor) = (p.party, p.actor) AND ended_at IS NULL
"""
_HERE_NOW = f"""
UPDATE erasure_journal_position AS p SET system_id = here.system_id, timeline = here.timeline,
    file_node = here.file_node FROM (SELECT system_id FROM erasure_journal_position FOR UPDATE) AS was, {_HERE}
WHERE {_ELSEWHERE} RETURNING was.system_id IS NOT NULL AS restored
"""
_END_ALL = (
    "UPDATE console_link SET used_at = now() WHERE used_at IS NULL",
    "UPDATE console_session SET ended_at = now() WHERE ended_at IS NULL",
)
_USE_LINK = """
UPDATE console_link SET used_at = $2 WHERE link_hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING party, actor
"""
_INVITED = "SELECT party, actor FROM console_link WHERE link_hash = $1 AND used_at IS NULL AND expires_at > $2"
_BEGIN = """
INSERT INTO console_session (session_hash, party, actor, started_at, last_seen_at, authenticated_at)
VALUES ($1, $2, $3, $4, $4, $5)
"""
_LOOK_UP = """
SELECT s.party, s.actor, p.role, p.scope_jurisdictions, p.scope_parties, s.last_seen_at, s.authenticated_at
FROM console_session AS s JOIN console_account AS p ON p.party = s.party AND p.actor = s.actor AND p.ended_at IS NULL
WHERE s.session_hash = $1 AND s.ended_at IS NULL AND s.started_at > $2 AND s.last_seen_at > $3
"""
_SEE = "UPDATE console_session SET last_seen_at = $2 WHERE session_hash = $1 AND ended_at IS NULL"
_END = "UPDATE console_session SET ended_at = $2 WHERE session_hash = $1 AND ended_at IS NULL"


class Person(NamedTuple):
    """A person of a party. `actor` is the opaque name that distinguishes the party's people in all facts."""

    party: str
    actor: str


class SignedInUser(NamedTuple):
    """The identity behind a session, and the time when the identity provider last authenticated the person.

    `authenticated_at` is None if the provider did not state it. `name` is the opaque name that an administrator uses to
    grant roles; the person's acts are stored under another name.
    """

    identity: Identity
    authenticated_at: datetime | None
    name: str


def link_hash(text: str) -> bytes:
    """Return the hash that is stored for a link or a session: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def opaque_actor(party: str, person: str) -> str:
    """Return an opaque name for a person without one: 32 hexadecimal digits, always the same for the same name."""
    return hashlib.sha256(f"console\n{party}\n{person}".encode()).hexdigest()[:32]


def is_name(text: str) -> bool:
    """Return whether the text is a valid display name: letters, with spaces, points, hyphens and apostrophes."""
    return _CALLED.fullmatch(text) is not None


def require_actor(actor: str) -> None:
    """Check that the text is an opaque name. Raises `Refused("person_malformed")`."""
    if not _ACTOR.fullmatch(actor):
        raise Refused("person_malformed", "32 hexadecimal digits, as the page shows them to a person without a role")


async def permit(
    driver: asyncpg.Connection,
    person: Person,
    role: Role,
    *,
    scope: AccessScope | None = None,
    called: str | None = None,
) -> bool:
    """Set the one role of a person, effective from their next request, also in a session that is open.

    `called` is the display name that colleagues see. None keeps the present name, and an empty text removes it.
    Returns whether the person never had a role before.

    Raises `Refused`: `role_has_no_key` for the instance's own role, `person_malformed` for an invalid opaque name,
    `called_malformed` for an invalid display name, `auditors_uncalled` for an auditor's display name.
    """
    if called and role is Role.AUDITOR:
        raise Refused("auditors_uncalled", "their opaque names distinguish them", field="/called")
    if called and not is_name(called):
        raise Refused("called_malformed", "a name as it is written, 60 letters at most", field="/called")
    if role not in KEY_ROLES:
        raise Refused("role_has_no_key", "the role is the instance's own")
    require_actor(person.actor)
    is_new = bool(await driver.fetchval(_KEEP_PERSON, *person, role.value, *columns_of(scope, role), called))
    await driver.execute(NOTIFY)
    return is_new


async def role_of(driver: asyncpg.Connection, person: Person) -> Role:
    """Return the role of a person. Raises `Refused("person_unknown")` if the person has none."""
    found = await driver.fetchval(_ROLE_OF, *person)
    if found is None:
        raise _unknown()
    return Role(found)


async def make_link(
    driver: asyncpg.Connection, person: Person, *, role: Role, at: datetime, called: str | None = None
) -> str:
    """Set the role of a person and return a link that signs them in once. The link's text is not stored."""
    await permit(driver, person, role, called=called)
    text = secrets.token_urlsafe(32)
    await driver.execute(_KEEP_LINK, link_hash(text), *person, at + timedelta(minutes=LINK_MINUTES))
    return text


async def end_person(driver: asyncpg.Connection, person: Person, at: datetime) -> None:
    """End the role of a person, and their sessions, links and keys. A new role needs new ones.

    Raises `Refused("person_unknown")` if the person has no role.
    """
    if await driver.fetchval(_END_PERSON, *person, at) is None:
        raise _unknown()
    await driver.execute(NOTIFY)


async def end_sessions(driver: asyncpg.Connection) -> None:
    """End every link and session, after a restore of the database.

    A disk copy that was restored is visible only in the streams in Kafka (`read_back`).
    """
    for statement in _END_ALL:
        await driver.execute(statement)


async def sign_out_of_restored(driver: asyncpg.Connection) -> bool:
    """End every link and session if the database differs from the one at the last start. Returns whether it does."""
    restored = bool(await driver.fetchval(_HERE_NOW))
    if restored:
        await end_sessions(driver)
    return restored


def _unknown() -> Refused:
    return Refused("person_unknown", "no person of that name has a role here", status=404)


@dataclass(frozen=True, slots=True)
class LinkSignIn:
    """Sign-in by a link that was created before. A sign-in that takes two requests is a `OidcLogin`."""

    database: Database
    clock: Clock
    places: PlacePool = field(default_factory=sign_in_places)

    async def sign_in(self, request: Request) -> Person | None:
        """Return the person of the link and mark the link as used. Returns None for an invalid link."""
        return await self._found(_USE_LINK, request)

    async def invited(self, request: Request) -> Person | None:
        """Return the person of the link without using it."""
        return await self._found(_INVITED, request)

    async def _found(self, statement: str, request: Request) -> Person | None:
        """Look up a link. The caller's address must have a free place in the pool."""
        hashed = link_hash(request.path_params.get("link", ""))
        async with self.places.place(read_address(request.scope)), self.database.transaction() as session:
            row = await session.driver.fetchrow(statement, hashed, self.clock.now())
        return None if row is None else Person(row["party"], row["actor"])


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one instance. Each request queries the database, so that an ended session gives no access.

    A session carries a MAC, so a forged one costs no query. An ended one costs one query and is then kept in `over`.
    """

    database: Database
    instance: str
    directory: Callable[[], DirectoryIndex]
    clock: Clock
    kek: KeyEncryptionKey
    over: dict[bytes, None] = field(default_factory=dict)

    async def begin(self, person: Person, *, authenticated_at: datetime | None = None) -> str:
        """Begin a session and return the text for its cookie."""
        text = self.sign(secrets.token_urlsafe(32))
        async with self.database.transaction() as session:
            await session.driver.execute(_BEGIN, link_hash(text), *person, self.clock.now(), authenticated_at)
        return text

    async def identify(self, text: str | None, *, seen: bool = True) -> SignedInUser | None:
        """Return the person of a session. Returns None if it is unknown or ended, or if its party may not use it.

        A party may not use it if another instance serves the party now, or if the party is suspended. `seen` is false
        for a request that a page's script repeats; such a request does not keep the session alive.
        """
        if text is None or not hmac.compare_digest(self.sign(text[:RANDOM_CHARACTERS]).encode(), text.encode()):
            return None
        hashed = link_hash(text)
        if hashed in self.over:
            return None
        row = await self._found(hashed, seen=seen)
        if row is None:
            if len(self.over) >= OVER_MAX:
                self.over.pop(next(iter(self.over)))
            self.over[hashed] = None
            return None
        party = self.directory().party(row["party"])
        if party is None or party.instance != self.instance or party.status == PartyStatus.SUSPENDED:
            return None
        exercise = party.status == PartyStatus.SANDBOX
        actor = self.kek.actor_id(party.id, bytes.fromhex(row["actor"]))
        scope = scope_of(row["scope_jurisdictions"], row["scope_parties"])
        identity = Identity(party.id, Role(row["role"]), party.kind, exercise=exercise, actor=actor, scope=scope)
        return SignedInUser(identity, row["authenticated_at"], row["actor"])

    def sign(self, random: str) -> str:
        """Return the text of a session: 43 random characters and their MAC."""
        return random + to_base64url(self.kek.session_mac(random))

    async def _found(self, hashed: bytes, *, seen: bool) -> asyncpg.Record | None:
        now = self.clock.now()
        began, idle = now - timedelta(hours=SESSION_HOURS), now - timedelta(minutes=IDLE_MINUTES)
        async with self.database.transaction() as session:
            row = await session.driver.fetchrow(_LOOK_UP, hashed, began, idle)
            if row is not None and seen and row["last_seen_at"] < now - _SEEN_EVERY:
                await session.driver.execute(_SEE, hashed, now)
        return row

    async def end(self, text: str) -> None:
        """End one session."""
        async with self.database.transaction() as session:
            await session.driver.execute(_END, link_hash(text), self.clock.now())
