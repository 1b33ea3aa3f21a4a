"""From a decision's edges to the messages that carry them: addressed, sealed, written; last the fact for audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.contracts.registry import NOTICE_ISSUED, REFERRAL_DECIDED, REFERRAL_OFFERED
from shared.exchange.compose import Addressing, Letter, address, compose_fact
from shared.exchange.message import Draft
from shared.exchange.minimise import notice_items, notice_record, referral_record
from shared.kernel.errors import Defect, Refused
from shared.kernel.ids import uuid7
from shared.routing.directory_index import PartyEntry
from shared.routing.engine import Judged, PlannedEdge
from shared.vocabulary.routing import PartyKind, WorkReason


@dataclass(frozen=True, slots=True)
class Emitted:
    """One edge and the message that carries it; of a notice, the origin's own numbers of its items, in their order."""

    edge: Mapping[str, Any]
    message_id: UUID
    notice_id: UUID | None
    items: tuple[int, ...] = ()

    @property
    def recipient(self) -> str:
        return str(self.edge["recipient"])

    @property
    def purpose(self) -> str:
        return str(self.edge["purpose"])

    @property
    def reason(self) -> str:
        return str(self.edge["reason"])

    @property
    def rules(self) -> Sequence[str]:
        rules: Sequence[str] = self.edge["rules"]
        return rules

    def as_json(self) -> dict[str, Any]:
        stated = {"edge": self.edge, "message_id": str(self.message_id)}
        return stated | ({"notice_id": str(self.notice_id)} if self.notice_id else {})


@dataclass(frozen=True, slots=True)
class Letters:
    """The messages of one decision. `work_reason` is why a person has to look at the referral, None if nobody has."""

    outcome: Judged
    referral_id: UUID
    emitted: tuple[Emitted, ...]
    letters: tuple[Letter, ...]
    work_reason: WorkReason | None
    traceparent: str | None

    def seal(self) -> None:
        for letter in self.letters:
            letter.seal()

    def drafts(
        self, facts: Mapping[str, Any], origin: PartyEntry, *, superseded: Sequence[UUID] = ()
    ) -> tuple[Draft, ...]:
        """The messages and, last, the fact that tells audit the whole decision, with what was not sent and why."""
        outcome = self.outcome
        clear: dict[str, Any] = {
            "referral_id": str(self.referral_id),
            "revision": 1,
            "origin": origin.id,
            "exercise": outcome.setting.exercise,
            "disposition": outcome.disposition.value,
            "decision": outcome.ref,
            "salt": outcome.salt,
            "facts": facts,
            "emitted": [each.as_json() for each in self.emitted],
            "not_sent": outcome.not_sent,
            "superseded": [str(message_id) for message_id in superseded],
        }
        if self.work_reason is not None:
            clear["work_reason"] = self.work_reason.value
        fact = compose_fact(
            REFERRAL_DECIDED,
            clear,
            subject=self.referral_id,
            instance=origin.instance,
            directory=outcome.setting.directory,
            exercise=outcome.setting.exercise,
            at=outcome.setting.decided_at,
            traceparent=self.traceparent,
        )
        return (*(letter.draft() for letter in self.letters), fact)


def write_letters(
    outcome: Judged,
    edges: Sequence[PlannedEdge],
    record: Mapping[str, Any],
    *,
    item_providers: Sequence[frozenset[str]],
    referral_id: UUID,
    traceparent: str | None,
) -> Letters:
    """Address `edges` of the decision; those whose recipient has no key to seal for at this time get no letter."""
    written: list[tuple[Emitted, Letter]] = []
    for edge in edges:
        try:
            written.append(
                _addressed(
                    edge,
                    outcome,
                    record,
                    item_providers=item_providers,
                    referral_id=referral_id,
                    traceparent=traceparent,
                )
            )
        except Refused as error:
            if error.code != "recipient_unknown":
                raise
    work_reason = outcome.work_reason if len(written) == len(edges) else WorkReason.UNDELIVERABLE
    emitted = tuple(each for each, _ in written)
    return Letters(outcome, referral_id, emitted, tuple(letter for _, letter in written), work_reason, traceparent)


def clear_of(edge: PlannedEdge, outcome: Judged, *, referral_id: UUID, notice_id: UUID | None) -> dict[str, Any]:
    """The clear part of the message that carries `edge`: a notice if `notice_id` is given, else an offer."""
    stated = edge.as_json()
    origin = str(edge.facts["origin"])
    common = {"exercise": outcome.setting.exercise, "decision": outcome.ref, "edge": stated}
    if notice_id is None:
        return {"referral_id": str(referral_id), "revision": 1, "origin": origin} | common
    shared = {"basis": stated["basis"], "handling": stated["handling"]}
    return {"notice_id": str(notice_id), "contact": origin} | shared | common


def _addressed(
    edge: PlannedEdge,
    outcome: Judged,
    record: Mapping[str, Any],
    *,
    item_providers: Sequence[frozenset[str]],
    referral_id: UUID,
    traceparent: str | None,
) -> tuple[Emitted, Letter]:
    directory = outcome.setting.directory
    recipient = directory.party(edge.recipient)
    if recipient is None:
        raise Defect("edge_without_recipient")
    withheld = edge.terms.withheld
    if recipient.kind == PartyKind.INDUSTRY:
        # A notice has an id of its own: industry never sees a referral id, an earlier time or a revision.
        message, notice_id = NOTICE_ISSUED, uuid7()
        items = notice_items(record, item_providers, edge.recipient)
        plaintext = notice_record(record, item_providers, edge.recipient, withheld=withheld)
    else:
        message, notice_id, items = REFERRAL_OFFERED, None, ()
        plaintext = referral_record(record, recipient.kind, withheld)
    addressing = Addressing(
        subject=notice_id or referral_id,
        sender=str(edge.facts["origin"]),
        recipient=edge.recipient,
        directory=directory,
        exercise=outcome.setting.exercise,
        at=outcome.setting.decided_at,
        decided_at=outcome.setting.decided_at,
        traceparent=traceparent,
    )
    clear = clear_of(edge, outcome, referral_id=referral_id, notice_id=notice_id)
    letter = address(message, clear, addressing, sealed=plaintext)
    return Emitted(edge.as_json(), letter.message_id, notice_id, items), letter
