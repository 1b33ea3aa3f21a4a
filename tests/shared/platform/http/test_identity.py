"""A key is one party in one role, as long as the key table has it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.routing.directory_index import DirectoryIndex
from shared.platform.admission.key_table import KeyTable
from shared.platform.console.accounts import Person, end_person, permit
from shared.platform.database.transactions import Database
from shared.platform.http.identity import ApiKeys, Identity, issue_key, keep_key, key_hash
from tests.shared.core.routing.builders import directory_of, hotline, provider
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

KEK = KeyEncryptionKey(bytes(32))
DIRECTORY = directory_of(
    hotline("sandbox.example", "NL"),
    hotline("live.example", "NL", status="live"),
    provider("suspended.example", "NL", status="suspended"),
)
OTHER_DIRECTORY = directory_of(hotline("other.example", "NL"))


class FreshKeys(ApiKeys):
    """Keys of a table that is read before each question."""

    async def identify(self, authorization: str | None) -> Identity:
        await self._table.refresh()
        return await super().identify(authorization)


def keys_of(database: Database, directory: Callable[[], DirectoryIndex] = lambda: DIRECTORY) -> ApiKeys:
    return FreshKeys(KeyTable(database), instance="hotline", directory=directory, kek=KEK, clock=SystemClock())


@pytest.fixture
def keys(database: Database) -> ApiKeys:
    return keys_of(database)


async def key_of(database: Database, party: str, role: Role = Role.ANALYST, *, live: bool = False) -> str:
    text, hashed = issue_key(live=live)
    async with database.transaction() as session:
        await keep_key(session.driver, hashed, party, role=role)
    return text


async def refused(keys: ApiKeys, authorization: str | None) -> tuple[str, int]:
    with pytest.raises(Refused) as error:
        await keys.identify(authorization)
    return error.value.code, error.value.status


@pytest.mark.parametrize(("party", "live"), [("sandbox.example", False), ("live.example", True)])
async def test_a_key_resolves_to_its_party_role_and_kind(
    database: Database, keys: ApiKeys, party: str, live: bool
) -> None:
    found = await keys.identify(f"Bearer {await key_of(database, party, Role.MACHINE, live=live)}")
    assert found == Identity(party, Role.MACHINE, "hotline", exercise=not live, actor=found.actor)


async def test_an_actor_is_one_for_each_key_and_does_not_name_it(database: Database, keys: ApiKeys) -> None:
    texts = [await key_of(database, "sandbox.example") for _ in range(2)]
    first, again, other = [(await keys.identify(f"Bearer {text}")).actor for text in (texts[0], *texts)]
    assert first == again != other
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first not in key_hash(texts[0]).hex()


@pytest.mark.parametrize(
    ("party", "live"),
    [("sandbox.example", True), ("live.example", False), ("suspended.example", True), ("gone.example", False)],
)
async def test_a_key_of_the_wrong_world_or_of_a_party_that_may_not_act_does_not_open(
    database: Database, keys: ApiKeys, party: str, live: bool
) -> None:
    text = await key_of(database, party, live=live)
    assert await refused(keys, f"Bearer {text}") == ("unauthenticated", 401)


async def test_a_key_opens_nothing_from_its_expiry_on_though_the_table_is_not_read_again(database: Database) -> None:
    text, hashed = issue_key(live=False)
    async with database.transaction() as session:
        expires_at = await keep_key(session.driver, hashed, "sandbox.example", role=Role.ANALYST, days=1)
    table, clock = KeyTable(database), ManualClock(expires_at - timedelta(milliseconds=1))
    await table.refresh()
    keys = ApiKeys(table, instance="hotline", directory=lambda: DIRECTORY, kek=KEK, clock=clock)
    assert (await keys.identify(f"Bearer {text}")).party == "sandbox.example"
    clock.advance(0.001)
    assert await refused(keys, f"Bearer {text}") == ("key_expired", 401)


async def test_a_key_is_valid_for_a_year_if_nobody_says_otherwise(database: Database) -> None:
    async with database.transaction() as session:
        expires_at = await keep_key(session.driver, issue_key(live=False)[1], "sandbox.example", role=Role.ANALYST)
    assert abs(expires_at - SystemClock().now() - timedelta(days=365)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Basic abc", "Bearer cw_test_" + "A" * 42, "Bearer cw_test_" + "A" * 43]
)
async def test_absent_malformed_and_unknown_keys_are_answered_alike(keys: ApiKeys, header: str | None) -> None:
    assert await refused(keys, header) == ("unauthenticated", 401)


async def test_a_party_that_leaves_the_directory_is_refused_at_once(database: Database) -> None:
    text = await key_of(database, "sandbox.example")
    current = [DIRECTORY]
    keys = keys_of(database, lambda: current[0])
    await keys.identify(f"Bearer {text}")
    current[0] = OTHER_DIRECTORY
    assert await refused(keys, f"Bearer {text}") == ("unauthenticated", 401)


async def test_a_party_that_another_instance_serves_now_is_refused_at_once(database: Database) -> None:
    """The party's key is still in the table, but the directory already names another instance for it."""
    text = await key_of(database, "moving.example")
    here, elsewhere = hotline("moving.example", "NL"), provider("moving.example", "NL")
    current = [directory_of(here)]
    keys = keys_of(database, lambda: current[0])
    assert (await keys.identify(f"Bearer {text}")).party == "moving.example"
    current[0] = directory_of(elsewhere)
    assert await refused(keys, f"Bearer {text}") == ("unauthenticated", 401)


async def test_the_role_of_the_instance_itself_has_no_key(database: Database) -> None:
    with pytest.raises(Refused):
        await key_of(database, "sandbox.example", Role.SERVICE)


async def test_nothing_of_a_key_is_kept_but_its_hash(database: Database) -> None:
    text = await key_of(database, f"p{uuid7().hex[:20]}.example")
    async with database.transaction() as session:
        rows = await session.driver.fetch("SELECT api_key::text AS row FROM api_key")
    assert not any(text in row["row"] or text[8:].encode().hex() in row["row"] for row in rows)


async def test_a_key_that_ended_with_its_person_stays_so_when_they_are_let_in_again(
    database: Database, keys: ApiKeys
) -> None:
    person = Person("sandbox.example", "5d0c" * 8)
    (text, hashed), (later, hashed_later) = issue_key(live=False), issue_key(live=False)
    async with database.transaction() as session:
        await permit(session.driver, person, Role.ANALYST)
        await keep_key(session.driver, hashed, person.party, role=Role.MACHINE, person=person.actor)
    assert (await keys.identify(f"Bearer {text}")).role is Role.ANALYST
    async with database.transaction() as session:
        await end_person(session.driver, person, NOW)
        await permit(session.driver, person, Role.ANALYST)
        await keep_key(session.driver, hashed_later, person.party, role=Role.MACHINE, person=person.actor)
    assert await refused(keys, f"Bearer {text}") == ("unauthenticated", 401)
    assert (await keys.identify(f"Bearer {later}")).role is Role.ANALYST


async def test_what_somebody_is_called_can_be_taken_away_and_auditors_are_called_nothing(database: Database) -> None:
    person = Person("sandbox.example", "ca11" * 8)
    for said, called in (("Zoë", "Zoë"), (None, "Zoë"), ("", None), (None, None)):
        async with database.transaction() as session:
            await permit(session.driver, person, Role.ANALYST, called=said)
        (found,) = await database.fetch("SELECT display_name FROM console_account WHERE actor = $1", person.actor)
        assert found["display_name"] == called, said
    with pytest.raises(Refused, match="auditors_uncalled"):
        async with database.transaction() as session:
            await permit(session.driver, person, Role.AUDITOR, called="Zoë")
