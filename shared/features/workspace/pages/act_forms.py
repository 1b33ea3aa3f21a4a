"""Forms for the acts that are possible on a referral in its present state, built from the act table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.core.acts.act import Act, Subject
from shared.core.acts.states import may_come_in, row
from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.contracts.items import DisownedItem
from shared.core.vocabulary.questions import QuestionKind, QuestionState
from shared.core.vocabulary.routing import PartyKind
from shared.features.amendments.service import Rerouting
from shared.features.dialogues.store import ShownQuestion
from shared.features.filing.rules import SentEdge, ShownReferral
from shared.features.filing.service.referrals import Withdrawal
from shared.features.holds.ports import ACTIVE
from shared.platform.console.forms import Choice, FieldGroup, Input, inputs_of


def _row(name: str) -> Act:
    return row(Subject.REFERRAL, name)


AMEND: Final = _row("amend")

REROUTE: Final = _row("reroute")

#: The bodies that the act table does not name.
_BODIES: Final[Mapping[str, type[Contract]]] = {"reroute": Rerouting, "withdraw": Withdrawal}
_WITH_FORM: Final = (
    *("reply", "uphold", "reroute", "check", "propose_override", "confirm_override", "transfer", "release", "drop"),
    "withdraw",
)
#: The acts that have a form here, in the order of the page, each with its body type.
FORMS: Final = {act: _BODIES.get(act.name, act.takes) for act in map(_row, _WITH_FORM)}

_HINTS: Final[Mapping[str, str]] = {
    "release": "The referral is decided by the current law, and sent. Only a person that did not file it can do this.",
    "drop": "The referral is erased and sent to no recipient. Only a person that did not file it can do this.",
    "propose_override": "The hold stays until another person confirms the override.",
    "confirm_override": "Only a person that did not propose it can do this. The notices are sent in the next slot.",
    "transfer": "The referral is yours until a hotline claims it. Leave the field empty for all orphan mandates.",
    "reroute": "The items are sent to the provider that hosts them. Neither provider learns of the other.",
}


class ActForm(NamedTuple):
    """One form. `about` distinguishes it from others of the same act; `hidden` are its hidden fields."""

    act: Act
    about: str = ""
    title: str = ""
    hint: str = ""
    hidden: Mapping[str, str] = MappingProxyType({})
    inputs: Sequence[Input | FieldGroup] = ()

    @property
    def key(self) -> str:
        """Return the prefix of its field ids, unique on a page with several forms."""
        return f"{self.act.name}{'-' if self.about else ''}{self.about}"


def forms_of(
    found: ShownReferral, raised: Sequence[ShownQuestion], role: Role, *, kinds: Mapping[str, str]
) -> list[ActForm]:
    """Return the forms for a role. `kinds` are the kinds of the referral's recipients."""
    forms: list[ActForm] = []
    for act in FORMS:
        if role in act.roles and found.state.value in may_come_in(act):
            forms += _forms(act, found, raised, kinds=kinds)
    return forms


def may_amend(found: ShownReferral, role: Role) -> bool:
    return role in AMEND.roles and found.state.value in may_come_in(AMEND)


def _forms(
    act: Act, found: ShownReferral, raised: Sequence[ShownQuestion], *, kinds: Mapping[str, str]
) -> Iterator[ActForm]:
    match act.name:
        case "reply" | "uphold":
            yield from _answering(act, raised)
        case "reroute":
            yield from (_rerouting(edge) for edge in found.edges if _disowned(edge))
        case "propose_override" | "confirm_override":
            for hold in found.holds:
                if hold.state == ACTIVE:
                    shown = f"{_title(act)}: {hold.agency}"
                    yield _form(act, shown, about=str(hold.hold), hidden={"hold": str(hold.hold)})
        case "transfer":
            names = {edge.recipient for edge in found.edges if edge.notice_id is None}
            to = tuple(Choice(each, each) for each in sorted(names) if kinds.get(each) == PartyKind.HOTLINE)
            if to:
                yield _form(act, _title(act), to=to)
        case "check":
            if any(edge.notice_id for edge in found.edges):
                yield _form(act, "Report a recheck")
        case _:
            yield _form(act, _title(act))


def _answering(act: Act, raised: Sequence[ShownQuestion]) -> Iterator[ActForm]:
    kind = QuestionKind.QUESTION if act.name == "reply" else QuestionKind.DISPUTE
    for each in raised:
        if not each.own and each.kind is kind and each.state is QuestionState.OPEN:
            hidden = {"party": each.party, kind.value: str(each.number)}
            title = f"Answer {kind.value} {each.number} of {each.party}"
            yield _form(act, title, about=f"{each.party}-{each.number}", hidden=hidden, rows=each.about)


def _rerouting(edge: SentEdge) -> ActForm:
    title, hidden = f"Reroute items that {edge.recipient} does not host", {"notice_id": str(edge.notice_id)}
    suggested = sorted({each.suggested for each in _disowned(edge) if each.suggested})
    hint = f"The answer suggests {', '.join(suggested)}." if suggested else "Name the provider that hosts the items."
    return _form(REROUTE, title, about=str(edge.notice_id), hidden=hidden, hint=f"{hint} {_HINTS['reroute']}")


def _disowned(edge: SentEdge) -> Sequence[DisownedItem]:
    found = None if edge.answer_detail is None else edge.answer_detail.disowned
    return found if found and edge.notice_id is not None else ()


def _form(
    act: Act,
    title: str,
    *,
    about: str = "",
    hidden: Mapping[str, str] | None = None,
    rows: Sequence[int] = (),
    hint: str | None = None,
    to: tuple[Choice, ...] = (),
) -> ActForm:
    known = hidden or {}
    inputs = [each for each in inputs_of(FORMS[act], rows=rows) if each.path not in known]
    if to:
        inputs = [
            each._replace(kind="select", choices=to) if isinstance(each, Input) and each.path == "to" else each
            for each in inputs
        ]
    return ActForm(act, about, title, _HINTS.get(act.name, "") if hint is None else hint, known, tuple(inputs))


def _title(act: Act) -> str:
    return act.name.replace("_", " ").capitalize()
