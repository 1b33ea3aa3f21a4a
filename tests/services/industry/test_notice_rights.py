"""Who may see a notice and answer it: its own provider, in the roles that may, and nobody else."""

from __future__ import annotations

import pytest

from services.industry.domain import PROVIDER as PROVIDER_KIND
from shared.contracts.answers import ItemStatement, NoticeStatements
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.party.recipient.domain import Page
from shared.party.recipient.use_cases import Acting, list_items, show_item
from shared.vocabulary.answers import NoticeAction
from tests.services.deliveries import (
    AT,
    OTHER_PROVIDER,
    PROVIDER,
    issued,
)
from tests.services.doors import ACTOR
from tests.services.industry.provider import Providers, disowning

ACTION = NoticeStatements(items=(ItemStatement(action=NoticeAction.REMOVED, effective_at=AT),))


async def test_a_foreign_notice_is_answered_exactly_like_an_absent_one(providers: Providers) -> None:
    notice_id = uuid7()
    await providers.receive(issued(notice_id))
    answers = []
    for asked in (notice_id, uuid7()):
        with pytest.raises(Refused) as shown:
            await providers.show(asked, party=OTHER_PROVIDER)
        with pytest.raises(Refused) as acted:
            await providers.act("answer", ACTION, asked, party=OTHER_PROVIDER)
        answers += [(error.value.code, error.value.detail, error.value.status) for error in (shown, acted)]
    assert len(set(answers)) == 1
    assert answers[0][0] == "not_found"


async def test_a_notice_is_not_foreign_to_its_own_provider(providers: Providers) -> None:
    """Negative control of the test above: the same look and act, by the party that was sent the notice."""
    notice_id = uuid7()
    await providers.receive(issued(notice_id, to=OTHER_PROVIDER))
    assert (await providers.show(notice_id, party=OTHER_PROVIDER))["state"] == "issued"
    assert await providers.act("answer", ACTION, notice_id, party=OTHER_PROVIDER) == "actioned"


@pytest.mark.parametrize("exists", [True, False])
async def test_a_viewer_is_forbidden_to_act_whether_there_is_a_notice_or_not(
    providers: Providers, exists: bool
) -> None:
    notice_id = uuid7()
    if exists:
        await providers.receive(issued(notice_id))
    with pytest.raises(Refused, match="forbidden"):
        await providers.act("answer", ACTION, notice_id, role=Role.VIEWER)


async def test_an_auditors_role_reads_no_notices(providers: Providers) -> None:
    async with providers.notices("read", role=Role.AUDITOR) as notices:
        acting = Acting(PROVIDER, Role.AUDITOR, ACTOR, notices, providers.directory, AT)
        with pytest.raises(Refused, match="forbidden"):
            await show_item(PROVIDER_KIND, uuid7(), acting)
        with pytest.raises(Refused, match="forbidden"):
            await list_items(PROVIDER_KIND, Page(), acting)


async def test_a_viewer_is_forbidden_before_his_words_are_looked_at(providers: Providers) -> None:
    with pytest.raises(Refused, match="forbidden"):
        await providers.act("not_ours", disowning("nobody.example"), uuid7(), role=Role.VIEWER)
