"""Who serves whom in the simulation: real directories, of which the second moves one agency to another instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.exchange.topics import AUDIT
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.jurisdiction import TREE

HOTLINE, AGENCIES, AGENCIES_TWO = "hotline", "law_enforcement", "law_enforcement_two"
INSTANCES: Final = (HOTLINE, AGENCIES, AGENCIES_TWO)
ORIGIN = "hotline-a.example"
#: The first of them moves.
AGENCY_NAMES = ("police-a.example", "police-b.example")
_KINDS: Final = {HOTLINE: "hotline", AGENCIES: "law_enforcement", AGENCIES_TWO: "law_enforcement", AUDIT: "auditor"}


def _directory(version: int, instances: Sequence[str]) -> DirectoryIndex:
    """The directory before (1) and after (2) the move."""
    served = {ORIGIN: HOTLINE} | dict.fromkeys(AGENCY_NAMES, AGENCIES)
    before: dict[str, Any] = {}
    if version > 1:
        before = {AGENCY_NAMES[0]: [{"instance": AGENCIES, "until": "2026-05-04"}]}
        served[AGENCY_NAMES[0]] = AGENCIES_TWO
    parties = [
        {
            "id": name,
            "kind": _KINDS[instance],
            "status": "sandbox",
            "instance": instance,
            "jurisdictions": [],
            "instances_before": before.get(name, []),
        }
        for name, instance in served.items()
    ]
    entries = [{"id": name, "kind": _KINDS[name]} for name in (*instances, AUDIT)]
    document = {"version": version, "valid_until": "2027-01-01", "instances": entries, "parties": parties}
    return DirectoryIndex(document, f"{version:064}", TREE)


#: Where nobody moves there are two instances; else three, before the move and after it.
_UNMOVED: Final = _directory(1, INSTANCES[:2])
_BEFORE, _AFTER = (_directory(version, INSTANCES) for version in (1, 2))


@dataclass(frozen=True, slots=True)
class Move:
    """When the second directory is in force (None: never), and when each instance has it."""

    at: datetime | None
    known_at: dict[str, datetime]

    def version(self, instance: str, now: datetime) -> int:
        """The newest that an instance has."""
        return 2 if self.at is not None and now >= self.known_at[instance] else 1

    def active(self, instance: str, at: datetime, *, now: datetime) -> DirectoryIndex:
        """The one in force at a time, as far as an instance knows by now."""
        if self.at is None:
            return _UNMOVED
        return _AFTER if self.version(instance, now) == 2 and at >= self.at else _BEFORE
