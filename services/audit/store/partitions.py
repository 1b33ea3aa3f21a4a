"""How audit stands to each partition, in a table: what was noted, and what entries and numbers say beside it."""

from __future__ import annotations

from collections.abc import Mapping

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
_STATES = """
SELECT p.topic, p.partition, p.state, p.since, c.topic_id, c.next_offset,
       (SELECT count(*) FROM entry AS e
        WHERE e.kind = 'loss' AND e.topic = p.topic AND e.partition = p.partition) AS losses,
       (SELECT coalesce(sum(upper(r) - lower(r)), 0)
        FROM pair_taken AS t, unnest(int8multirange(int8range(1, t.known + 1)) - (t.taken + t.gone)) AS r
        WHERE t.open AND t.topic = p.topic)::bigint AS holes
FROM partition_state AS p LEFT JOIN LATERAL (
    SELECT topic_id, next_offset FROM cursor WHERE cursor.topic = p.topic AND cursor.partition = p.partition
    ORDER BY begun_at DESC LIMIT 1
) AS c ON true
ORDER BY p.state = 'reading', p.topic, p.partition
"""
_OPEN = "SELECT DISTINCT topic FROM pair_taken WHERE open"


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

    async def topics_with_holes(self) -> frozenset[str]:
        return frozenset(row["topic"] for row in await self._database.fetch(_OPEN))
