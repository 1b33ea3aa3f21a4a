"""A provider's statements are checked against this attempt, this client and the provider's own keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused, Unavailable
from shared.platform.admission.budgets import SIGN_IN, Principal
from shared.platform.console.oidc_login import COMING_MINUTES, LoginState, Proof
from shared.platform.sign_in import wire
from shared.platform.sign_in.providers import OidcClient, Providers

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ISSUER, BACK = "https://login.police.example", "https://console.police.example/console/signed-in"
KEY, ANOTHER = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
PARTY = "police-nl.example"
HERE, ELSEWHERE = Principal(None, "192.0.2.1"), Principal(None, "192.0.2.2")


class At:
    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Said:
    """A provider whose statements a test can change. `keys_asked` counts the requests for its keys."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        self.key, self.header = KEY, {"alg": "RS256", "kid": "one"}
        self.claims: dict[str, Any] = {}
        self.refuses = False
        self.keys_asked = 0
        self.forms: list[Mapping[str, str]] = []

    async def get(self, address: str) -> Mapping[str, Any]:
        if address.endswith("/keys"):
            self.keys_asked += 1
            return {"keys": [KEY.as_dict(private=False)]}
        assert address == f"{ISSUER}/.well-known/openid-configuration"
        return self.document

    async def post(
        self, address: str, form: Mapping[str, str], *, auth: tuple[str, str] | None
    ) -> Mapping[str, Any] | None:
        assert (address, auth) == (f"{ISSUER}/token", ("causeway", "a+secret%2F"))
        self.forms.append(form)
        return None if self.refuses else {"id_token": jwt.encode(self.header, self.claims, self.key)}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr(wire, "get", said.get)
    monkeypatch.setattr(wire, "post", said.post)
    return said


def providers(acr: str | None = None) -> Providers:
    client = OidcClient(party=PARTY, issuer=ISSUER, client_id="causeway", client_secret="a secret/", acr=acr)
    return Providers([client], At(), KeyEncryptionKey(bytes(32)))


def attempt(said: Said, *, anew: bool = False) -> LoginState:
    coming = LoginState.begin(PARTY, to="/console", anew=anew, at=NOW)
    at = int(NOW.timestamp())
    said.claims = {"iss": ISSUER, "sub": "somebody", "aud": "causeway", "iat": at, "exp": at + 60, "auth_time": at}
    said.claims |= {"nonce": coming.nonce}
    return coming


async def proven(coming: LoginState, *, acr: str | None = None, answer: Mapping[str, str] | None = None) -> Proof:
    return await providers(acr).prove(
        coming, {"code": "c", "iss": ISSUER} if answer is None else answer, back=BACK, address=HERE
    )


async def test_who_is_proven_has_an_opaque_name_and_a_time(said: Said) -> None:
    proof = await proven(attempt(said))
    assert proof.authenticated_at == NOW
    assert proof.person.party == PARTY
    assert len(proof.person.actor) == 32
    assert proof.person == (await proven(attempt(said))).person
    coming = attempt(said)
    said.claims["sub"] = "somebody-else"
    assert proof.person != (await proven(coming)).person


async def test_the_code_is_redeemed_with_what_only_this_browser_led_to(said: Said) -> None:
    coming = attempt(said)
    await proven(coming)
    [form] = said.forms
    assert (form["code"], form["code_verifier"], form["redirect_uri"]) == ("c", coming.verifier, BACK)


_AT = int(NOW.timestamp())
WRONG: Mapping[str, Callable[[Said], object]] = {
    "another issuer": lambda said: said.claims.update(iss="https://elsewhere.example"),
    "another client": lambda said: said.claims.update(aud="somebody-else"),
    "for several, by another": lambda said: said.claims.update(aud=["causeway", "x"], azp="x"),
    "another attempt": lambda said: said.claims.update(nonce="another"),
    "no attempt": lambda said: said.claims.pop("nonce"),
    "over": lambda said: said.claims.update(exp=_AT - 61),
    "not yet": lambda said: said.claims.update(nbf=_AT + 120),
    "no subject": lambda said: said.claims.pop("sub"),
    "another key": lambda said: setattr(said, "key", ANOTHER),
    "a secret as key": lambda said: (
        setattr(said, "key", OctKey.import_key("x" * 32)),
        setattr(said, "header", {"alg": "HS256", "kid": "one"}),
    ),
    "refused there": lambda said: setattr(said, "refuses", True),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_does_not_hold_is_refused(wrong: str, said: Said) -> None:
    coming = attempt(said)
    WRONG[wrong](said)
    with pytest.raises(Refused, match="sign_in_refused"):
        await proven(coming)


@pytest.mark.parametrize("answer", [{"code": "c"}, {"code": "c", "iss": "https://elsewhere.example"}])
async def test_an_answer_of_another_provider_is_refused_before_its_code_is_used(
    answer: Mapping[str, str], said: Said
) -> None:
    with pytest.raises(Refused, match="sign_in_refused"):
        await proven(attempt(said), answer=answer)
    assert said.forms == []


async def test_a_provider_that_names_another_issuer_is_not_asked(said: Said) -> None:
    said.document["issuer"] = "https://elsewhere.example"
    with pytest.raises(Unavailable, match="sign_in_unavailable"):
        await proven(attempt(said))


async def test_who_is_to_prove_it_again_needs_a_time_and_the_way_that_is_wanted(said: Said) -> None:
    coming = attempt(said, anew=True)
    said.claims.pop("auth_time")
    with pytest.raises(Refused, match="sign_in_refused"):
        await proven(coming)
    for way, holds in (("one-factor", False), ("two-factors", True)):
        coming = attempt(said, anew=True)
        said.claims["acr"] = way
        if holds:
            assert (await proven(coming, acr="two-factors")).authenticated_at == NOW
        else:
            with pytest.raises(Refused, match="sign_in_refused"):
                await proven(coming, acr="two-factors")


async def test_the_first_coming_in_by_a_lesser_way_counts_as_not_proven_for_records(said: Said) -> None:
    assert (await proven(attempt(said), acr="two-factors")).authenticated_at is None


async def test_a_cookie_that_was_changed_or_is_late_fits_no_state() -> None:
    coming = LoginState.begin(PARTY, to="/console/inbox", anew=False, at=NOW)
    assert LoginState.read(coming.kept, state=coming.state, at=NOW) == coming
    late = NOW + timedelta(minutes=COMING_MINUTES, seconds=2)
    for text, at in (
        (coming.kept, late),
        (coming.kept.replace("/console/inbox", "/console/due"), NOW),
        (coming.kept.replace(PARTY, "police-de.example"), NOW),
        (coming.kept.replace(".0.", ".1."), NOW),
        (None, NOW),
    ):
        with pytest.raises(Refused, match="sign_in_expired"):
            LoginState.read(text, state=coming.state, at=at)


@pytest.mark.parametrize("to", ["https://elsewhere.example", "//elsewhere.example", "/console/../v1", "/console/a?b"])
def test_nobody_is_sent_on_to_elsewhere(to: str) -> None:
    assert LoginState.begin(PARTY, to=to, anew=False, at=NOW).to == "/console"


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("here", ["http://127.0.0.1:8083", "http://localhost:9092", "https://[::1]"])
async def test_a_provider_elsewhere_does_not_have_this_machine_asked(said: Said, name: str, here: str) -> None:
    coming = attempt(said)
    said.document[name] = f"{here}/token"
    with pytest.raises(Unavailable, match="sign_in_unavailable"):
        await proven(coming)
    assert (said.forms, said.keys_asked) == ([], 0)


async def test_whoever_makes_up_answers_has_the_provider_asked_a_few_at_a_time(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming, all_of_them, let_go, open_now, most = attempt(said), providers(), asyncio.Event(), 0, 0

    async def post(*_: object, **__: object) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await let_go.wait()
        open_now -= 1

    monkeypatch.setattr(wire, "post", post)

    def prove(address: Principal) -> asyncio.Task[Proof]:
        return asyncio.create_task(all_of_them.prove(coming, {"code": "c", "iss": ISSUER}, back=BACK, address=address))

    asking = [prove(HERE) for _ in range(SIGN_IN.of_holder + SIGN_IN.waiting + 20)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert open_now == SIGN_IN.of_holder
    asking.append(prove(ELSEWHERE))
    for _ in range(10):
        await asyncio.sleep(0)
    assert open_now == SIGN_IN.of_holder + 1, "another address does not wait for it"
    let_go.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    codes = [each.code for each in answers if isinstance(each, Refused)]
    assert (codes.count("sign_in_refused"), codes.count("budget_exceeded")) == (len(asking) - 20, 20)
    assert most <= SIGN_IN.of_instance


@pytest.mark.timing
async def test_a_provider_that_never_ends_its_answer_holds_no_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.05)

    monkeypatch.setattr(wire, "ANSWER_S_MAX", 0.5)
    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server, asyncio.timeout(30):
        with pytest.raises(Unavailable, match="sign_in_unavailable"):
            await wire.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
