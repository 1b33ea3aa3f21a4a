"""Keys from the operator: they open the intended service, end on request, and can be rotated."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.platform.admission.key_table import REVOKED_S
from tests.deploy.operator.conftest import Run
from tests.support.running import HOTLINE, Exchange, referral, rows_of, until

#: A party whose sample key no other test needs.
PARTY = "hotline-ro.example"


def issued(run: Run, exchange: Exchange, party: str = PARTY) -> dict[str, Any]:
    ended = run("key", "issue", party, "--state", exchange.state, "--json")
    assert ended.code == 0, ended.err
    found: dict[str, Any] = ended.json
    return found


def opens(key: dict[str, Any]) -> bool:
    """Return whether the service accepts the key. The instance learns of a new key by a notification."""
    deadline = time.monotonic() + 10 * REVOKED_S
    while status_for(key) != 200:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def status_for(key: dict[str, Any]) -> int:
    headers = {"Authorization": f"Bearer {key['key']}"}
    return httpx.get(f"{key['url']}/v1/referrals", headers=headers, trust_env=False, timeout=60).status_code


@pytest.mark.timing
def test_an_issued_key_opens_its_partys_door_until_it_is_revoked(run: Run, exchange: Exchange) -> None:
    old, new = issued(run, exchange), issued(run, exchange)
    assert (old["role"], opens(old), opens(new)) == ("machine", True, True)
    ended = run("key", "revoke", PARTY, "--keep", new["key_id"], "--state", exchange.state, "--json")
    assert ended.code == 0
    assert old["key_id"] in ended.json["revoked"]
    assert new["key_id"] not in ended.json["revoked"]
    deadline = time.monotonic() + 10 * REVOKED_S
    while status_for(old) != 401:
        assert time.monotonic() < deadline, "the key still opens"
        time.sleep(0.2)
    assert status_for(new) == 200


def test_the_list_says_when_each_key_expires(run: Run, exchange: Exchange) -> None:
    ended = run("key", "issue", PARTY, "--days", "7", "--state", exchange.state, "--json")
    listed = run("key", "list", PARTY, "--state", exchange.state, "--json").json["keys"]
    told = {each["key_id"]: each["expires_at"] for each in listed}
    assert told[ended.json["key_id"]] == ended.json["expires_at"]
    assert sorted(told.values()) == [each["expires_at"] for each in listed]
    assert run("key", "issue", PARTY, "--days", "0", "--state", exchange.state).code == 2


def test_nothing_ends_where_the_key_to_keep_is_not_the_partys(run: Run, exchange: Exchange) -> None:
    key = issued(run, exchange)
    ended = run("key", "revoke", PARTY, "--keep", "0" * 16, "--state", exchange.state)
    assert (ended.code, "key_unknown" in ended.err) == (1, True)
    assert opens(key)


def test_an_auditors_key_is_an_auditors_and_a_party_that_is_not_in_the_directory_gets_none(
    run: Run, exchange: Exchange
) -> None:
    assert issued(run, exchange, "auditor.example")["role"] == "auditor"
    ended = run("key", "issue", "nobody.example", "--state", exchange.state)
    assert (ended.code, ended.out, "party_unknown" in ended.err) == (2, "", True)


async def test_keys_are_rotated_as_the_runbook_says(run: Run, exchange: Exchange, tmp_path: Path) -> None:
    def operator(*arguments: object) -> Any:
        ended = run(*arguments, "--state", exchange.state, "--json")
        assert ended.code == 0, ended.err
        return ended.json

    dead = "SELECT count(*) FROM exception WHERE outcome = 'dead'"
    before = await exchange.count_as_accountant("law_enforcement", dead)
    made = [await asyncio.to_thread(operator, "key", "make", "hotline", use) for use in ("sign", "seal")]
    await restarted(exchange)  # it opens with the new key, and still signs with the old one
    directory = json.loads((exchange.state / "directory.json").read_text())
    directory["version"] += 1
    hotline = next(each for each in directory["instances"] if each["id"] == "hotline")
    hotline["keys"] += [each["entry"] for each in made]
    file = tmp_path / "directory.json"
    file.write_text(json.dumps(directory))
    published = await asyncio.to_thread(operator, "directory", "publish", file)
    await everywhere(exchange, published["digest"])

    await asyncio.to_thread(put_in_place, Path(made[0]["file"]))
    await restarted(exchange)
    async with exchange.client(HOTLINE) as client:
        filed = await client.submit(referral())
        await exchange.until_quiet()
        shown = await client.show(filed.referral_id)
    assert shown.ticks is not None
    assert (shown.ticks.delivered.done, shown.ticks.delivered.of) == (3, 3)
    assert await exchange.count_as_accountant("law_enforcement", dead) == before
    await exchange.until_audited()
    async with exchange.client("auditor.example") as auditor:
        flow = await auditor.flow(filed.referral_id, purpose="a test of the rotation")
    assert all(message["verified"] for message in flow["messages"])


async def restarted(exchange: Exchange) -> None:
    await asyncio.to_thread(exchange.stop, "hotline")
    exchange.serve("hotline")
    await asyncio.to_thread(exchange.wait_ready, "hotline")


def put_in_place(new: Path) -> None:
    new.rename(new.with_name("signing.key"))


async def everywhere(exchange: Exchange, digest: str) -> None:
    """Wait until every instance has the document."""
    for instance in exchange.endpoints.databases:
        await until(partial(has, exchange, instance, digest))


async def has(exchange: Exchange, instance: str, digest: str) -> bool:
    url = exchange.endpoints.databases[instance].service_url
    return bool(await rows_of(url, "SELECT 1 FROM document WHERE digest = $1", digest))
