"""Saying what is stored nowhere and has no number: statements of what is, which a later one makes superfluous.

Such a statement is signed like any message, under the sequence 0. Whoever hears one twice, or not at all, has lost
nothing: the next says it all again. So it is appended once, in no order, and forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft
from shared.kernel.ids import uuid7
from shared.runtime.kafka.access import KAFKA_ERRORS, KafkaAccess, unavailable
from shared.runtime.post.stamping import sign_unnumbered


class UnnumberedWriter:
    """Appends unnumbered statements of one instance. `close` it when it has nothing more to say."""

    def __init__(self, access: KafkaAccess, *, instance: str, key: SigningKey) -> None:
        self._access = access
        self._instance = instance
        self._key = key
        #: Stands where a counter's life would: nothing counts here.
        self._epoch = uuid7()
        self._producer: AIOKafkaProducer | None = None

    async def say(self, drafts: Sequence[Draft]) -> None:
        """Append these, each signed by itself. Raises `Unavailable`: some may have been appended."""
        try:
            producer = await self._started()
            for draft in drafts:
                said = sign_unnumbered(draft, self._epoch, instance=self._instance, key=self._key)
                await producer.send_and_wait(draft.topic, said.value, said.key, headers=list(said.headers))
        except KAFKA_ERRORS as error:
            await self.close()
            raise unavailable(error) from None

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._access.client_options(f"causeway-{self._instance}-unnumbered"), acks="all", linger_ms=0
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
