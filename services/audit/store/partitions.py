"""How audit stands to each partition, in a table: what was noted, and what entries and streams say beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.audit.domain.partitions import PartitionStatus
from services.audit.ports import TopicState
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
# Of each stream its topic and partition, its position in Kafka, and the count of numbers that its writer stated and
# that are missing here. An incarnation that audit has not entered is missing whole; of one that it has left, nothing is.
_STREAMS: Final = """
WITH stream_read AS (
SELECT 'causeway.inbox.' || r.addressee || '.' || r.writer || '.v1' AS topic, lanes.partition, lanes.topic_id,
       lanes.next_offset,
       CASE WHEN s.incarnation IS NULL OR i.incarnation IS NOT NULL THEN 0
            WHEN s.incarnation IS DISTINCT FROM r.incarnation THEN lanes.last
            ELSE greatest(lanes.last - lanes.through, 0) END AS holes
FROM receive_state AS r
LEFT JOIN stream_end AS s ON (s.writer, s.addressee) = (r.writer, r.addressee)
LEFT JOIN incarnation AS i ON (i.writer, i.addressee, i.incarnation) = (s.writer, s.addressee, s.incarnation)
CROSS JOIN LATERAL (VALUES
    (0, r.urgent_topic_id, r.urgent_next_offset, r.urgent_through, s.urgent_last),
    (1, r.ordinary_topic_id, r.ordinary_next_offset, r.ordinary_through, s.ordinary_last)
) AS lanes (partition, topic_id, next_offset, through, last)
)
"""
_STATES: Final = (
    _STREAMS
    + """
SELECT p.topic, p.partition, p.state, p.since, t.topic_id,
       CASE WHEN t.topic_id IS NOT NULL THEN t.next_offset END AS next_offset,
       (SELECT count(*) FROM entry AS e
        WHERE e.kind = 'loss' AND e.topic = p.topic AND e.partition = p.partition) AS losses,
       coalesce(t.holes, 0) AS holes
FROM partition_state AS p LEFT JOIN stream_read AS t USING (topic, partition)
ORDER BY p.state = 'reading', p.topic, p.partition
"""
)
_HOLES: Final = _STREAMS + "SELECT topic, partition FROM stream_read WHERE holes > 0"


class PostgresPartitions:
    """`Partitions` over audit's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, states: Mapping[tuple[str, int], PartitionStatus]) -> None:
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
        return [TopicState.model_validate(dict(row)) for row in await self._database.fetch(_STATES)]

    async def noted(self) -> Mapping[tuple[str, int], PartitionStatus]:
        rows = await self._database.fetch("SELECT topic, partition, state FROM partition_state")
        return {(row["topic"], row["partition"]): PartitionStatus(row["state"]) for row in rows}

    async def with_holes(self) -> frozenset[tuple[str, int]]:
        return frozenset((row["topic"], row["partition"]) for row in await self._database.fetch(_HOLES))
