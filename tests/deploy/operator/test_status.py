"""The reported status of every instance, and of a process that runs only some parts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from deploy.operator.state import ask_instances
from shared.core.clock import SystemClock
from shared.core.ids import coarse_uuid7, uuid7
from shared.core.routing.ageing import aged
from shared.platform.observability.health import CHECKS_VALID_S
from tests.deploy.operator.conftest import Run
from tests.support.running import Exchange

CHECKS = ["database", "documents", "bus", "relay", "timers", "outbox", "acks", "law", "rules", "addresses"]


#: The limit of the process `alone`; the shared one has no such setting.
AGE_S_MAX = 60


@pytest.fixture(scope="module")
def alone(exchange: Exchange) -> Iterator[str]:
    """Yield the base URL of a second hotline process that runs the API and nothing that needs the broker."""
    port, label = exchange.free_port(), "hotline-api-alone"
    settings = {"UNACKED_AGE_S_MAX": str(AGE_S_MAX)}
    exchange.serve("hotline", only=["api", "documents"], label=label, port=port, settings=settings)
    exchange.wait_ready(label, f"http://127.0.0.1:{port}")
    yield f"http://127.0.0.1:{port}"
    exchange.stop(label)


@pytest.fixture
def unacked(exchange: Exchange) -> Iterator[None]:
    """Add a message that its recipient has not acknowledged, and never will in this test."""
    asyncio.run(_put_aside(exchange, held=True))
    time.sleep(CHECKS_VALID_S)  # the checks of an earlier request may still be valid
    yield
    asyncio.run(_put_aside(exchange, held=False))


def law_says(exchange: Exchange) -> str:
    """Return the reason of the law check today: 90 days after its last review the sample law is aged."""
    policy = json.loads((exchange.state / "policy.json").read_bytes())
    return "law_aged" if aged(policy, SystemClock().now().date()) else ""


def test_all_instances_are_ready_and_name_what_was_asked(run: Run, exchange: Exchange) -> None:
    ended = run("status", "--state", exchange.state, "--json")
    assert ended.code == 0
    found = {each["instance"]: each for each in ended.json["instances"]}
    assert list(found) == ["hotline", "law_enforcement", "industry", "audit"]
    assert all(each["ready"] and each["outbox_rows"] >= 0 and each["lag_records"] >= 0 for each in found.values())
    for name in ("hotline", "law_enforcement", "industry"):
        assert [check["name"] for check in found[name]["checks"]] == CHECKS
        reasons = {check["name"]: check["reason"] for check in found[name]["checks"]}
        assert reasons == dict.fromkeys(CHECKS, "") | {"law": law_says(exchange)}
    assert [check["name"] for check in found["audit"]["checks"]] == [
        "database",
        "documents",
        "law",
        "reader",
        "acks",
        "addresses",
    ]


def test_an_instance_that_does_not_answer_is_said_so(run: Run, exchange: Exchange) -> None:
    nobody, hotline = f"http://127.0.0.1:{exchange.free_port()}", exchange.endpoints.http["hotline"]
    ended = run("status", nobody, hotline)
    assert ended.code == 1
    assert f"{nobody}: does not answer" in ended.out
    assert f"{hotline}: does not answer" not in ended.out


def test_a_server_that_is_no_instance_does_not_count_as_one(run: Run) -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        writer.close()

    async def asked() -> list[bool]:
        async with await asyncio.start_server(stranger, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            return [each.answers for each in await ask_instances({"stranger": f"http://{host}:{port}"}, {})]

    assert asyncio.run(asked()) == [False]


def test_an_api_on_its_own_is_ready_and_says_who_else_is_asked(exchange: Exchange, alone: str) -> None:
    answer = httpx.get(f"{alone}/readyz", trust_env=False, timeout=60)
    assert answer.status_code == 200
    reasons = {each["name"]: each["reason"] for each in answer.json()["checks"]}
    assert reasons.pop("law") == law_says(exchange)
    told = {name: reason for name, reason in reasons.items() if reason}
    assert told == dict.fromkeys(("bus", "relay", "timers"), "elsewhere")


def test_age_is_shown_and_fails_readiness_beyond_its_setting(exchange: Exchange, alone: str, unacked: None) -> None:
    limited = httpx.get(f"{alone}/readyz", trust_env=False, timeout=60)
    unlimited = httpx.get(f"{exchange.endpoints.http['hotline']}/readyz", trust_env=False, timeout=60)
    found = [next(check for check in each.json()["checks"] if check["name"] == "acks") for each in (limited, unlimited)]
    assert [(check["ok"], check["reason"]) for check in found] == [(False, "too_old"), (True, "")]
    assert [check["age_s"] > AGE_S_MAX for check in found] == [True, True]
    assert (limited.status_code, unlimited.status_code) == (503, 200)


async def _put_aside(exchange: Exchange, *, held: bool) -> None:
    """Add a stream to an instance that never acknowledges, with a message that was sent 90 seconds ago."""
    hotline = await exchange.admin("hotline")
    await hotline.execute("DELETE FROM stream WHERE peer = 'nobody'; DELETE FROM segment WHERE peer = 'nobody'")
    if held:
        now, incarnation = SystemClock().now(), uuid7()
        await hotline.execute(
            """
            INSERT INTO stream (peer, lane, incarnation, last, chain, sent, moved_at, acked, audit_acked, kept_above,
                                kept_chain, is_full, p0_last)
            VALUES ('nobody', 1, $1, 1, '', 1, now(), 0, 1, 0, '', false, 0)
            """,
            incarnation,
        )
        await hotline.execute(
            """
            INSERT INTO segment (day, peer, incarnation, lane, first, count, chain_before, message_ids, digests, proof,
                                 content)
            VALUES (current_date, 'nobody', $1, 1, 1, 1, '', $2, '', '', '')
            """,
            incarnation,
            coarse_uuid7(now - timedelta(seconds=90)).bytes,
        )
    await hotline.close()
