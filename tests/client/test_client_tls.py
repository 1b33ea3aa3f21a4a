"""Which servers a party's verbs connect to, and the steps of each verb before that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cyclopts import App

from client import transport
from client.cli.verb_table import VerbRow, VerbWord, table, vocabulary
from client.transport import Transport
from deploy.devstack.servers import make_certificates
from shared.core.clock import SystemClock
from tests.client.fake_service import KEY, FakeService, referral
from tests.client.prompt import Run, program, serving

ID = "019ab0e5-1111-7111-8111-111111111111"
ROWS: dict[str, VerbRow] = {
    f"{name} {verb}".strip(): each
    for name, group in table()["groups"].items()
    for verb, each in group["verbs"].items()
    if not isinstance(each, str)
}
#: The fewest arguments of a verb, if its row does not define them. FILE is a file with one referral; OFFERS and
#: NOTICES are tables with one answer.
LEAST: dict[str, list[str]] = {
    "referral check": ["FILE"],
    "referral submit": ["FILE"],
    "referral import": ["FILE"],
    "referral amend": [ID, "FILE"],
    "hold place": [ID, "--scope", "removal", "--basis", "court_order", "--until", "2026-05-11T12:00:00Z"],
    "hold extend": [ID, "--basis", "court_order", "--until", "2026-05-11T12:00:00Z"],
    "hold override": [ID, ID, "--confirm"],
    "offer answer-many": ["OFFERS"],
    "case answer-many": ["OFFERS"],
    "notice answer-many": ["NOTICES"],
    "notice answer-work": [ID, "removed"],
    "preservation ask": ["p.example", "url=https://a.example/", "--instrument", "budapest", "--term", "eu_60d"],
    "preservation answer": [ID, "preserved", "--until", "2026-07-03"],
    "preservation correct": [ID, "not_possible", "--impossible", "never_stored"],
    "timeline": [ID],
    "listen": ["--limit", "1"],
    "flow": [ID, "--purpose", "yearly audit"],
    "flow find": ["--purpose", "yearly audit"],
    "whoami": [],
}
SAMPLES = {"id": ID, "integer": "1", "date": "2026-08-02", "path": "unwritten.json", "text": "police-2.example"}


def least(verb: VerbRow) -> list[str]:
    """Return the words and options without which a verb is a wrong call."""
    listed = verb.get("statements", {})
    codes = [vocabulary(each) for each in (*listed.get("fields", {}).values(), *verb.get("vocabularies", ()))]
    numbered = "1=" if listed else ""

    def sample(word: VerbWord) -> str:
        if word["type"].endswith("*"):
            return numbered + next(iter(codes[0])).value
        return next(iter(vocabulary(word["type"]))).value if "." in word["type"] else SAMPLES[word["type"]]

    words = [sample(word) for word in verb.get("words", {}).values()]
    needed = {name: option for name, option in verb.get("options", {}).items() if option.get("required")}
    return words + [each for name, option in needed.items() for each in (f"--{name.replace('_', '-')}", sample(option))]


#: Every verb of a party that calls its service.
VERBS = {name: LEAST[name] if name in LEAST else least(row) for name, row in ROWS.items()} | LEAST
#: The file names for the placeholders.
FILES = {"FILE": "one.json", "NOTICES": "notice.csv", "OFFERS": "referral.csv"}
#: They send nothing, except `verify acceptance --purpose`, which queries audit like `flow`.
OFFLINE = ("login", "logout", "verify acceptance", "verify evidence", "webhook verify")


def verbs(app: App, name: str = "") -> Iterator[str]:
    """Yield every verb of a program, by its words."""
    if app.default_command is not None and name:
        yield name
    for word in app:
        if not word.startswith("-"):
            yield from verbs(app[word], f"{name} {word}".strip())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(referral(1)), encoding="utf-8")
    for named in ("notice", "referral"):
        (tmp_path / f"{named}.csv").write_text(f"{named}_id,act\n{ID},acknowledge_withdrawal\n", encoding="utf-8")
    return path


@pytest.fixture
def over_tls(tmp_path: Path) -> Iterator[tuple[FakeService, int, Path]]:
    """Serve with a certificate for 127.0.0.1 from its own authority; return service, port and authority."""
    identity, authority = make_certificates(tmp_path, name="hotline", clock=SystemClock())
    service = FakeService()
    with serving(service, identity=identity) as port:
        yield service, port, authority


def test_the_list_of_verbs_is_whole() -> None:
    assert sorted(verbs(program())) == sorted((*VERBS, *OFFLINE))


@pytest.mark.parametrize(("verb", "place"), [*((verb, "option") for verb in VERBS), ("whoami", "environment")])
def test_no_verb_sends_anything_over_plain_http_to_another_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch, file: Path, verb: str, place: str
) -> None:
    sent = sending(monkeypatch)
    url = "http://hotline.example:8080"
    if place == "environment":
        monkeypatch.setenv("CAUSEWAY_URL", url)
    arguments = [str(file.with_name(FILES[word])) if word in FILES else word for word in VERBS[verb]]
    ended = run(*verb.split(), *arguments, *(["--url", url] if place == "option" else []))
    assert ended.code == 2
    assert ended.err.startswith("error: url_not_https at /url: plain http is only for 127.0.0.0/8, ::1 and localhost")
    assert "hotline.example" not in ended.out + ended.err
    assert sent == []


@pytest.mark.parametrize("verb", VERBS)
def test_without_the_rule_every_verb_would_have_sent(
    run: Run, monkeypatch: pytest.MonkeyPatch, file: Path, verb: str
) -> None:
    sent = sending(monkeypatch)
    monkeypatch.setattr(transport, "is_this_machine", lambda host: True)
    arguments = [str(file.with_name(FILES[word])) if word in FILES else word for word in VERBS[verb]]
    assert run(*verb.split(), *arguments, "--url", "http://hotline.example:8080").code == 1
    assert {*sent} == {"http://hotline.example"}


def sending(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Block every request; return the requested addresses."""
    sent: list[str] = []

    async def keep(_: Transport, method: str, url: httpx.URL, *rest: object, **more: object) -> httpx.Response:
        sent.append(f"{url.scheme}://{url.host}")
        return httpx.Response(404, json={"code": "not_found"})

    monkeypatch.setattr(Transport, "_try", keep)
    return sent


@pytest.mark.parametrize("place", ["option", "environment"])
def test_a_service_is_verified_by_an_authority_of_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch, over_tls: tuple[FakeService, int, Path], place: str
) -> None:
    service, port, authority = over_tls
    monkeypatch.setenv("CAUSEWAY_CA_FILE", str(authority) if place == "environment" else "/nowhere")
    named = ["--ca-file", authority] if place == "option" else []
    ended = run("referral", "list", "--url", f"https://127.0.0.1:{port}", *named)
    assert (ended.code, ended.err) == (0, "")
    assert [headers["authorization"] for *_, headers in service.requests] == [f"Bearer {KEY}"]


@pytest.mark.parametrize("trusted", ["the public ones", "another", "the right one, under another name"])
def test_a_service_that_does_not_verify_is_sent_nothing_and_not_asked_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, over_tls: tuple[FakeService, int, Path], tmp_path: Path, trusted: str
) -> None:
    service, port, authority = over_tls
    waits: list[object] = []
    monkeypatch.setattr("client.transport._delay_s", lambda *call: waits.append(call) or 0.0)
    (tmp_path / "other").mkdir()
    _, other = make_certificates(tmp_path / "other", name="hotline", clock=SystemClock())
    named = {"the public ones": [], "another": ["--ca-file", other]}.get(trusted, ["--ca-file", authority])
    host = "localhost" if trusted.endswith("name") else "127.0.0.1"
    ended = run("referral", "list", "--url", f"https://{host}:{port}", *named)
    assert ended.code == 1
    assert ended.err.startswith("error: server_not_trusted: nothing was sent")
    assert (service.requests, waits) == ([], [])


@pytest.mark.parametrize("holding", [None, "", "no certificate\n"])
def test_a_ca_file_that_is_none_is_refused_and_nothing_is_trusted_in_its_place(
    run: Run, service: FakeService, tmp_path: Path, holding: str | None
) -> None:
    path = tmp_path / "ca-7f3a.pem"
    if holding is not None:
        path.write_text(holding, encoding="utf-8")
    ended = run("referral", "list", "--ca-file", path)
    assert (ended.code, "error: ca_file_unusable at /ca_file" in ended.err) == (2, True)
    assert "7f3a" not in ended.err
    assert service.requests == []
