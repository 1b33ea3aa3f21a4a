"""`docs/states.md` and the states in the services' pages: what moves what, who may, what it tells, from the rows.

A page of a service keeps its own words; between the two marks the diagrams of its subjects are written anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from shared.exchange.act import Act, Cause, Subject, Track
from shared.exchange.acts import ACTS
from shared.exchange.states import begins, may_come_in, rows_of, states, steps

BEGIN: Final = "<!-- states: written by `python -m deploy.artifacts` from shared/exchange/acts.py -->"
END: Final = "<!-- end of states -->"
#: Whose pages show which subjects, and what each subject is.
SHOWN_BY: Final = {
    "hotline": (Subject.REFERRAL, Subject.OFFER),
    "law_enforcement": (Subject.CASE, Subject.PRESERVATION),
    "industry": (Subject.REFERRAL, Subject.NOTICE, Subject.PRESERVATION),
}
_WHAT: Final = {
    Subject.REFERRAL: "A referral at its origin",
    Subject.OFFER: "A referral offered to a hotline",
    Subject.CASE: "A referral offered to an agency",
    Subject.NOTICE: "A notice issued to a provider",
    Subject.PRESERVATION: "A preservation, at the agency that asks and at the provider that is asked",
}
#: So many states are left out by their names.
_FEW: Final = 4
#: The acts of an origin that its recipients are told by messages of other acts: the names of these.
TELLS: Final[Mapping[str, Collection[str]]] = {
    "submit": ("offer", "issue"),
    "release": ("offer", "issue"),
    "amend": ("offer", "issue", "withdraw", "hold_ended"),
    "reroute": ("offer", "issue", "withdraw", "hold_ended"),
    "hand_over": ("claim_granted", "claim_gone", "hold_ended"),
    "confirm_override": ("hold_ended",),
}
_HEAD: Final = """# States

Written by `python -m deploy.artifacts` from the rows of `shared/exchange/acts.py`; a test compares. A subject has a
track for each party that writes to it: its origin's (*offer*) and its recipient's (*answer*). What is shown here is the
fold of both. Every move that is not listed is refused: `state_forbids` to people, a coded outcome to services. An
origin checks an answer against its copy of the answer's track, so one that crossed a withdrawal on the way is kept.
The diagrams leave out acts that move nothing; in the tables these *stay*. The messages are those that one party's
service sends another's; what audit is told is in [messages.md](messages.md).
"""

_FURTHER: Final = "Who may do which act, in which state, and what it tells: [states](../../docs/states.md).\n"


def states_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for subject in Subject for line in _subject(subject))])


def with_states(page: str, service: str) -> str:
    """A service's page with its states written anew. Raises `ValueError` where a mark is missing."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"services/{service}/README.md has no place for its states")
    lines = [line for subject in SHOWN_BY[service] for line in _diagram(subject, heading="###")]
    return "\n".join([f"{before}{BEGIN}\n", *lines, _FURTHER, END]) + after


def _subject(subject: Subject) -> Iterator[str]:
    yield from _diagram(subject, heading="##")
    yield from ["| act | track | by | in | leads to | message |", "| --- | --- | --- | --- | --- | --- |"]
    yield from (_row(row) for row in rows_of(subject))
    yield ""


def _diagram(subject: Subject, *, heading: str) -> Iterator[str]:
    yield f"{heading} {_WHAT[subject]}\n"
    yield from ["```mermaid", "stateDiagram-v2", *_arrows(subject), "```\n"]


def _arrows(subject: Subject) -> Iterator[str]:
    """One arrow for each pair of different states, named by all acts that lead from the one to the other."""
    named: dict[tuple[str, str], list[str]] = {}
    for row in rows_of(subject):
        if begins(row):
            for state in sorted(may_come_in(row)):
                named.setdefault(("[*]", state), []).append(row.name)
    for before in sorted(states(subject)):
        for row in rows_of(subject):
            for move, after in steps(row, before):
                said = f" ({', '.join(sorted(move.codes))})" if move.codes else ""
                named.setdefault((before, after), []).append(f"{row.name}{said}")
    yield from (
        f"    {before} --> {after}: {', '.join(names)}" for (before, after), names in named.items() if before != after
    )


def _row(row: Act) -> str:
    by = {
        Cause.PERSON: _listed(row.roles),
        Cause.SECOND_PERSON: f"{_listed(row.roles)}, as one of two",
        Cause.ACT: "the sender, by its message" if _is_told(row) else "the service, by what others say",
        Cause.TIMER: "the service, when its time has come",
    }[row.cause]
    every, before = states(row.subject), may_come_in(row)
    moves = {(state, after) for state in before for _, after in steps(row, state)}
    leads = {"*stays*" if after == state else after for state, after in moves} or before
    message = _listed({f"`{each.message.name}`" for each in told(row) if each.message})
    where = "nothing yet" if begins(row) else _among(before, every)
    return f"| {row.name} | {row.track} | {by} | {where} | {_listed(leads)} | {message} |"


def _is_told(row: Act) -> bool:
    """Whether it is the sender's act, as its recipient's service applies it."""
    return row.track is Track.OFFER and row.message is not None


def told(row: Act) -> Iterable[Act]:
    """The rows whose messages tell of an act: itself; of an act at an origin, what its recipients are told of it."""
    if row.message or row.subject is not Subject.REFERRAL:
        return [row]
    names = TELLS.get(row.name, (row.name,))
    return [each for each in ACTS if each.name in names and each.cause is Cause.ACT and _is_told(each)]


def _among(some: Collection[str], every: Collection[str]) -> str:
    """Some of all states, by those that are not among them where these are fewer."""
    others = set(every) - set(some)
    if not others:
        return "any"
    return f"any but {_listed(others)}" if len(others) < len(some) and len(others) <= _FEW else _listed(some)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
