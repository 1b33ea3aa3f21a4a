"""OpenID Connect Core 1.0: code flow, PKCE (RFC 7636), nonce, state, issuer in the answer (RFC 9207).

Of a provider's claims about a person, only issuer and subject are used, and only a keyed hash of both is stored. The
operator keeps the instance's registration at each provider in a file that other users cannot read:

[{"party": "police-nl.example", "issuer": "https://login.police.example", "client_id": "...", "client_secret": "..."}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import quote_plus, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, TypeAdapter, ValidationError

from shared.core.canonical import JsonView
from shared.core.clock import Clock
from shared.core.contracts.base import Contract, PartyId
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused, Unavailable
from shared.platform.admission.budgets import PlacePool, Principal, sign_in_places
from shared.platform.console.accounts import Person
from shared.platform.console.oidc_login import LoginState, Proof
from shared.platform.sign_in import wire

#: The time for which a provider's documents are cached. Its keys are loaded again sooner if none of them matches.
BELIEVED: Final = timedelta(minutes=10)
KEYS_AGAIN: Final = timedelta(seconds=30)
#: The greatest difference between a provider's clock and this service's clock.
LEEWAY_S: Final = 60
ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]


_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def checked_address(text: str) -> str:
    """Return an https address without user, query or fragment; http only for this machine. Raises `ValueError`."""
    parts = urlsplit(text)
    schemes = ("http", "https") if parts.hostname in _LOOPBACK else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an https address")
    return text


def is_here(address: str) -> bool:
    """Return whether an address is on this machine."""
    return urlsplit(address).hostname in _LOOPBACK


Word = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
Address = Annotated[str, StringConstraints(max_length=255), AfterValidator(checked_address)]


class OidcClient(Contract):
    """The registration of this instance at the provider of one party.

    Without `client_secret`, the instance proves itself by PKCE alone. With `acr`, only people who were authenticated in
    that way can open a record (OpenID Connect Core, §2).
    """

    party: PartyId
    issuer: Address
    client_id: Word
    client_secret: SecretStr | None = None
    acr: Word | None = None


_CLIENTS = TypeAdapter(Annotated[tuple[OidcClient, ...], Field(max_length=1000)])


def read_clients(text: str) -> tuple[OidcClient, ...]:
    """Parse the sign-in file. Raises `Refused("sign_in_file_malformed")`, also if it names a party twice.

    The error names the first member that breaks a rule.
    """
    try:
        clients = _CLIENTS.validate_json(text)
    except ValidationError as error:
        pointer = "/" + "/".join(str(each) for each in error.errors()[0]["loc"])
        raise Refused("sign_in_file_malformed", "see docs/sign-in.md", field=pointer) from None
    if len({each.party for each in clients}) < len(clients):
        raise Refused("sign_in_file_malformed", "a party is listed twice", field="/party")
    return clients


@dataclass(frozen=True, slots=True)
class ProviderEndpoints:
    """The addresses of a provider, from its own document. `names_issuer`: its answers name the issuer."""

    authorization: str
    token: str
    keys: str
    names_issuer: bool
    read_at: datetime


@dataclass(slots=True)
class Provider:
    """The provider of one party, with its cached documents. `asking` limits the requests that one address causes."""

    client: OidcClient
    clock: Clock
    asking: PlacePool = field(default_factory=sign_in_places)
    _places: ProviderEndpoints | None = None
    _keys: tuple[datetime, KeySet] | None = None

    async def places(self) -> ProviderEndpoints:
        """Return the provider's addresses.

        Raises `Unavailable("sign_in_unavailable")`, also if it names another issuer.
        """
        now = self.clock.now()
        if self._places is not None and now - self._places.read_at < BELIEVED:
            return self._places
        issuer = self.client.issuer
        answer = await wire.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            authorization, token, keys = (checked_address(str(answer[name])) for name in names)
        except (KeyError, ValueError):
            raise _wrong_provider() from None
        # A remote provider may not name an address on this machine, to which it could direct requests.
        is_local = is_here(issuer)
        if answer.get("issuer") != issuer or not (is_local or not any(map(is_here, (authorization, token, keys)))):
            raise _wrong_provider()
        named = answer.get("authorization_response_iss_parameter_supported") is True
        self._places = ProviderEndpoints(authorization, token, keys, named, now)
        return self._places

    async def claims(self, token: str, coming: LoginState) -> JsonView:
        """Return the claims of a verified ID token. Raises `Refused("sign_in_refused")`."""
        for again in (False, True):
            try:
                read = jwt.decode(token, await self._key_set(again=again), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                continue
            return self._checked(read, coming)
        raise refused()

    def _checked(self, read: jwt.Token, coming: LoginState) -> JsonView:
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
            answer = await wire.get((await self.places()).keys)
            try:
                self._keys = now, KeySet.import_key_set(dict(answer))  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError):
                raise _wrong_provider() from None
        return self._keys[1]


@dataclass(slots=True)
class Providers:
    """`IdentityProvider` for the clients of one instance. People of a party with a provider have no other sign-in."""

    clients: Sequence[OidcClient]
    clock: Clock
    kek: KeyEncryptionKey
    _of: Mapping[str, Provider] = field(init=False)

    def __post_init__(self) -> None:
        self._of = {each.party: Provider(each, self.clock) for each in self.clients}

    def has(self, party: str) -> bool:
        return party in self._of

    async def leave_for(self, coming: LoginState, back: str, *, address: Principal) -> str:
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

    async def prove(self, coming: LoginState, answer: Mapping[str, str], *, back: str, address: Principal) -> Proof:
        provider = self._provider(coming)
        async with provider.asking.place(address):
            return await self._proven(provider, coming, answer=answer, back=back)

    async def _proven(self, provider: Provider, coming: LoginState, *, answer: Mapping[str, str], back: str) -> Proof:
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
        token_response = await wire.post(places.token, form, auth=_auth(client))
        token = None if token_response is None else token_response.get("id_token")
        if not isinstance(token, str):
            raise refused()
        claims = await provider.claims(token, coming)
        # The name reveals nothing without the instance's key, because a subject may be an e-mail address.
        known = f"openid\n{client.issuer}\n{claims['sub']}".encode()
        person = Person(client.party, self.kek.actor_id(client.party, known))
        return Proof(person, _proven_at(client, claims, coming))

    def _provider(self, coming: LoginState) -> Provider:
        provider = self._of.get(coming.party)
        if provider is None:
            raise refused()
        return provider


def _auth(client: OidcClient) -> tuple[str, str] | None:
    """Return id and secret for basic authentication. RFC 6749 §2.3.1: each is encoded before they are joined."""
    if client.client_secret is None:
        return None
    return quote_plus(client.client_id), quote_plus(client.client_secret.get_secret_value())


def _proven_at(client: OidcClient, claims: JsonView, coming: LoginState) -> datetime | None:
    """Return the time of authentication. With a required `acr`, an authentication with another one does not count."""
    claim = claims.get("auth_time")
    if client.acr is not None and claims.get("acr") != client.acr:
        claim = None
    if claim is None and coming.anew:
        raise refused()
    return None if claim is None else datetime.fromtimestamp(float(claim), UTC)


def refused() -> Refused:
    """Return the one error for every failed check of a sign-in."""
    return Refused("sign_in_refused", "your organisation's provider has not confirmed your identity", status=403)


def _wrong_provider() -> Unavailable:
    return Unavailable("sign_in_unavailable", "the document of your organisation's provider is incomplete or wrong")
