"""A stored answer is returned only to a role that may do the act it answers, whatever key the caller has."""

from __future__ import annotations

import pytest

from shared.core.authority import Role
from shared.core.ids import uuid7
from tests.services.doors import asking
from tests.services.hotline.origin import Origin
from tests.support.builders import HOTLINE
from tests.support.exchange_world import submission


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
@pytest.mark.parametrize("act", ["file", "withdraw"])
async def test_the_role_is_checked_before_a_stored_answer_is_given(origin: Origin, role: Role, act: str) -> None:
    key = uuid7().hex
    path, body = "/v1/referrals", submission(external_ref=f"ref-{key[:24]}").model_dump_json()
    if act == "withdraw":
        path, body = f"/v1/referrals/{await origin.file()}:withdraw", '{"reason": "filed_in_error"}'
    async with origin.intake.running(), origin.door() as door:
        json = {"content-type": "application/json"}
        answers = [
            await door.post(path, content=body, headers=asking(HOTLINE, role=each, key=key) | json)
            for each in (Role.ANALYST, role, Role.MACHINE)
        ]
    first, refused, again = answers
    assert (first.status_code, refused.status_code) == (202, 403)
    assert refused.json()["code"] == "forbidden"
    assert first.content == again.content
