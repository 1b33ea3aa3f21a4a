"""The guides one after the other, each command unchanged, on an exchange without earlier referrals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.commands import ROOT, as_read, blocks, shell, whole
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, running_exchange

pytestmark = pytest.mark.long

GUIDES = ROOT / "docs" / "guides"
#: The order in docs/guides/README.md. `test_installation.py` follows the operator's guide, which starts earlier.
ORDER = ("analyst", "officer", "platform", "auditor", "integrator")
ELSEWHERE = ("operator",)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """The exchange that a reader has after `causeway dev up`."""
    with running_exchange(tmp_path_factory.mktemp("guides")) as running:
        yield running


@pytest.fixture(scope="module")
async def said(fresh: Exchange, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the guides in their order in one folder; return their outputs.

    Between two guides it waits for all messages, because a reader is slower than a message.
    """
    folder, printed = tmp_path_factory.mktemp("reader"), dict[str, str]()
    for guide in ORDER:
        lines = [line for block in blocks(GUIDES / f"{guide}.md") for line in block]
        here = [line.replace(".state/dev/", f"{fresh.state}/") for line in lines]
        printed[guide] = shell(folder, *as_read(whole(here)), CAUSEWAY_DEV_STATE_DIR=str(fresh.state))
        await fresh.until_taken()
        await fresh.until_audited()
    return printed


async def filed(exchange: Exchange, reference: str) -> dict[str, Any]:
    """Return the referral that a guide submitted under this reference, as its origin sees it now."""
    async with exchange.http(HOTLINE) as http:
        (found,) = (await http.get("/v1/referrals", params={"reference": reference})).json()["items"]
        shown: dict[str, Any] = (await http.get(f"/v1/referrals/{found['referral_id']}")).json()
    return shown


async def test_an_analyst_files_takes_one_back_and_another_goes_its_way(fresh: Exchange, said: dict[str, str]) -> None:
    assert "0 are refused" in said["analyst"]
    assert AGENCY in said["analyst"]
    async with fresh.http(HOTLINE) as http:
        of = (await http.get("/v1/referrals", params={"state": "withdrawn"})).json()["items"]
    assert [each["external_ref"].startswith("sample-7-") for each in of] == [True]
    assert (await filed(fresh, "2026-0417"))["state"] == "routed"


async def test_an_officer_takes_up_what_the_analyst_has_filed_and_reports(
    fresh: Exchange, said: dict[str, str]
) -> None:
    shown = await filed(fresh, "2026-0417")
    assert shown["referral_id"] in said["officer"]
    assert next(edge["answer"] for edge in shown["edges"] if edge["recipient"] == AGENCY) == "ongoing"


async def test_a_platform_answers_item_by_item(fresh: Exchange, said: dict[str, str]) -> None:
    edges = (await filed(fresh, "2026-0417"))["edges"]
    (notice,) = (edge for edge in edges if edge["recipient"] == PROVIDER)
    assert notice["notice_id"] in said["platform"]
    assert "notice.issue" in said["platform"]
    assert notice["answer"] == "actioned"


def test_an_auditor_finds_a_flow_follows_it_and_the_accounts(said: dict[str, str]) -> None:
    assert "causeway.referral_decided.v1" in said["auditor"]


def test_an_integrator_files_over_http_and_reads_the_feed(said: dict[str, str]) -> None:
    assert '"referral_id"' in said["integrator"]
    assert '"referral.submit"' in said["integrator"]


def test_every_guide_is_followed_in_the_order_that_they_are_shown_in() -> None:
    """Control: a new or moved guide must be run here, too, in the reader's order."""
    shown = re.findall(r"\]\((\w+)\.md\) \|$", (GUIDES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert shown == [*ORDER, *ELSEWHERE]
    assert {path.stem for path in GUIDES.glob("*.md")} == {"README", *shown}


def test_an_id_is_the_first_of_what_was_printed_last(tmp_path: Path) -> None:
    """Control: an output without an id keeps the earlier one. Of several ids the first counts."""
    first, second = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2))
    lines = [f"echo {first}", "true", "cat <<'END'", f"{second} {first}", "END", "echo then ID"]
    assert [*whole(lines)][2] == f"cat <<'END'\n{second} {first}\nEND"
    assert shell(tmp_path, *as_read(whole(["echo ID", *lines])), ID="none").splitlines()[-1] == f"then {second}"
