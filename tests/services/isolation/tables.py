"""Every table with rows of parties: how to make a row, and the effects that each act may have on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.audit.domain.entries import AUTHORITY as AUDIT
from shared.core.acts.act import CaseState, NoticeState, OfferState, PreservationState
from shared.core.acts.states import WebhookState
from shared.core.authority import Authority, Role
from shared.core.protocol.origin import ReferralState
from shared.features.cases.rules import AUTHORITY as LAW_ENFORCEMENT
from shared.features.notices.rules import AUTHORITY as INDUSTRY
from shared.features.offers.rules import AUTHORITY as HOTLINE
from tests.services.isolation import inserts


class Relation(StrEnum):
    """The owner of a row, relative to the acting party."""

    OWN = "own"
    FOREIGN = "foreign"


AUTHORITIES: dict[str, Authority] = {
    "hotline": HOTLINE,
    "law_enforcement": LAW_ENFORCEMENT,
    "industry": INDUSTRY,
    "audit": AUDIT,
}
CELLS = {service: {*table.cells()} for service, table in AUTHORITIES.items()}
PARTIES = {Relation.OWN: "own.example", Relation.FOREIGN: "foreign.example"}
#: Every role, and an unknown one; every action of any service, and one of none.
ROLES = (*(role.value for role in Role), "stranger")
ACTIONS = (*sorted({action for cells in CELLS.values() for _, _, action, _ in cells}), "erase")
ADDS, CHANGES, REMOVES, SEES = "adds", "changes", "removes", "sees"
#: Every resource of a service.
ANY = "any"


class Kept(StrEnum):
    """The single state of a row without a state."""

    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Isolated:
    """One isolated table. `insert` takes a row's id, party and state; without a state column it ignores the last.

    Every act adds to a timeline, and none changes it. `resource` is the resource of its rows, or `ANY` for all of a
    service. `allows` lists the effects of each action on a row that differ from an act on the resource itself.
    """

    service: str
    table: str
    resource: str
    states: type[StrEnum]
    key: str
    insert: str
    has_state: bool = True
    timeline: bool = False
    allows: Callable[[str], set[str]] | None = None


_REFERRAL = """
INSERT INTO referral (referral_id, party, external_ref, revision, exercise, disposition, state, arrival, priority,
                      decided, content, body_sha256, accepted_at, filed_by)
VALUES ($1::uuid, $2, $1::uuid::text, 1, true, 'routed', $3, 1, 'p2_normal', '', '', '', now(), 'somebody')
"""
_EDGE = """
INSERT INTO edge (edge_id, instance, referral_id, party, recipient, purpose, reason, rules, document_digests,
    decided_at)
SELECT $1::uuid, 'industry', $1::uuid, $2, 'recipient.example', 'investigation', 'hosting_jurisdiction', '{}', '', now()
WHERE $3 <> ''
"""
_REVISION = """
INSERT INTO referral_revision (referral_id, revision, party, cause, at, body_sha256, priority, decided, content)
SELECT $1::uuid, 1, $2, 'filed', now(), '', 'p2_normal', '', '' WHERE $3 <> ''
"""
_CASE_EDGE = """
INSERT INTO received_edge (subject, party, purpose, revision, retention, edge, record)
SELECT $1, $2, 'investigation', 1, '', '', '' WHERE $3 <> ''
"""
_CASE_ACT = """
INSERT INTO case_act (referral_id, party, number, state, details, at) SELECT $1, $2, 1, $3, '{}', now()
"""
_WEBHOOK = """
INSERT INTO webhook (webhook_id, party, state, confirmed_number, due_at, created_at)
VALUES ($1, $2, $3, 0, now(), now())
"""
_WEBHOOK_DELIVERY = """
INSERT INTO webhook_delivery (webhook_id, ring_slot, party, line_number, message_id, event_number, attempt, at, code,
    duration_ms) SELECT $1, 0, $2, 0, 'evt_1', 1, 1, now(), 'delivered', 1 WHERE $3 <> ''
"""
_PRESERVATION = """
INSERT INTO preservation (preservation_id, party, counterpart, exercise, state, offered, answer, kind, instrument, acts,
                          last_counterpart_act, is_requester, content, asked_at)
VALUES ($1, $2, 'counterpart.example', true, $3, 'open', 'none', 'preserve', 'eu_2023_1543', 1, 0, true, '', now())
"""
_PRESERVATION_ACT = """
INSERT INTO preservation_act (preservation_id, party, track, number, name, state, details, at)
SELECT $1, $2, 'offer', 1, 'submit', $3, '{}', now()
"""
_DEADLINE = """
INSERT INTO deadline (edge_id, party, subject, origin, recipient, purpose, clock_rules, started_at)
SELECT $1::uuid, $2, $1, 'origin.example', 'recipient.example', 'investigation', '', now() WHERE $3 <> ''
"""
_ERASED = "INSERT INTO erased_record (subject, party) SELECT $1::uuid, $2 WHERE $3 <> ''"


def _by(effects: set[str], **others: set[str]) -> Callable[[str], set[str]]:
    """Return the effects of each action. Unnamed actions get the effects of `others`."""
    return lambda action: set(others.get(action, effects))


_MORE = {ADDS, CHANGES}
_OF_EDGES = _by({CHANGES}, read=set(), submit={ADDS}, release=_MORE, amend=_MORE, reroute=_MORE, apply=_MORE)
_OF_REVISIONS = _by(set(), amend={ADDS}, reroute={ADDS})
_HOLD = """
INSERT INTO hold (hold_id, referral_id, party, agency, scope, basis, placed_at, expires_at, state, exercise,
    priority_rank)
SELECT $1::uuid, $1, $2, 'agency.example', 'removal', 'court_order', now(), now(), 'active', true, 1 WHERE $3 <> ''
"""
_HOLD_ACT = """
INSERT INTO hold_act (hold_id, referral_id, party, agency, act, at)
SELECT $1::uuid, $1, $2, 'agency.example', 'placed', now() WHERE $3 <> ''
"""
_NO_OBJECTION = """
INSERT INTO no_objection (referral_id, party, agency, at) SELECT $1::uuid, $2, 'agency.example', now() WHERE $3 <> ''
"""
_LEASE = """
INSERT INTO case_lease (referral_id, party, number, actor, expires_at, assigned_by, at)
SELECT $1::uuid, $2, 1, 'somebody', now(), 'somebody', now() WHERE $3 <> ''
"""
_PASSED = """
INSERT INTO case_referral_in (referral_id, party, referred_by, reason, history, at)
SELECT $1::uuid, $2, 'agency.example', 'suspect_elsewhere', '{}', now() WHERE $3 <> ''
"""
_CONTACT = """
INSERT INTO case_contact (referral_id, party, agency, reason, other_referral_id, at)
SELECT $1::uuid, $2, 'agency.example', 'same_referral', $1, now() WHERE $3 <> ''
"""
_PASSING = """
INSERT INTO case_referral_out (message_id, referral_id, party, edge_id, previous_state)
SELECT $1::uuid, $1, $2, $1, 'none' WHERE $3 <> ''
"""
_PLACE = """
INSERT INTO case_location (referral_id, party, n, version, token) SELECT $1::uuid, $2, 1, 1, '' WHERE $3 <> ''
"""
_CONTACT_DUE = """
INSERT INTO contact_suggestion_queue (referral_id, party) SELECT $1::uuid, $2 WHERE $3 <> ''
"""
_TOLD_CONTACT = """
INSERT INTO contact (referral_id, party, agency, other_agency, reason, other_referral_id)
SELECT $1::uuid, $2, 'agency.example', 'other.example', 'same_referral', $1 WHERE $3 <> ''
"""
_ASKED_HOLD = """
INSERT INTO hold (hold_id, referral_id, party, origin, scope, basis, requested_at, requested_until)
SELECT $1::uuid, $1, $2, 'origin.example', 'removal', 'court_order', now(), now() WHERE $3 <> ''
"""


def _of_holds(*effects: str) -> Callable[[str], set[str]]:
    """Return the effects of acts on holds. Any act may be about a hold, except those that only read or only submit."""
    return _by({*effects}, read=set(), submit=set())


def _holds() -> Iterator[Isolated]:
    for service in ("hotline", "industry"):
        for table, key, insert, allows in (
            ("hold", "hold_id", _HOLD, _of_holds(ADDS, CHANGES)),
            ("hold_act", "hold_id", _HOLD_ACT, _of_holds(ADDS)),
            ("no_objection", "referral_id", _NO_OBJECTION, _of_holds(ADDS, REMOVES)),
        ):
            yield Isolated(service, table, "referral", ReferralState, key, insert, has_state=False, allows=allows)
    asked = _of_holds(ADDS, CHANGES)
    yield Isolated("law_enforcement", "hold", "case", CaseState, "hold_id", _ASKED_HOLD, has_state=False, allows=asked)


#: An act that erases a record erases its location; an act that receives one adds it.
_OF_PLACES = _by({REMOVES}, read=set(), submit=set(), apply={ADDS, REMOVES})
#: Any act on a case may read its contact suggestions.
_OF_CONTACTS = _by({CHANGES}, read=set(), submit=set(), apply=_MORE)
#: Only the service's own step adds which referrals name one place.
_OF_LINKS = _by(set(), apply={ADDS})
_OF_DUE = _by(set(), apply={ADDS, REMOVES})
#: An act that erases a notice erases its items' locations. Only the service ends a preservation's record.
_OF_NOTICED = _by(set(), apply={ADDS, REMOVES}, acknowledge_withdrawal={REMOVES})
#: The transferring party states which hotlines may claim. Only the service stores the granted claim.
_OF_TRANSFERS = _by(set(), transfer=_MORE, apply={CHANGES})


def _cases() -> Iterator[Isolated]:
    """Yield the tables of cases. An act on a case may add a lease; no act changes one."""
    for table, insert, allows in (
        ("case_lease", _LEASE, _of_holds(ADDS)),
        ("case_referral_in", _PASSED, _OF_LINKS),
        # An amendment adds some, too. Refused ones are noted in a separate column.
        ("case_referral_out", _PASSING, _by(set(), refer={ADDS}, apply={ADDS})),
        ("case_contact", _CONTACT, _OF_CONTACTS),
        ("case_location", _PLACE, _OF_PLACES),
    ):
        of = "law_enforcement", table, "case", CaseState, "referral_id"
        yield Isolated(*of, insert, has_state=False, allows=allows)


_TRANSFER = """
INSERT INTO transfer (referral_id, recipient, party, reason, offered_at)
SELECT $1::uuid, 'hotline.example', $2, 'no_mandate', now() WHERE $3 <> ''
"""
_QUESTION = """
INSERT INTO question (question_id, party, message_subject, counterpart, is_own, number, kind, subject, item_numbers,
                      details, revision, raised_at, since, priority_rank)
SELECT $1::uuid, $2, $1, 'other.example', true, 1, 'question', $1, '{1}', '{}', 1, now(), now(), 1 WHERE $3 <> ''
"""


def _looks() -> Iterator[Isolated]:
    """Yield the tables of record accesses. A reader may add an access; no act changes or removes one."""
    for service in ("hotline", "law_enforcement", "industry"):
        of = service, "record_access_log", ANY, Kept, "subject", inserts.RECORD_LOOK
        yield Isolated(*of, has_state=False, allows=_by(set(), read={ADDS}))


def _questions() -> Iterator[Isolated]:
    """Yield the tables of questions. An act on a subject may read its answers."""
    for service in ("hotline", "law_enforcement", "industry"):
        allows = _of_holds(ADDS, CHANGES)
        yield Isolated(service, "question", ANY, Kept, "question_id", _QUESTION, has_state=False, allows=allows)


def _erasures(service: str) -> Iterator[Isolated]:
    """Yield the table of erasures. An act that may erase adds a row; no act removes one."""
    yield Isolated(service, "erased_record", ANY, Kept, "subject", _ERASED, has_state=False, allows=_of_holds(ADDS))


def _deadlines(service: str) -> Isolated:
    """Return the table of deadlines. Any act of a party may write those of its edges. Only retention removes them."""
    return Isolated(service, "deadline", ANY, Kept, "edge_id", _DEADLINE, has_state=False, allows=_OF_EDGES)


_OF_PRESERVATIONS = "preservation", PreservationState, "preservation_id"
PRESERVATIONS = tuple(
    Isolated(service, table, *_OF_PRESERVATIONS, insert, has_state=not is_act, timeline=is_act)
    for service in ("law_enforcement", "industry")
    for table, insert, is_act in (("preservation", _PRESERVATION, False), ("preservation_act", _PRESERVATION_ACT, True))
)
LOCATIONS = tuple(
    Isolated("industry", table, of, states, f"{of}_id", insert, has_state=False, allows=allows)
    for table, of, states, insert, allows in (
        ("notice_location", "notice", NoticeState, inserts.NOTICE_LOCATION, _OF_NOTICED),
        ("preservation_location", "preservation", PreservationState, inserts.PRESERVATION_LOCATION, _OF_DUE),
    )
)
OF_REFERRALS = tuple(
    Isolated(service, table, "referral", ReferralState, "referral_id", insert, has_state=False, allows=allows)
    for service in ("hotline", "industry")
    for table, insert, allows in (
        ("referral_revision", _REVISION, _OF_REVISIONS),
        ("transfer", _TRANSFER, _OF_TRANSFERS),
        ("location_token", inserts.TOKEN, _OF_PLACES),
        ("referral_relation", inserts.RELATION, _OF_LINKS),
        ("contact_suggestion_queue", _CONTACT_DUE, _OF_DUE),
        ("contact", _TOLD_CONTACT, _OF_DUE),
    )
)
DEADLINES = tuple(map(_deadlines, ("hotline", "law_enforcement", "industry")))
TABLES = (
    Isolated("hotline", "referral", "referral", ReferralState, "referral_id", _REFERRAL),
    Isolated("hotline", "edge", "referral", ReferralState, "edge_id", _EDGE, has_state=False),
    Isolated("hotline", "received", "offer", OfferState, "subject", inserts.insert_received("offer")),
    Isolated("law_enforcement", "received", "case", CaseState, "subject", inserts.insert_received("case")),
    Isolated(
        "law_enforcement", "case_act", "case", CaseState, "referral_id", _CASE_ACT, has_state=False, timeline=True
    ),
    Isolated("industry", "referral", "referral", ReferralState, "referral_id", _REFERRAL),
    Isolated("industry", "edge", "referral", ReferralState, "edge_id", _EDGE, has_state=False),
    Isolated("industry", "received", "notice", NoticeState, "subject", inserts.insert_received("notice")),
    *(
        Isolated(service, table, "webhook", WebhookState, "webhook_id", insert, has_state=table == "webhook")
        for service in ("hotline", "law_enforcement", "industry")
        for table, insert in (("webhook", _WEBHOOK), ("webhook_delivery", _WEBHOOK_DELIVERY))
    ),
    # The table is for cases only, so no role of another kind of service reaches a row of it.
    *(
        Isolated(service, "received_edge", "case", CaseState, "subject", _CASE_EDGE, has_state=False)
        for service in ("hotline", "law_enforcement", "industry")
    ),
    *PRESERVATIONS,
    *LOCATIONS,
    *OF_REFERRALS,
    *DEADLINES,
    *(held for service in ("hotline", "law_enforcement", "industry") for held in _erasures(service)),
    *_holds(),
    *_cases(),
    *_questions(),
    *_looks(),
)
