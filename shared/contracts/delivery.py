"""What an instance reads: told to each peer and to audit at each start, so that senders write a form that it reads."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.base import Contract, Digest, GuardEdition

#: A message's name without its version (`shared.contracts.registry`).
MessageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,47}$", max_length=48)]


class ReadMessage(Contract):
    """A message and the highest version of it that is read; every lower one is read as well."""

    name: MessageName
    version: Annotated[int, Field(strict=True, ge=1, le=99)]


class ReadsAnnouncedClear(Contract):
    """What an instance reads, told to every peer and to audit at every start. The newest by the broker's time counts.

    `vocabulary` and `guards` name editions by their digests. The directory says the same of who has not spoken yet.
    """

    messages: Annotated[tuple[ReadMessage, ...], Field(min_length=1, max_length=500)]
    engines: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=1, le=1000)], ...], Field(min_length=1, max_length=64)
    ]
    vocabulary: Digest
    guards: Annotated[tuple[GuardEdition, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _each_message_once(self) -> Self:
        if len({each.name for each in self.messages}) != len(self.messages):
            raise ValueError("message_twice")
        return self
