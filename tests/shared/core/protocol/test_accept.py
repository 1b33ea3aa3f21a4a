"""Records that a recipient accepts: one valid record, and every row of the record table that one record can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.policy import sample_policy
from shared.catalog import CATALOG
from shared.core.contracts.referral import EdgeClear, EdgeSealed
from shared.core.contracts.registry import READS_ANNOUNCED, REFERRAL_OFFERED, REFERRAL_WITHDRAWN, MessageType
from shared.core.envelope.keys import OpeningKey
from shared.core.errors import Refused, Unavailable
from shared.core.ids import uuid7
from shared.core.protocol.accept import RejectedRecord, accept, accept_batch
from shared.core.protocol.message import Received, Record, compose
from shared.core.protocol.read_capabilities import own_reads
from shared.core.protocol.record_table import DECIDE_AGAIN, RECORD_TABLE, Fate, row_for
from shared.core.routing.documents import DocumentStore
from shared.core.vocabulary.routing import PartyStatus
from tests.shared.core.protocol.wrong_records import (
    WRONG,
    Change,
    case_accepted,
    resealed,
    with_image,
    with_keys,
    withdrawn_at,
)
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.exchange_world import LOCATION, World, world


def received(here: World, record: Record, instance: str = "law_enforcement") -> Received:
    return accept(record, here.reader(instance))


def code_of(here: World, record: Record, instance: str = "law_enforcement") -> str:
    with pytest.raises((Refused, Unavailable)) as caught:
        received(here, record, instance)
    return caught.value.code


#: Codes of the table that no single record causes. They depend on earlier messages or on our own code.
BEYOND_ONE_RECORD = {
    *("accept_defect", "handler_defect", "document_lapsed"),
    # Places and proofs are tested in `tests/shared/messaging/test_arrival.py`.
    *("proof_malformed", "proof_missing", "place_malformed", "ack_malformed", "key_unknown"),
    *("act_awaited", "revision_not_above", "subject_withdrawn", "sender_day_spent", "sender_day_full"),
    # Moved parties are tested in `test_moved`.
    *("recipient_moved", "recipient_awaited"),
}


def test_a_good_record_is_understood_whole(here: World, good: Record) -> None:
    message = received(here, good)
    assert (message.message, message.sender, message.sender_instance) == (REFERRAL_OFFERED, HOTLINE, "hotline")
    assert message.sealed is not None
    assert LOCATION in message.sealed.model_dump_json()


@pytest.mark.parametrize(("code", "change"), WRONG, ids=[f"{i}-{code}" for i, (code, _) in enumerate(WRONG)])
def test_a_wrong_record_gets_exactly_its_code_and_nothing_of_an_unknown_sender_is_kept_opened(
    here: World, good: Record, code: str, change: Change
) -> None:
    with pytest.raises((Refused, Unavailable)) as caught:
        received(here, change(here, good))
    error, row = caught.value, row_for(code)
    assert error.code == code
    verified = isinstance(error, RejectedRecord)
    assert verified or (row.fate in (Fate.PARK, Fate.SKIP) and not row.keeps_body)
    assert getattr(error, "sender_instance", None) == ("hotline" if verified else None)
    text = f"{error} {error!r} {error.field}"
    assert not [value for value in (LOCATION, HOTLINE, "nobody", "admired", "DE", "more") if value in text]


@pytest.mark.parametrize("off", [timedelta(minutes=5), timedelta(days=-30)], ids=["clocks differ", "it waited"])
def test_what_is_said_a_little_ahead_or_long_ago_counts_from_when_it_was(
    here: World, good: Record, off: timedelta
) -> None:
    said_at = (AT + off).replace(second=0)
    assert received(here, withdrawn_at(said_at)(here, good)).sent_at == said_at


def test_what_is_dated_ten_seconds_more_ahead_is_refused(here: World, good: Record) -> None:
    with pytest.raises(Refused, match="message_time_off"):
        received(here, withdrawn_at(timedelta(minutes=5, seconds=10))(here, good))


def test_the_wrong_records_reach_every_row_that_one_record_can() -> None:
    assert {code for code, _ in WRONG} | BEYOND_ONE_RECORD == set(RECORD_TABLE)


def test_an_extension_of_a_later_release_is_covered_and_ignored(here: World, good: Record) -> None:
    later_one = here.resigned(good, extensions=(("ce_xhint", "soon"),))
    understood = received(here, later_one)
    assert understood.clear == received(here, good).clear
    changed = tuple((name, b"never" if name == "ce_xhint" else value) for name, value in later_one.headers)
    assert received(here, replace(later_one, headers=changed)).digest != understood.digest


def test_what_an_instance_reads_comes_from_the_instance_itself(here: World) -> None:
    address = here.address(uuid7(), "hotline", "law_enforcement", exercise=False)
    [record] = here.records([compose(READS_ANNOUNCED, own_reads(CATALOG), address)])
    assert received(here, record).message is READS_ANNOUNCED
    assert code_of(here, here.resigned(record, sender=HOTLINE)) == "sender_unknown"


def test_a_record_that_was_kept_does_not_count_after_its_key_was_revoked() -> None:
    there = world()
    (kept,) = there.records([there.offered(POLICE)])
    assert received(there, kept).sender == HOTLINE
    there.place(with_keys(there.document, "hotline", "sign", revoked_at=AT), AT)
    assert code_of(there, kept) == "signature_invalid"


def test_an_old_opening_key_still_opens_during_a_rotation(here: World, good: Record) -> None:
    keys = [OpeningKey.generate(), here.keys["law_enforcement"].opening]
    assert accept(good, here.reader("law_enforcement", opening_keys=keys)).sealed is not None
    with pytest.raises(Refused, match="sealed_unopenable"):
        accept(good, here.reader("law_enforcement", opening_keys=keys[:1]))


def test_a_document_that_was_replaced_lapses_after_five_minutes() -> None:
    there = world()
    record = there.records([there.offered(POLICE)])[0]
    law = sample_policy()
    there.place(law.model_copy(update={"version": law.version + 1}), AT - timedelta(minutes=4))
    assert received(there, record).recipient == POLICE
    there.place(law.model_copy(update={"version": law.version + 2}), AT - timedelta(minutes=6))
    assert code_of(there, record) == "document_lapsed"


@pytest.mark.parametrize("exercise", [True, False])
def test_what_is_taken_back_reaches_who_is_suspended_meanwhile(exercise: bool) -> None:
    """The directory marks a suspended party as suspended. It no longer says whether the party accepts exercises."""
    there = world()
    offer = there.records([there.offered(POLICE)])[0]
    parties = tuple(
        party.model_copy(update={"status": PartyStatus.SUSPENDED}) if party.id == POLICE else party
        for party in there.document.parties
    )
    there.place(
        there.document.model_copy(update={"version": 2, "parties": parties, "issued_at": AT}), AT - timedelta(minutes=1)
    )
    code = None if exercise else "exercise_mismatch"
    record = there.resigned(withdrawn_at(timedelta())(there, offer), exercise=exercise)
    assert (code and code_of(there, record)) == code
    if exercise:
        assert received(there, record).recipient == POLICE


def test_an_exercise_never_reaches_a_live_party_and_a_live_record_no_sandbox_party(here: World, good: Record) -> None:
    to_live = here.resigned(fresh(here), recipient="police-live.example")
    to_sandbox = here.resigned(here.records([here.offered("police-nl.example")])[0], exercise=False)
    assert [code_of(here, each) for each in (to_live, to_sandbox)] == ["exercise_mismatch"] * 2
    answer = case_accepted(here, good)
    of_live = here.resigned(answer, instance="law_enforcement", sender="police-live.example")
    assert code_of(here, of_live, "hotline") == "exercise_mismatch"
    accepted = received(here, answer, "hotline")  # without its optional sealed part
    assert (accepted.sender, accepted.sealed) == (POLICE, None)


def test_a_kept_body_has_passed_signature_and_guard(here: World, good: Record) -> None:
    both = resealed(lambda text: with_image(text).replace(b'"salt":"', b'"salt":"0'))(here, good)
    assert code_of(here, both) == "guard_refused"
    assert not row_for("guard_refused").keeps_body


def test_before_the_first_document_everything_waits(here: World, good: Record) -> None:
    reader = replace(here.reader("law_enforcement"), shelf=DocumentStore())
    with pytest.raises(Unavailable, match="document_unknown"):
        accept(good, reader)


def test_of_a_record_from_before_the_first_document_nobody_is_the_sender(here: World, good: Record) -> None:
    assert code_of(here, replace(good, broker_time=datetime(2020, 1, 1, tzinfo=UTC))) == "sender_unknown"


def test_a_batch_is_judged_record_by_record_and_no_record_touches_another(here: World) -> None:
    mixed = [each for _, change in WRONG for each in (change(here, fresh(here)), fresh(here))]
    together = accept_batch(mixed, here.reader("law_enforcement"))
    for (code, _), wrong, right in zip(WRONG, together[::2], together[1::2], strict=True):
        assert isinstance(wrong, Refused | Unavailable)
        assert wrong.code == code
        assert isinstance(right, Received)
    assert [each.record for each in together if isinstance(each, Received)] == mixed[1::2]


def test_a_check_that_breaks_costs_its_own_record_only(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [fresh(here) for _ in range(3)]
    calls = iter((1, 0, 1))
    monkeypatch.setattr("shared.core.protocol.accept.check_facts", lambda *_, **__: 1 // next(calls))
    before, broken, after = accept_batch(records, here.reader("law_enforcement"))
    assert isinstance(before, Received)
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(after, Received)


def fresh(here: World) -> Record:
    return here.records([here.offered(POLICE)])[0]


def undecided(messages: Sequence[MessageType]) -> list[str]:
    """Return the messages that carry an edge, but whose parts lack the edge's inputs or its commitment."""
    return [
        each.name
        for each in messages
        if each.edge and not (issubclass(each.clear, EdgeClear) and each.sealed and issubclass(each.sealed, EdgeSealed))
    ]


def test_a_message_with_an_edge_states_what_it_is_derived_from() -> None:
    assert undecided(CATALOG.messages) == []
    assert undecided([replace(REFERRAL_WITHDRAWN, edge=True)]) == ["referral_withdrawn"]


def test_what_the_origin_may_have_decided_again_is_refused_and_not_parked() -> None:
    assert {row_for(code).fate for code in DECIDE_AGAIN} == {Fate.REFUSE}
