"""`docs/law.md`: what the sample policy rests on, written from the policy itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from deploy.policy import sample_policy
from shared.contracts.policy import Clock, InstrumentEntry, Policy, Reviewed, Rule
from shared.vocabulary.law import Confirmed

_HEAD = """# The sample's law

Written by `python -m deploy.artifacts` from `deploy/policy/sample.json`; do not edit. **Sample wording, not legal
advice**: it shows how law is kept, and decides for sample parties. Whoever runs an exchange writes another,
and two people approve it.

An entry is *primary* where the text of the law was read, and **secondary** where it rests on what others say of it, or
on what somebody recalled: check it before relying on it. Rules rest on the instrument that they cite.
`causeway policy review` says what must be looked at next; 90 days after its last review an instrument raises an alarm
([operations](operations/README.md#the-law-ages)).
"""

_COUNTED = """\
A clock holds for an edge whose rules cite its instrument; where no rule cites that, by place: for whoever is below its
jurisdiction and owes what falls due. Both sides count alike (`shared/routing/clocks.py`): from the time of the message
that told the event, by the law in force then, and standing still only for the causes listed. What nothing in the
exchange starts yet (preservation, production, requests of information) runs in the tests alone.
"""
_CALENDARS = """\
Working days of the sample's jurisdictions: weekdays without national holidays. A day is one of the standard time
that its calendar states, all the year, of the westernmost part where there are several: so that no term ends early.
"""


def law_page() -> str:
    """The whole page."""
    return "\n".join(_lines(sample_policy())).rstrip() + "\n"


def _lines(policy: Policy) -> Iterator[str]:
    yield _HEAD
    entries = (*policy.instruments, *policy.clocks, *policy.calendars)
    resting = sum(entry.confirmed is Confirmed.SECONDARY for entry in entries)
    counts = f"{len(policy.rules)} rules, {len(policy.instruments)} instruments, {len(policy.clocks)} clocks"
    yield f"Version {policy.version} of {policy.issued_on}: {counts}, {len(policy.calendars)} calendars."
    yield f"**{resting} of {len(entries)} entries are secondary.**\n"
    yield "## Instruments\n"
    yield from _table(
        ("code", "instrument", "where", "in force", "rests on", "source", "reviewed"),
        [_instrument(entry) for entry in policy.instruments],
    )
    yield "\n## Rules\n"
    rests = {entry.id: entry.confirmed for entry in policy.instruments}
    rules = [
        (f"`{rule.id}`", rule.effect, f"{rule.basis.article}", _span(rule), _mark(rests[rule.basis.instrument]))
        for rule in policy.rules
    ]
    yield from _table(("rule", "effect", "article", "in force", "rests on"), rules)
    yield "\n## Clocks\n"
    yield _COUNTED
    columns = ("clock", "from", "term", "stopped by", "due", "then", "rests on", "source", "reviewed")
    yield from _table(columns, [_clock(clock) for clock in policy.clocks])
    yield "\n## Calendars\n"
    yield _CALENDARS
    for (source, reviewed), group in groupby(policy.calendars, key=lambda each: (each.source, _reviewed(each))):
        found = list(group)
        spans = sorted({f"{each.valid_from} until {each.valid_to}" for each in found})
        marks = sorted({_mark(each.confirmed) for each in found})
        places = ", ".join(f"{each.jurisdiction} ({_offset(each.utc_offset_min or 0)})" for each in found)
        yield f"{places}; {', '.join(spans)}; {', '.join(marks)}: {source}; {reviewed}."


def _instrument(entry: InstrumentEntry) -> tuple[str, ...]:
    successor = f", then `{entry.succeeded_by}`" if entry.succeeded_by else ""
    note = f" ({entry.end_note})" if entry.end_note else ""
    span = _span(entry) + note + successor
    return (
        *(f"`{entry.id}`", entry.title, entry.jurisdiction, span),
        *(_mark(entry.confirmed), entry.source, _reviewed(entry)),
    )


def _clock(clock: Clock) -> tuple[str, ...]:
    return (
        *(f"`{clock.id}`", _words(clock.starts), _term(clock), ", ".join(map(_words, clock.stopped_by))),
        *(_words(clock.due), _words(clock.then), _mark(clock.confirmed), clock.source, _reviewed(clock)),
    )


def _term(clock: Clock) -> str:
    if clock.duration_h is not None:
        days, hours = divmod(clock.duration_h, 24)
        term = f"{clock.duration_h} h" if hours or days < 3 else f"{days} days"
        return f"every {term}" if clock.repeats else term
    return _words(clock.promptness) if clock.promptness else f"{clock.working_days} working days"


def _span(entry: InstrumentEntry | Rule) -> str:
    if entry.valid_to is None:
        return f"from {entry.valid_from}"
    return f"{entry.valid_from} until the end of {entry.valid_to - timedelta(days=1)}"


def _mark(confirmed: Confirmed) -> str:
    return "**secondary**" if confirmed is Confirmed.SECONDARY else "primary"


def _reviewed(entry: Reviewed) -> str:
    return f"{entry.reviewed_on}, {_words(entry.reviewer_role)}"


def _offset(minutes: int) -> str:
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60}" + (
        f":{abs(minutes) % 60:02}" if minutes % 60 else ""
    )


def _words(code: str) -> str:
    return str(code).replace("_", " ")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
