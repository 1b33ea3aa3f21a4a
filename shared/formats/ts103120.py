"""A preservation as ETSI TS 103 120 (V1.15.1) writes it: one HI-1 message with an action for each act, oldest first.

    preserve    LPTaskObject        the request creates it, every later act of either side updates it
    produce     LDTaskObject        the same; until when is lost: an LD task has no place for it

A mapping, checked against ETSI's schemas in tests; that a receiver's national profile takes it nobody has shown. Codes
are written as entries of a dictionary of our own: those of ETSI were not read. `docs/preservation.md` has each field,
and `ts103120.xml.j2` the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from jinja2 import Environment, StrictUndefined

#: Where no country of a party is known: ISO 3166-1 leaves it to users.
NO_COUNTRY: Final = "ZZ"
_LINES: Final = Path(__file__).with_suffix(".xml.j2").read_text(encoding="utf-8").splitlines()
_MESSAGE: Final = Environment(autoescape=True, undefined=StrictUndefined).from_string("".join(map(str.strip, _LINES)))


class Endpoint(NamedTuple):
    """A party and its country (ISO 3166-1 alpha-2), `NO_COUNTRY` where none is known."""

    party: str
    country: str


class Step(NamedTuple):
    """One act: who did it, the state that it led to, its words as JSON has them, and when it was told."""

    by: str
    state: str
    said: Mapping[str, object]
    at: datetime


class Flow(NamedTuple):
    """A preservation, as either of its parties has it. `locations` are (kind, value)."""

    preservation_id: UUID
    preserves: bool
    instrument: str
    term: str | None
    until: date | None
    order_reference: str | None
    locations: Sequence[tuple[str, str]]
    agency: Endpoint
    provider: Endpoint
    steps: Sequence[Step]


def written(flow: Flow) -> bytes:
    """The whole flow as XML, UTF-8. Nothing of it depends on when it is written: the same flow gives the same bytes."""
    transaction = uuid5(flow.preservation_id, str(len(flow.steps)))
    return _MESSAGE.render(flow=flow, transaction=transaction, utc=_utc).encode()


def _utc(at: datetime, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return at.astimezone(UTC).strftime(form)
