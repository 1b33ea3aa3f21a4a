"""Messages that an instance has taken and not applied, from outside its process: list, retry, and discard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from deploy.parties import built_at_once
from deploy.site.open import instance_kind, instance_settings
from deploy.site.options import Options
from shared.exchange.record_table import RECORD_TABLE
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused, not_found
from shared.messaging.exceptions import OPEN, OpenException, OutcomeKind
from shared.runtime.delivery.exception_desk import ExceptionDesk
from shared.runtime.watch.logs import configure_logs

ROWS_MAX: Final = 10_000


@asynccontextmanager
async def opened(name: str, options: Options) -> AsyncIterator[ExceptionDesk]:
    """The exceptions of an instance of the chosen site, which may be running elsewhere.

    Raises `Refused("instance_keeps_no_dead_letters")` for audit, `Unavailable` without the instance's documents.
    """
    configure_logs(instance=name)
    app = await built_at_once(instance_kind(name, options), name, **instance_settings(name, options))
    try:
        if app.handler is None:
            raise Refused("instance_keeps_no_dead_letters", "it applies no messages", status=400)
        yield app.machinery.exceptions(app.handler)
    finally:
        await app.machinery.close()


def to_outcome(text: str | None) -> OutcomeKind | None:
    """Read an outcome that keeps a message open. Raises `Refused("outcome_unknown")`."""
    if text is None:
        return None
    if text not in OPEN:
        raise Refused("outcome_unknown", f"one of {', '.join(sorted(OPEN))}", status=400)
    return OutcomeKind(text)


def to_message_id(text: str) -> UUID:
    """Raises `Refused("message_id_malformed")`."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused("message_id_malformed", "a UUID, as `dead-letters list` shows it", status=400) from None


async def find(exceptions: ExceptionDesk, message_id: UUID) -> list[OpenException]:
    """The exceptions with this message id: one, or one of each writer. Raises `Refused("not_found")`."""
    found = [each for each in await exceptions.list(limit=ROWS_MAX) if each.taken.named.message_id == message_id]
    if not found:
        raise not_found()
    return found


async def retry(exceptions: ExceptionDesk, rows: Sequence[OpenException]) -> dict[str, str]:
    """Try messages again, oldest first; return by message id the outcome that is still open, or `done`."""
    await exceptions.retry(rows)
    left = {_key(each): each.outcome.kind.value for each in await exceptions.list(limit=ROWS_MAX)}
    return {str(each.taken.named.message_id): left.get(_key(each), "done") for each in rows}


async def discard(exceptions: ExceptionDesk, rows: Sequence[OpenException]) -> None:
    """Refuse dead letters for good, so that their writers send the whole state again.

    Raises `Refused("not_dead")` if a message is not dead: it is tried again by itself.
    """
    if any(each.outcome.kind is not OutcomeKind.DEAD for each in rows):
        raise Refused("not_dead", "only a dead letter can be discarded", status=400)
    await exceptions.discard(rows)


def as_json(each: OpenException) -> dict[str, object]:
    """One message with the meaning of its code, and its coordinates. It has no content."""
    taken, named, code = each.taken, each.taken.named, each.outcome.code
    place = taken.place
    return {
        "message_id": str(named.message_id),
        "writer": taken.writer,
        "outcome": each.outcome.kind.value,
        "code": code,
        "meaning": RECORD_TABLE[code].meaning if code in RECORD_TABLE else None,
        "kind": named.kind,
        "subject": None if named.subject is None else str(named.subject),
        "opened_at": rfc3339(each.since),
        "incarnation": str(place.incarnation),
        "lane": place.lane.name.lower(),
        "number": place.number,
        "offset": taken.where.offset,
        "broker_time": rfc3339(taken.where.broker_time),
    }


def _key(each: OpenException) -> tuple[str, UUID]:
    return each.taken.writer, each.taken.named.message_id
