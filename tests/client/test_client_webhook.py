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
DELIVERY = {"entry": 3, "message_id": "evt_1", "number": 4, "attempt": 1, "at": "2026-05-04T12:00:00.000Z"}


def test_an_address_is_added_and_its_secret_printed_once(run: Run, service: FakeService) -> None:
    service.canned["/v1/webhooks"] = 202, {"webhook_id": ID, "state": "active", "secret": SECRET}
    ended = run("webhook", "add", "https://hooks.party.example/", "--after", 0)
    assert ended.out.splitlines() == [f"{ID}: active", SECRET]
    method, _, body, headers = service.requests[0]
    assert (method, body) == ("POST", {"url": "https://hooks.party.example/", "after": 0})
    assert headers["idempotency-key"]


def test_addresses_are_listed_with_how_far_they_are(run: Run, service: FakeService) -> None:
    service.canned["/v1/webhooks"] = 200, {"items": [SHOWN | FAILING]}
    row = run("webhook", "list").out.splitlines()[1].split("\t")
    assert row == [ID, "active", "4/7", FAILING["failing_since"], FAILING["due_at"], SHOWN["url"]]
    assert run("webhook", "list", "--json").json[0]["webhook_id"] == ID


def test_attempts_are_listed(run: Run, service: FakeService) -> None:
    found = DELIVERY | {"code": "status_refused", "status": 503, "duration_ms": 12}
    service.canned[f"/v1/webhooks/{ID}/deliveries"] = 200, {"items": [found]}
    row = run("webhook", "deliveries", ID).out.splitlines()[1].split("\t")
    assert row == ["4", "1", "2026-05-04T12:00:00.000Z", "status_refused", "503", "12"]


@pytest.mark.parametrize(
    ("verb", "arguments", "body", "printed"),
    [
        ("replay", ["--from", 3], {"number": 3}, "active, after event 2"),
        ("replay", [], {}, "active, after event 2"),
        ("trigger", [], {}, "active"),
    ],
)
def test_an_act_says_where_it_led(
    run: Run, service: FakeService, verb: str, arguments: list[Any], body: dict[str, int], printed: str
) -> None:
    moved = {"webhook_id": ID, "state": "active"} | ({"number": 2} if verb == "replay" else {})
    service.canned[f"/v1/webhooks/{ID}:{verb}"] = 202, moved
    assert run("webhook", verb, ID, *arguments).out == f"{ID}: {printed}\n"
    assert service.requests[0][2] == body


def test_one_is_removed_and_one_has_another_secret(run: Run, service: FakeService) -> None:
    service.canned[f"/v1/webhooks/{ID}"] = 200, {"webhook_id": ID, "state": "removed"}
    service.canned[f"/v1/webhooks/{ID}:rotate"] = 202, {"webhook_id": ID, "state": "active", "secret": SECRET}
    assert run("webhook", "remove", ID).out == f"{ID}: removed\n"
    assert run("webhook", "rotate", ID).out.splitlines()[1] == SECRET
    assert [method for method, *_ in service.requests] == ["DELETE", "POST"]


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
