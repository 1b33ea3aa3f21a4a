"""What has ended for good at an instance stays so in a restored database: records that were erased, and accesses.

a key that was revoked, a role that ended or changed   by the operator's verbs: `ending`, the journal within seconds
an address that was removed                            by its party: the journal, before that commits
sessions, links                                        those of another database than at the last start have ended
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError
from shared.runtime.console.people import END_AGAIN, PERSON, sign_out_of_restored
from shared.runtime.courier.endpoints import REMOVE_AGAIN, WEBHOOK
from shared.runtime.database.erasures import Erasures, journal_endings
from shared.runtime.database.journal import Journal
from shared.runtime.database.transactions import Database
from shared.runtime.http.identity import REVOKE_AGAIN, REVOKED
from shared.runtime.watch.logs import log

LOOK_EVERY_S: Final = 5.0
#: How each kind of access ends once more.
ENDS: Final[Mapping[str, str]] = {REVOKED: REVOKE_AGAIN, PERSON: END_AGAIN, WEBHOOK: REMOVE_AGAIN}


async def hold(database: Database, journal: Journal, erases: Mapping[str, str], *, clock: Clock) -> None:
    """Do again what ended before a restore; from here on the journal says first what ends.

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
    """Have the journal say for ever what the operator's verbs end. Any number of processes may."""
    while True:
        try:
            await journal_endings(database)
        except CausewayError as error:
            log("endings_wait", code=error.code)
        except Exception as error:  # reported by name only: its text may quote what it was given
            log("endings_wait", code="internal_error", error=type(error).__name__)
        await asyncio.sleep(LOOK_EVERY_S)
