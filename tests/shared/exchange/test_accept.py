"""What a recipient lets in: one good record, and every row of the record table that a single record can reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.policy import sample_policy
from shared.contracts.registry import CASE_ACCEPTED, MESSAGES_RECEIPTED, REFERRAL_OFFERED
from shared.envelope.headers import Tier
from shared.envelope.keys import OpeningKey, SigningKey
from shared.envelope.sealing import seal
from shared.exchange.accept import RECORD_BYTES_MAX, TurnedAway, accept
from shared.exchange.compose import compose, compose_receipts, seal_context
from shared.exchange.message import Received, Record
from shared.exchange.record_table import DECIDE_AGAIN, RECORD_TABLE, Fate, row_for
from shared.kernel.errors import Refused, Unavailable
from shared.kernel.ids import uuid7
from shared.vocabulary.answers import Outcome
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import LOCATION, SUBMISSION, World, later, merged, public_key, world

PARTY_KEY, LAPSED_KEY, FOREIGN_KEY = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
PARTY_KEYS = {
    HOTLINE: (
        public_key(PARTY_KEY.verify_key, "sign"),
        public_key(LAPSED_KEY.verify_key, "sign", valid_to=AT - timedelta(days=1)),
    ),
    "hotline-de.example": (public_key(FOREIGN_KEY.verify_key, "sign"),),
}
Change = Callable[[World, Record], Record]


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


def header(name: str, value: bytes | None) -> Change:
    """The record with one header's value replaced, unsigned."""
    return lambda _, record: replace(record, headers=tuple((n, value if n == name else v) for n, v in record.headers))


def without(*names: str) -> Change:
    return lambda _, record: replace(record, headers=tuple((n, v) for n, v in record.headers if n not in names))


def also(name: str, value: bytes) -> Change:
    return lambda _, record: replace(record, headers=(*record.headers, (name, value)))


def signed(**changes: Any) -> Change:
    """The record changed and honestly signed again by the instance that sent it."""
    return lambda here, record: here.resigned(record, **changes)


def resealed(plaintext: Callable[[bytes], bytes], *, context: dict[str, Any] | None = None) -> Change:
    """The record with another sealed part, sealed to the right key and signed again."""

    def change(here: World, record: Record) -> Record:
        before, value = received(here, record), json.loads(record.value or b"")
        bound = seal_context(
            before.message,
            before.message_id,
            before.subject,
            clear=value["clear"],
            sender=before.sender,
            recipient=before.recipient,
        )
        assert before.sealed is not None
        stated = before.sealed.model_dump_json(exclude_none=True).encode()
        key = here.keys["law_enforcement"].opening.sealing_key
        sealed = seal(plaintext(stated), key, replace(bound, **(context or {})))
        return here.resigned(record, body=json.dumps(value | {"sealed": sealed}).encode())

    return change


def with_image(plaintext: bytes) -> bytes:
    record = json.loads(plaintext)
    record["items"][0]["locator"]["value"] = "https://images.example/" + "iVBORw0KGgo" * 20
    return json.dumps(record).encode()


def case_accepted(here: World, record: Record) -> Record:
    """An answer that carries no edge, from an agency to a hotline."""
    referral_id = uuid7()
    draft = compose(
        CASE_ACCEPTED,
        {"referral_id": str(referral_id)},
        subject=referral_id,
        sender=POLICE,
        recipient=HOTLINE,
        directory=here.documents.directory,
        exercise=True,
        at=here.at,
    )
    return here.records([draft], "law_enforcement")[0]


def party_receipts(here: World, record: Record) -> Record:
    """A receipt that a party signs with a key of its own, in the name of itself."""
    draft = compose_receipts(
        "hotline",
        "law_enforcement",
        [(uuid7(), "0" * 64, Outcome.APPLIED, None)],
        directory=here.documents.directory,
        at=here.at,
    )[0]
    receipt = here.records([draft])[0]
    return here.resigned(receipt, key=PARTY_KEY, sender=HOTLINE, tier=Tier.PARTY)


def wrong_engine(here: World, record: Record) -> Record:
    return here.resigned(record, clear={"decision": {"engine": 2}})


def facts(**changes: Any) -> Change:
    return signed(clear={"edge": {"facts": changes}})


#: Every way in which one record can be wrong, by the code it must get and by nothing else.
WRONG: list[tuple[str, Change]] = [
    ("header_not_utf8", header("ce_subject", b"\xff\xfe")),
    ("header_null", header("ce_time", None)),
    ("header_missing", without("ce_sequence")),
    ("header_duplicate", also("ce_id", b"00000000-0000-7000-8000-000000000000")),
    ("header_unknown", also("ce_priority", b"1")),
    ("header_unknown", also("Content-Type", b"application/json")),
    ("header_malformed", header("ce_sequence", b"+5")),
    ("header_malformed", header("ce_exercise", b"TRUE")),
    ("record_empty", lambda _, record: replace(record, value=None)),
    ("record_too_large", lambda _, record: replace(record, value=b"x" * (RECORD_BYTES_MAX + 1))),
    ("key_mismatch", lambda _, record: replace(record, key=b"another subject")),
    ("key_mismatch", lambda _, record: replace(record, key=None)),
    ("sender_unknown", signed(sender="nobody.example")),
    ("sender_unknown", signed(source="/instances/industry")),
    ("sender_unknown", signed(sender="hotline")),
    ("sender_unknown", party_receipts),
    ("recipient_not_served", signed(recipient=PROVIDER)),
    ("recipient_not_served", signed(recipient="nobody.example")),
    ("topic_wrong", lambda _, record: replace(record, topic="causeway.inbox.industry.v1")),
    ("proof_missing", without("ce_batchroot", "ce_batchsig", "ce_batchindex", "ce_batchsize", "ce_batchpath")),
    ("key_unknown", signed(key=SigningKey.generate())),
    ("key_unknown", signed(key=FOREIGN_KEY, tier=Tier.PARTY)),
    ("key_unknown", signed(key=LAPSED_KEY, tier=Tier.PARTY)),
    ("key_unknown", signed(key=PARTY_KEY)),
    ("key_unknown", signed(tier=Tier.PARTY)),
    ("signature_invalid", lambda _, record: replace(record, value=(record.value or b"") + b" ")),
    ("signature_invalid", header("ce_exercise", b"false")),
    ("type_unknown", signed(type="causeway.referral_admired.v1")),
    ("version_unknown", signed(type="causeway.referral_offered.v2")),
    ("body_invalid", signed(body=b"{not json")),
    ("body_invalid", signed(body=b'{"clear":{}}')),
    ("body_invalid", signed(clear={"more": 1})),
    ("body_invalid", signed(clear={"revision": "1"})),
    ("body_invalid", signed(clear={"referral_id": "01890000-0000-7000-8000-000000000000"})),
    ("body_invalid", signed(dataschema="/schemas/notice_issued.v1.json")),
    ("exercise_mismatch", signed(exercise=False)),
    ("exercise_mismatch", signed(clear={"exercise": False})),
    ("edge_not_reproducible", facts(hosting=["DE"])),
    ("edge_not_reproducible", facts(origin="hotline-de.example")),
    ("edge_not_reproducible", facts(priority="p0_child_at_risk")),
    ("edge_not_reproducible", signed(clear={"edge": {"hold_gate": True}})),
    ("edge_not_reproducible", signed(clear={"edge": {"digest": "0" * 64}})),
    ("engine_unknown", wrong_engine),
    ("edge_not_ours", signed(clear={"edge": {"recipient": "police-be.example"}})),
    ("decision_time_off", lambda _, record: later(record, timedelta(minutes=6))),
    ("decision_time_off", lambda _, record: later(record, -timedelta(minutes=6))),
    ("document_unknown", signed(clear={"decision": {"policy": "0" * 64}})),
    ("document_unknown", signed(clear={"decision": {"directory": "0" * 64}})),
    ("sealed_unopenable", resealed(lambda text: text, context={"revision": 2})),
    ("sealed_unopenable", resealed(lambda text: text, context={"sender": "hotline-de.example"})),
    ("guard_refused", resealed(with_image)),
    ("guard_refused", resealed(lambda text: text[:-1])),
    ("guard_refused", resealed(lambda text: text[:-1] + b',"more":1}')),
]
#: Codes of the table that no single record has: they come of what came before, or of our own code.
BEYOND_ONE_RECORD = {
    *("sequence_reused", "message_id_reused", "message_replayed", "sequence_gap", "receipt_unmatched"),
    *("accept_defect", "handler_defect", "document_lapsed"),
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


def test_the_wrong_records_reach_every_row_that_one_record_can() -> None:
    assert {code for code, _ in WRONG} | BEYOND_ONE_RECORD == set(RECORD_TABLE)


@pytest.mark.parametrize(("code", "change"), WRONG, ids=[f"{i}-{code}" for i, (code, _) in enumerate(WRONG)])
def test_only_a_verified_sender_is_ever_told(here: World, good: Record, code: str, change: Change) -> None:
    with pytest.raises((Refused, Unavailable)) as caught:
        received(here, change(here, good))
    verified = isinstance(caught.value, TurnedAway)
    assert verified or not row_for(code).receipt
    assert getattr(caught.value, "sender_instance", None) == ("hotline" if verified else None)


@pytest.mark.parametrize(("code", "change"), WRONG, ids=[f"{i}-{code}" for i, (code, _) in enumerate(WRONG)])
def test_no_error_quotes_the_record(here: World, good: Record, code: str, change: Change) -> None:
    with pytest.raises((Refused, Unavailable)) as caught:
        received(here, change(here, good))
    text = f"{caught.value} {caught.value!r} {caught.value.field}"
    assert not [value for value in (LOCATION, HOTLINE, "nobody", "admired", "DE", "more") if value in text]


def test_a_domain_refusal_has_a_row_too() -> None:
    assert (row_for("offer_unknown").fate, row_for("offer_unknown").receipt) == (Fate.REFUSE, True)


def test_an_answer_without_an_edge_is_accepted_without_its_optional_sealed_part(here: World, good: Record) -> None:
    assert received(here, case_accepted(here, good), "hotline").sealed is None


def test_a_receipt_comes_from_the_instance_itself(here: World) -> None:
    draft = compose_receipts(
        "hotline",
        "law_enforcement",
        [(uuid7(), "0" * 64, Outcome.APPLIED, None)],
        directory=here.documents.directory,
        at=here.at,
    )[0]
    assert received(here, here.records([draft])[0]).message is MESSAGES_RECEIPTED


def test_nobody_receipts_to_an_instance_that_left_the_directory(here: World) -> None:
    entries = [(uuid7(), "0" * 64, Outcome.APPLIED, None)]
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
    there = replace(here, policy=law, _offsets={}, _sequences={}, shelf=type(here.shelf)())
    record = there.records([there.offered(POLICE)])[0]
    waiting = world()
    waiting = replace(waiting, keys=here.keys, document=here.document, shelf=type(here.shelf)())
    assert code_of(waiting, record) == "document_unknown"
    waiting.place(law, AT - timedelta(minutes=1))
    assert received(waiting, record).recipient == POLICE


def test_an_exercise_never_reaches_a_live_party(here: World) -> None:
    draft = here.offered(POLICE)
    record = here.resigned(here.records([draft])[0], recipient="police-live.example")
    assert code_of(here, record) == "exercise_mismatch"


def test_a_live_record_never_reaches_a_sandbox_party(here: World) -> None:
    live = world()
    record = live.records([live.offered("police-nl.example")])[0]
    assert code_of(live, live.resigned(record, exercise=False, clear={"exercise": False})) == "exercise_mismatch"


def test_what_the_origin_may_have_decided_again_is_refused_and_not_parked() -> None:
    assert {row_for(code).fate for code in DECIDE_AGAIN} == {Fate.REFUSE}
    assert all(row_for(code).receipt for code in DECIDE_AGAIN)


def test_a_kept_body_has_passed_signature_and_guard(here: World, good: Record) -> None:
    both = signed(clear={"edge": {"digest": "0" * 64}})(here, resealed(with_image)(here, good))
    assert code_of(here, both) == "guard_refused"
    assert not row_for("guard_refused").keeps_body


def test_before_the_first_document_everything_waits(here: World, good: Record) -> None:
    assert code_of(here, replace(good, broker_time=datetime(2020, 1, 1, tzinfo=UTC))) == "document_unknown"


def test_changes_of_a_record_are_what_they_say() -> None:
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
    assert SUBMISSION["exercise"] is True
