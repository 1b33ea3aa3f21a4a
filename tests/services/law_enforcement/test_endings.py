"""Ended keys, permissions and addresses stay ended in a database that is restored from an earlier backup."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.errors import Refused, Unavailable
from shared.core.ids import uuid4
from shared.instance import streams
from shared.instance.streams import hold
from shared.platform.admission.key_table import KeyTable
from shared.platform.console.accounts import Person, Sessions, end_person, link_hash, make_link, permit, role_of
from shared.platform.database.journal import Journal, journal_endings
from shared.platform.database.transactions import Database
from shared.platform.http.identity import ApiKeys, issue_key, keep_key, key_hash, revoke_key
from tests.services.deliveries import AGENCY, directory
from tests.services.law_enforcement.agency import KEK, Agencies
from tests.services.law_enforcement.webhook_fixtures import Party, party
from tests.support.running import until

TABLES = (
    "api_key",
    "console_account",
    "console_link",
    "console_session",
    "webhook",
    "access_end",
    "erasure_journal_position",
)
CLOCK = SystemClock()
_OPEN_LINKS = "SELECT count(*) AS open FROM console_link WHERE link_hash = $1 AND used_at IS NULL"


class World:
    """An agency's instance with a journal, and a backup of its tables of access rights."""

    def __init__(self, database: Database, owner: asyncpg.Connection, path: Path) -> None:
        self.database, self.owner, self.path = database, owner, path
        self.sessions = Sessions(database, "law_enforcement", directory, clock=CLOCK, kek=KEK)

    async def start(self, *others: Database) -> None:
        """Apply the journal, as an instance does before it serves requests."""
        for each in (self.database, *others):
            await hold(each, Journal(self.path), {}, clock=CLOCK)

    async def back_up(self) -> None:
        for table in TABLES:
            await self.owner.execute(f"CREATE TEMP TABLE backup_{table} AS TABLE {table}")

    async def restore(self) -> None:
        """Restore the backup. The system id changes, as in another cluster."""
        for table in TABLES:
            await self.owner.execute(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM backup_{table}")
        await self.owner.execute("UPDATE erasure_journal_position SET system_id = 0")

    async def key(self, person: str | None = None) -> str:
        text, hashed = issue_key(live=False)
        async with self.database.transaction() as session:
            await keep_key(session.driver, hashed, AGENCY, role=Role.ANALYST, person=person)
        return text

    async def opens(self, key: str) -> bool:
        """Return whether a process with an empty cache accepts the key."""
        table = KeyTable(self.database)
        await table.refresh()
        keys = ApiKeys(table, instance="law_enforcement", directory=directory, kek=KEK, clock=SystemClock())
        try:
            return (await keys.identify(f"Bearer {key}")).party == AGENCY
        except Refused:
            return False

    async def permitted(self, actor: str, role: Role) -> None:
        async with self.database.transaction() as session:
            await permit(session.driver, Person(AGENCY, actor), role)

    async def role(self, actor: str) -> Role:
        async with self.database.transaction() as session:
            return await role_of(session.driver, Person(AGENCY, actor))

    async def link(self, actor: str) -> str:
        async with self.database.transaction() as session:
            return await make_link(session.driver, Person(AGENCY, actor), role=Role.ANALYST, at=CLOCK.now())

    async def signed_in(self, text: str) -> bool:
        return await self.sessions.identify(text) is not None

    def lines(self) -> list[tuple[str, str]]:
        said = map(json.loads, self.path.read_text().splitlines())
        return [(line["fate"], line["kind"]) for line in said]


@pytest.fixture
async def world(agencies: Agencies, endpoint: DatabaseEndpoint, tmp_path: Path) -> AsyncIterator[World]:
    database, then = agencies.database, agencies.database.last_step
    owner = await asyncpg.connect(endpoint.owner_url)
    await owner.execute("ALTER TABLE webhook NO FORCE ROW LEVEL SECURITY")
    fresh = "DELETE FROM access_end; UPDATE erasure_journal_position SET line_count = 0, digest = '', system_id = NULL"
    await owner.execute(fresh)
    made = World(database, owner, tmp_path / "erasures.jsonl")
    await made.start()
    yield made
    database.last_step = then
    await owner.execute(f"{fresh}; ALTER TABLE webhook FORCE ROW LEVEL SECURITY")
    await owner.close()


async def test_a_revoked_key_stays_revoked(world: World) -> None:
    revoked, kept = await world.key(), await world.key()
    await world.back_up()
    async with world.database.transaction() as session:
        await revoke_key(session.driver, key_hash(revoked), CLOCK.now())
    assert await journal_endings(world.database) == 1
    assert await journal_endings(world.database) == 0
    assert world.lines() == [("ended", "api_key")]
    await world.restore()
    assert await world.opens(revoked), "negative control: the backup alone has it come back"
    await world.start()
    assert [await world.opens(each) for each in (revoked, kept)] == [False, True]


async def test_a_key_that_was_revoked_while_the_instance_stood_is_in_the_journal_by_its_start(world: World) -> None:
    revoked = await world.key()
    async with world.database.transaction() as session:
        await revoke_key(session.driver, key_hash(revoked), CLOCK.now())
    await world.start()
    assert world.lines() == [("ended", "api_key")]


@pytest.mark.timing
async def test_a_journal_that_cannot_be_written_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key ends despite each of the failures, and its line is written as soon as possible."""
    revoked = await world.key()
    async with world.database.transaction() as session:
        await revoke_key(session.driver, key_hash(revoked), CLOCK.now())
    assert not await world.opens(revoked)
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.01)
    tried = [Unavailable("erasure_journal_unwritable"), Refused("erasure_journal_altered"), ZeroDivisionError()]

    async def fails(database: Database) -> int:
        if tried:
            raise tried.pop(0)
        return await journal_endings(database)

    monkeypatch.setattr(streams, "journal_endings", fails)
    keeping = asyncio.create_task(streams.keep_journalling(world.database))

    async def noted() -> bool:
        return world.path.exists() and world.lines() == [("ended", "api_key")]

    await until(noted)
    keeping.cancel()


async def test_whose_role_ended_or_changed_may_do_nothing(world: World) -> None:
    gone, less, same = (uuid4().hex for _ in range(3))
    for each in (gone, less, same):
        await world.permitted(each, Role.ANALYST)
    keys = [await world.key(each) for each in (gone, less, same)]
    await world.back_up()
    async with world.database.transaction() as session:
        await end_person(session.driver, Person(AGENCY, gone), CLOCK.now())
    await world.permitted(less, Role.VIEWER)
    await world.permitted(same, Role.ANALYST)
    assert await journal_endings(world.database) == 2
    await world.start()
    assert [await world.opens(each) for each in keys] == [False, True, True], "where nothing was restored"
    await world.restore()
    assert [await world.opens(each) for each in keys] == [True] * 3, "negative control: the backup alone"
    await world.start()
    assert [await world.opens(each) for each in keys] == [False, False, True]
    await world.permitted(less, Role.VIEWER)
    assert not await world.opens(keys[1]), "a key of before ended with its person"


async def cut_off(database: Database) -> None:
    """Write a line about an ended access in a transaction that does not commit."""
    step = database.last_step
    assert step is not None

    async def fails(driver: asyncpg.Connection, gathered: Sequence[Any]) -> None:
        await step(driver, gathered)
        raise Unavailable("cut_off")

    database.last_step = fails
    with pytest.raises(Unavailable, match="cut_off"):
        await journal_endings(database)
    database.last_step = step


async def test_a_line_that_never_committed_ends_nobody_who_acts_in_another_role(world: World) -> None:
    """The stored place in the journal stays at that line. Another start of the database reads the later lines, too."""
    changed = uuid4().hex
    await world.permitted(changed, Role.ANALYST)
    await world.back_up()
    await world.permitted(changed, Role.VIEWER)
    key, text = await world.key(changed), await world.sessions.begin(Person(AGENCY, changed))
    await cut_off(world.database)
    assert await journal_endings(world.database) == 1
    await world.start()
    assert (await world.opens(key), await world.signed_in(text)) == (True, True)
    await world.restore()
    await world.start()
    with pytest.raises(Refused, match="person_unknown"):
        await world.role(changed)


@pytest.fixture
async def mine(world: World, endpoint: DatabaseEndpoint) -> AsyncIterator[Party]:
    async with party(endpoint) as one:
        await hold(one.database, Journal(world.path), {}, clock=CLOCK)
        yield one


async def test_nothing_is_sent_to_an_address_that_was_removed(world: World, mine: Party) -> None:
    urls = [f"https://{name}.party.example/" for name in ("removed", "kept")]
    removed, kept = [(await mine.register(url))["webhook_id"] for url in urls]
    await world.back_up()
    await mine.done("DELETE", f"/{removed}")
    assert world.lines() == [("ended", "webhook")]
    await world.restore()
    assert len((await mine.done("GET"))["items"]) == 2, "negative control: the backup alone has it come back"
    await world.start()
    assert [each["webhook_id"] for each in (await mine.done("GET"))["items"]] == [kept]
    await mine.note()
    await mine.courier().carry()
    assert {url for url, _, _ in mine.receivers.got} == {urls[1]}


async def test_nobody_is_signed_in_at_a_restored_database(world: World) -> None:
    actor = uuid4().hex
    await world.permitted(actor, Role.ANALYST)
    link, text = await world.link(actor), await world.sessions.begin(Person(AGENCY, actor))
    await world.start()
    assert await world.signed_in(text), "another start of the same database"
    await world.owner.execute("UPDATE erasure_journal_position SET system_id = 0")
    await world.start()
    assert not await world.signed_in(text)
    assert await world.database.fetch(_OPEN_LINKS, link_hash(link)) == [(0,)]
    text = await world.sessions.begin(Person(AGENCY, actor))
    await world.start()
    assert await world.signed_in(text)
