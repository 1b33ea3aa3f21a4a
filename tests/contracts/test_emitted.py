"""What the code sends keeps the published contracts: compose writes JSON without validating it, so this is checked."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from functools import cache

import pytest

from deploy.artifacts.schemas import message_name
from deploy.directory.approval import document_body
from deploy.directory.build import sample_directory
from deploy.sample.generator import sample_referrals
from deploy.site.installation import POLICY
from shared.contracts.directory import PublicKey
from shared.contracts.facts import RECEIPT_ENTRIES_MAX
from shared.contracts.policy import Policy
from shared.contracts.referral import ReferralSubmission
from shared.contracts.registry import MESSAGES_RECEIPTED, NOTICE_ISSUED, REFERRAL_DECIDED, REFERRAL_OFFERED, value_model
from shared.envelope.keys import OpeningKey, SigningKey
from shared.exchange.accept import RECORD_BYTES_MAX
from shared.exchange.compose import compose_receipts
from shared.exchange.message import Copy, Draft
from shared.exchange.prepare import Documents, prepare
from shared.kernel.clock import parse_rfc3339
from shared.kernel.ids import uuid7
from shared.routing.shelf import read_directory, read_policy
from shared.vocabulary.answers import ReceiptOutcome
from tests.contracts.published import schema_accepts
from tests.support.builders import verdict
from tests.support.stack import INSTANCES

SINCE = parse_rfc3339("2026-01-01T00:00:00.000Z")


@cache
def documents() -> Documents:
    keys = {}
    for instance in INSTANCES:
        signing, opening = SigningKey.generate().verify_key, OpeningKey.generate().sealing_key
        keys[instance] = (
            PublicKey(key_id=signing.key_id, use="sign", suite="ed25519", public=signing.text(), valid_from=SINCE),
            PublicKey(key_id=opening.key_id, use="seal", suite=opening.suite, public=opening.text(), valid_from=SINCE),
        )
    policy = Policy.model_validate_json(POLICY.read_bytes())
    return Documents(read_directory(document_body(sample_directory(keys))), read_policy(document_body(policy)))


@cache
def emitted() -> tuple[Draft, ...]:
    """All messages and facts of 150 sample referrals, dirty ones among them."""
    drafts: list[Draft] = []
    sampled = sample_referrals(start=date(2026, 4, 1), end=date(2026, 4, 8), count=150, seed=7, dirty=0.1)
    for each in sampled:
        submission = ReferralSubmission.model_validate(each.referral)
        origin = documents().directory.party(each.origin)
        assert origin is not None
        at: datetime = submission.observed_at + timedelta(hours=6)
        drafts += prepare(submission, origin=origin, documents=documents(), at=at).drafts
    return tuple(drafts)


def kept(draft: Draft) -> bool:
    """Whether its bytes are what both the model and the published schema say."""
    value_model(draft.message).model_validate_json(draft.body, strict=True)
    return schema_accepts(message_name(draft.message), json.loads(draft.body))


@pytest.mark.parametrize("message", [REFERRAL_OFFERED, NOTICE_ISSUED, REFERRAL_DECIDED], ids=lambda m: m.name)
def test_what_prepare_sends_keeps_its_contract(message: object) -> None:
    drafts = [draft for draft in emitted() if draft.message is message]
    assert drafts
    assert all(kept(draft) for draft in drafts)


def test_a_message_with_a_member_too_many_does_not_keep_it() -> None:
    body = json.loads(emitted()[0].body)
    body["clear"]["remark"] = "x"
    assert not schema_accepts(message_name(emitted()[0].message), body)


def test_receipts_keep_their_contract() -> None:
    entries = [
        verdict(),
        # The longest there is: of the most of them, a message still fits a record.
        verdict(ReceiptOutcome.REFUSED, code="c" * 64)._replace(
            revision=1000, edge=uuid7(), judged=Copy(2**53 - 1, SINCE, uuid7())
        ),
    ]
    told = [each for each in entries for _ in range(RECEIPT_ENTRIES_MAX)]
    drafts = compose_receipts("hotline", "industry", told, directory=documents().directory, at=SINCE)
    assert [draft.message for draft in drafts] == [MESSAGES_RECEIPTED] * 2
    assert all(len(draft.body) <= RECORD_BYTES_MAX for draft in drafts)
    assert all(kept(draft) for draft in drafts)
