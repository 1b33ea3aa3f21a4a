"""What audit could not read is counted, and is no difference: to a later release, and to one before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from pydantic import create_model

from deploy.accounting import views
from deploy.accounting.books import unread
from deploy.accounting.book import Book
from deploy.site.endpoints import DatabaseEndpoint
from services.audit.domain import reading
from services.audit.domain.entries import UNREAD
from shared.contracts import registry
from shared.contracts.facts import RecordRevealedClear
from shared.contracts.registry import (
    BY_TYPE,
    EPOCH_OPENED,
    MESSAGES_RECEIPTED,
    RECORD_REVEALED,
    REFERRAL_DECIDED,
    REFERRAL_OFFERED,
    REFERRAL_REFUSED,
    MessageType,
    newest,
)
from shared.exchange.authority import cells_of
from shared.exchange.message import Record
from shared.kernel.errors import Refused
from shared.runtime.database.transactions import Database
from tests.services.audit.log import Log, identity
from tests.services.audit.test_ends_and_copies import change
from tests.services.audit.test_entitled import revealed
from tests.services.audit.test_junk_folded import reconciled
from tests.services.audit.test_later_release import NOT_INVENTED, decision, entries_of, later, offer, receipt, type_of
from tests.support.builders import HOTLINE

#: What a later release may say: a member more of each of these.
GROWN: Final = (REFERRAL_DECIDED, REFERRAL_REFUSED, MESSAGES_RECEIPTED, REFERRAL_OFFERED, RECORD_REVEALED, EPOCH_OPENED)


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


def test_what_is_counted_is_what_audit_calls_unread() -> None:
    for query in (views.UNREAD, views.UNREAD_FILINGS):
        assert frozenset(re.findall(r"'(\w+_unknown)'", query)) == UNREAD


@pytest.fixture
def grow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Makes this release the next one, which reads version 2 of some messages as well."""

    def forget() -> None:
        newest.cache_clear()
        cells_of.cache_clear()

    def grown() -> None:
        remark: Any = {"remark": (int | None, None)}
        for message in GROWN:
            clear = create_model(message.clear.__name__, __base__=message.clear, **remark)
            add(replace(message, version=2, clear=clear))

    def add(message: MessageType) -> None:
        monkeypatch.setattr(registry, "ALL", (*registry.ALL, message))
        monkeypatch.setitem(BY_TYPE, message.type, message)
        forget()

    yield grown
    monkeypatch.undo()
    forget()


async def notes(log: Log) -> list[str]:
    async with log.database.transaction() as session:
        query = views.UNREAD.replace("WHERE", f"WHERE topic_id = '{log.topic_id}' AND")
        return [unread(row) for row in await Book(session.driver, kind="audit").fetch(query)]


@pytest.mark.parametrize("make", [receipt, offer], ids=lambda make: make.__name__)
async def test_what_audit_could_not_read_is_counted_and_is_no_difference_to_a_later_release(
    log: Log, make: Callable[[Log], Record], grow: Callable[[], None]
) -> None:
    record = later(log, make(log))
    await log.keep(record)
    grow()
    assert entries_of(log, [record])[0].problem is None
    assert (await reconciled(log, [record]))[0] == []
    [note] = await notes(log)
    assert note.startswith(f"{record.topic}/0/{record.offset} to {record.offset}: 1 of {type_of(record).decode()} ")
    assert note.endswith("that audit could not read (version_unknown)")


async def test_nor_is_what_audit_reads_and_this_release_does_not(log: Log, grow: Callable[[], None]) -> None:
    """The accountant's tool is of the release before: it compares what it can read, and says what it cannot."""
    record, before = later(log, offer(log)), dict(BY_TYPE)
    grow()
    await log.keep(record)
    for added in BY_TYPE.keys() - before.keys():
        del BY_TYPE[added]
    assert (await reconciled(log, [record]))[0] == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("digest", "'ab'"),
        ("batch_size", "7"),
        ("edge_id", "uuidv7()"),
        ("kind", "'parked'"),
        ("detail", """'{"a": 1}'"""),
    ],
)
async def test_what_else_such_an_entry_says_is_compared_as_everywhere(
    log: Log, audit_endpoint: DatabaseEndpoint, grow: Callable[[], None], column: str, value: str
) -> None:
    record = later(log, offer(log))
    await log.keep(record)
    grow()
    await change(audit_endpoint, f"UPDATE entry SET {column} = {value} WHERE message_id = $1", identity(record)[0])
    [found] = (await reconciled(log, [record]))[0]
    assert "audit has another record" in found if column == "digest" else f"another {column} than" in found


def code_unknown(*_: Any) -> None:
    RecordRevealedClear.model_validate({**revealed(HOTLINE), "reason": NOT_INVENTED})


def engine_unknown(*_: Any, **__: Any) -> None:
    raise Refused("engine_unknown")


@pytest.mark.parametrize(("what", "fails"), [("read_decided", code_unknown), ("judged_edges", engine_unknown)])
async def test_what_was_not_made_of_a_decision_is_no_difference(
    log: Log, monkeypatch: pytest.MonkeyPatch, what: str, fails: Callable[..., None]
) -> None:
    """Of what is under its seal an earlier release has nothing, or not which rules led to it."""
    record = decision(log)
    with monkeypatch.context() as earlier:
        earlier.setattr(reading, what, fails)
        await log.keep(record)
    assert (await log.page(record))["items"][0]["problem"] == fails.__name__
    assert (await reconciled(log, [record]))[0] == []
