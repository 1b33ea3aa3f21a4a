"""Every table with rows of parties: how to make a row, and the effects that each act may have on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.audit.domain.entries import AUTHORITY as AUDIT
from services.hotline import app as hotline
from services.industry import app as industry
from services.law_enforcement import app as law_enforcement
from shared.core.acts.act import CaseState, NoticeState, OfferState, PreservationState
from shared.core.acts.states import WebhookState
from shared.core.authority import Authority, Role
from shared.core.protocol.origin import ReferralState
from shared.instance.app import joined
from shared.platform.database.migrate import newest_schema


class Relation(StrEnum):
    """The owner of a row, relative to the acting party."""

    OWN = "own"
    FOREIGN = "foreign"


AUTHORITIES: dict[str, Authority] = {
    "hotline": joined(hotline.AUTHORITY, hotline.FEATURES),
    "law_enforcement": joined(law_enforcement.AUTHORITY, law_enforcement.FEATURES),
    "industry": joined(industry.AUTHORITY, industry.FEATURES),
    "audit": AUDIT,
}
PARTY_SERVICES = ("hotline", "law_enforcement", "industry")
ORIGINS = ("hotline", "industry")
CELLS = {service: {*table.cells()} for service, table in AUTHORITIES.items()}
PARTIES = {Relation.OWN: "own.example", Relation.FOREIGN: "foreign.example"}
#: Every role, and an unknown one; every action of any service, and one of none.
ROLES = (*(role.value for role in Role), "stranger")
ACTIONS = (*sorted({action for cells in CELLS.values() for _, _, action, _ in cells}), "erase")
ADDS, CHANGES, REMOVES, SEES = "adds", "changes", "removes", "sees"
#: Every resource of a service.
ANY = "any"
#: The columns of each service's tables that an insert must state, and their types.
_REQUIRED = {
    service: {
        name.removeprefix("column "): typed[1]
        for name, told in newest_schema(service).catalogue.items()
        if (typed := re.match(r"\d+ ([^,]+), not null", told)) and not re.search("default|generated|identity", told)
    }
    for service in PARTY_SERVICES
}
#: The value of a column by its type: $1 is the id of the row, $2 its party, $3 its state.
_BY_TYPE = {
    "uuid": "$1::uuid",
    "text": "$1::uuid::text",
    "timestamp with time zone": "now()",
    "boolean": "true",
    **dict.fromkeys(("smallint", "integer", "bigint"), "1"),
    "bytea": "''",
    **dict.fromkeys(("jsonb", "smallint[]"), "'{}'"),
}
#: The values of columns that a constraint limits.
_LIMITED = {"hold.state": "'active'", "hold_act.act": "'placed'", "question.kind": "'question'"}


class Kept(StrEnum):
    """The single state of a row without a state."""

    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Isolated:
    """One isolated table.

    Every act adds to a timeline, and none changes it. `resource` is the resource of its rows, or `ANY` for all of a
    service. `allows` lists the effects of each action on a row that differ from an act on the resource itself.
    """

    service: str
    table: str
    resource: str
    states: type[StrEnum]
    key: str
    allows: Callable[[str], set[str]] | None = None
    has_state: bool = False
    timeline: bool = False

    @property
    def insert(self) -> str:
        """The statement that adds a row with the id $1, of the party $2, in the state $3 if it has one."""
        limited = _LIMITED | {f"{self.table}.party": "$2", "received.kind": f"'{self.resource}'"}
        values = {
            name: limited.get(name) or ("$3" if name.endswith(".state") else _BY_TYPE[typed])
            for name, typed in _REQUIRED[self.service].items()
            if name.startswith(f"{self.table}.")
        }
        if self.table == "referral":  # a person must have filed what waits for a release
            values["referral.filed_by"] = "'somebody'"
        names = ", ".join(name.partition(".")[2] for name in values)
        return f"INSERT INTO {self.table} ({names}) SELECT {', '.join(values.values())} WHERE $3::text <> ''"


def _by(effects: set[str], **others: set[str]) -> Callable[[str], set[str]]:
    """Return the effects of each action. Unnamed actions get the effects of `others`."""
    return lambda action: set(others.get(action, effects))


def _of_holds(*effects: str) -> Callable[[str], set[str]]:
    """Return the effects of acts on holds. Any act may be about a hold, except those that only read or only submit."""
    return _by({*effects}, read=set(), submit=set())


_MORE = {ADDS, CHANGES}
_OF_EDGES = _by({CHANGES}, read=set(), submit={ADDS}, release=_MORE, amend=_MORE, reroute=_MORE, apply=_MORE)
_OF_REVISIONS = _by(set(), amend={ADDS}, reroute={ADDS})
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
_OF_REFERRALS = {
    "referral_revision": _OF_REVISIONS,
    "transfer": _OF_TRANSFERS,
    "location_token": _OF_PLACES,
    "referral_relation": _OF_LINKS,
    "contact_suggestion_queue": _OF_DUE,
    "contact": _OF_DUE,
    "no_objection": _of_holds(ADDS, REMOVES),
}
#: An act on a case may add a lease; no act changes one. An amendment adds a case that is passed on, too.
_OF_CASES = {
    "case_lease": _of_holds(ADDS),
    "case_referral_in": _OF_LINKS,
    "case_referral_out": _by(set(), refer={ADDS}, apply={ADDS}),
    "case_contact": _OF_CONTACTS,
    "case_location": _OF_PLACES,
}
#: Tables of each service. An act that may erase adds an erasure, a reader an access. Any act of a party may write the
#: deadlines of its edges; only retention removes them.
_OF_ALL = {
    "deadline": ("edge_id", _OF_EDGES),
    "erased_record": ("subject", _of_holds(ADDS)),
    "question": ("question_id", _of_holds(ADDS, CHANGES)),
    "record_access_log": ("subject", _by(set(), read={ADDS, CHANGES})),
}


def _of_origins(service: str) -> Iterator[Isolated]:
    of = "referral", ReferralState
    yield Isolated(service, "referral", *of, "referral_id", has_state=True)
    yield Isolated(service, "edge", *of, "edge_id")
    yield Isolated(service, "hold", *of, "hold_id", _of_holds(ADDS, CHANGES))
    yield Isolated(service, "hold_act", *of, "hold_id", _of_holds(ADDS))
    for table, allows in _OF_REFERRALS.items():
        yield Isolated(service, table, *of, "referral_id", allows)


def _of_agencies() -> Iterator[Isolated]:
    of = "law_enforcement", "case", CaseState
    yield Isolated(of[0], "case_act", *of[1:], "referral_id", timeline=True)
    yield Isolated(of[0], "hold", *of[1:], "hold_id", _of_holds(ADDS, CHANGES))
    for table, allows in _OF_CASES.items():
        yield Isolated(of[0], table, *of[1:], "referral_id", allows)


def _of_preservations(service: str) -> Iterator[Isolated]:
    of = "preservation", PreservationState, "preservation_id"
    yield Isolated(service, "preservation", *of, has_state=True)
    yield Isolated(service, "preservation_act", *of, timeline=True)


def _of_all(service: str) -> Iterator[Isolated]:
    yield Isolated(service, "webhook", "webhook", WebhookState, "webhook_id", has_state=True)
    yield Isolated(service, "webhook_delivery", "webhook", WebhookState, "webhook_id")
    # The table is for cases only, so no role of another kind of service reaches a row of it.
    yield Isolated(service, "received_edge", "case", CaseState, "subject")
    for table, (key, allows) in _OF_ALL.items():
        yield Isolated(service, table, ANY, Kept, key, allows)


OFFER = Isolated("hotline", "received", "offer", OfferState, "subject", has_state=True)
TABLES = (
    OFFER,
    Isolated("law_enforcement", "received", "case", CaseState, "subject", has_state=True),
    Isolated("industry", "received", "notice", NoticeState, "subject", has_state=True),
    Isolated("industry", "notice_location", "notice", NoticeState, "notice_id", _OF_NOTICED),
    Isolated("industry", "preservation_location", "preservation", PreservationState, "preservation_id", _OF_DUE),
    *(held for service in ORIGINS for held in _of_origins(service)),
    *_of_agencies(),
    *(held for service in ("law_enforcement", "industry") for held in _of_preservations(service)),
    *(held for service in PARTY_SERVICES for held in _of_all(service)),
)
DEADLINES = tuple(held for held in TABLES if held.table == "deadline")
