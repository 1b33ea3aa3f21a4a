"""What a recipient lets in: one good record, and every row of the record table that a single record can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.policy import sample_policy
from shared.contracts.directory import Directory
from shared.contracts.referral import EdgeClear, EdgeSealed
from shared.contracts.registry import ALL, MESSAGES_RECEIPTED, REFERRAL_OFFERED, REFERRAL_WITHDRAWN, MessageType
from shared.envelope.headers import Tier
from shared.envelope.keys import OpeningKey
from shared.exchange.accept import TurnedAway, accept, accept_batch
from shared.exchange.compose import compose_receipts
from shared.exchange.message import Received, Record
from shared.exchange.record_table import DECIDE_AGAIN, RECORD_TABLE, Fate, row_for
from shared.kernel.errors import Refused, Unavailable
from shared.routing.shelf import DocumentShelf
from shared.vocabulary.routing import PartyStatus
from tests.shared.exchange.wrong_records import (
    LAPSED_KEY,
    PARTY_KEY,
    PARTY_KEYS,
    WRONG,
    Change,
    case_accepted,
    resealed,
    with_image,
    withdrawn_at,
)
from tests.support.builders import AT, HOTLINE, POLICE, verdict
from tests.support.exchange_world import LOCATION, SUBMISSION, World, merged, world


@pytest.fixture(scope="module")
def here() -> World:
    return world(party_keys=PARTY_KEYS)


@pytest.fixture(scope="module")
def good(here: World) -> Record:
    return here.records([here.offered(POLICE)])[0]


def received(here: World, record: Record, instance: str = "law_enforcement") -> Received:
    return accept(record, here.reader(instance))


def code_of(here: World, record: Record, instance: str = "law_enforcement") -> str:
    with pytest.raises((Refused, Unavailable)) as caught:
        received(here, record, instance)
    return caught.value.code


#: Codes of the table that no single record has: they come of what came before, or of our own code.
BEYOND_ONE_RECORD = {
    *("sequence_reused", "message_id_reused", "message_replayed", "sequence_gap", "receipt_unmatched"),
    *("accept_defect", "handler_defect", "document_lapsed"),
    *("act_awaited", "revision_not_above", "subject_withdrawn"),
    # Of a party that moved: `test_moved`.
    *("recipient_moved", "recipient_awaited"),
}


def test_a_good_record_is_understood_whole(here: World, good: Record) -> None:
    message = received(here, good)
    assert (message.message, message.sender, message.sender_instance) == (REFERRAL_OFFERED, HOTLINE, "hotline")
    assert message.sealed is not None
    assert LOCATION in message.sealed.model_dump_json()


def test_every_edge_of_a_referral_is_accepted_where_it_goes(here: World) -> None:
    drafts = here.prepared().drafts[:-1]
    instances = [
        received(here, r, d.recipient_instance).recipient for d, r in zip(drafts, here.records(drafts), strict=True)
    ]
    assert instances == [draft.recipient for draft in drafts]


@pytest.mark.parametrize(("code", "change"), WRONG, ids=[f"{i}-{code}" for i, (code, _) in enumerate(WRONG)])
def test_a_wrong_record_gets_exactly_its_code(here: World, good: Record, code: str, change: Change) -> None:
    assert code_of(here, change(here, good)) == code


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


@pytest.mark.parametrize(("code", "change"), WRONG, ids=[f"{i}-{code}" for i, (code, _) in enumerate(WRONG)])
def test_only_a_verified_sender_is_ever_told(here: World, good: Record, code: str, change: Change) -> None:
    with pytest.raises((Refused, Unavailable)) as caught:
        received(here, change(here, good))
    turned = caught.value
    verified = isinstance(turned, TurnedAway)
    assert verified or not row_for(code).receipt
    assert getattr(turned, "sender_instance", None) == ("hotline" if verified else None)


@pytest.mark.parametrize(("code", "change"), WRONG, ids=[f"{i}-{code}" for i, (code, _) in enumerate(WRONG)])
def test_no_error_quotes_the_record(here: World, good: Record, code: str, change: Change) -> None:
    with pytest.raises((Refused, Unavailable)) as caught:
        received(here, change(here, good))
    text = f"{caught.value} {caught.value!r} {caught.value.field}"
    assert not [value for value in (LOCATION, HOTLINE, "nobody", "admired", "DE", "more") if value in text]


def test_an_extension_of_a_later_release_is_covered_and_ignored(here: World, good: Record) -> None:
    later_one = here.resigned(good, extensions=(("ce_xhint", "soon"),))
    assert received(here, later_one).clear == received(here, good).clear
    changed = tuple((name, b"never" if name == "ce_xhint" else value) for name, value in later_one.headers)
    with pytest.raises(Refused) as caught:
        received(here, replace(later_one, headers=changed))
    assert caught.value.code == "signature_invalid"


def test_a_domain_refusal_has_a_row_too() -> None:
    assert (row_for("offer_unknown").fate, row_for("offer_unknown").receipt) == (Fate.REFUSE, True)


def test_an_answer_without_an_edge_is_accepted_without_its_optional_sealed_part(here: World, good: Record) -> None:
    assert received(here, case_accepted(here, good), "hotline").sealed is None


def test_a_receipt_comes_from_the_instance_itself(here: World) -> None:
    draft = compose_receipts(
        "hotline",
        "law_enforcement",
        [verdict()],
        directory=here.documents.directory,
        at=here.at,
    )[0]
    assert received(here, here.records([draft])[0]).message is MESSAGES_RECEIPTED


def test_nobody_receipts_to_an_instance_that_left_the_directory(here: World) -> None:
    entries = [verdict()]
    directory = here.documents.directory
    assert compose_receipts("hotline", "gone", entries, directory=directory, at=here.at) == []


def test_a_party_may_sign_for_itself_where_it_says_so(here: World, good: Record) -> None:
    assert received(here, here.resigned(good, key=PARTY_KEY, tier=Tier.PARTY)).sender == HOTLINE


def test_a_key_that_was_valid_when_the_broker_took_the_record_still_counts(here: World, good: Record) -> None:
    early = replace(here.resigned(good, key=LAPSED_KEY, tier=Tier.PARTY), broker_time=AT - timedelta(days=2))
    assert code_of(here, early) == "decision_time_off"  # the signature held


def test_a_record_proves_itself_alone_out_of_a_batch(here: World) -> None:
    records = here.records([here.offered(POLICE) for _ in range(5)])
    assert received(here, records[3]).sequence == received(here, records[0]).sequence + 3


def test_the_proof_of_one_record_does_not_hold_for_its_neighbour(here: World) -> None:
    first, second = here.records([here.offered(POLICE) for _ in range(2)])
    swapped = tuple((n, dict(second.headers)[n] if n.startswith("ce_batch") else v) for n, v in first.headers)
    assert code_of(here, replace(first, headers=swapped)) == "signature_invalid"


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


def test_a_record_waits_for_a_document_and_is_accepted_when_it_has_come(here: World) -> None:
    law = sample_policy().model_copy(update={"version": 77})
    there = replace(here, policy=law, _offsets={}, _counters={}, shelf=type(here.shelf)())
    record = there.records([there.offered(POLICE)])[0]
    waiting = world()
    waiting = replace(waiting, keys=here.keys, document=here.document, shelf=type(here.shelf)())
    assert code_of(waiting, record) == "document_unknown"
    waiting.place(law, AT - timedelta(minutes=1))
    assert received(waiting, record).recipient == POLICE


def test_what_was_stamped_with_a_key_that_ran_out_is_accepted_again_once_the_directory_extends_it() -> None:
    """Bytes are final: after an outage longer than the key was valid, the directory is what can be mended."""
    there = world()
    record = there.records([there.offered(POLICE)])[0]
    origin = there.document.instances[0]
    assert origin.id == "hotline"

    def directory(valid_to: datetime, *, version: int) -> Directory:
        keys = tuple(key.model_copy(update={"valid_to": valid_to}) for key in origin.keys)
        instances = (origin.model_copy(update={"keys": keys}), *there.document.instances[1:])
        return there.document.model_copy(update={"version": version, "instances": instances})

    there.place(directory(AT - timedelta(hours=1), version=2), AT - timedelta(minutes=3))
    assert code_of(there, record) == "key_unknown"
    there.place(directory(AT + timedelta(hours=1), version=3), AT - timedelta(minutes=2))
    assert received(there, record).recipient == POLICE


def test_an_exercise_never_reaches_a_live_party(here: World) -> None:
    draft = here.offered(POLICE)
    record = here.resigned(here.records([draft])[0], recipient="police-live.example")
    assert code_of(here, record) == "exercise_mismatch"


@pytest.mark.parametrize("exercise", [True, False])
def test_what_is_taken_back_reaches_who_is_suspended_meanwhile(exercise: bool) -> None:
    """The directory says of a suspended party that it is suspended, and no more whether it takes exercises."""
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


def test_a_live_record_never_reaches_a_sandbox_party(here: World) -> None:
    live = world()
    record = live.records([live.offered("police-nl.example")])[0]
    assert code_of(live, live.resigned(record, exercise=False)) == "exercise_mismatch"


@pytest.mark.parametrize(("sender", "code"), [("police-live.example", "exercise_mismatch"), (POLICE, None)])
def test_an_answer_of_a_live_party_never_reaches_a_sandbox_party(
    here: World, good: Record, sender: str, code: str | None
) -> None:
    answer = here.resigned(case_accepted(here, good), instance="law_enforcement", sender=sender)
    assert (code and code_of(here, answer, "hotline")) == code
    if code is None:
        assert received(here, answer, "hotline").sender == POLICE


def test_what_the_origin_may_have_decided_again_is_refused_and_not_parked() -> None:
    assert {row_for(code).fate for code in DECIDE_AGAIN} == {Fate.REFUSE}
    assert all(row_for(code).receipt for code in DECIDE_AGAIN)


def test_a_kept_body_has_passed_signature_and_guard(here: World, good: Record) -> None:
    both = resealed(lambda text: with_image(text).replace(b'"salt":"', b'"salt":"0'))(here, good)
    assert code_of(here, both) == "guard_refused"
    assert not row_for("guard_refused").keeps_body


def test_before_the_first_document_everything_waits(here: World, good: Record) -> None:
    reader = replace(here.reader("law_enforcement"), shelf=DocumentShelf())
    with pytest.raises(Unavailable, match="document_unknown"):
        accept(good, reader)


def test_of_a_record_from_before_the_first_document_nobody_is_the_sender(here: World, good: Record) -> None:
    assert code_of(here, replace(good, broker_time=datetime(2020, 1, 1, tzinfo=UTC))) == "sender_unknown"


def test_changes_of_a_record_are_what_they_say() -> None:
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
    assert SUBMISSION["exercise"] is True


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
    monkeypatch.setattr("shared.exchange.accept.check_stated_by", lambda *_, **__: 1 // next(calls))
    before, broken, after = accept_batch(records, here.reader("law_enforcement"))
    assert isinstance(before, Received)
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(after, Received)


def fresh(here: World) -> Record:
    return here.records([here.offered(POLICE)])[0]


def undecided(messages: Sequence[MessageType]) -> list[str]:
    """Messages said to carry an edge whose parts do not say what it is derived from, and what commits to it."""
    return [
        each.name
        for each in messages
        if each.edge and not (issubclass(each.clear, EdgeClear) and each.sealed and issubclass(each.sealed, EdgeSealed))
    ]


def test_a_message_with_an_edge_states_what_it_is_derived_from() -> None:
    assert undecided(ALL) == []
    assert undecided([replace(REFERRAL_WITHDRAWN, edge=True)]) == ["referral_withdrawn"]
