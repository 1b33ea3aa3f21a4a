"""Answers to submissions are written without their models, with the same bytes as the models would write."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.authority import Role
from shared.core.errors import Refused
from shared.core.guard import edition
from shared.core.ids import uuid7
from shared.core.protocol.acceptance import Acceptor
from shared.core.protocol.prepare import Filing, Prepared, prepare_batch
from shared.features.filing.api.bodies import BatchAccepted, BatchAnswer, BatchRefused, answer_filed
from shared.features.filing.rules import AcceptedReferral, ExternalRefExists, Outcome, Request, Submission
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import SUBMISSION, submission, world

HERE = world()
HASH = "ab" * 32
URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ&si=abcdefghijklmnop&utm_source=share"
CUT = [{**SUBMISSION["items"][0], "locator": {"kind": "url", "value": URL}}]


def prepared(**changed: Any) -> Prepared:
    origin = HERE.documents.directory.party(HOTLINE)
    assert origin is not None
    (outcome,) = prepare_batch(
        [Filing(submission(**changed), origin, body_sha256=HASH)], documents=HERE.documents, at=AT
    )
    assert isinstance(outcome, Prepared)
    return outcome


def answer(*outcomes: Outcome, single: bool = False) -> bytes:
    """Return the body of the answer to one request that had these outcomes."""
    party = HERE.documents.directory.party(HOTLINE)
    assert party is not None
    asked = [Submission(party, Role.MACHINE, submission(), body_sha256=HASH, actor="") for _ in outcomes]
    acceptor = Acceptor("hotline", HERE.keys["hotline"].signing, edition(), merge_delay_s=60)
    (reply,) = answer_filed([Request(asked, b"", b"", single)], [outcomes], at=AT, acceptor=acceptor)
    return reply.body


PASTED = [{"locator": {"kind": "url", "value": "www.site.example"}}]


@pytest.mark.parametrize("changed", [{}, {"items": CUT}, {"items": PASTED}], ids=["whole", "cut", "respelled"])
def test_the_answer_to_one_filing_is_what_its_model_writes(changed: dict[str, Any]) -> None:
    filed = prepared(**changed)
    assert (bool(filed.cut), bool(filed.respelled)) == (changed == {"items": CUT}, changed == {"items": PASTED})
    body = answer(filed, single=True)
    read = AcceptedReferral.model_validate_json(body, strict=True)
    assert read.spelt() == body
    assert read.referral_id == filed.referral_id
    assert [each.recipient for each in read.recipients] == [each.recipient for each in filed.emitted] != []


def test_the_answer_to_a_list_is_what_its_model_writes() -> None:
    taken, broken = ExternalRefExists(uuid7()), Refused("schema_invalid", "not so", field="/items")
    body = answer(prepared(), taken, broken, prepared(items=CUT))
    read = BatchAnswer.model_validate_json(body, strict=True)
    assert read.spelt() == body
    assert [type(each) for each in read.results] == [BatchAccepted, BatchRefused, BatchRefused, BatchAccepted]
