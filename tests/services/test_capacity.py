"""The capacity of a record, from the HTTP route to the recipient's HTTP view. Refused content is not written.

Everything between the routes is real except Kafka, which is a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from services.audit.domain.entries import AuditBatch
from services.audit.domain.reading import ObservedRecord, Reading, read_records
from shared.catalog import CATALOG
from shared.core.authority import Role
from shared.core.envelope.headers import PLACE, SALT
from shared.core.envelope.record_value import split_value
from shared.core.guard import RecordCost
from shared.core.ids import uuid7
from shared.core.protocol import prepare, record_table
from shared.core.protocol.message import Record
from shared.features.filing.api.checking import CheckRequest, check_posted
from shared.messaging.placement import parse_place
from shared.messaging.streams import Lane, Pair
from tests.guard_report.attempts import as_bytes
from tests.guard_report.encodings import b64u
from tests.guard_report.keyed import CHANNELS, HASHES, OTHERS, Channel, Packed, fullest_record
from tests.guard_report.payloads import payloads
from tests.guard_report.positions import BASE, POSITIONS
from tests.services.databases import migrated, running_databases, stored_text
from tests.services.doors import asking
from tests.services.walk import AGENCIES, ORIGIN, Exchanged
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.canary import new_mark, search
from tests.support.exchange_world import LONG_AFTER
from tests.support.manual_clock import ManualClock
from tests.support.wire_records import verify

Figures = Callable[[str, object], None]
AUDIT = "audit"
#: Content that facts do not contain: hashes, addresses, references.
TEXTS = (*HASHES, *OTHERS[:5])
LANES = (AGENCIES, AUDIT)
#: Single values. Each is tested for the largest random content.
FIELDS = ("URL path", "URL query value", "URL query values", "onion path", "account", "message", "external reference")


@dataclass
class Exchange:
    """A hotline and an agency, the messages of the hotline, and both databases."""

    between: Exchanged
    endpoints: dict[str, DatabaseEndpoint]
    folder: Path
    client: httpx.AsyncClient
    agency: httpx.AsyncClient

    async def post(self, body: dict[str, Any], **headers: str) -> httpx.Response:
        """Submit a referral."""
        asked = asking(HOTLINE, role=Role.MACHINE, key=uuid7().hex) | headers
        return await self.client.post("/v1/referrals", json=body, headers=asked)

    async def sent(self, to: str) -> list[Record]:
        """Return the messages to an instance since the last call. An agency applies them, too."""
        here = self.between.world
        written = await self.between.sites[ORIGIN].relay(to)
        if to == AGENCIES:
            await self.between.sites[AGENCIES].take(written)
        records = verify(written, here.streams, at=here.at, keys=here.place_key)
        return [each for each in records if type_of(each) in CATALOG.by_type]

    async def delivered(self, body: dict[str, Any]) -> str:
        """Submit it, deliver it to the agency, and return the agency's view. Empty if the agency refused it."""
        answer = await self.post(body)
        assert answer.status_code == 202, answer.text
        await self.between.deliver(ORIGIN, AGENCIES)
        path = f"/v1/inbox/{answer.json()['referral_id']}"
        read = await self.agency.get(path, headers=asking(POLICE))
        return read.text if read.status_code == 200 else ""

    def refusing(self, body: bytes) -> str | None:
        """Return why a check would not let it be sent at once, as the checking process computes it."""
        posted = CheckRequest(body, "application/json", None, HOTLINE, AT)
        (result,) = json.loads(check_posted(posted, self.between.world.documents).body)["results"]
        if result["ok"]:
            return result["work_reason"] if result["state"] == "unreleased" else None
        return str(result["problem"]["code"])

    async def found(self, mark: str) -> list[str]:
        """Return where a mark is written: in rows of both databases and in any file of the server, WAL included."""
        rows = [await stored_text(each.owner_url, [HOTLINE, POLICE]) for each in self.endpoints.values()]
        return [hit.place for hit in search(self.folder, mark)] + ["row" for text in rows if mark in text]


def unguarded(*_: object, **__: object) -> RecordCost:
    """Accept everything and charge nothing, in place of the guard."""
    return RecordCost(0, 0, 0, None)


def reaching(body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a referral that one agency receives whole, with a reference of its own, changed by `body`."""
    return BASE | {"user_jurisdictions": ["NL"], "external_ref": f"c-{uuid7().hex[:24]}"} | (body or {})


def type_of(record: Record) -> str:
    return (dict(record.headers)["ce_type"] or b"").decode()


def clear_part(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(split_value(record.value or b"")[0])
    return found


def observed(record: Record) -> ObservedRecord:
    """Return a record as audit stores it, at its place in the stream."""
    lane = Lane(record.partition)
    place = parse_place(dict(record.headers)[PLACE], lane)
    return ObservedRecord(record, Pair(record.writer, record.topic.split(".")[2]), place, bytes(32))


@pytest.fixture(scope="module")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    folder = tmp_path_factory.mktemp("capacity")
    with running_databases(folder, ORIGIN, AGENCIES) as endpoints:
        async with migrated(endpoints[ORIGIN], ORIGIN) as hotline, migrated(endpoints[AGENCIES], AGENCIES) as agencies:
            between = Exchanged(hotline, agencies)
            async with between.origin.intake.running(), between.origin.door() as client, between.cases() as agency:
                made = Exchange(between, endpoints, folder, client, agency)
                assert (await made.post(reaching())).status_code == 202  # creates the streams
                yield made


def packed_with(exchange: Exchange, channels: Sequence[Channel] = CHANNELS) -> Packed:
    """Return the fullest record that a check accepts."""
    return fullest_record(Random(2), channels=channels, base=reaching(), refusing=exchange.refusing)


@pytest.mark.parametrize(("channels", "bar"), [(CHANNELS, 4_096), (OTHERS, 1_536)], ids=["all", "without hashes"])
async def test_the_fullest_record_is_read_whole_at_its_recipient_and_carries_no_more_than_its_budget(
    exchange: Exchange, channels: Sequence[Channel], bar: int, record_property: Figures
) -> None:
    packed = packed_with(exchange, channels)
    read = packed.found_in(await exchange.delivered(packed.body))
    assert bar / 3 < read <= packed.carried <= bar
    assert read == packed.carried or channels is CHANNELS, "which hashes travel is the edge's to say"
    record_property("figure", f"{read:,} of {bar:,} bytes {'in all' if bar > 2_000 else 'without hashes'}")


async def test_without_the_budget_at_either_end_it_would_carry_more(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the origin's guard, the recipient refuses it. Without both guards, the limits are exceeded."""
    monkeypatch.setattr(prepare, "inspect", unguarded)
    packed = packed_with(exchange)
    assert packed.carried > 4_096
    assert await exchange.delivered(packed.body) == ""
    monkeypatch.setattr(record_table, "inspect", unguarded)
    again = packed.body | {"external_ref": reaching()["external_ref"]}
    assert packed.found_in(await exchange.delivered(again)) > 4_096
    assert await largest(exchange, "URL path") > 320


@pytest.mark.parametrize("name", FIELDS)
async def test_no_field_carries_more_than_its_budget(exchange: Exchange, name: str) -> None:
    assert 16 < await largest(exchange, name) <= 320


async def largest(exchange: Exchange, name: str) -> int:
    """Return the most random bytes in one field, as base64url, that a check accepts and the recipient reads."""
    r, most = Random(3), (0, reaching())
    for size in range(16, 801, 16):
        placed = POSITIONS[name](text := b64u(r.randbytes(size)))
        body = reaching(spoken(placed.body))
        if placed.characters == len(text) and exchange.refusing(as_bytes(body)) is None:
            most = size, body
    value = most[1]["items"][0]["locator"]["value"] if name != "external reference" else most[1]["external_ref"]
    assert json.dumps(value) in await exchange.delivered(most[1])
    return most[0]


def spoken(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a body that differ from the common base."""
    return {name: value for name, value in body.items() if value != BASE[name]}


def picture_in_a_path(mark: str) -> dict[str, Any]:
    image = b64u(payloads()["jpeg_thumbnail"])
    pieces = [mark, *(image[at : at + 80] for at in range(0, len(image), 80))]
    return item_at("https://site.example/" + "/".join(pieces))


def names_of_parameters(mark: str) -> dict[str, Any]:
    r = Random(5)
    names = (f"{mark}{b64u(r.randbytes(27))}=1" for _ in range(36))
    return {"items": [item_at(f"https://s{n}.example/view?{'&'.join(names)}")["items"][0] for n in range(10)]}


def picture_in_labels(mark: str) -> dict[str, Any]:
    image = iter(re.findall(".{8}", b64u(payloads()["jpeg_thumbnail"]).replace("-", "0")))
    labels = [[{"scheme": "ucs", "value": f"{mark}{next(image, 'a')}"} for _ in range(4)] for _ in range(10)]
    return {"items": [item_at("https://site.example/")["items"][0] | {"assessments": each} for each in labels]}


def item_at(address: str) -> dict[str, Any]:
    return {"items": [{"locator": {"kind": "url", "value": address}}]}


@pytest.mark.parametrize("hole", [picture_in_a_path, names_of_parameters, picture_in_labels])
async def test_what_once_came_out_at_the_recipient_is_refused_or_cut_to_codes_and_never_written(
    exchange: Exchange, hole: Callable[[str], dict[str, Any]]
) -> None:
    mark = new_mark()
    answer = await exchange.post(reaching(hole(mark)))
    if hole is picture_in_labels:  # none of the labels is a known code, so only a general code is sent
        assert answer.status_code == 202
        assert mark not in await exchange.delivered(reaching(hole(mark)))
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "guard_over_ceiling")
    assert mark not in answer.text
    assert await exchange.found(mark) == []


async def test_the_same_search_finds_what_is_written(exchange: Exchange) -> None:
    mark = new_mark()
    assert (await exchange.post(reaching({"external_ref": mark}))).status_code == 202
    places = await exchange.found(mark)
    assert "row" in places
    assert any("pg_wal" in place for place in places)


async def test_a_record_that_is_not_its_own_canonical_form_is_refused_by_its_recipient(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The origin's instance skips its own guard. Without the recipient's guard, too, it is accepted."""
    monkeypatch.setattr(prepare, "as_kept", lambda content: content)
    monkeypatch.setattr(prepare, "inspect", unguarded)
    body = reaching(item_at("https://site.example:443/%7Euser"))
    assert await exchange.delivered(body) == ""
    body = body | {"external_ref": reaching()["external_ref"]}
    monkeypatch.setattr(record_table, "inspect", unguarded)
    assert "%7Euser" in await exchange.delivered(body)


async def test_clear_parts_and_facts_say_codes_and_ids_and_nothing_that_a_sender_could_choose_beyond(
    exchange: Exchange,
) -> None:
    """Two referrals equal in codes, places and days, and different in all else.

    Kafka and audit have the same content.
    """
    mark = new_mark()
    plain = reaching({"items": [item_at(f"https://s{n}.example/")["items"][0] for n in range(10)]})
    full = packed_with(exchange, TEXTS).body | {"external_ref": mark}
    trace = {"traceparent": f"00-{mark * 2}-{'1' * 16}-01"}
    told = [await clear_of(exchange, body, **trace) for body in (plain, full)]
    assert told[0] == told[1] != []
    assert mark not in str(told)
    other = await clear_of(exchange, reaching({"observed_at": "2025-01-11T10:11:12.000Z"}))
    assert other != told[0]  # facts carry a code for the day


async def test_of_a_refusal_audit_is_told_the_code_and_the_field(exchange: Exchange) -> None:
    mark = new_mark()
    await exchange.sent(AUDIT)
    for body in (reaching(picture_in_a_path(mark)), reaching({mark: mark}), reaching({"media_kind": mark})):
        assert (await exchange.post(body)).status_code == 422
    records = await exchange.sent(AUDIT)
    told = [clear_part(each) for each in records]
    assert [(each["code"], each.get("field")) for each in told] == [
        ("guard_over_ceiling", "/items/0/locator/value"),
        ("fields_invalid", None),
        ("fields_invalid", "/media_kind"),
    ]
    assert all({*each} <= {"origin", "origin_kind", "code", "field"} for each in told)
    assert mark not in str([(each.headers, each.value) for each in records])


async def clear_of(exchange: Exchange, body: dict[str, Any], **headers: str) -> list[str]:
    """Return the unsealed messages of a referral and audit's entries about it, with ids and times masked."""
    for lane in LANES:
        await exchange.sent(lane)
    assert (await exchange.post(body, **headers)).status_code == 202
    records = [each for lane in LANES for each in await exchange.sent(lane)]
    here, read = exchange.between.world, AuditBatch()
    reading = Reading(here.shelf, [here.keys[AUDIT].opening], ManualClock(here.at + LONG_AFTER), CATALOG)
    read_records([observed(each) for each in records], read, reading=reading)
    shown = [(each.topic, told_headers(each), clear_part(each)) for each in records]
    kept = [(entry.kind, entry.detail, [each.detail for each in entry.decisions]) for entry in read.entries]
    return [masked(str(each)) for each in (*shown, *kept)]


def told_headers(record: Record) -> list[tuple[str, bytes | None]]:
    """Return the headers without those that the instance draws or counts for each copy."""
    return [(name, value) for name, value in record.headers if name not in (SALT, PLACE)]


def masked(text: str) -> str:
    """Mask ids, digests, signatures, numbers in a pair and times, which the instance draws or counts itself."""
    return _DRAWN.sub("~", text)


#: UUIDs, digests, base64 of 40 or more characters, RFC 3339 times, numbers.
_DRAWN = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}|[A-Za-z0-9+/_-]{40,}={0,2}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z|(?<=b')\d+(?=')"
)
