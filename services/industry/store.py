"""The providers' own table: notices issued to them. Content is kept only under a data key per notice and party.

Trust: whoever can write this table can hide a notice from its provider or misstate its progress here; the notifier
and audit still show that it was sent and taken, and what was answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.industry.ports import NoticePage, OpenedNotice, ShownNotice
from shared.contracts.referral import NoticeRecord
from shared.exchange.act import NoticeState, Subject
from shared.exchange.events import event_type
from shared.exchange.message import Received
from shared.formats.dsa_notices import ReportedNotice
from shared.party.preservation.store.locations import (
    NOTICED,
    NoticeLocation,
    ProviderPreservations,
    add_notice_locations,
    tokens,
)
from shared.party.recipient.domain import Item, item_numbers
from shared.party.recipient.store.arriving import NewItem, new_items
from shared.party.recipient.store.items import ItemTable, PostgresOneEdgeItems, Views
from shared.runtime.database.columns import Columns, Statement
from shared.vocabulary.answers import NoticeAction
from shared.vocabulary.referral import IncidentKind

_TABLE: Final = ItemTable(
    name="notice",
    subject="notice_id",
    sender="notifier",
    shown="notice_id, notifier, purpose, exercise, state, language, edge, numbers, received_at, priority, revision, "
    "said",
    numbers="numbers",
    places="notice_location",
)
_NEW: Final = Columns.of(NewItem, language="text", numbers="smallint[]", incident_kind="text")
_ADD: Final = Statement(
    """
WITH places AS (
    INSERT INTO notice_location ({places.names}) SELECT {places.values} FROM {places} ON CONFLICT DO NOTHING
)
INSERT INTO notice (notice_id, party, notifier, exercise, purpose, edge, content, evidence, wrapped_key, language,
                    numbers, state, priority, revision, incident_kind)
SELECT subject_id, party, sender, exercise, purpose, edge::jsonb, content, evidence, wrapped_key, language,
       string_to_array(numbers, chr(31))::smallint[], 'issued', priority, revision, incident_kind FROM {new}
""",
    new=_NEW,
    places=NOTICED,
)
_KIND: Final = "UPDATE notice SET incident_kind = $3 WHERE notice_id = $1 AND party = $2"
#: What takes something from the public: that it is kept, or was gone, is no action of the provider's.
_ACTS: Final = (NoticeAction.REMOVED, NoticeAction.GEO_DISABLED, NoticeAction.ACCOUNT_SUSPENDED)
#: One row a notice that was sent under the DSA. Its first action is when that took effect, else when it was answered.
_REPORTED: Final = """
WITH notices AS (
    SELECT n.notice_id, n.party, n.incident_kind, n.received_at, cardinality(n.numbers) AS items, a.actions, a.acted_at,
           EXISTS (SELECT FROM jsonb_array_elements(n.edge -> 'basis') AS b
                   WHERE b ->> 'instrument' = 'dsa' AND b ->> 'article' ~ '^Art[.] 22([^0-9]|$)') AS flagged
    FROM notice AS n CROSS JOIN LATERAL (
        SELECT count(*) AS actions, min((i.item ->> 'effective_at')::timestamptz) AS acted_at
        FROM jsonb_array_elements(coalesce(n.said -> 'items', '[]')) AS i (item)
        WHERE i.item ->> 'action' = ANY($5::text[])
    ) AS a
    WHERE n.party = $1 AND n.received_at >= $2 AND n.received_at < $3 AND n.exercise = $4
      AND n.edge -> 'basis' @> '[{"instrument": "dsa"}]'
)
SELECT incident_kind, flagged, items, actions, CASE WHEN actions > 0 THEN greatest(least(floor(extract(
    epoch FROM coalesce(acted_at, (SELECT min(e.at) FROM act AS e
               WHERE e.party = n.party AND e.subject = n.notice_id AND e.type = $6
               AND e.detail ->> 'state' = ANY($7::text[]))) - received_at) / 60), 2147483647), 0)::int END AS minutes
FROM notices AS n
"""
_ANSWER: Final = event_type(Subject.NOTICE, "answer")
_ACTED: Final = (NoticeState.IN_PART, NoticeState.ACTIONED)


class PostgresNotices(PostgresOneEdgeItems):
    """The notices issued to providers, within one transaction."""

    table = _TABLE
    views = Views(ShownNotice, NoticePage, OpenedNotice)

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            languages = [_record(each).language for each in messages]
            new = new_items(messages, self._kek, table=self.table.contents)
            numbers, kinds = [item_numbers(each) for each in messages], [_kind(each) for each in messages]
            rows = _NEW.rows(new, language=languages, numbers=numbers, incident_kind=kinds)
            places = NOTICED.rows([row for each in messages for row in self._located(each)])
            await self._driver.execute(*_ADD.bind(new=rows, places=places))

    async def amend(self, messages: Sequence[Received], items: Sequence[Item]) -> None:
        await super().amend(messages, items)
        await self._driver.executemany(_KIND, [(UUID(each.subject), each.recipient, _kind(each)) for each in messages])
        # Places of items that a notice had before are stored already.
        await add_notice_locations(self._driver, [row for each in messages for row in self._located(each)])

    async def reported(
        self, party: str, *, since: datetime, before: datetime, exercises: bool
    ) -> Sequence[ReportedNotice]:
        """The party's notices under the DSA that came in a period. No record is opened for it."""
        rows = await self._driver.fetch(_REPORTED, party, since, before, exercises, _ACTS, _ANSWER, _ACTED)
        return [ReportedNotice(*row.values())._replace(kind=_known(row["incident_kind"])) for row in rows]

    async def before_removing(self, party: str, subjects: Sequence[UUID]) -> None:
        await self.preservations.before_removing(party, subjects)

    @property
    def preservations(self) -> ProviderPreservations:
        """What agencies want kept of what these notices are about, in the same transaction."""
        return ProviderPreservations(self._driver, self._kek)

    def _located(self, message: Received) -> Iterator[NoticeLocation]:
        notice_id, party = UUID(message.subject), message.recipient
        for item in _record(message).items:
            for each in tokens(item.locator, self._kek, party):
                yield NoticeLocation(notice_id, party, item.n, *each)


def _record(message: Received) -> NoticeRecord:
    assert isinstance(message.sealed, NoticeRecord)
    return message.sealed


def _kind(message: Received) -> str:
    return _record(message).incident_kind.value


def _known(kind: str | None) -> IncidentKind | None:
    return None if kind is None else IncidentKind(kind)
