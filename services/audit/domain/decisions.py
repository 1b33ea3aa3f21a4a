"""Checks of a proven message's statement: authorization, lawfulness, and a new derivation of each decision. Pure.

Audit applies the same rules as the parties' own instances. It sees only the clear part: the recipient of a contact
suggestion but not the suggested agency, and the agency, provider and instrument of a preservation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from services.audit.domain.entries import UNREAD, AuditDecision, EntryKind, Link
from shared.core.acts.catalog import Catalog
from shared.core.contracts.answers import OutcomeReport, OutcomeReportedClear
from shared.core.contracts.base import Contract
from shared.core.contracts.decision import DecisionRef
from shared.core.contracts.facts import (
    DECISIONS_MAX,
    DecidedReferral,
    RecordRevealedClear,
    ReferralDecidedClear,
    ReferralRefusedClear,
    ReferralReviewedClear,
)
from shared.core.contracts.preservation import PreservationRequestedClear
from shared.core.contracts.referral import EdgeClear
from shared.core.contracts.registry import PRESERVATION_REQUESTED, REFERRAL_DECIDED, Family, MessageType, name_of
from shared.core.envelope.attributes import Envelope
from shared.core.envelope.record_value import split_value
from shared.core.envelope.segment_sealing import GroupOpener
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.authority import STATEMENT_NOT_YOURS, may_state
from shared.core.protocol.decision_fact import ReadDecision, commitment, edge_salt, judged_edges, read_decided
from shared.core.protocol.message import Record, seal_context
from shared.core.protocol.record_table import only_codes_unknown, read_body
from shared.core.protocol.sender_verification import check_stated_by
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.core.routing.engine import RoutingInput
from shared.features.contacts.contract import CONTACT_SUGGESTED, ContactSuggestedClear
from shared.features.preservation.rules import check_may_ask

#: Members of a decision that are kept as its links.
_LINKED: Final = frozenset({"edges", "recipients"})
#: Messages that the documents in force can forbid.
_JUDGED: Final = frozenset({CONTACT_SUGGESTED, PRESERVATION_REQUESTED})
#: The members of a reported outcome that are stored. Each report is its own entry, and none replaces another.
_OUTCOME: Final = {*OutcomeReport.model_fields, "number"}
#: Facts whose whole clear part is stored.
_KINDS: Final[Mapping[type[Contract], EntryKind]] = {
    ReferralRefusedClear: EntryKind.REFUSAL,
    ReferralReviewedClear: EntryKind.REVIEWED,
    RecordRevealedClear: EntryKind.REVEALED,
}


class StatedFacts(NamedTuple):
    """The statement of a record, as its entry stores it."""

    kind: EntryKind = EntryKind.RECORD
    detail: str | None = None
    problem: str | None = None
    edge_id: UUID | None = None
    commitment: str | None = None
    decisions: tuple[AuditDecision, ...] = ()


@dataclass(slots=True)
class Judge:
    """Judge of one proven message's statement, by the directory of its broker time and the documents it names."""

    record: Record
    envelope: Envelope
    directory: DirectoryIndex
    shelf: DocumentStore
    opener: GroupOpener
    catalog: Catalog
    #: Most decisions of a message have the same documents and the same time.
    _settings: dict[tuple[str, str, datetime], RoutingInput] = field(default_factory=dict)

    def judge(self, message: MessageType) -> StatedFacts:
        """Return the statement of the message. Raises `Refused` for a body that cannot be read."""
        if not (
            message.edge or message.family is Family.FACT or message.clear is OutcomeReportedClear or message in _JUDGED
        ):
            return StatedFacts()
        try:
            clear, sealed = read_body(message, self.envelope.body, self.catalog.newest(message.name))
        except Refused as error:
            by, directory = self.record.writer, self.directory
            told = list_unread(self.envelope, error.code, by=by, directory=directory, catalog=self.catalog)
            return StatedFacts(problem=error.code, decisions=told)
        if not self._may_state(clear, self.envelope.attributes.time):
            return StatedFacts(EntryKind.NOT_ENTITLED, _spoken_of_as_json(clear), STATEMENT_NOT_YOURS)
        if message in _JUDGED and (code := self._unlawful(clear)) is not None:
            return StatedFacts(EntryKind.NOT_ENTITLED, problem=code)
        match clear:
            case EdgeClear():
                return StatedFacts(edge_id=clear.edge_id, commitment=clear.commitment)
            case ReferralDecidedClear():
                return self._decided(clear.decisions, sealed or b"")
            case OutcomeReportedClear():
                return StatedFacts(detail=clear.model_dump_json(include=_OUTCOME, exclude_none=True))
            case _ if (kind := _KINDS.get(type(clear))) is not None:
                return StatedFacts(kind, clear.model_dump_json(exclude_none=True))
            case _:
                return StatedFacts()

    def _may_state(self, fact: Contract, at: datetime) -> bool:
        """Return whether the sender may state the fact, by the directory of the record's time or of the fact's time.

        The second directory counts only if the party has moved away from the sender since, because a statement from
        before the move may arrive late.
        """
        sender, subject = self.envelope.attributes.sender, self.envelope.attributes.subject
        if may_state(fact, sender, subject=subject, directory=self.directory):
            return True
        party = _spoken_of(fact)
        if party is None or not self.directory.served_before(sender, party):
            return False
        try:
            return may_state(fact, sender, subject=subject, directory=self.shelf.directories.active(at))
        except Unavailable:
            return False

    def _unlawful(self, said: Contract) -> str | None:
        """Return the code of the rule that forbids this message from its sender to its recipient; None if none does.

        The message must break a rule of the documents in force at the broker's time and at its own time. So no sender
        is blamed for a message that was in transit while the documents changed.
        """
        codes = [self._broken(said, when) for when in (self.record.broker_time, self.envelope.attributes.time)]
        return None if None in codes else codes[0]

    def _broken(self, said: Contract, when: datetime) -> str | None:
        sender, recipient = self.envelope.attributes.sender, self.envelope.attributes.recipient
        try:
            directory = self.shelf.directories.active(when)
            if isinstance(said, ContactSuggestedClear):
                return None if recipient in directory.contactable else "contact_not_agreed"
            if isinstance(said, PreservationRequestedClear):
                policy = self.shelf.policies.active(when)
                check_may_ask(sender, recipient, said, directory=directory, policy=policy, on=when.date())
        except Unavailable:
            return None  # no document was in force that could forbid it
        except Refused as error:
            return error.code
        return None

    def _decided(self, told: tuple[DecidedReferral, ...], sealed: bytes) -> StatedFacts:
        """Open the fact, and derive each of its decisions again."""
        attributes = self.envelope.attributes
        where = REFERRAL_DECIDED, attributes.id, attributes.subject
        context = seal_context(*where, clear={}, sender=attributes.sender, recipient=attributes.recipient)
        try:
            found = read_decided(self.opener.open(sealed, self.record.wrap, context), len(told))
        except (Refused, ValueError) as error:
            code = _broken_as(error)
            return StatedFacts(EntryKind.DECISION, problem=code, decisions=tuple(_unread(each, code) for each in told))
        decisions = tuple(map(self._derived, told, found))
        problem = next((each.problem for each in decisions if each.problem in UNREAD), None)
        return StatedFacts(EntryKind.DECISION, problem=problem, decisions=decisions)

    def _derived(self, told: DecidedReferral, decided: ReadDecision | ValueError) -> AuditDecision:
        """Return one decision as audit stores it. A decision that cannot be derived again has a problem."""
        if isinstance(decided, ValueError):
            return _unread(told, _broken_as(decided))
        fact = decided.fact
        if not self._may_state(fact, fact.decision.decided_at):
            spoken_of = _spoken_of_as_json(fact) or ""
            return AuditDecision(told.referral_id, spoken_of, entitled=False, problem=STATEMENT_NOT_YOURS)
        problem, rules = None, dict[tuple[str, str], str]()
        try:
            at = self.envelope.attributes.time
            judged = judged_edges(told, decided, self._setting(fact.decision), told_at=at)
            rules = {key: ",".join(edge.terms.rules) for key, edge in judged.items()}
        except (Refused, Unavailable) as error:
            problem = error.code
        except Exception:  # after any defect, this decision and the others are still stored
            problem = "accept_defect"
        stated = {name: value for name, value in decided.stated.items() if name not in _LINKED}
        links = tuple(
            Link(
                edge.edge_id,
                edge.recipient,
                edge.purpose,
                rules.get((edge.recipient, edge.purpose), ""),
                commitment(edge_salt(fact.salt, edge.edge_id), edge.digest),
            )
            for edge in decided.edges
        )
        kept = _as_told(told, stated)
        return AuditDecision(told.referral_id, kept, told.disposition, fact.origin, problem=problem, links=links)

    def _setting(self, made_by: DecisionRef) -> RoutingInput:
        """Return the documents of a decision at its time. Raises `Refused` for one that is not known."""
        at = made_by.decided_at
        key = made_by.directory, made_by.policy, at
        setting = self._settings.get(key)
        if setting is None:
            directory = self.shelf.directories.get(made_by.directory, at)
            policy = self.shelf.policies.get(made_by.policy, at)
            setting = self._settings[key] = RoutingInput(directory, policy, self.envelope.attributes.exercise, at)
        return setting


def list_unread(
    envelope: Envelope, problem: str, *, by: str, directory: DirectoryIndex, catalog: Catalog
) -> tuple[AuditDecision, ...]:
    """Return the referrals of decisions whose clear part this release cannot read; none for any other message.

    No version changes which instances may state decisions, so a decision of an unauthorized instance names none.
    """
    if problem not in UNREAD or name_of(envelope.attributes.type) != REFERRAL_DECIDED.name:
        return ()
    try:
        check_stated_by(REFERRAL_DECIDED, envelope.attributes, by, directory=directory, catalog=catalog)
        told = from_json(split_value(envelope.body)[0])["decisions"][:DECISIONS_MAX]
        ids = [UUID(each["referral_id"]) for each in told]
    except (Refused, ValueError, LookupError, TypeError, AttributeError):
        return ()
    return tuple(AuditDecision(each, to_json({"referral_id": each}).decode(), problem=problem) for each in ids)


def _unread(told: DecidedReferral, problem: str) -> AuditDecision:
    """Return a decision of which only the clear part could be read."""
    return AuditDecision(told.referral_id, _as_told(told, {}), told.disposition, problem=problem)


def _as_told(told: DecidedReferral, stated: dict[str, object]) -> str:
    clear = {"referral_id": told.referral_id, "revision": told.revision, "disposition": told.disposition}
    return to_json(clear | stated).decode()


def _broken_as(error: Refused | ValueError) -> str:
    """Return the code of a sealed part that cannot be opened, or does not match its contract."""
    if isinstance(error, Refused):
        return error.code
    return "code_unknown" if isinstance(error, ValidationError) and only_codes_unknown(error) else "body_invalid"


def _spoken_of(stated: Contract) -> str | None:
    party = getattr(stated, "origin", None) or getattr(stated, "party", None)
    return party if isinstance(party, str) else None


def _spoken_of_as_json(stated: Contract) -> str | None:
    """Return the party that a statement names, as JSON. Of an unauthorized statement, only this is stored."""
    party = _spoken_of(stated)
    return None if party is None else to_json({"spoken_of": party}).decode()
