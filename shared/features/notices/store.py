"""Notices issued to providers, in PostgreSQL, and the locations of their items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.core.acts.act import NoticeState, Subject
from shared.core.acts.states import event_type
from shared.core.contracts.referral import NoticeRecord
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import NoticeAction
from shared.core.vocabulary.referral import IncidentKind
from shared.features.locations.store import tokens
from shared.features.notices.ports import NoticePage, OpenedNotice, ShownNotice
from shared.features.preservation.store import NOTICED, NoticeLocation, ProviderPreservations
from shared.features.received.store.arriving import erase_statement, insert_locations
from shared.features.received.store.items import PostgresItems
from shared.formats.dsa_notices import ReportedNotice
from shared.platform.database.transactions import gather_part

#: The actions that remove or restrict content. Preserving content, or finding it gone, is no action of the provider.
_ACTS: Final = (NoticeAction.REMOVED, NoticeAction.GEO_DISABLED, NoticeAction.ACCOUNT_SUSPENDED)
#: One row for each notice that was sent under the DSA. The time of the first action is that of its answer. The index
#: by place finds a period, in two ranges: with and without a child at risk.
_REPORTED: Final = """
WITH notices AS (
    SELECT n.subject, n.party, n.incident_kind, n.received_at, cardinality(n.item_numbers) AS items, a.actions,
           n.flagged
    FROM received AS n CROSS JOIN LATERAL (
        SELECT count(*) AS actions
        FROM jsonb_array_elements(coalesce(n.answers -> 'items', '[]')) AS i (item)
        WHERE i.item ->> 'action' = ANY($5::text[])
    ) AS a
    WHERE n.party = $1 AND n.received_at >= $2 AND n.received_at < $3 AND n.exercise = $4
      AND (n.sort_key BETWEEN (extract(epoch FROM $2::timestamptz) * 1000000)::bigint
                       AND (extract(epoch FROM $3::timestamptz) * 1000000)::bigint
           OR n.sort_key BETWEEN 4611686018427387904 + (extract(epoch FROM $2::timestamptz) * 1000000)::bigint
                          AND 4611686018427387904 + (extract(epoch FROM $3::timestamptz) * 1000000)::bigint)
      AND n.flagged IS NOT NULL
)
SELECT incident_kind, flagged, items, actions, CASE WHEN actions > 0 THEN greatest(least(floor(extract(
    epoch FROM (SELECT min(e.at) FROM act AS e WHERE e.party = n.party AND e.subject = n.subject AND e.type = $6
                AND e.detail ->> 'state' = ANY($7::text[])) - received_at) / 60), 2147483647), 0)::int END AS minutes
FROM notices AS n
"""
_ADD_LOCATIONS: Final = insert_locations("notice_location", NOTICED)
_ANSWER: Final = event_type(Subject.NOTICE, "answer")
_ACTED: Final = (NoticeState.IN_PART, NoticeState.ACTIONED)


class PostgresNotices(PostgresItems):
    """The notices issued to providers, within one transaction."""

    kind = Subject.NOTICE
    listed, paged, opened = ShownNotice, NoticePage, OpenedNotice
    erases = erase_statement("notice_location", "notice_id")

    async def reported(
        self, party: str, *, since: datetime, before: datetime, exercises: bool
    ) -> Sequence[ReportedNotice]:
        """Return the party's notices under the DSA that arrived in a period. No record is opened."""
        rows = await self._driver.fetch(_REPORTED, party, since, before, exercises, _ACTS, _ANSWER, _ACTED)
        return [ReportedNotice(*row.values())._replace(kind=_known(row["incident_kind"])) for row in rows]

    async def before_removing(self, party: str, subjects: Sequence[UUID]) -> None:
        await self.preservations.before_removing(party, subjects)

    @property
    def preservations(self) -> ProviderPreservations:
        """The preservation requests for the content of these notices, in the same transaction."""
        return ProviderPreservations(self._driver, self._kek)

    def _locate(self, messages: Sequence[Received]) -> None:
        places = [row for each in messages for row in self._located(each)]
        gather_part(self._driver, _ADD_LOCATIONS.part(places=NOTICED.rows(places)))

    def _located(self, message: Received) -> Iterator[NoticeLocation]:
        notice_id, party = message.subject_id, message.recipient
        assert isinstance(message.sealed, NoticeRecord)
        for item in message.sealed.items:
            for each in tokens(item.locator, self._kek, party):
                yield NoticeLocation(notice_id, party, item.n, *each)


def _known(kind: str | None) -> IncidentKind | None:
    return None if kind is None else IncidentKind(kind)
