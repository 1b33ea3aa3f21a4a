"""No party can speak for another: every message × sender's kind × recipient's kind × relation to the subject.

Each statement is forged as well as possible: signed by the speaker's instance, about an existing subject, in every
state that the subject can have. It has an effect only if a cell allows it *and* the subject belongs to the speaker. For
audit and reconciliation see `tests/services/audit/test_facts_enumerated.py`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from shared.catalog import CATALOG
from shared.core.contracts.registry import READS_ANNOUNCED
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.authority import AuthorityRow, SenderRelation, cells, cells_of
from shared.core.protocol.message import compose
from shared.core.vocabulary.routing import PartyKind
from tests.shared.core.protocol.statements import (
    INSTANCES,
    NOT_BY_THIS_LAW,
    SERVICES,
    Measure,
    has_effect,
    relations,
    said,
    statements,
)
from tests.support.builders import HOTLINE, POLICE
from tests.support.exchange_world import World
from tests.support.forging import forged


async def test_only_the_tables_cells_have_an_effect_at_a_party(here: World, record_property: Measure) -> None:
    subject, wrong, tried = uuid7(), [], 0
    for message, by, to in statements():
        # Statements between instances about themselves move no party's subject, regardless of the speaker.
        moves = message is not READS_ANNOUNCED
        allowed = moves and any((cell.sender, cell.recipient) == (by, to) for cell in cells_of(message, CATALOG))
        for speaker in relations(message):
            record = said(here, message, by, to, speaker=speaker, subject=subject)
            effect = await has_effect(here, record, to, subject=subject, speaker=speaker, by=by)
            tried += 1
            if effect != (allowed and speaker == "its own" and (message.name, by, to) not in NOT_BY_THIS_LAW):
                wrong.append((message.name, by.value, to.value, speaker, effect))
    record_property("statements_tried", tried)
    assert wrong == []
    assert tried == 3 * 4 * (2 * 2 + 1 + 3 * 54)


async def test_with_the_table_off_a_provider_reports_what_came_of_a_case(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the defect as it was found, with the same means as above.

    The notice's edge closes with a conviction.
    """
    subject = uuid7()
    message = next(each for each in CATALOG.messages if each.name == "outcome_reported")
    by, to = PartyKind.INDUSTRY, PartyKind.HOTLINE

    async def effect() -> bool:
        record = said(here, message, by, to, speaker="its own", subject=subject)
        return await has_effect(here, record, to, subject=subject, speaker="its own", by=by)

    assert not await effect()
    monkeypatch.setattr("shared.core.protocol.sender_verification.check_may_say", lambda *_, **__: None)
    assert await effect()


def _taken(here: World) -> set[tuple[PartyKind, PartyKind]]:
    """Return the pairs of kinds between which `reads_announced` is accepted."""
    taken = set()
    for message, by, to in statements():
        if message is READS_ANNOUNCED:
            record = said(here, message, by, to, speaker="its own", subject=uuid7())
            with suppress(Refused):
                accept(record, here.reader(INSTANCES[to]))
                taken.add((by, to))
    return taken


def test_what_an_instance_reads_is_taken_from_whom_the_table_names(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender must be a peer. An auditor sends nothing that a party's instance would have to read."""
    named = {(cell.sender, cell.recipient) for cell in cells_of(READS_ANNOUNCED, CATALOG) if cell.recipient in SERVICES}
    assert _taken(here) == named
    monkeypatch.setattr("shared.core.protocol.sender_verification.check_may_say", lambda *_, **__: None)
    assert (PartyKind.AUDITOR, PartyKind.HOTLINE) in _taken(here) - named


def test_no_kind_that_files_nothing_speaks_as_an_origin_and_none_answers_what_it_is_not_sent() -> None:
    by_relation: dict[SenderRelation, set[AuthorityRow]] = {each: set() for each in SenderRelation}
    for cell in cells(CATALOG):
        by_relation[cell.relation].add(cell)
    assert {cell.sender for cell in by_relation[SenderRelation.FILED_IT]} == {PartyKind.HOTLINE, PartyKind.INDUSTRY}
    for cell in by_relation[SenderRelation.WAS_SENT_IT]:
        assert any(
            (sent.sender, sent.recipient) == (cell.recipient, cell.sender)
            for sent in by_relation[SenderRelation.FILED_IT]
        )


def test_a_party_that_is_gone_is_not_whom_it_was_said_wrongly_to(here: World) -> None:
    """Audit reads messages to a party that has since left. The sender's kind must still be right."""
    address = here.address(uuid7(), POLICE, HOTLINE)
    [accepted] = [each for each in CATALOG.messages if each.name == "case_accepted"]
    made = compose(accepted, {"referral_id": str(address.subject)}, address)
    [record] = forged(here, [replace(made, recipient="gone.example")], instance="law_enforcement")
    with pytest.raises(Refused, match="recipient_not_served"):
        accept(record, here.reader("hotline"))


def test_every_message_has_a_cell_and_every_cell_is_there_once() -> None:
    assert {cell.message for cell in cells(CATALOG)} == set(CATALOG.messages)
    assert len(set(cells(CATALOG))) == len(cells(CATALOG))
