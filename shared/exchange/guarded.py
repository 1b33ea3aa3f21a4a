"""What a recipient's guard says of a record: by the edition that its sender names, of what came out of the seal."""

from __future__ import annotations

from shared.contracts.base import Contract
from shared.contracts.registry import STATED_BY_INSTANCES, WITHDRAWALS, MessageType
from shared.envelope.headers import Attributes
from shared.guard import Limits, inspect
from shared.guard.edition import known, own
from shared.kernel.errors import Refused


def check_edition(message: MessageType, attributes: Attributes) -> None:
    """An edition that we do not read is a newer release's: what it lets pass our own may not know to look into."""
    if message.family in STATED_BY_INSTANCES or message in WITHDRAWALS:
        return
    if _name(attributes) not in known():
        raise Refused("guard_unknown", field="ce_guard")


def check_sealed(sealed: Contract, attributes: Attributes, limits: Limits) -> None:
    """Raises `Refused("guard_refused")` where the edition that the sender names refuses what was sealed."""
    try:
        inspect(sealed, limits=limits, edition=known().get(_name(attributes), own()))
    except Refused as error:
        raise unguarded(error) from None


def unguarded(error: Refused) -> Refused:
    """What the guard says of the sealed part, as its sender is told it."""
    return Refused("guard_refused", error.code, field=f"/sealed{error.field or ''}")


def _name(attributes: Attributes) -> str:
    return attributes.guard.partition(" ")[0]
