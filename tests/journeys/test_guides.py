"""The guides, command by command, as they stand; where one shows `ID`, it is that of what was sent to its reader."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from shared.kernel.ids import uuid7
from tests.journeys.commands import ID, ROOT, blocks, shell
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral

GUIDES = ROOT / "docs" / "guides"


class Sent(NamedTuple):
    """What was filed for a guide's reader to act on."""

    referral_id: str
    notice_id: str


@pytest.fixture
async def sent(exchange: Exchange) -> Sent:
    async with exchange.http(HOTLINE) as http:
        posted = await http.post("/v1/referrals", json=referral(), headers={"Idempotency-Key": str(uuid7())})
        assert posted.status_code == 202, posted.text
        referral_id = posted.json()["referral_id"]
        await exchange.until_quiet()
        shown = (await http.get(f"/v1/referrals/{referral_id}")).json()
    return Sent(referral_id, next(edge["notice_id"] for edge in shown["edges"] if edge["notice_id"]))


async def followed(exchange: Exchange, folder: Path, guide: str, subject: str) -> str:
    """Run a guide from its first command to its last, in one shell; what it printed."""
    commands = [line for block in blocks(GUIDES / f"{guide}.md") for line in block]
    here = [ID.sub(subject, line).replace(".state/dev/", f"{exchange.state}/") for line in commands]
    return shell(folder, *here, CAUSEWAY_DEV_STATE_DIR=str(exchange.state))


async def test_an_analyst_files_follows_and_takes_back(exchange: Exchange, tmp_path: Path, sent: Sent) -> None:
    said = await followed(exchange, tmp_path, "analyst", sent.referral_id)
    assert "0 are refused" in said
    assert AGENCY in said
    async with exchange.http(HOTLINE) as http:
        assert (await http.get(f"/v1/referrals/{sent.referral_id}")).json()["state"] == "withdrawn"


async def test_an_officer_takes_a_case_up_and_reports(exchange: Exchange, tmp_path: Path, sent: Sent) -> None:
    await followed(exchange, tmp_path, "officer", sent.referral_id)
    await exchange.until_quiet()
    async with exchange.http(HOTLINE) as http:
        edges = (await http.get(f"/v1/referrals/{sent.referral_id}")).json()["edges"]
    assert next(edge["answer"] for edge in edges if edge["recipient"] == AGENCY) == "ongoing"


async def test_a_platform_answers_item_by_item(exchange: Exchange, tmp_path: Path, sent: Sent) -> None:
    assert "notice.issue" in await followed(exchange, tmp_path, "platform", sent.notice_id)
    await exchange.until_quiet()
    async with exchange.http(HOTLINE) as http:
        edges = (await http.get(f"/v1/referrals/{sent.referral_id}")).json()["edges"]
    assert next(edge["answer"] for edge in edges if edge["recipient"] == PROVIDER) == "actioned"


async def test_an_auditor_follows_a_message_and_the_accounts(exchange: Exchange, tmp_path: Path, sent: Sent) -> None:
    await exchange.until_audited()
    said = await followed(exchange, tmp_path, "auditor", sent.referral_id)
    assert "causeway.referral_decided.v1" in said


async def test_an_integrator_files_over_http_and_reads_the_feed(exchange: Exchange, tmp_path: Path) -> None:
    said = await followed(exchange, tmp_path, "integrator", "")
    assert '"referral_id"' in said
    assert '"referral.submit"' in said


def test_every_guide_is_followed_here() -> None:
    """Control: a guide that is added is run too."""
    here = Path(__file__).read_text(encoding="utf-8") + Path(__file__).with_name("test_installation.py").read_text(
        "utf-8"
    )
    for guide in sorted(path.stem for path in GUIDES.glob("*.md") if path.stem != "README"):
        assert f'"{guide}"' in here or f'"{guide}.md"' in here
