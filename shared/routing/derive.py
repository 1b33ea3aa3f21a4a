"""What a recipient checks of an edge, knowing only what it was sent and the public documents."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic_core import from_json, to_json

from shared.contracts.decision import DecisionRef
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.routing.engine import ENGINE, PlannedEdge, Setting, derive
from shared.routing.policy_index import PolicyIndex

#: How far a decision's time may be from the broker's, and a document's activity from either.
TOLERANCE = timedelta(minutes=5)


def derive_edge(
    spelt: bytes, ref: DecisionRef, *, directory: DirectoryIndex, policy: PolicyIndex, exercise: bool
) -> PlannedEdge:
    """Make the edge again, from its own facts alone. Raises `Refused` unless it comes out as sent, byte for byte.

    `spelt` is its JSON, which is what its contract says; one edge has one spelling, that of `PlannedEdge.as_json`.
    Success does not mean that the facts are true, nor that no further permit stood behind the edge in the
    origin's whole facts: those the recipient does not see. Origin and audit hold the decision that binds them.
    """
    if (ref.directory, ref.policy) != (directory.digest, policy.digest):
        raise Refused("edge_not_reproducible", "not the documents of its decision", field="/decision")
    if ref.engine != ENGINE:
        raise Refused("engine_unknown", field="/decision/engine")
    setting = Setting(directory, policy, exercise, ref.decided_at)
    stated = from_json(spelt)
    derived = derive(stated["facts"], setting, recipient_id=stated["recipient"], claimed=stated["rules"])
    if to_json(derived.as_json()) != spelt:
        raise Refused("edge_not_reproducible", "its facts lead to another edge")
    return derived


def check_decision_time(ref: DecisionRef, broker_time: datetime) -> None:
    """Raises `Refused` if the decision was not made within five minutes of the broker's time, before or after."""
    if abs(ref.decided_at - broker_time) > TOLERANCE:
        raise Refused("decision_time_off", field="/decision/decided_at")
