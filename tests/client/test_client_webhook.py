"""`causeway webhook …`: the requests and output of each verb. A message is checked offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import SystemClock
from shared.core.envelope.webhooks import new_secret, signed_headers
from tests.client.fake_service import FakeService
from tests.client.prompt import Run

ID = "019b2d3c-4400-7000-8000-000000000003"
SECRET = new_secret()
SHOWN = {"webhook_id": ID, "url": "https://hooks.party.example/", "state": "active", "number": 4, "last": 7}
FAILING = {"failures": 2, "failing_since": "2026-05-04T12:00:00.000Z", "due_at": "2026-05-04T12:05:05.000Z"}
ACTIVE = {"webhook_id": ID, "state": "active"}
MOVED = ACTIVE | {"number": 2}
DELIVERY = {"entry": 3, "message_id": "evt_1", "number": 4, "attempt": 1, "at": "2026-05-04T12:00:00.000Z"}


def test_an_address_is_added_and_its_secret_printed_once(run: Run, service: FakeService) -> None:
    service.canned["/v1/webhooks"] = 202, {"webhook_id": ID, "state": "active", "secret": SECRET}
    ended = run("webhook", "add", "https://hooks.party.example/", "--after", 0)
    assert ended.out.splitlines() == [f"{ID}: active", SECRET]
    method, _, body, headers = service.requests[0]
    assert (method, body) == ("POST", {"url": "https://hooks.party.example/", "after": 0})
    assert headers["idempotency-key"]


@pytest.mark.parametrize(
    ("words", "path", "answer", "body", "printed"),
    [
        (
            ["list"],
            "",
            {"items": [SHOWN | FAILING]},
            {},
            "\t".join([ID, "active", "4/7", FAILING["failing_since"], FAILING["due_at"], SHOWN["url"]]),
        ),
        (
            ["deliveries", ID],
            f"/{ID}/deliveries",
            {"items": [DELIVERY | {"code": "status_refused", "status": 503, "duration_ms": 12}]},
            {},
            "4\t1\t2026-05-04T12:00:00.000Z\tstatus_refused\t503\t12",
        ),
        (["replay", ID, "--from", 3], f"/{ID}:replay", MOVED, {"number": 3}, f"{ID}: active, after event 2"),
        (["replay", ID], f"/{ID}:replay", MOVED, {}, f"{ID}: active, after event 2"),
        (["trigger", ID], f"/{ID}:trigger", ACTIVE, {}, f"{ID}: active"),
        (["rotate", ID], f"/{ID}:rotate", ACTIVE | {"secret": SECRET}, {}, SECRET),
        (["remove", ID], f"/{ID}", ACTIVE | {"state": "removed"}, {}, f"{ID}: removed"),
    ],
)
def test_a_verb_prints_what_its_service_says(
    run: Run, service: FakeService, words: list[Any], path: str, answer: Any, body: Any, printed: str
) -> None:
    service.canned[f"/v1/webhooks{path}"] = 200, answer
    assert run("webhook", *words).out.splitlines()[-1] == printed
    method, _, sent, _ = service.requests[0]
    assert (method, sent or {}) == (
        {"list": "GET", "deliveries": "GET", "remove": "DELETE"}.get(words[0], "POST"),
        body,
    )


def message(folder: Path, at: datetime) -> list[object]:
    """Return the arguments that check a message signed at that time."""
    body = folder / "body.json"
    body.write_bytes(b'{"type":"case.accept"}')
    headers = signed_headers([SECRET], "evt_1", body.read_bytes(), at=at)
    given = ("--id", headers["webhook-id"], "--timestamp", headers["webhook-timestamp"])
    return ["webhook", "verify", body, *given, "--signature", headers["webhook-signature"]]


def test_a_message_is_checked_offline(run: Run, service: FakeService, tmp_path: Path) -> None:
    ended = run(*message(tmp_path, SystemClock().now()), "--secret", SECRET)
    assert (ended.code, ended.out) == (0, "evt_1: signed under this secret\n")
    assert service.requests == []


def test_the_secret_may_come_from_the_environment(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = message(tmp_path, SystemClock().now())
    assert run(*arguments).err.startswith("error: webhook_secret_missing")
    monkeypatch.setenv("CAUSEWAY_WEBHOOK_SECRET", SECRET)
    assert run(*arguments, "--json").json == {"message_id": "evt_1", "verified": True}


def test_an_old_or_altered_message_does_not_hold(run: Run, tmp_path: Path) -> None:
    arguments = message(tmp_path, datetime(2026, 5, 4, tzinfo=UTC))
    assert run(*arguments, "--secret", SECRET).err.startswith("error: webhook_too_old")
    assert run(*arguments, "--secret", SECRET, "--at", "2026-05-04T00:01:00").code == 0
    altered = run(*arguments, "--secret", new_secret(), "--at", "2026-05-04T00:01:00")
    assert (altered.code, altered.err.split(":")[1]) == (1, " webhook_signature_invalid")
