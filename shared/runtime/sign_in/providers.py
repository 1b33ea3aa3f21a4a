"""`Elsewhere` by OpenID Connect Core 1.0: code flow, PKCE (RFC 7636), nonce, state, issuer in the answer (RFC 9207).

Of what a provider says of a person only issuer and subject are looked at, and no more kept than a keyed hash of both.
What an instance is at each provider stands in a file of its operator's, which others cannot read:

[{"party": "police-nl.example", "issuer": "https://login.police.example", "client_id": "...", "client_secret": "..."}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote_plus, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, TypeAdapter, ValidationError

from shared.contracts.base import Contract, PartyId
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.admission.budgets import PlacePool, Principal, sign_in_places
from shared.runtime.console.accounts import Person
from shared.runtime.console.oidc_login import Coming, Proof
from shared.runtime.sign_in import wire

#: How long a provider's own documents are believed; its keys are asked for again where none of them fits.
BELIEVED: Final = timedelta(minutes=10)
KEYS_AGAIN: Final = timedelta(seconds=30)
#: A provider's clock may go so much before or after ours.
LEEWAY_S: Final = 60
ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]


_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def checked_address(text: str) -> str:
    """An https address without user, query or fragment; http at this machine alone. Raises `ValueError`."""
    parts = urlsplit(text)
    schemes = ("http", "https") if parts.hostname in _LOOPBACK else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an https address")
    return text


def is_here(address: str) -> bool:
    """Whether an address is one of this machine."""
    return urlsplit(address).hostname in _LOOPBACK


Word = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
Address = Annotated[str, StringConstraints(max_length=255), AfterValidator(checked_address)]


class Client(Contract):
    """What this instance is at the provider of one party.

    Without `client_secret` it proves itself by PKCE alone. With `acr` a record is opened to those alone who have proven
    who they are in that way (OpenID Connect Core, §2).
    """

    party: PartyId
    issuer: Address
    client_id: Word
    client_secret: SecretStr | None = None
    acr: Word | None = None


_CLIENTS = TypeAdapter(Annotated[tuple[Client, ...], Field(max_length=1000)])


def read_clients(text: str) -> tuple[Client, ...]:
    """Raises `Refused("sign_in_file_malformed")`, naming the first member that breaks a rule; for a party twice too."""
    try:
        clients = _CLIENTS.validate_json(text)
    except ValidationError as error:
        pointer = "/" + "/".join(str(each) for each in error.errors()[0]["loc"])
        raise Refused("sign_in_file_malformed", "see docs/sign-in.md", field=pointer) from None
    if len({each.party for each in clients}) < len(clients):
        raise Refused("sign_in_file_malformed", "a party stands twice", field="/party")
    return clients


@dataclass(frozen=True, slots=True)
class Places:
    """Where a provider is asked what, as it says itself; `names_issuer`: whether its answers say whose they are."""

    authorization: str
    token: str
    keys: str
    names_issuer: bool
    read_at: datetime


@dataclass(slots=True)
class Provider:
    """One party's. What it said is kept for a while. Each address asks it a few times at once, in `asking`."""

    client: Client
    clock: Clock
    asking: PlacePool = field(default_factory=sign_in_places)
    _places: Places | None = None
    _keys: tuple[datetime, KeySet] | None = None

    async def places(self) -> Places:
        """Raises `Unavailable("sign_in_unavailable")`, also for one that names another issuer than it was asked as."""
        now = self.clock.now()
        if self._places is not None and now - self._places.read_at < BELIEVED:
            return self._places
        issuer = self.client.issuer
        said = await wire.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            authorization, token, keys = (checked_address(str(said[name])) for name in names)
        except (KeyError, ValueError):
            raise _wrong_provider() from None
        # A provider elsewhere may not name this machine: what listens here is not its to have asked.
        here = is_here(issuer)
        if said.get("issuer") != issuer or not (here or not any(map(is_here, (authorization, token, keys)))):
            raise _wrong_provider()
        named = said.get("authorization_response_iss_parameter_supported") is True
        self._places = Places(authorization, token, keys, named, now)
        return self._places

    async def claims(self, token: str, coming: Coming) -> Mapping[str, Any]:
        """What an ID token says, once all of it holds. Raises `Refused("sign_in_refused")`."""
        for again in (False, True):
            try:
                read = jwt.decode(token, await self._key_set(again=again), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                continue
            return self._checked(read, coming)
        raise refused()

    def _checked(self, read: jwt.Token, coming: Coming) -> Mapping[str, Any]:
        wanted = {
            "iss": {"essential": True, "value": self.client.issuer},
            "aud": {"essential": True, "value": self.client.client_id},
        }
        params = {"nonce": coming.nonce, "client_id": self.client.client_id}
        claims = CodeIDToken(read.claims, read.header, wanted, params)
        try:
            claims.validate(now=int(self.clock.now().timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError):
            raise refused() from None
        return dict(claims)

    async def _key_set(self, *, again: bool) -> KeySet:
        now = self.clock.now()
        believed = KEYS_AGAIN if again else BELIEVED
        if self._keys is None or now - self._keys[0] > believed:
            said = await wire.get((await self.places()).keys)
            try:
                self._keys = now, KeySet.import_key_set(dict(said))  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError):
                raise _wrong_provider() from None
        return self._keys[1]


@dataclass(slots=True)
class Providers:
    """`Elsewhere` over the clients of one instance. A party has one provider, and people of it no other way in."""

    clients: Sequence[Client]
    clock: Clock
    kek: KeyEncryptionKey
    _of: Mapping[str, Provider] = field(init=False)

    def __post_init__(self) -> None:
        self._of = {each.party: Provider(each, self.clock) for each in self.clients}

    def has(self, party: str) -> bool:
        return party in self._of

    async def leave_for(self, coming: Coming, back: str, *, address: Principal) -> str:
        provider = self._provider(coming)
        async with provider.asking.place(address):
            places = await provider.places()
        anew = {"prompt": "login", "max_age": "0", "acr_values": provider.client.acr} if coming.anew else {}
        target: str = prepare_grant_uri(
            places.authorization,
            client_id=provider.client.client_id,
            response_type="code",
            redirect_uri=back,
            scope="openid",
            state=coming.state,
            nonce=coming.nonce,
            code_challenge=create_s256_code_challenge(coming.verifier),
            code_challenge_method="S256",
            **anew,
        )
        return target

    async def prove(self, coming: Coming, answer: Mapping[str, str], *, back: str, address: Principal) -> Proof:
        provider = self._provider(coming)
        async with provider.asking.place(address):
            return await self._proven(provider, coming, answer=answer, back=back)

    async def _proven(self, provider: Provider, coming: Coming, *, answer: Mapping[str, str], back: str) -> Proof:
        client, places = provider.client, await provider.places()
        whose = answer.get("iss")
        if whose != client.issuer and (places.names_issuer or whose is not None):
            raise refused()
        form = {
            "grant_type": "authorization_code",
            "code": answer.get("code", ""),
            "redirect_uri": back,
            "code_verifier": coming.verifier,
            "client_id": client.client_id,
        }
        said = await wire.post(places.token, form, auth=_auth(client))
        token = None if said is None else said.get("id_token")
        if not isinstance(token, str):
            raise refused()
        claims = await provider.claims(token, coming)
        # By a name that says nothing without the instance's key: a subject may be an address of theirs.
        known = f"openid\n{client.issuer}\n{claims['sub']}".encode()
        person = Person(client.party, self.kek.actor_id(client.party, known))
        return Proof(person, _proven_at(client, claims, coming))

    def _provider(self, coming: Coming) -> Provider:
        provider = self._of.get(coming.party)
        if provider is None:
            raise refused()
        return provider


def _auth(client: Client) -> tuple[str, str] | None:
    """RFC 6749 §2.3.1: each is encoded before it is joined."""
    if client.client_secret is None:
        return None
    return quote_plus(client.client_id), quote_plus(client.client_secret.get_secret_value())


def _proven_at(client: Client, claims: Mapping[str, Any], coming: Coming) -> datetime | None:
    """When they proved it. Where a way is wanted for opening records, another way counts as none."""
    said = claims.get("auth_time")
    if client.acr is not None and claims.get("acr") != client.acr:
        said = None
    if said is None and coming.anew:
        raise refused()
    return None if said is None else datetime.fromtimestamp(float(said), UTC)


def refused() -> Refused:
    """The one answer to whatever of a sign-in does not hold."""
    return Refused("sign_in_refused", "your organisation's provider has not confirmed who you are", status=403)


def _wrong_provider() -> Unavailable:
    return Unavailable("sign_in_unavailable", "the provider of your organisation does not say what it must")
