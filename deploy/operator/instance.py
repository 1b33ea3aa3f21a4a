"""Commands for one instance: `causeway dead-letters`, `operator-list` and `timers`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from cyclopts import App, Parameter

from deploy.serve import built_at_once
from deploy.site.access import connected
from deploy.site.open import instance_kind, instance_settings, site
from deploy.site.options import OPTIONS, Listing, Options, Output, verb
from deploy.site.settings import AUDIT
from shared.core.clock import rfc3339
from shared.core.errors import Refused, Unavailable, not_found
from shared.core.protocol.record_table import RECORD_TABLE
from shared.delivery.exception_desk import ExceptionDesk
from shared.instance.app import App as Instance
from shared.messaging.exceptions import OPEN, OpenException, OutcomeKind
from shared.messaging.ports import OperatorKind
from shared.platform.observability.logs import configure_logs

dead_letters_app = App(name="dead-letters")
operator_list_app = App(name="operator-list")
timers_app = App(name="timers")
ROWS_MAX: Final = 10_000
#: The meaning of each kind of line, and the remedy.
MEANINGS: Final[Mapping[OperatorKind, str]] = {
    OperatorKind.UNKNOWN: "the peer holds a subject that is not in this database: ask the peer about it",
    OperatorKind.ACT: "the peer holds an answer that is not in this database: ask the party to give it again",
    OperatorKind.BEHIND: "the peer holds a newer revision or other content: compare, then change the subject here",
    OperatorKind.AHEAD: "the peer has taken more than this database has sent: the database was restored",
    OperatorKind.UNDECIDABLE: "the peer refused three decisions: compare clocks, policy and directory of both sides",
}
_SHOW: Final = """
SELECT kind, peer, subject, act, opened_at, closed_at, closed_by FROM operator_line
WHERE closed_at IS NULL OR $1 ORDER BY opened_at, kind, peer, subject, act
"""
_CLOSE: Final = """
WITH closed AS (
    UPDATE operator_line SET closed_at = now(), closed_by = $5
    WHERE closed_at IS NULL AND kind = $1 AND peer = $2
      AND ($3::uuid IS NULL OR subject = $3) AND ($4::uuid IS NULL OR act = $4)
    RETURNING kind
)
SELECT count(*) FROM closed
"""


@verb(dead_letters_app, "list")
async def list_letters(
    name: str, /, *, outcome: str | None = None, code: str | None = None, limit: int = 100, options: Options = OPTIONS
) -> Output:
    """List the messages that an instance keeps as exceptions, oldest first.

    The instance retries deferred and waiting messages automatically. A dead letter needs a person.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    outcome
        Only messages with this outcome: deferred, waiting or dead.
    code
        Only messages with this code.
    limit
        Maximum number of messages.
    """
    if outcome is not None and outcome not in OPEN:
        raise Refused("outcome_unknown", f"one of {', '.join(sorted(OPEN))}", status=400)
    kind = None if outcome is None else OutcomeKind(outcome)
    async with _exceptions_of(name, options) as exceptions:
        found = [_as_json(each) for each in await exceptions.list(outcome=kind, code=code, limit=limit)]
    columns = ("message_id", "writer", "outcome", "code", "opened_at")
    return Output({"messages": found}, [Listing.of(columns, found)])


@verb(dead_letters_app, "show")
async def show_letter(name: str, message_id: str, /, *, options: Options = OPTIONS) -> Output:
    """Show one message and the meaning of its code, without its content.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    message_id
        The message id, as the list shows it.
    """
    wanted = _message_id(message_id)
    async with _exceptions_of(name, options) as exceptions:
        found = [_as_json(each) for each in await _find(exceptions, wanted)]
    return Output({"messages": found}, [Listing(("field", "value"), list(each.items())) for each in found])


@verb(dead_letters_app, "retry")
async def retry_letters(
    name: str,
    message_id: str | None = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    code: str | None = None,
    options: Options = OPTIONS,
) -> Output:
    """Process messages again after you removed the cause; exit code 1 if one is still an exception.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    message_id
        One message.
    every
        All exceptions of the instance, oldest first.
    code
        With --all: only messages with this code.
    """
    if every == (message_id is not None):
        raise Refused("retry_what", "either one message id or --all", status=400)
    wanted = None if message_id is None else _message_id(message_id)
    async with _exceptions_of(name, options) as exceptions:
        rows = await (_find(exceptions, wanted) if wanted else exceptions.list(code=code, limit=ROWS_MAX))
        await exceptions.retry(rows)
        left = {_key(each): each.outcome.kind.value for each in await exceptions.list(limit=ROWS_MAX)}
    outcomes = {str(each.taken.named.message_id): left.get(_key(each), "done") for each in rows}
    table = Listing(("message_id", "outcome"), list(outcomes.items()))
    return Output({"retried": outcomes}, [table], well={*outcomes.values()} <= {"done"})


@verb(dead_letters_app, "discard")
async def discard_letter(name: str, message_id: str, /, *, options: Options = OPTIONS) -> Output:
    """Refuse a dead letter permanently. Its writer then sends the whole state of the subject again.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    message_id
        The message id, as the list shows it.
    """
    wanted = _message_id(message_id)
    async with _exceptions_of(name, options) as exceptions:
        rows = await _find(exceptions, wanted)
        if any(each.outcome.kind is not OutcomeKind.DEAD for each in rows):
            raise Refused("not_dead", "only a dead letter can be discarded", status=400)
        await exceptions.discard(rows)
    return Output({"discarded": message_id}, [f"{message_id} is refused; its writer sends the whole state again"])


@verb(operator_list_app, "show")
async def show_lines(name: str, /, *, closed: bool = False, options: Options = OPTIONS) -> Output:
    """Show the open lines of an instance, oldest first; exit code 1 if there is one.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    closed
        Show closed lines, too.
    """
    found = [
        {column: rfc3339(value) if isinstance(value, datetime) else value for column, value in row.items()}
        | {"meaning": MEANINGS[OperatorKind(row["kind"])]}
        for row in await _fetch(name, options, _SHOW, closed)
    ]
    table = Listing.of(("kind", "peer", "subject", "act", "opened_at", "closed_by", "meaning"), found)
    return Output({"lines": found}, [table], well=all(each["closed_at"] for each in found))


@verb(operator_list_app, "close")
async def close_lines(
    name: str,
    kind: OperatorKind,
    peer: str,
    /,
    *,
    by: str,
    subject: UUID | None = None,
    act: UUID | None = None,
    options: Options = OPTIONS,
) -> Output:
    """Close lines that you have resolved. The same finding opens a line again.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    kind
        The kind of line.
    peer
        The instance that the line names.
    by
        Your name, stored with the line.
    subject
        Only lines of this subject.
    act
        Only lines of this act.
    """
    [(count,)] = await _fetch(name, options, _CLOSE, kind.value, peer, subject, act, by)
    if not count:
        raise not_found()
    return Output({"closed": count}, [f"{count} closed"])


@verb(timers_app)
async def rebuild(name: str, /, *, options: Options = OPTIONS) -> Output:
    """Compute every deadline of an instance again, from its steps and the published documents.

    The rows stay the same. Parties are notified once of deadlines that pass in the meantime. The instance may run.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    """
    if instance_kind(name, options) == AUDIT:
        raise Refused("no_timers_here", "audit acts for no party: name another instance", status=400)
    async with _opened(name, options) as instance:
        looked = await instance.machinery.rebuild_timers()
    return Output({"edges": looked}, [f"{looked} edges checked"])


@asynccontextmanager
async def _opened(name: str, options: Options) -> AsyncIterator[Instance]:
    """Open an instance of the chosen site, which may run elsewhere.

    Raises `Unavailable` without its documents.
    """
    configure_logs(instance=name)
    instance = await built_at_once(instance_kind(name, options), name, **instance_settings(name, options))
    try:
        yield instance
    finally:
        await instance.machinery.close()


@asynccontextmanager
async def _exceptions_of(name: str, options: Options) -> AsyncIterator[ExceptionDesk]:
    """Open the exceptions of an instance. Raises `Refused("instance_keeps_no_dead_letters")` for audit."""
    async with _opened(name, options) as instance:
        if instance.handler is None:
            raise Refused("instance_keeps_no_dead_letters", "it applies no messages", status=400)
        yield instance.machinery.exceptions(instance.handler)


def _message_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused("message_id_malformed", "a UUID, as `dead-letters list` shows it", status=400) from None


async def _find(exceptions: ExceptionDesk, message_id: UUID) -> Sequence[OpenException]:
    """Return the exceptions with this message id: one, or one of each writer."""
    found = [each for each in await exceptions.list(limit=ROWS_MAX) if each.taken.named.message_id == message_id]
    if not found:
        raise not_found()
    return found


def _as_json(each: OpenException) -> dict[str, object]:
    """Return one message with the meaning of its code, and its coordinates, without content."""
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


async def _fetch(name: str, options: Options, query: str, *arguments: object) -> Sequence[asyncpg.Record]:
    try:
        async with connected(site(options).endpoints.database(name).service_url) as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise Unavailable("database_unavailable") from None
