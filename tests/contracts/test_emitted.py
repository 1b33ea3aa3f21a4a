"""Sent messages conform to the published contracts.

`compose` writes JSON without validation, so this test checks it.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from functools import cache

import pytest

from deploy.artifacts.schemas import message_name
from deploy.directory.approval import document_body, sample_directory
from deploy.sample.generator import sample_referrals
from deploy.site.installation import POLICY
from shared.core.canonical import canonical_json
from shared.core.clock import parse_rfc3339
from shared.core.contracts.directory import PublicKey
from shared.core.contracts.policy import Policy
from shared.core.contracts.referral import ReferralSubmission
from shared.core.contracts.registry import NOTICE_ISSUED, REFERRAL_DECIDED, REFERRAL_OFFERED
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.protocol.message import Draft
from shared.core.protocol.prepare import Documents
from shared.core.routing.documents import read_directory, read_policy
from tests.contracts.published import schema_accepts
from tests.support.preparing import prepare
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
    """Return all messages and facts of 150 sample referrals, some with errors."""
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
    """Return whether its two parts conform to the models and to the published schemas."""
    name = message_name(draft.message)
    draft.message.clear.model_validate_json(canonical_json(draft.clear), strict=True)
    if draft.plaintext is None or draft.message.sealed is None:
        return draft.plaintext is None and schema_accepts(name, draft.clear)
    draft.message.sealed.model_validate_json(draft.plaintext, strict=True)
    return schema_accepts(name, draft.clear) and schema_accepts(f"{name}.sealed", json.loads(draft.plaintext))


@pytest.mark.parametrize("message", [REFERRAL_OFFERED, NOTICE_ISSUED, REFERRAL_DECIDED], ids=lambda m: m.name)
def test_what_prepare_sends_keeps_its_contract(message: object) -> None:
    drafts = [draft for draft in emitted() if draft.message is message]
    assert drafts
    assert all(kept(draft) for draft in drafts)


def test_a_message_with_a_member_too_many_does_not_keep_it() -> None:
    draft = emitted()[0]
    assert not schema_accepts(message_name(draft.message), draft.clear | {"remark": "x"})
