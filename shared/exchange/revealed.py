"""The fact that a record was opened for somebody: who looked is audit's to know, what they saw is not."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from shared.contracts.facts import RecordRevealedClear
from shared.contracts.registry import RECORD_REVEALED
from shared.exchange.compose import compose_fact
from shared.exchange.message import Draft
from shared.kernel.errors import not_found
from shared.routing.directory_index import DirectoryIndex


def compose_revealed(
    subject: UUID, opened: RecordRevealedClear, *, exercise: bool, directory: DirectoryIndex, at: datetime
) -> Draft:
    """The fact for a referral or a notice, `subject`, that was opened at `at`. It goes with the reading.

    Raises `Refused("not_found")` for a party that no instance serves any more.
    """
    instance = directory.instance_of(opened.party)
    if instance is None:
        raise not_found()
    return compose_fact(
        RECORD_REVEALED,
        opened,
        subject=subject,
        instance=instance.id,
        directory=directory,
        exercise=exercise,
        at=at,
    )
