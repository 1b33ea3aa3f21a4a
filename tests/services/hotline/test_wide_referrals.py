"""Referrals with the most edges allowed, and one more: each row gets its own answer and delays no other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from client.api import CausewayClient
from client.cli.import_file import AcceptanceFile, ImportState, check_file, import_file, state_path
from client.cli.rows import RowFile
from shared.core.authority import Role
from shared.core.contracts.directory import Directory
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft
from shared.features.filing.api.act_handlers import referrals_router
from shared.features.filing.rules import PAUSES
from shared.platform.database.transactions import Database
from shared.platform.http.edge import create_app
from shared.platform.http.identity import Identity
from tests.services.hotline.origin import Origin
from tests.support.builders import HOTLINE
from tests.support.exchange_world import SUBMISSION, World, world

EDGES_MAX = 200
#: Countries with as many hotlines as a referral may have edges, and one more.
WIDE, WIDER = "FI", "SE"
HOTLINES = {WIDE: EDGES_MAX, WIDER: EDGES_MAX + 1}
URL = "http://127.0.0.1:9"
#: The API key that every test party uses.
KEY = "cw_test_" + "k" * 43


def crowded() -> World:
    """Return the sample world with that many hotlines in these two countries."""
    sample = world()
    parties = [*sample.document.parties]
    for country, count in HOTLINES.items():
        one = next(party for party in parties if party.id == f"hotline-{country.lower()}.example")
        ids = [f"hotline-{country.lower()}-{number:03}.example" for number in range(1, count)]
        parties += [one.model_copy(update={"id": each}) for each in ids]
    document: Directory = sample.document.model_copy(update={"parties": tuple(parties)})
    return World(sample.keys, document, sample.policy)


def hosted(country: str, **changes: Any) -> dict[str, Any]:
    """Return a referral about one address in this country only."""
    item = {"locator": {"kind": "url", "value": "https://images.example/gallery/17"}}
    content = SUBMISSION | {"items": [item | {"hosting": [{"jurisdiction": country}]}], "subject_accounts": []}
    elsewhere: dict[str, Any] = {"user_jurisdictions": [], "victim_jurisdictions": []}
    return content | elsewhere | {"external_ref": f"wide-{uuid7().hex[:24]}"} | changes


@pytest.fixture
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a hotline of the crowded world."""
    origin = Origin(database, crowded())
    await origin.forget()

    async def identified(_: Request) -> Identity:
        return Identity(HOTLINE, Role.MACHINE, "hotline", exercise=True, actor="0a" * 16)

    api = replace(origin.api, serving=replace(origin.api.serving, identified=identified))
    served = httpx.ASGITransport(create_app("sample", [referrals_router(api)]))
    async with origin.intake.running(), httpx.AsyncClient(transport=served, base_url=URL, timeout=60) as opened:
        yield opened


@pytest.mark.parametrize(
    ("country", "edges", "state", "reason"), [(WIDE, EDGES_MAX, "routed", None), (WIDER, 0, "unroutable", "too_wide")]
)
async def test_a_wide_referral_is_accepted_as_its_check_said(
    http: httpx.AsyncClient, country: str, edges: int, state: str, reason: str | None
) -> None:
    posted = hosted(country)
    looked = await http.post("/v1/referrals:check", json=posted)
    filed = await http.post("/v1/referrals", json=posted, headers={"idempotency-key": uuid7().hex})
    assert (looked.status_code, filed.status_code) == (200, 202)
    (expected,), found = looked.json()["results"], filed.json()
    assert (found["state"], found["work_reason"], len(found["recipients"])) == (state, reason, edges)
    assert {name: expected[name] for name in ("state", "work_reason", "recipients")} == {
        name: found[name] for name in ("state", "work_reason", "recipients")
    }
    shown = (await http.get(filed.headers["location"])).json()
    assert (len(shown["edges"]), shown["work_reason"]) == (edges, reason)


async def test_an_import_with_wide_rows_answers_every_row(http: httpx.AsyncClient, tmp_path: Path) -> None:
    rows = [hosted("CA") for _ in range(1_000)]
    rows[416], rows[750] = hosted(WIDE), hosted(WIDER)
    path = tmp_path / "thousand.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    file = RowFile(path)
    client = CausewayClient(URL, KEY, http=http)
    checked = await check_file(file, client, origin=None, on_progress=lambda _, __: None)
    kept = AcceptanceFile.beside(path)
    state = ImportState(state_path(path), kept, file_sha256=file.sha256, origin=None, url=URL, key=KEY)
    summary = await import_file(file, client, state, origin=None, on_progress=lambda _, __: None)
    assert (summary.stopped, len(summary.results), [*summary.errors]) == (None, 1_000, [])
    assert [each.state for each in summary.results] == [each.state for each in checked.results]
    assert summary.states == {"routed": 999, "unroutable": 1}
    assert (len(checked.results[416].recipients), checked.results[750].work_reason) == (EDGES_MAX, "too_wide")


async def test_a_wide_referral_that_all_refuse_is_decided_again_whole(database: Database) -> None:
    origin = Origin(database, crowded())
    await origin.forget()
    content = hosted(WIDE)
    wide = await origin.file(**{name: content[name] for name in content if name != "external_ref"})

    async def edges() -> Sequence[Draft]:
        return [each for each in await origin.waiting_edges() if each.subject == str(wide)]

    for pause in (*PAUSES, None):
        refused = await edges()
        assert len(refused) == EDGES_MAX
        await origin.refused(refused)
        beside = str(await origin.file())
        if pause:
            assert await edges() == []
            origin.clock.advance(pause.total_seconds())
            assert [await origin.due() for _ in range(2)] == [EDGES_MAX, 0]
        assert beside in {each.subject for each in await origin.waiting()}
    assert await edges() == []
    assert wide in await origin.work("undeliverable")
