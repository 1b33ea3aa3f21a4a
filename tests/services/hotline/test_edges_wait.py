"""An edge whose recipient cannot read it waits visibly, and is sent once the recipient can read it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.accounting.views import UNSENT
from shared.catalog import CATALOG
from shared.core.protocol.read_capabilities import PeerReads, Reads, own_reads
from shared.core.vocabulary.referral import WithdrawalReason
from tests.services.hotline.origin import APPLYING, Origin
from tests.services.hotline.test_attention import about
from tests.services.hotline.test_deciding_again import change_directory, unsealable
from tests.support.builders import POLICE, PROVIDER
from tests.support.exchange_world import told_to_audit

OWN = Reads.of(own_reads(CATALOG))
BEHIND = PeerReads(
    {"industry": replace(OWN, messages={name: each for name, each in OWN.messages.items() if name != "notice_issued"})}
)


@pytest.fixture(autouse=True)
async def behind(origin: Origin) -> None:
    """Let the providers' instance read no notices, and clear the waiting edges of other tests."""
    await issue(origin)
    await origin.forget()
    origin.world.reads = BEHIND


def upgraded(origin: Origin) -> None:
    origin.world.reads = PeerReads({"industry": OWN})


async def issue(origin: Origin) -> None:
    await origin.bus.issue(APPLYING)


async def emitted(origin: Origin) -> set[str]:
    return {row.recipient for row in await origin.waiting() if row.message.edge}


async def unsent(origin: Origin) -> dict[str, int]:
    """Return the unsent edges by state, as the accounts count them."""
    return {row["state"]: row["n"] for row in await origin.sql(UNSENT)}


async def test_it_waits_and_nothing_is_written_while_the_others_go(origin: Origin) -> None:
    referral_id = await origin.file()
    rows = await origin.waiting()
    assert PROVIDER not in await emitted(origin)
    assert len(await emitted(origin)) == 4
    (fact,) = [told_to_audit(origin.world, row) for row in rows if row.recipient == "audit"]
    assert (fact["disposition"], fact["work_reason"]) == ("routed", "recipient_cannot_read")
    assert PROVIDER not in fact["recipients"]
    assert await origin.work("recipient_cannot_read") == [referral_id]
    edge = await origin.edge(referral_id)
    assert (edge["delivery"], edge["code"]) == ("waiting", "recipient_cannot_read")
    (row,) = await about(origin, referral_id)
    assert (row["party"], row["reasons"], row["mend"]) == (PROVIDER, ["recipient_cannot_read"], "operator")
    upgraded(origin)
    await issue(origin)
    assert await about(origin, referral_id) == []


async def test_it_is_decided_afresh_and_goes_once_it_can_be_read(origin: Origin) -> None:
    before = await unsent(origin)
    referral_id = await origin.file()
    waiting = await unsent(origin)
    assert waiting["waiting"] == before.get("waiting", 0) + 1, "it is a term of the accounts"
    await issue(origin)
    assert PROVIDER not in await emitted(origin), "nothing has changed"
    upgraded(origin)
    await issue(origin)
    rows = [row for row in await origin.waiting() if row.recipient == PROVIDER]
    assert len(rows) == 1
    assert referral_id not in await origin.work("recipient_cannot_read")
    assert (await origin.edge(referral_id))["delivery"] == "queued"
    after = await unsent(origin)
    assert (after.get("waiting", 0), after["superseded"] - before.get("superseded", 0)) == (0, waiting["waiting"])
    assert after.keys() <= {"waiting", "dropped", "superseded"}, "what is emitted has a message"
    await issue(origin)
    assert len([row for row in await origin.waiting() if row.recipient == PROVIDER]) == 1, "once"


async def test_what_was_given_up_stays_listed_when_another_has_waited(origin: Origin) -> None:
    """A waiting edge clears itself. A lost one does not, and this list is the only place that shows it."""
    upgraded(origin)
    referral_id = await origin.file()
    rows = await origin.waiting()
    change_directory(origin.world, unsealable("law_enforcement"))
    await origin.refused([row for row in rows if row.recipient == POLICE])
    assert [row["reasons"] for row in await about(origin, referral_id)] == [["undeliverable"]]
    origin.world.reads = BEHIND
    await origin.refused([row for row in rows if row.recipient == PROVIDER])
    listed = {reason for row in await about(origin, referral_id) for reason in row["reasons"]}
    assert listed == {"undeliverable", "recipient_cannot_read"}
    upgraded(origin)
    await issue(origin)
    assert [row["reasons"] for row in await about(origin, referral_id)] == [["undeliverable"]]


async def test_what_was_taken_back_meanwhile_is_not_sent(origin: Origin) -> None:
    referral_id = await origin.file()
    await origin.forget()
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    upgraded(origin)
    await issue(origin)
    assert PROVIDER not in {row.recipient for row in await origin.waiting()}
    states = await origin.sql("SELECT state FROM edge WHERE recipient = $1 AND referral_id = $2", PROVIDER, referral_id)
    assert [row["state"] for row in states] == ["dropped"]
