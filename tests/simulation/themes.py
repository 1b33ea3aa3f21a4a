"""What a run is about. Faults that must meet to show what a rule is for meet in runs of one theme, not by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: How often each happens in a run: one of these.
_USUAL: Final[Mapping[str, Sequence[int]]] = {
    "crash": (0, 2, 4, 8),
    "broker_outage": (0, 1, 2, 2),
    "database_outage": (0, 0, 1, 2),
    "lost_disk": (0, 0, 0, 1),
    "lost_records": (0, 0, 2, 6),
    "refilled": (0, 0, 1),
    "redelivery": (0, 1, 2, 4),
    "repetition": (0, 1, 4),
    "rival": (0, 1, 2, 3),
    "junk": (0, 0, 2),
    "numbers_forgotten": (0, 0, 1, 2),
    "audit_away": (0, 0, 1),
    "audit_restored": (0, 0, 0, 1),
    "restored": (0, 0, 0, 1, 2),
    "restored_after_retention": (0, 0, 0, 0, 1),
}
_CALM: Final[Mapping[str, Sequence[int]]] = dict.fromkeys(_USUAL, (0,)) | {"crash": (0, 2), "rival": (0, 1)}


@dataclass(frozen=True, slots=True)
class Theme:
    """How often each happens, and what else differs from the usual.

    `moves` and `law_changes` say that there is such a change for sure, in the midst or early; `answers` how often an
    agency speaks by itself; `echoes` how often what was written comes again within a minute.
    """

    happens: Mapping[str, Sequence[int]] = field(default_factory=lambda: _USUAL)
    moves: bool = False
    law_changes_early: bool = False
    answers: Sequence[int] = (0, 0, 1, 2)
    echoes: float = 0.0


USUAL: Final = Theme()
#: A party moves while it answers, and referrals are amended and taken back.
MOVED: Final = Theme(_CALM | {"restored": (0, 0, 1)}, moves=True, answers=(1, 2, 3))
#: A database is restored, and what it had read since is in no topic any more.
FORGOTTEN: Final = Theme(_CALM | {"restored_after_retention": (1, 2)}, answers=(0, 1, 2))
#: What is old comes again: copies from before the law changed, marks and receipts behind newer ones; audit is late.
ECHOES: Final = Theme(
    _CALM | {"repetition": (4, 8), "redelivery": (1, 3), "audit_away": (1, 2)}, law_changes_early=True, echoes=0.3
)
#: The end of a topic is lost, and filled again before anybody looks.
REFILLED: Final = Theme(_CALM | {"refilled": (2, 5), "lost_records": (0, 2)})
#: A run draws one of these.
THEMES: Final = (USUAL, USUAL, USUAL, MOVED, FORGOTTEN, ECHOES, REFILLED)
