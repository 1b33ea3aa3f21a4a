"""What one agency passes on to another: written by the one, and checked by the other.

The other derives the edge of the first again: so it knows that the first was sent the record by the origin's decision,
for whom and by which law. That it may itself be told is checked by both, by the law in force (`shared.routing.derive`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.contracts.case_referral import PASSED_ACTS_MAX, Contact, PassedAct, ReferralPassedOnSealed
from shared.contracts.referral import ReferralOfferedClear
from shared.contracts.registry import CONTACT_SUGGESTED
from shared.envelope.attributes import Attributes
from shared.exchange.bound_facts import check_facts, check_record
from shared.exchange.message import Received, Spelt
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused
from shared.routing.derive import check_onward, derive_edge
from shared.routing.directory_index import DirectoryIndex
from shared.routing.documents import DocumentShelf
from shared.routing.engine import Setting
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.agencies import CaseReferReason
from shared.vocabulary.referral import PriorityLevel
from shared.vocabulary.routing import PartyKind


@dataclass(frozen=True, slots=True)
class Passable:
    """What an agency has of a case that it can pass on: its edge and record as they came, and its own acts."""

    edge_id: UUID
    decision: Mapping[str, Any]
    salt: str
    spelt: Spelt
    revision: int
    history: Sequence[PassedAct]

    @property
    def recipient(self) -> str:
        """Whose edge it is: of what was passed on before, not of whoever has it now."""
        return str(from_json(self.spelt.edge)["recipient"])

    @property
    def is_p0(self) -> bool:
        """Whether the agency was told of a child at risk, by the edge or its record."""
        told = from_json(self.spelt.record).get("priority", {}).get("level")
        return PriorityLevel.P0_CHILD_AT_RISK.value in (from_json(self.spelt.edge)["facts"].get("priority"), told)

    def check(self, to: str, *, documents: tuple[DirectoryIndex, PolicyIndex], exercise: bool, at: datetime) -> None:
        """Raises `Refused` as `check_onward` does."""
        check_onward(from_json(self.spelt.edge), Setting(*documents, exercise, coarse(at)), to=to)

    def sealed(self, reason: CaseReferReason) -> bytes:
        """The plaintext of the sealed part: in the order in which an edge and its record are read again."""
        history = [act.model_dump(mode="json", exclude_none=True) for act in self.history[-PASSED_ACTS_MAX:]]
        head = to_json({"decision": self.decision, "reason": reason.value, "history": history})
        record = b',"salt":"%s","record":%s}' % (self.salt.encode(), self.spelt.record)
        return head[:-1] + b',"edge":' + self.spelt.edge + record


def bound(message: Received) -> Passable | None:
    """What could be passed on of a message that brings an edge; of it alone, without what was made of it."""
    if message.carried is None or message.spelt is None or not isinstance(message.clear, ReferralOfferedClear):
        return None
    carried, clear = message.carried, message.clear
    decision = from_json(carried.decision.model_dump_json())
    return Passable(clear.edge_id, decision, carried.salt, message.spelt, clear.revision, ())


def check_passed_on(
    carried: ReferralPassedOnSealed, spelt: Spelt, attributes: Attributes, *, shelf: DocumentShelf, at: datetime
) -> None:
    """Raises `Refused`: `edge_not_ours`, `edge_not_reproducible`, and as `check_onward` does. `at`: the broker's time.

    However long ago the edge was decided: it is derived by the documents of its decision. Whether the other agency may
    be told is asked of those in force.
    """
    edge, decision, exercise = carried.edge, carried.decision, attributes.exercise
    if edge.recipient != attributes.sender:
        raise Refused("edge_not_ours", "it was not sent to whoever passes it on", field="/sealed/edge/recipient")
    directory, policy = shelf.directories.of(decision.directory), shelf.policies.of(decision.policy)
    derived = derive_edge(spelt.edge, decision, directory=directory, policy=policy, exercise=exercise)
    check_facts(edge.facts, directory)
    check_record(edge, carried.record, PartyKind.LAW_ENFORCEMENT, hash_kinds=derived.terms.hash_kinds)
    setting = Setting(shelf.directories.active(at), shelf.policies.active(at), exercise, coarse(at))
    check_onward(from_json(spelt.edge), setting, to=attributes.recipient)


def check_contact(message: Received, directory: Callable[[], DirectoryIndex]) -> None:
    """Whoever is told checks that it is to be: an origin must not say it to who has not opted in, nor of who has not.

    Raises `Refused`: `contact_names_nobody`, `contact_not_agreed`. Of other messages nothing is asked.
    """
    if message.message is not CONTACT_SUGGESTED:
        return
    contact = message.sealed
    if not isinstance(contact, Contact) or contact.agency == message.recipient:
        raise Refused("contact_names_nobody", "no other agency is named", field="/sealed/agency")
    if not {message.recipient, contact.agency} <= directory().contactable:
        raise Refused("contact_not_agreed", "both agencies must have opted in", field="/sealed/agency")
