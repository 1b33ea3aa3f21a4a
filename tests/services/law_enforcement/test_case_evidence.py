"""The evidence that an agency was offered a referral: one message per purpose, in order of arrival."""

from __future__ import annotations

from dataclasses import replace

from shared.core.ids import uuid7
from tests.services.deliveries import offered
from tests.services.law_enforcement.agency import Agencies


async def test_each_purpose_for_which_it_was_offered_has_evidence_of_its_own(agencies: Agencies) -> None:
    referral_id = uuid7()
    for offset, purpose in enumerate(("investigation", "victim_identification")):
        message = offered(referral_id, purpose=purpose)
        assert await agencies.receive(replace(message, record=replace(message.record, offset=offset))) == [None]
    async with agencies.cases("read") as cases:
        kept = await cases.evidence(referral_id)
    assert [record.offset for record in kept] == [0, 1]
