"""What of an address is kept under a key of its own: where it is, and what signs what is sent there."""

from __future__ import annotations

from typing import NamedTuple, Self
from uuid import UUID

from shared.envelope.datakeys import DataKey, KeyEncryptionKey, Place, protect, reveal, unwrap, wrap


class Safe(NamedTuple):
    """The key of one address, opened, and the row that it protects."""

    place: Place
    key: DataKey

    @classmethod
    def made(cls, webhook_id: UUID, party: str) -> Self:
        return cls(Place("webhook", str(webhook_id), party), DataKey.generate())

    @classmethod
    def opened(cls, webhook_id: UUID, party: str, wrapped: bytes, *, kek: KeyEncryptionKey) -> Self:
        """Raises `Defect` where the row was changed, or belongs elsewhere."""
        place = Place("webhook", str(webhook_id), party)
        return cls(place, unwrap(wrapped, kek, place.column("wrapped_key")))

    def wrapped(self, kek: KeyEncryptionKey) -> bytes:
        return wrap(self.key, kek, self.place.column("wrapped_key"))

    def protect(self, column: str, text: str) -> bytes:
        return protect(text.encode(), self.key, self.place.column(column))

    def reveal(self, column: str, protected: bytes) -> str:
        return reveal(protected, self.key, self.place.column(column)).decode()
