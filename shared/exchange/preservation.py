"""What both sides of a preservation make of its acts, pure: a standing moves by its writer's acts, and by nothing else.

Whoever acts looks at both tracks as it knows them; whoever is told checks the act against its copy of that track alone:
so acts that cross on their way are kept, and both sides come to the same.
"""

from __future__ import annotations

from typing import Final

from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.act import Act, Subject, Track
from shared.exchange.states import Standing, rows_of, says, shown
from shared.kernel.authority import state_forbids
from shared.kernel.errors import Refused
from shared.vocabulary.preservation import PreservationAnswer

_ROWS: Final = {row.message: row for row in rows_of(Subject.PRESERVATION)}
ASK: Final = next(row for row in rows_of(Subject.PRESERVATION) if row.name == "submit")
#: What an agency's request begins in, at both ends.
BEGUN: Final = Standing(ASK.moves[0].to, PreservationAnswer.NONE.value)


def row_of(message: MessageType) -> Act | None:
    """The row that a message tells of; None for a message of another family."""
    return _ROWS.get(message)


def acted(row: Act, standing: Standing, said: Contract | None) -> Standing:
    """The standing after the party's own act. Raises `Refused("state_forbids")` where it may not come."""
    other = standing.answer if row.track is Track.OFFER else standing.offered
    following = None if row.needs and other not in row.needs else _moved(row, standing, said)
    if following is None:
        raise state_forbids()
    return following


def told(row: Act, standing: Standing, said: Contract) -> Standing:
    """The standing after an act of the other side. Raises `Refused("preservation_out_of_order")`."""
    following = _moved(row, standing, said)
    if following is None:
        raise Refused("preservation_out_of_order")
    return following


def shown_state(standing: Standing) -> str:
    """What both sides are shown of it."""
    return shown(Subject.PRESERVATION, standing)


def _moved(row: Act, standing: Standing, said: Contract | None) -> Standing | None:
    own = standing.offered if row.track is Track.OFFER else standing.answer
    for move in row.moves:
        if own in move.before and says(move, said):
            to = {"offered": move.to} if row.track is Track.OFFER else {"answer": move.to}
            return standing._replace(**to)
    return None
