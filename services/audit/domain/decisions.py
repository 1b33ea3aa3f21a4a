"""The decisions of one message: each is derived again from its own facts, and kept with the code of its fault. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from pydantic import ValidationError
from pydantic_core import to_json

from services.audit.domain.entries import KeptDecision, Link
from shared.contracts.decision import DecisionRef
from shared.contracts.facts import DecidedReferral, SealedDecision
from shared.envelope.headers import Attributes
from shared.exchange.authority import STATEMENT_NOT_YOURS
from shared.exchange.decided import ReadDecided, commitment, edge_salt, judged_edges
from shared.exchange.record_body import only_codes_unknown
from shared.kernel.errors import Refused, Unavailable
from shared.routing.engine import Setting
from shared.routing.shelf import DocumentShelf

#: Members of a decision that are kept as its links.
_LINKED: Final = frozenset({"edges", "recipients"})


class DecisionJudge:
    """Judges the decisions of one message. Most of them have the same documents and the same time."""

    def __init__(
        self, attributes: Attributes, shelf: DocumentShelf, may_state: Callable[[SealedDecision], bool]
    ) -> None:
        """`may_state`: whether the sender may speak for the origin of a decision."""
        self._attributes = attributes
        self._shelf = shelf
        self._may_state = may_state
        self._settings: dict[tuple[str, str, datetime], Setting] = {}

    def judge(self, told: DecidedReferral, decided: ReadDecided | ValueError) -> KeptDecision:
        """Return one decision as audit keeps it. One that is not derived has a problem."""
        if isinstance(decided, ValueError):
            return unread(told, broken_as(decided))
        fact = decided.fact
        if not self._may_state(fact):
            spoken_of = to_json({"spoken_of": fact.origin}).decode()
            return KeptDecision(told.referral_id, spoken_of, entitled=False, problem=STATEMENT_NOT_YOURS)
        problem, rules = None, dict[tuple[str, str], str]()
        try:
            judged = judged_edges(told, decided, self._setting(fact.decision), told_at=self._attributes.time)
            rules = {key: ",".join(edge.terms.rules) for key, edge in judged.items()}
        except (Refused, Unavailable) as error:
            problem = error.code
        except Exception:  # any defect: this decision is kept, and so are the others
            problem = "accept_defect"
        stated = {name: value for name, value in decided.stated.items() if name not in _LINKED}
        detail = to_json(_as_told(told) | stated).decode()
        return KeptDecision(told.referral_id, detail, fact.origin, problem=problem, links=_links(decided, rules))

    def _setting(self, made_by: DecisionRef) -> Setting:
        """Return the documents of a decision at its time. Raises `Refused` for one that is not known."""
        at = made_by.decided_at
        key = made_by.directory, made_by.policy, at
        setting = self._settings.get(key)
        if setting is None:
            directory = self._shelf.directories.get(made_by.directory, at)
            policy = self._shelf.policies.get(made_by.policy, at)
            setting = self._settings[key] = Setting(directory, policy, self._attributes.exercise, at)
        return setting


def unread(told: DecidedReferral, problem: str) -> KeptDecision:
    """Return a decision of which nothing but the clear part could be read."""
    return KeptDecision(told.referral_id, to_json(_as_told(told)).decode(), problem=problem)


def broken_as(error: Refused | ValueError) -> str:
    """Return the code of a sealed part that cannot be opened, or does not match its contract."""
    if isinstance(error, Refused):
        return error.code
    return "code_unknown" if isinstance(error, ValidationError) and only_codes_unknown(error) else "body_invalid"


def _as_told(told: DecidedReferral) -> dict[str, object]:
    return {"referral_id": told.referral_id, "revision": told.revision, "disposition": told.disposition}


def _links(decided: ReadDecided, rules: Mapping[tuple[str, str], str]) -> tuple[Link, ...]:
    links: list[Link] = []
    for edge in decided.edges:
        bound = commitment(edge_salt(decided.fact.salt, edge.edge_id), edge.digest)
        by = rules.get((edge.recipient, edge.purpose), "")
        links.append(Link(edge.edge_id, edge.recipient, edge.purpose, by, bound))
    return tuple(links)
