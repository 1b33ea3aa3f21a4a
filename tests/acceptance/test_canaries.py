"""Marked values in every sensitive field, through every path of a request: no store contains one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from client.views import ReferralView
from deploy.devstack.servers import binaries
from shared.core.contracts.answers import CaseRecord
from tests.journeys.parties import operated
from tests.support.canary import MARK_CHARACTERS, Hit, contents, new_mark, search, spellings
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, SERVICES, Exchange, referral, until

Record = Callable[[str, object], None]

TIMES = 10
#: The sensitive fields of a referral, as `marked` fills them.
FIELDS = (
    *(f"/items/{kind}/locator/value" for kind in ("url", "onion", "account", "message", "p2p")),
    *(f"/items/0/hashes/{name}" for name in ("md5", "sha1", "sha256", "pdq", "photodna", "tmk_pdqf")),
    *("/subject_accounts/0/account", "/subject_accounts/0/events/0/ip", "/correlations/0/ref", "/case_reference"),
)
STORES = ("kafka/data", "postgres/data", "postgres/data/pg_wal", "dumps", "logs", "spans-")
ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd"


@dataclass(frozen=True, slots=True)
class Marks:
    """The hidden mark, which no store may contain, and the planted mark in the clear, which each store must contain.

    A sender cannot put a mark of its own into Kafka and logs. There the mark is one of the service's ids.
    """

    hidden: str
    planted: dict[str, str]


def marked(mark: str, number: int) -> dict[str, Any]:
    """Return a referral with the mark in each sensitive field. The number makes each value unique."""
    tail = f"{number:02d}"
    hexadecimal = mark + tail
    hashes = {name: hexadecimal.ljust(32, "a") for name in ("md5",)}
    hashes |= {"sha1": hexadecimal.ljust(40, "b")}
    hashes |= {name: hexadecimal.ljust(64, digit) for name, digit in (("sha256", "c"), ("pdq", "d"), ("tmk_pdqf", "e"))}
    hashes |= {"photodna": mark + b64encode(os.urandom(132)).decode()}
    items = [
        *referral()["items"],
        {"locator": {"kind": "onion", "value": f"http://{ONION}.onion/{mark}/{tail}"}},
        {"locator": {"kind": "account", "value": f"{mark}-{tail}@{PROVIDER}"}},
        {"locator": {"kind": "message", "value": f"channel-{mark}/{tail}"}},
        {"locator": {"kind": "p2p", "value": f"magnet:?xt=urn:btih:{hexadecimal.ljust(40, 'f')}"}},
    ]
    items[0] |= {"locator": {"kind": "url", "value": f"https://images.{PROVIDER}/{mark}/{tail}"}, "hashes": hashes}
    groups = ":".join(mark[at : at + 4] for at in range(0, 16, 4))
    event = {"ip": f"2001:db8:{groups}:{number + 1}:1", "at": "2026-03-19T08:00:00Z", "kind": "upload"}
    return referral(
        items=items,
        subject_accounts=[{"service": PROVIDER, "account": f"{mark}{tail}", "events": [event]}],
        correlations=[{"system": "other", "ref": f"REF-{mark}-{tail}"}],
    )


async def post(http: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> httpx.Response:
    key = {"Idempotency-Key": f"canary.{body['external_ref']}"}
    return await http.post("/v1/referrals", json=body, headers=key | headers)


async def delivered(exchange: Exchange, mark: str) -> None:
    """Submit, deliver, open at every recipient, accept: the path without errors."""
    async with (
        exchange.client(HOTLINE) as hotline,
        exchange.client(OTHER_HOTLINE) as other,
        exchange.client(AGENCY) as agency,
        exchange.client(PROVIDER) as provider,
    ):
        filed = await hotline.submit_batch([marked(mark, number) for number in range(TIMES)])
        assert [each.state for each in filed] == ["routed"] * TIMES
        await exchange.until_quiet()
        shown = [await hotline.show(each.referral_id) for each in filed if each.referral_id]
        for number, each in enumerate(shown):
            assert mark in (await other.inbox_item(each.referral_id)).model_dump_json()
            assert mark in (await agency.inbox_item(each.referral_id)).model_dump_json()
            assert mark in json.dumps(await provider.call("GET", f"/v1/notices/{notice_of(each)}"))
            said = CaseRecord(case_reference=f"CASE-{mark}-{number:02d}")
            await agency.act_on_case("accept", each.referral_id, said)


def notice_of(shown: ReferralView) -> UUID:
    return next(UUID(str(edge.notice_id)) for edge in shown.edges if edge.notice_id)


async def refused(exchange: Exchange, mark: str) -> Counter[int]:
    """Send requests with the mark that intake refuses: by schema, guard, limits, parameters, key.

    Count their statuses.
    """
    statuses: Counter[int] = Counter()
    async with exchange.http(HOTLINE) as http:
        for number in range(TIMES):
            body = marked(mark, number)
            wrong = [
                body | {mark: mark},
                body | {"incident_kind": mark},
                body | {"exercise": False},
                body | {"items": [{"locator": {"kind": "url", "value": f"javascript:{mark}"}}]},
                body | {"items": [{"locator": {"kind": "url", "value": f"https://a.example/?q={mark * 100}"}}]},
                body | {"items": [body["items"][0] | {"hashes": {"md5": mark}}]},
                body | {"observed_at": mark},
            ]
            answers = [await post(http, each) for each in wrong]
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"canary-{mark}"}
            answers.append(await http.post("/v1/referrals", content=f'{{"{mark}": '.encode(), headers=headers))
            answers.append(await http.post("/v1/referrals:check", json={"referrals": wrong}, headers=headers))
            answers.append(await http.get("/v1/referrals", params={"state": mark, "cursor": mark}))
            answers.append(await http.get(f"/v1/referrals/{mark}"))
            answers.append(await http.get(f"/{mark}", headers={"Authorization": f"Bearer cw_test_{mark}"}))
            assert not any(mark in answer.text for answer in answers)
            statuses.update(answer.status_code for answer in answers)
    return statuses


@asynccontextmanager
async def nothing_fits(exchange: Exchange, service: str, table: str) -> AsyncIterator[None]:
    """Make every new row of a service's table break a constraint, for which PostgreSQL likes to quote the row."""
    admin = await exchange.admin(service)
    await admin.execute(f"ALTER TABLE {table} ADD CONSTRAINT planted CHECK (false) NOT VALID")
    try:
        yield
    finally:
        await admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT planted")
        await admin.close()


async def failed(exchange: Exchange, mark: str) -> str:
    """Send requests that end in an error of the service; return the id of the last one."""
    async with exchange.http(HOTLINE) as http, nothing_fits(exchange, "hotline", "referral"):
        answers = [await post(http, marked(mark, number)) for number in range(TIMES)]
    assert not any(mark in answer.text for answer in answers)
    assert [answer.status_code for answer in answers] == [500] * TIMES
    return answers[-1].headers["Request-Id"]


async def parked(exchange: Exchange, mark: str) -> int:
    """Send offers on which the agency's own code fails: dead letters, stored as received, with every possible field."""
    async with exchange.client(HOTLINE) as hotline, nothing_fits(exchange, "law_enforcement", "received"):
        filed = await hotline.submit_batch([marked(mark, number) for number in range(TIMES)])
        await exchange.until_quiet()
    offers = """
        SELECT count(*) AS n FROM outcome_open AS o JOIN edge USING (message_id)
        WHERE o.outcome = 'dead' AND edge.recipient = $1 AND referral_id = ANY($2::uuid[])
    """
    rows = await exchange.count_as_accountant("hotline", offers, AGENCY, [each.referral_id for each in filed])
    return int(rows[0]["n"])


async def plant(exchange: Exchange, mark: str) -> str:
    """Put the planted mark into a reference, which is stored in the clear, and a trace's id; return the referral's
    id.
    """
    async with exchange.http(HOTLINE) as http:
        answer = await post(http, referral(external_ref=mark), traceparent=f"00-{mark * 2}-{'2' * 16}-01")
    assert answer.status_code == 202
    await exchange.until_quiet()
    return str(answer.json()["referral_id"])


async def dump(exchange: Exchange) -> None:
    """Write all of PostgreSQL's buffers out, and make a logical dump of each database."""
    folder = exchange.state / "dumps"
    folder.mkdir(exist_ok=True)
    base = exchange.stack.postgres.admin_url.rpartition("/")[0]
    admin = await exchange.admin("hotline")
    await admin.execute("CHECKPOINT")
    await admin.close()
    for service in (*SERVICES, "audit"):
        with (folder / f"{service}.sql").open("wb") as file:
            command = [str(binaries() / "pg_dump"), f"{base}/causeway_{service}"]
            await asyncio.to_thread(subprocess.run, command, stdout=file, check=True, timeout=180)


@pytest.fixture(scope="module")
async def marks(exchange: Exchange) -> AsyncIterator[Marks]:
    """Return both marks after all paths were used and all data is on disk."""
    hidden, planted = new_mark(), new_mark()
    await delivered(exchange, hidden)
    assert await refused(exchange, hidden) == {422: 7 * TIMES, 400: 3 * TIMES, 200: TIMES, 404: TIMES}
    request_id = await failed(exchange, hidden)
    assert await parked(exchange, hidden) == TIMES
    referral_id = await plant(exchange, planted)
    await exchange.until_audited()
    await dump(exchange)
    # Spans are written in batches; the planted span came last.
    await until(partial(found_in, exchange.state, "spans-", planted))
    yield Marks(hidden, dict.fromkeys(STORES, planted) | {"kafka/data": referral_id, "logs": request_id})
    # Later tests use this exchange and check that no message waits. The cause is repaired, so the dead letters can be
    # retried.
    retried = operated(exchange, "dead-letters", "retry", "law_enforcement", "--all")["retried"]
    assert [*retried.values()] == ["done"] * TIMES
    await until(partial(none_parked, exchange))


async def none_parked(exchange: Exchange) -> bool:
    """Return whether the origin knows of no message that is a dead letter at its recipient."""
    return not await exchange.count_as_accountant("hotline", "SELECT 1 FROM outcome_open WHERE outcome = 'dead'")


async def found_in(state: Path, store: str, mark: str) -> bool:
    """Return whether a store contains a mark in any encoding, or an id unchanged."""
    if len(mark) == MARK_CHARACTERS:
        return any(hit.place.startswith(store) for hit in search(state, mark))
    return any(mark.encode() in content for _, content in contents(files_of(state, store)))


def files_of(state: Path, store: str) -> list[Path]:
    return [path for path in state.rglob("*") if str(path.relative_to(state)).startswith(store)]


async def test_no_marked_value_is_found_in_any_store(exchange: Exchange, marks: Marks, record_property: Record) -> None:
    assert search(exchange.state, marks.hidden) == []
    sizes = [len(content) for _, content in contents(exchange.state.rglob("*"))]
    record_property(
        "figure",
        f"{len(FIELDS) - 1} fields of a referral, {TIMES} values each on 5 paths, and the agency's case reference "
        f"on one; {len(spellings(marks.hidden))} spellings: "
        f"0 hits in {len(sizes)} files, {sum(sizes) // 10**6} MB",
    )


@pytest.mark.parametrize("store", STORES)
async def test_the_same_search_finds_a_mark_planted_in_the_clear(exchange: Exchange, marks: Marks, store: str) -> None:
    """The control of the test above: each store is searched, and existing marks are found."""
    assert await found_in(exchange.state, store, marks.planted[store])


@pytest.mark.parametrize("spelling", spellings("abcdef2345672345"))
def test_the_search_finds_every_spelling(tmp_path: Path, spelling: str) -> None:
    mark = "abcdef2345672345"
    (tmp_path / "segment.log").write_bytes(os.urandom(4096) + spellings(mark)[spelling] + os.urandom(4096))
    assert spelling in {hit.spelling for hit in search(tmp_path, mark)}


@pytest.mark.parametrize("before", range(3))
def test_the_search_finds_base64_wherever_the_mark_stands(tmp_path: Path, before: int) -> None:
    text = "x" * before + "abcdef2345672345" + "yz"
    (tmp_path / "dump.sql").write_bytes(b64encode(text.encode()))
    assert search(tmp_path, "abcdef2345672345") == [Hit("dump.sql", f"plain base64 at {before}")]


def test_every_sensitive_field_of_a_referral_carries_the_mark() -> None:
    body = str(marked("abcdef2345672345", 7) | {"case_reference": "CASE-abcdef2345672345-07"})
    assert body.count("abcdef2345672345") + body.count("abcd:ef23:4567:2345") == len(FIELDS)
