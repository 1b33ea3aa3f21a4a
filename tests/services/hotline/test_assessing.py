"""A hotline answers an offer: it accepts, assesses the items one by one, or declines."""

from __future__ import annotations

from shared.core.authority import Role
from tests.services.deliveries import HOTLINE, OTHER_HOTLINE, withdrawn
from tests.services.hotline.hotlines import Hotlines, Prompt

BASELINE = {"assessed": [{"n": 1, "assessment": "baseline"}]}
REMOVED = {"assessed": [{"action": "reported_to_police"}, {"action": "removed"}]}


async def test_an_offer_is_taken_up_assessed_and_closed(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "accept") == (202, "accepted")
    assert await prompt.act(referral_id, "assess", BASELINE) == (202, "in_part")
    assert await prompt.act(referral_id, "assess", REMOVED) == (202, "closed")
    shown = await hotlines.show(referral_id)
    assert shown["numbers"] == [1]
    said = [each.get("assessment") or each["action"] for each in shown["assessed"]]
    assert said == ["baseline", "reported_to_police", "removed"]
    told = [(kind, clear["number"]) for kind, _, _, _, clear in await hotlines.sent(referral_id)]
    names = ("accepted", "assessed", "assessed")
    assert told == [(f"causeway.offer_{name}.v1", number) for number, name in enumerate(names, 1)]


async def test_only_who_has_taken_it_up_assesses_it(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "assess", BASELINE) == (409, "state_forbids")
    await prompt.act(referral_id, "accept")
    assert await prompt.act(referral_id, "assess", BASELINE, party=HOTLINE) == (404, "not_found")
    assert await prompt.act(referral_id, "assess", BASELINE, role=Role.VIEWER) == (403, "forbidden")
    assert await prompt.act(referral_id, "accept") == (409, "state_forbids")


async def test_it_is_declined_with_a_reason_and_then_is_over(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "decline", {"reason": "because"}) == (422, "fields_invalid")
    assert await prompt.act(referral_id, "decline", {"reason": "no_capacity"}) == (202, "declined")
    assert (await hotlines.show(referral_id))["reason"] == "no_capacity"
    assert await prompt.act(referral_id, "accept") == (409, "state_forbids")


async def test_what_may_not_be_said_changes_nothing(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    await prompt.act(referral_id, "accept")
    await prompt.act(referral_id, "assess", BASELINE)
    national = {"assessed": [{"action": "removed"}, {"n": 1, "assessment": "national"}]}
    assert await prompt.act(referral_id, "assess", national) == (422, "assessment_final")
    shown = await hotlines.show(referral_id)
    assert (shown["state"], len(shown["assessed"])) == ("in_part", 1)


async def test_what_is_taken_back_is_assessed_no_more(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    await prompt.act(referral_id, "accept")
    await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE))
    assert await prompt.act(referral_id, "assess", BASELINE) == (409, "state_forbids")
