"""Errors about a bad body, from intake and the command line, contain code and pointer but no sent text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from client.cli.rows import RowFile
from shared.core.protocol.acceptance import Acceptor
from shared.features.filing.api.act_handlers import OriginApi, referrals_router
from shared.features.filing.api.bodies import answer_filed
from shared.features.filing.api.checking import CheckOutcome, CheckRequest, check_posted
from shared.features.filing.service.alarms import Alarms
from shared.features.filing.service.intake import Intake
from shared.features.filing.store.intake import PostgresFilings
from shared.features.offers.rules import AUTHORITY
from tests.guard_report.attempts import as_bytes
from tests.guard_report.hostile import JSON, Hostile, hostile
from tests.guard_report.positions import BASE
from tests.services.doors import asking, door, serving
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import world
from tests.support.manual_clock import ManualClock

REQUESTS, MARKS = hostile(seed=5)
#: A repeated stretch of this many characters of a sender's text would be a leak.
WINDOW = 16


@pytest.fixture(scope="module")
def hotline() -> httpx.AsyncClient:
    """The hotline's own routes. A check stores nothing, so no store is needed."""
    documents = world().documents
    clock = ManualClock(AT)
    alarms = Alarms(cast(Any, None), clock=clock, name_of=str)
    intake = Intake(
        cast(PostgresFilings, None),
        answering=partial(answer_filed, acceptor=cast(Acceptor, None)),
        authority=AUTHORITY,
        documents=lambda: documents,
        instance="hotline",
        clock=clock,
        owe=lambda *_: None,
        alarms=alarms,
    )

    async def checked_here(posted: CheckRequest) -> CheckOutcome:
        return check_posted(posted, documents)

    on = serving(cast(Any, None), "hotline", kek=cast(Any, None), directory=documents.directory)
    api = OriginApi(
        serving=replace(on, clock=clock),
        intake=intake,
        checking=checked_here,
        alarms=alarms,
        documents=lambda: documents,
        instance="hotline",
    )
    return door(referrals_router(api))


async def checked(hotline: httpx.AsyncClient, request: Hostile) -> httpx.Response:
    headers = asking(HOTLINE) | {"content-type": request.content_type} | request.headers
    return await hotline.post("/v1/referrals:check", content=request.body, headers=headers)


def stretches(text: str) -> set[str]:
    return {text[at : at + WINDOW] for at in range(len(text) - WINDOW + 1)}


SENT = set().union(*map(stretches, MARKS))


def refusals(answer: httpx.Response) -> Iterator[dict[str, object]]:
    """Return the problems in an answer: the answer itself, or one for each referral that was checked."""
    if answer.status_code >= 400:
        yield answer.json()
    else:
        yield from (result["problem"] for result in answer.json()["results"])


def test_there_are_hundreds_of_them_and_nearly_all_carry_a_mark() -> None:
    assert len(REQUESTS) > 200
    marked = sum(1 for request in REQUESTS if stretches(request.body.decode("latin-1")) & SENT)
    assert marked > 0.95 * len(REQUESTS)


async def test_every_hostile_body_is_a_coded_problem_that_repeats_none_of_it(
    hotline: httpx.AsyncClient, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    codes = set()
    for request in REQUESTS:
        answer = await checked(hotline, request)
        problems = list(refusals(answer))
        assert problems, request.name
        for problem in problems:
            assert problem["status"] in range(400, 500), request.name
            codes.add(problem["code"])
        logged = capfd.readouterr()
        said = answer.text + str(answer.headers) + logged.out + logged.err + caplog.text
        assert not stretches(said) & SENT, request.name
    assert {"body_not_json", "body_key_repeated", "body_too_deep", "fields_invalid", "body_string_not_text"} <= codes
    assert any(str(code).startswith("guard_") for code in codes)


def test_the_same_look_finds_what_an_answer_repeats() -> None:
    assert all(stretches(f"rule broken by {mark[:WINDOW]}") & SENT for mark in MARKS)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("https://site.example/" + "q7Xz9LmP2kVb8RtYw3" * 80, "guard_over_ceiling"),
        ("https://site.example:99999/", "guard_rules_host_port"),
    ],
)
async def test_a_refusal_of_the_guard_names_the_field(hotline: httpx.AsyncClient, value: str, code: str) -> None:
    body = BASE | {"items": [{"locator": {"kind": "url", "value": value}}]}
    (problem,) = refusals(await checked(hotline, Hostile("guard", as_bytes(body))))
    assert (problem["code"], problem["field"]) == (code, "/items/0/locator/value")


def test_a_row_of_a_file_that_cannot_be_read_repeats_none_of_it(tmp_path: Path) -> None:
    unread = 0
    for number, request in enumerate(each for each in REQUESTS if each.content_type == JSON and not each.headers):
        if not request.body.strip():
            continue  # not a file: `tests/client` shows the error for an empty file
        file = tmp_path / f"{number}.json"
        file.write_bytes(request.body)
        for row in RowFile(file).rows():
            if row.error is not None:
                unread += 1
                assert not stretches(str(row.error)) & SENT, request.name
    assert unread > 20
