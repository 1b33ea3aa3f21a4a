"""The parts of a running instance, such as api, relay and documents. Each is restarted without effect on the others.

Erased records and ended access rights stay so in a restored database:

a key that was revoked, a role that ended or changed   by the operator's verbs: `access_end`, the journal within seconds
an address that was removed                            by its party: the journal, before that commits
sessions, links                                        ended if the database differs from the one at the last start
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from shared.core.clock import Clock
from shared.core.errors import CausewayError, Unavailable
from shared.platform.console.accounts import END_AGAIN, PERSON, sign_out_of_restored
from shared.platform.courier.endpoints import REMOVE_AGAIN, WEBHOOK
from shared.platform.database.erasures import Erasures, journal_endings
from shared.platform.database.journal import Journal
from shared.platform.database.transactions import Database
from shared.platform.http.identity import REVOKE_AGAIN, REVOKED
from shared.platform.observability.cancellation import raise_if_cancelling
from shared.platform.observability.logs import log
from shared.platform.observability.watchdog import end_tasks, until_turn

BACK_OFF_S: Final = 0.5
BACK_OFF_S_MAX: Final = 10.0

Part = Callable[[], Awaitable[None]]


async def run_parts(parts: Mapping[str, Part]) -> None:
    """Run all parts until cancelled. A part that fails is logged and started again; the others continue."""
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(_kept_running(name, part), name=name)


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends or fails, then end the others. If one of these does not end, the process ends."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        await end_tasks(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(has: Callable[[], object]) -> None:
    """Wait until `has` no longer raises `Unavailable`."""
    while True:
        try:
            has()
            return
        except Unavailable:
            await asyncio.sleep(0.1)


async def _kept_running(name: str, part: Part) -> None:
    back_off_s = BACK_OFF_S
    while True:
        try:
            await part()
            log("part_failed", part=name, code="part_ended")
        except asyncio.CancelledError:
            raise_if_cancelling()
            # This task was not cancelled: a library ended with the cancellation of its own task.
            log("part_failed", part=name, code="part_cancelled")
        except CausewayError as error:
            log("part_failed", part=name, code=error.code)
        except Exception as error:  # logged by name only, because its text may quote input
            log("part_failed", part=name, error=type(error).__name__)
        raise_if_cancelling()
        await asyncio.sleep(back_off_s)
        back_off_s = min(back_off_s * 2, BACK_OFF_S_MAX)


LOOK_EVERY_S: Final = 5.0
#: The statement that ends each kind of access again.
ENDS: Final[Mapping[str, str]] = {REVOKED: REVOKE_AGAIN, PERSON: END_AGAIN, WEBHOOK: REMOVE_AGAIN}


async def hold(database: Database, journal: Journal, erases: Mapping[str, str], *, clock: Clock) -> None:
    """Repeat the endings from before a restore. From then on, transactions journal endings before commit.

    `erases` are the instance's own kinds of record. Raises as `Erasures.apply` does.
    """
    erasures = Erasures(journal, {**ENDS, **erases}, clock)
    await erasures.apply(database)
    async with database.transaction() as session:
        await sign_out_of_restored(session.driver)
    assert database.last_step is not None
    database.last_step = erasures.before_commit(database.last_step)
    await journal_endings(database)


async def keep_journalling(database: Database) -> None:
    """Write the endings of the operator's verbs to the journal, until cancelled. Several processes may do so."""
    while True:
        try:
            await journal_endings(database)
        except Exception as error:  # logged by name only, because its text may quote input
            code = error.code if isinstance(error, CausewayError) else "internal_error"
            log("endings_wait", code=code, error=type(error).__name__)
        await asyncio.sleep(until_turn(LOOK_EVERY_S))
