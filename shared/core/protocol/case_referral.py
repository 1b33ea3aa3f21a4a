"""Case referrals between agencies: writing at the first agency, and checks at the second.

The second agency derives the edge of the first again. This proves that the first received the record by the origin's
decision, for this recipient and by this law. Both check that the law in force allows the second agency to receive it
(`shared.core.routing.documents`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.core.canonical import JsonView
from shared.core.clock import coarse
from shared.core.contracts.case_referral import PASSED_ACTS_MAX, PassedAct, ReferralPassedOnSealed
from shared.core.contracts.referral import ReferralOfferedClear
from shared.core.envelope.attributes import Attributes
from shared.core.errors import Refused
from shared.core.protocol.decision_fact import check_facts, check_record
from shared.core.protocol.message import Received, WireForm
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore, check_onward, derive_edge
from shared.core.routing.engine import RoutingInput
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.referral import PriorityLevel
from shared.core.vocabulary.routing import PartyKind


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The parts of a case that an agency can pass on: its edge and record as received, and its own acts."""

    edge_id: UUID
    decision: JsonView
    salt: str
    spelt: WireForm
    revision: int
    history: Sequence[PassedAct]

    @property
    def recipient(self) -> str:
        """The recipient of the edge.

        If the case was passed on before, it is the first agency, not the present one.
        """
        return str(from_json(self.spelt.edge)["recipient"])

    @property
    def is_p0(self) -> bool:
        """Whether the edge or its record shows the agency that a child is at risk."""
        told = from_json(self.spelt.record).get("priority", {}).get("level")
        return PriorityLevel.P0_CHILD_AT_RISK.value in (from_json(self.spelt.edge)["facts"].get("priority"), told)

    def check(self, to: str, *, documents: tuple[DirectoryIndex, PolicyIndex], exercise: bool, at: datetime) -> None:
        """Check that `to` may receive the case. Raises `Refused` as `check_onward` does."""
        check_onward(from_json(self.spelt.edge), RoutingInput(*documents, exercise, coarse(at)), to=to)

    def sealed(self, reason: CaseReferReason) -> bytes:
        """Return the plaintext of the sealed part, in the order that readers of an edge expect."""
        history = [act.model_dump(mode="json", exclude_none=True) for act in self.history[-PASSED_ACTS_MAX:]]
        head = to_json({"decision": self.decision, "reason": reason.value, "history": history})
        record = b',"salt":"%s","record":%s}' % (self.salt.encode(), self.spelt.record)
        return head[:-1] + b',"edge":' + self.spelt.edge + record


def bound(message: Received) -> CaseFile | None:
    """Return the passable part of a message with an edge, without acts; None for other messages."""
    if message.carried is None or message.spelt is None or not isinstance(message.clear, ReferralOfferedClear):
        return None
    carried, clear = message.carried, message.clear
    decision = from_json(carried.decision.model_dump_json())
    return CaseFile(clear.edge_id, decision, carried.salt, message.spelt, clear.revision, ())


def check_passed_on(
    carried: ReferralPassedOnSealed, spelt: WireForm, attributes: Attributes, *, shelf: DocumentStore, at: datetime
) -> None:
    """Raise `Refused`: `edge_not_ours`, `edge_not_reproducible`, and as `check_onward` does.

    `at`: the broker's time. The decision may be of any age: the edge is derived by the documents of its decision. The
    documents in force decide whether the second agency may receive it.
    """
    edge, decision, exercise = carried.edge, carried.decision, attributes.exercise
    if edge.recipient != attributes.sender:
        raise Refused("edge_not_ours", "its sender is not the recipient of the edge", field="/sealed/edge/recipient")
    directory, policy = shelf.directories.of(decision.directory), shelf.policies.of(decision.policy)
    derived = derive_edge(spelt.edge, decision, directory=directory, policy=policy, exercise=exercise)
    check_facts(edge.facts, directory)
    check_record(edge, carried.record, PartyKind.LAW_ENFORCEMENT, hash_kinds=derived.terms.hash_kinds)
    setting = RoutingInput(shelf.directories.active(at), shelf.policies.active(at), exercise, coarse(at))
    check_onward(from_json(spelt.edge), setting, to=attributes.recipient)
