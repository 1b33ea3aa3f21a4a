"""`docs/states.md` and the states in the services' pages: what moves what, who may, whom it tells, from the rows.

A page of a service keeps its own words; what stands between the two marks is written anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from shared.exchange.act import Act, Cause, Offered, Subject
from shared.exchange.acts import ACTS
from shared.exchange.changes_acts import AMEND
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
_HEAD: Final = """# States

Written by `python -m deploy.artifacts` from the rows of `shared/exchange/acts.py`; a test compares. A subject has a
track for each party that writes to it: its origin's (*offer*) and its recipient's (*answer*). What is shown here is the
fold of both. Every move that is not listed is refused: `state_forbids` to people, a coded receipt to services. An
origin checks an answer against its copy of the answer's track, so one that crossed a withdrawal on the way is kept.
"""


def states_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for subject in Subject for line in _subject(subject, heading="##"))])


def with_states(page: str, service: str) -> str:
    """A service's page with its states written anew. Raises `ValueError` where a mark is missing."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"services/{service}/README.md has no place for its states")
    lines = [line for subject in SHOWN_BY[service] for line in _subject(subject, heading="###")]
    return "\n".join([f"{before}{BEGIN}\n", *lines, END]) + after


def _subject(subject: Subject, *, heading: str) -> Iterator[str]:
    yield f"{heading} {_WHAT[subject]}\n"
    yield from ["```mermaid", "stateDiagram-v2", *_arrows(subject), "```\n"]
    yield from ["| act | track | by | in | leads to | message |", "| --- | --- | --- | --- | --- | --- |"]
    yield from (_row(row) for row in rows_of(subject))
    yield ""


def _arrows(subject: Subject) -> Iterator[str]:
    """One arrow for each pair of states, named by the acts that lead from one to the other."""
    begun = [(state, row.name) for row in rows_of(subject) if begins(row) for state in sorted(may_come_in(row))]
    yield from (f"    [*] --> {state}: {name}" for state, name in begun)
    for before in sorted(states(subject)):
        for row in rows_of(subject):
            for move, after in steps(row, before):
                said = f" ({', '.join(sorted(move.codes))})" if move.codes else ""
                yield f"    {before} --> {after}: {row.name}{said}"


def _row(row: Act) -> str:
    by = {
        Cause.PERSON: _listed(row.roles),
        Cause.SECOND_PERSON: f"another {_listed(row.roles)} than who filed it",
        Cause.ACT: "the sender, by its message" if row.message else "the service, for the first that claims it",
        Cause.TIMER: "the service, when its time has come",
    }[row.cause]
    leads = {after for before in may_come_in(row) for _, after in steps(row, before)} or may_come_in(row)
    message = _listed({f"`{each.message.name}`" for each in _told(row) if each.message})
    before = "nothing yet" if begins(row) else _listed(may_come_in(row))
    return f"| {row.name} | {row.track} | {by} | {before} | {_listed(leads)} | {message} |"


def _told(row: Act) -> Iterable[Act]:
    """The rows whose messages tell of an act at an origin: it sends what it decides, or takes that back."""
    if row.message or row.subject is not Subject.REFERRAL:
        return [row]
    if Offered.DROPPED.value in {move.to for move in row.moves}:
        return []
    told = [each for each in ACTS if each.cause is Cause.ACT and each.name != AMEND and each.message]
    if Offered.WITHDRAWN.value in {move.to for move in row.moves}:
        return [each for each in told if not begins(each)]
    sends = begins(row) or row.cause is Cause.SECOND_PERSON
    return [each for each in told if begins(each)] if sends else told


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
