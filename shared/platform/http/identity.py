"""Identity of a caller: API keys, and the directory's entry of the key's party.

Only a key's SHA-256 is stored. A key has 256 random bits, so a plain hash cannot be searched.
Trust: a client that can write the table `api_key` can act as any party of this instance, towards this instance.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from inspect import signature
from typing import Annotated, Final

import asyncpg
from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import Response

from shared.core.authority import AccessScope, Role
from shared.core.clock import Clock
from shared.core.contracts.base import Contract, Flag, Jurisdiction, PartyId
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.routing import PartyKind, PartyStatus
from shared.platform.admission.budgets import Budgets, Principal, columns_of, note_principal, read_address
from shared.platform.admission.key_table import COUNT_KEYS, KEYS_MAX, NOTIFY, KeyTable
from shared.platform.http.openapi import shows
from shared.platform.http.problems import invalid_parameters

#: The form of a parameter's name. A name of another form is no misspelling, and errors do not repeat it.
_NAME: Final = re.compile(r"[a-z][a-z_]{0,31}")


def refuse_unknown(request: Request) -> None:
    """Check that the route has every query parameter. Raises `InvalidFields` (`parameter_invalid`) for the first other.

    Without this check, a misspelt filter would have no effect, and its caller would take the whole list for the
    filtered one.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = sorted(names(route))
    for name in request.query_params:
        if name not in known:
            field = f"/query/{name}" if _NAME.fullmatch(name) else "/query"
            expected = f"one of {', '.join(known)}" if known else "no parameter"
            raise invalid_parameters([{"field": field, "rule": "unknown_parameter", "expected": expected}])


def names(route: APIRoute) -> frozenset[str]:
    """Return the query parameters of a route, and for a model, the model's fields."""
    return frozenset(_of(route.dependant))


def _of(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield parameter.alias
    for below in dependant.dependencies:
        yield from _of(below)


#: Roles that a key can be issued for; `service` is the instance itself and has none.
KEY_ROLES: Final = frozenset(Role) - {Role.SERVICE}

_BEARER = re.compile(r"Bearer (cw_(?:test|live)_[A-Za-z0-9_-]{43})", re.IGNORECASE)
_KEEP = """
INSERT INTO api_key (key_hash, party, role, scope_jurisdictions, scope_parties, person, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(days => $7)) RETURNING expires_at
"""
#: Days for which a key is valid, if its operator chooses no other number.
KEY_DAYS: Final = 365
# The erasure journal names a key by the first half of its hash.
_REVOKE = """
WITH ended AS (UPDATE api_key SET revoked_at = $2 WHERE key_hash = $1 AND revoked_at IS NULL RETURNING key_hash, party)
INSERT INTO access_end (kind, subject, party)
SELECT 'api_key', encode(substring(key_hash FROM 1 FOR 16), 'hex')::uuid, party FROM ended ON CONFLICT DO NOTHING
"""
#: The kind of a revoked key in the erasure journal, and the statement that revokes it again after a restore.
REVOKED: Final = "api_key"
REVOKE_AGAIN: Final = """
UPDATE api_key AS k SET revoked_at = now() FROM unnest($1::uuid[], $2::text[]) AS e (subject, party)
WHERE substring(k.key_hash FROM 1 FOR 16) = uuid_send(e.subject) AND k.party = e.party AND k.revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller's party, role and kind, and whether all its acts are exercises.

    `actor` is an opaque name of the person or API key. `scope` is an auditor's; None means everything.
    """

    party: str
    role: Role
    kind: str
    exercise: bool
    actor: str
    scope: AccessScope | None = None

    @property
    def principal(self) -> Principal:
        """The key or session that is charged."""
        return Principal(self.party, self.actor)


def issue_key(*, live: bool) -> tuple[str, bytes]:
    """Return a new API key and the hash to store. The key itself is shown once and not stored."""
    text = f"cw_{'live' if live else 'test'}_{secrets.token_urlsafe(32)}"
    return text, key_hash(text)


async def keep_key(
    driver: asyncpg.Connection,
    hashed: bytes,
    party: str,
    *,
    role: Role,
    scope: AccessScope | None = None,
    person: str | None = None,
    days: int = KEY_DAYS,
) -> datetime:
    """Store the hash of a key that acts for `party` as `role`; return the time at which it expires.

    `person` is the opaque name of a person in the console; their key acts in their name.

    Raises `Refused`: `role_has_no_key` for the role of the instance itself, `api_keys_full` beyond `KEYS_MAX`.
    """
    if role not in KEY_ROLES:
        raise Refused("role_has_no_key", "the role is the instance's own")
    if await driver.fetchval(COUNT_KEYS) >= KEYS_MAX:
        raise Refused("api_keys_full", f"at most {KEYS_MAX} valid keys: revoke one first", status=409)
    expires_at: datetime = await driver.fetchval(
        _KEEP, hashed, party, role.value, *columns_of(scope, role), person, days
    )
    await driver.execute(NOTIFY)
    return expires_at


async def revoke_key(driver: asyncpg.Connection, hashed: bytes, at: datetime) -> None:
    """Revoke the key with this hash, effective with the next poll of the key table at the latest.

    It stays revoked, also in a restored database once the running instance has written it to the erasure journal.
    """
    await driver.execute(_REVOKE, hashed, at)
    await driver.execute(NOTIFY)


def key_hash(text: str) -> bytes:
    """Return the hash that is stored for an API key: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


class ApiKeys:
    """The resolver of `Authorization: Bearer` headers. It uses the key table in memory, without a database query."""

    def __init__(
        self,
        table: KeyTable,
        *,
        instance: str,
        directory: Callable[[], DirectoryIndex],
        kek: KeyEncryptionKey,
        clock: Clock,
    ) -> None:
        """Set up the resolver. Only parties that the directory assigns to `instance` are accepted."""
        self._instance = instance
        self._table = table
        self._directory = directory
        self._kek = kek
        self._clock = clock
        #: Returns whether a party has an identity provider, which distinguishes its people. Their keys have a person.
        self.by_name: Callable[[str], bool] = lambda _: False

    async def identify(self, authorization: str | None) -> Identity:
        """Return the identity of the sender of this header.

        Raises the same `Refused("unauthenticated")` (401) for a missing, malformed, unknown or revoked key. It is also
        raised if the directory does not have the party, another instance serves it, or the key does not match its
        status. `cw_test_` keys are for sandbox parties only, `cw_live_` keys for live ones.
        Raises `Refused("key_expired")` (401) for a key whose time has passed, which only its holder can find out.
        Raises `Unavailable("keys_outdated")` if the key table could not be read for a minute.
        """
        match = _BEARER.fullmatch(authorization or "")
        known = self._table.find(key_hash(match[1])) if match is not None else None
        if match is None or known is None:
            raise unauthenticated()
        if known.expires_at <= self._clock.now():
            raise Refused("key_expired", "the key's time has passed: use a new one", status=401)
        party = self._directory().party(known.party)
        status = PartyStatus.SANDBOX if match[1].startswith("cw_test_") else PartyStatus.LIVE
        if party is None or party.instance != self._instance or party.status != status:
            raise unauthenticated()
        exercise, role = status is PartyStatus.SANDBOX, known.role
        if known.person is None and role is Role.ANALYST and self.by_name(party.id):
            # In a party with an identity provider, a key without a person does not count as a second person.
            role = Role.MACHINE
        whose = key_hash(match[1]) if known.person is None else bytes.fromhex(known.person)
        actor = self._kek.actor_id(party.id, whose)
        return Identity(party.id, role, party.kind, exercise=exercise, actor=actor, scope=known.scope)


def unauthenticated() -> Refused:
    """Return the one error for every key that is not valid."""
    return Refused("unauthenticated", "send a valid API key as a bearer token", status=401)


def identified(keys: ApiKeys, budgets: Budgets) -> Callable[[Request], Awaitable[Identity]]:
    """Return a FastAPI dependency that identifies the caller and charges the request before its body is read.

    A request without a valid key is charged to its source address; a request with one never is.

    It also refuses unknown query parameters, after the key was checked. So a caller without a key does not learn the
    parameters of a route.
    """

    addresses = budgets.for_addresses()

    async def identity_of(request: Request) -> Identity:
        try:
            identity = await keys.identify(request.headers.get("authorization"))
        except Refused:
            addresses.charge(read_address(request.scope), 0)
            raise
        note_principal(request.scope, identity.principal)
        budgets.charge(identity.principal, announced_bytes(request))
        refuse_unknown(request)
        return identity

    return identity_of


class IdentifiedRoute(APIRoute):
    """A route whose handler takes only `request` and `identity` is called directly.

    FastAPI would look for further parameters, which takes as long as the identification.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        if [*signature(self.endpoint).parameters] != ["request", "identity"]:
            return super().get_route_handler()
        (who,) = self.dependant.dependencies
        return partial(_answer_identified, self.endpoint, who)


async def _answer_identified(answer: Callable[..., Awaitable[Response]], who: Dependant, request: Request) -> Response:
    return await answer(request, await who.call(request))  # type: ignore[misc]


def announced_bytes(request: Request) -> int:
    """Return the announced length of the body, or the greatest permitted one if the client announces none."""
    announced = request.headers.get("content-length")
    if announced is None and "transfer-encoding" not in request.headers:
        return 0
    bound: int = request.scope["body_bytes_max"]
    return min(int(announced), bound) if announced is not None and announced.isdecimal() else bound


_EXAMPLE: JsonDict = {"party": "police-nl.example", "kind": "law_enforcement", "roles": ["analyst"], "exercise": True}


class ShownScope(Contract):
    """The parties that an auditor may see: parties below these jurisdictions, and these parties."""

    jurisdictions: Annotated[tuple[Jurisdiction, ...], Field(max_length=1000)]
    parties: Annotated[tuple[PartyId, ...], Field(max_length=1000)]


class KeyHolder(Contract):
    """The party and role that a key acts for. `scope` is absent without a limit, and for other roles than auditor."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    party: PartyId
    kind: PartyKind
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=1)]
    exercise: Flag
    scope: ShownScope | None = None


def whoami_router(identified: Callable[[Request], Awaitable[Identity]]) -> APIRouter:
    """Return the route of `GET /v1/whoami`."""
    router = APIRouter(prefix="/v1")
    who = Depends(identified)

    @router.get("/whoami", tags=["identity"], **shows(KeyHolder))
    async def whoami(identity: Identity = who) -> Response:
        """Show the party and roles of this key, and the scope of an auditor. Every valid key may use this path."""
        scope = None if identity.scope is None else ShownScope(**identity.scope._asdict())
        holder = KeyHolder(
            party=identity.party,
            kind=PartyKind(identity.kind),
            roles=(identity.role,),
            exercise=identity.exercise,
            scope=scope,
        )
        return Response(holder.model_dump_json(exclude_none=True), media_type="application/json")

    return router
