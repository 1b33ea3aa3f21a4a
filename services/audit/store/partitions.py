"""How audit stands to each partition, in a table: what was noted, and what entries and streams say beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.audit.domain.partitions import PartitionStatus
from services.audit.domain.shown import TopicState
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.database.transactions import Database

_NOTED = Columns[tuple[str, int]]({"topic": "text", "partition": "bigint", "state": "text"})
_NOTE = Statement(
    """
WITH forgotten AS (
    DELETE FROM partition_state AS p
    WHERE NOT EXISTS (SELECT FROM {states} WHERE states.topic = p.topic AND states.partition = p.partition)
)
INSERT INTO partition_state (topic, partition, state) SELECT {states.values} FROM {states}
ON CONFLICT (topic, partition) DO UPDATE SET state = excluded.state, since = now()
WHERE partition_state.state <> excluded.state
""",
    states=_NOTED,
)
STATES: Final = """
SELECT p.topic, p.partition, p.state, p.since, t.topic_id,
       CASE WHEN t.topic_id IS NOT NULL THEN t.next_offset END AS next_offset,
       (SELECT count(*) FROM entry AS e
        WHERE e.kind = 'loss' AND e.topic = p.topic AND e.partition = p.partition) AS losses,
       coalesce(t.hole_count, 0) AS holes
FROM partition_state AS p LEFT JOIN stream_read AS t USING (topic, partition)
ORDER BY p.state = 'reading', p.topic, p.partition
"""
_HOLES: Final = "SELECT topic, partition FROM stream_read WHERE hole_count > 0"


class PostgresPartitions:
    """What is known of the topics that audit reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, states: Mapping[tuple[str, int], PartitionStatus]) -> None:
        """Keep how audit stands to each partition; `since` moves only where that is news. Others are forgotten."""
        places = list(states)
        bound = _NOTED.rows(
            places,
            topic=[topic for topic, _ in places],
            partition=[partition for _, partition in places],
            state=[state.value for state in states.values()],
        )
        async with self._database.transaction() as session:
            await session.driver.execute(*_NOTE.bind(states=bound))

    async def states(self) -> list[TopicState]:
        """Return all that were noted, the troubled first."""
        return [TopicState.model_validate(dict(row)) for row in await self._database.fetch(STATES)]

    async def noted(self) -> Mapping[tuple[str, int], PartitionStatus]:
        """Return how audit stood to each partition when that was noted last."""
        rows = await self._database.fetch("SELECT topic, partition, state FROM partition_state")
        return {(row["topic"], row["partition"]): PartitionStatus(row["state"]) for row in rows}

    async def with_holes(self) -> frozenset[tuple[str, int]]:
        """Return the partitions of whose stream audit misses numbers."""
        return frozenset((row["topic"], row["partition"]) for row in await self._database.fetch(_HOLES))
