"""Audit judges statements about a preservation: only the requesting agency and the asked provider may make them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from shared.contracts.facts import RecordRevealedClear
from shared.contracts.preservation import (
    PreservationAnsweredClear,
    PreservationCorrectedClear,
    PreservationRequestedClear,
    PreservationWithdrawnClear,
)
from shared.contracts.registry import (
    PRESERVATION_ANSWERED,
    PRESERVATION_CORRECTED,
    PRESERVATION_REQUESTED,
    PRESERVATION_WITHDRAWN,
    MessageType,
)
from shared.exchange.message import Draft, compose, compose_revealed
from shared.kernel.authority import Role
from shared.kernel.ids import uuid4, uuid7
from shared.vocabulary.preservation import PreservationAnswer, PreservationWithdrawal
from tests.services.audit.log import Log, of_message
from tests.support.builders import POLICE, PROVIDER

PreservationClear = (
    PreservationRequestedClear | PreservationAnsweredClear | PreservationCorrectedClear | PreservationWithdrawnClear
)
ABROAD = "police-us.example"
OTHER_AGENCY, OTHER_PROVIDER = "police-be.example", "provider-002.example"
AT_AGENCIES, AT_PROVIDERS = "law_enforcement", "industry"
STANDS, NOT_THEIRS = ("record", None), ("not_entitled", "statement_not_yours")


def _draft(
    log: Log, message: MessageType, clear: PreservationClear, sender: str, *, to: str, sealed: bytes | None = None
) -> Draft:
    return compose(message, clear, log.world.address(clear.preservation_id, sender, to), sealed=sealed)


def asked(log: Log, of: UUID, by: str = POLICE, *, to: str = PROVIDER, under: str = "budapest") -> Draft:
    terms = {"kind": "preserve", "instrument": under, "until": "2026-08-01"}
    clear = PreservationRequestedClear.model_validate({"preservation_id": of, "act": uuid4(), "number": 1} | terms)
    sealed = b'{"locations": [{"kind": "url", "value": "https://files.example/a"}]}'
    return _draft(log, PRESERVATION_REQUESTED, clear, by, to=to, sealed=sealed)


def answered(log: Log, of: UUID, by: str = PROVIDER, *, to: str = POLICE) -> Draft:
    words = {"answer": PreservationAnswer.PRESERVED, "until": "2026-12-01"}
    clear = PreservationAnsweredClear.model_validate({"preservation_id": of, "act": uuid4(), "number": 1} | words)
    return _draft(log, PRESERVATION_ANSWERED, clear, by, to=to)


def corrected(log: Log, of: UUID, by: str = PROVIDER, *, to: str = POLICE) -> Draft:
    words = {"answer": PreservationAnswer.NOT_POSSIBLE, "impossible": "never_stored"}
    clear = PreservationCorrectedClear.model_validate({"preservation_id": of, "act": uuid4(), "number": 2} | words)
    return _draft(log, PRESERVATION_CORRECTED, clear, by, to=to)


def withdrawn(log: Log, of: UUID, by: str = POLICE, *, to: str = PROVIDER) -> Draft:
    clear = PreservationWithdrawnClear(
        preservation_id=of, act=uuid4(), number=2, reason=PreservationWithdrawal.ASKED_IN_ERROR
    )
    return _draft(log, PRESERVATION_WITHDRAWN, clear, by, to=to)


def opened(log: Log, of: UUID, party: str) -> Draft:
    clear = RecordRevealedClear(party=party, role=Role.ANALYST, actor="0" * 32)
    return compose_revealed(of, clear, exercise=True, directory=log.world.documents.directory, at=log.world.at)


async def judged(log: Log, of: UUID, *drafts: tuple[str, Draft]) -> list[tuple[str, str | None]]:
    """Return audit's verdict on each message, after it has read all of them."""
    records = []
    for by, draft in drafts:
        log.world.at += timedelta(seconds=1)
        records += log.world.records([draft], by)
    await log.keep(*records)
    flow = await log.flow(of)
    lines = [line for record in records for line in of_message(flow, record)]
    return [(line["kind"], line.get("problem")) for line in lines]


async def test_what_both_say_of_it_stands(log: Log) -> None:
    of = uuid7()
    answers = (AT_PROVIDERS, answered(log, of)), (AT_PROVIDERS, corrected(log, of))
    said = (AT_AGENCIES, asked(log, of)), *answers, (AT_AGENCIES, withdrawn(log, of))
    assert await judged(log, of, *said) == [STANDS] * 4


async def test_nobody_else_says_anything_of_it(log: Log) -> None:
    of = uuid7()
    said = (
        (AT_AGENCIES, asked(log, of)),
        (AT_PROVIDERS, answered(log, of, OTHER_PROVIDER)),
        (AT_PROVIDERS, corrected(log, of, OTHER_PROVIDER)),
        (AT_AGENCIES, withdrawn(log, of, OTHER_AGENCY)),
        (AT_AGENCIES, withdrawn(log, of, to=OTHER_PROVIDER)),
    )
    assert await judged(log, of, *said) == [STANDS, *[NOT_THEIRS] * 4]


async def test_of_two_requests_of_one_name_neither_stands(log: Log) -> None:
    of = uuid7()
    said = (AT_AGENCIES, asked(log, of)), (AT_AGENCIES, asked(log, of, OTHER_AGENCY))
    assert await judged(log, of, *said) == [NOT_THEIRS, NOT_THEIRS]


async def test_an_answer_to_what_nobody_asked_does_not_stand(log: Log) -> None:
    of = uuid7()
    assert await judged(log, of, (AT_PROVIDERS, answered(log, of))) == [NOT_THEIRS]


@pytest.mark.parametrize(("party", "kind"), [(POLICE, "revealed"), (OTHER_AGENCY, "not_entitled")])
async def test_one_of_the_two_opens_it(log: Log, party: str, kind: str) -> None:
    of = uuid7()
    said = await judged(log, of, (AT_AGENCIES, asked(log, of)), (AT_AGENCIES, opened(log, of, party)))
    assert said[1][0] == kind


async def test_what_is_asked_under_an_instrument_of_elsewhere_is_found(log: Log) -> None:
    """The agency's own instance refuses such a request. An instance that lies sends it anyway."""
    for by, under, code in (
        (POLICE, "us_2258a", "instrument_not_yours"),
        (POLICE, "eu_2023_1543", "instrument_unknown"),
        (ABROAD, "us_2258a", None),
    ):
        of = uuid7()
        found = await judged(log, of, (AT_AGENCIES, asked(log, of, by, under=under)))
        assert found == [STANDS if code is None else ("not_entitled", code)]


async def test_what_was_law_when_it_was_said_is_named_by_nobody(log: Log) -> None:
    """The message was in transit when the law changed."""
    of = uuid7()
    draft = asked(log, of)
    later = log.world.policy.model_copy(update={"version": 77, "instruments": ()})
    log.world.place(later, log.world.at + timedelta(seconds=1))
    log.world.at += timedelta(seconds=5)
    assert await judged(log, of, (AT_AGENCIES, draft)) == [STANDS]
    log.world.at += timedelta(minutes=1)
    assert await judged(log, other := uuid7(), (AT_AGENCIES, asked(log, other))) == [
        ("not_entitled", "instrument_unknown")
    ]
