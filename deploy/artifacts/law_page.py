"""`docs/law.md`: what the sample policy rests on, written from the policy itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from deploy.policy import sample_policy
from shared.contracts.policy import Clock, InstrumentEntry, Policy, Reviewed, Rule
from shared.routing.ageing import state_of
from shared.vocabulary.law import ArticleReading, Confirmation

_HEAD = """# The sample's law

Written by `python -m deploy.artifacts` from `deploy/policy/sample.json`; do not edit. **Sample wording, not legal
advice**: it shows how law is kept, and decides for sample parties. Whoever runs an exchange writes another,
and two people approve it.

The column *text* says how an article was read: *read*, **secondary** (other sources describe it) or **unread**
(recalled). Check every text that is not *read* before you rely on it. An instrument is *confirmed* if a source
confirms that it is in force on its dates. Rules and clocks of an unconfirmed instrument are never in force.
`causeway policy review` says what must be looked at next; 90 days after its last review an instrument raises an alarm
([operations](operations/README.md#the-law-ages)).
"""

_COUNTED = """\
A clock holds for an edge whose rules cite its instrument; where no rule cites that, by place: for whoever is below its
jurisdiction and owes what falls due. Both sides count alike (`shared/routing/clocks.py`): from the time of the message
that told the event, by the law in force then, and standing still only for the causes listed.

The exchange emits every event that starts a clock. These terms have no clock, because nothing in the exchange tells
when they start:

- TAKE IT DOWN Act, 48 hours: they run from a signed request of the depicted person or a representative. No notice
  states that such a request was lodged, so the term starts for no notice.
- SI 2026/268, priorities 1 to 3: they run from the provider's own observation to its report.
- Regulation (EU) 2023/1543, 8 hours in an emergency: no message marks an order as an emergency.
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
    read = sum(entry.reading is ArticleReading.READ for entry in entries)
    counts = f"{len(policy.rules)} rules, {len(policy.instruments)} instruments, {len(policy.clocks)} clocks"
    yield f"Version {policy.version} of {policy.issued_on}: {counts}, {len(policy.calendars)} calendars."
    yield f"**The text of {read} of {len(entries)} entries was read.**\n"
    yield "## Instruments\n"
    yield from _table(
        ("code", "instrument", "where", "in force", "state", "text", "source", "reviewed"),
        [_instrument(entry, policy.issued_on) for entry in policy.instruments],
    )
    yield "\n## Rules\n"
    unconfirmed = {each.id for each in policy.instruments if each.confirmation is Confirmation.UNCONFIRMED}
    rules = [
        (
            *(f"`{rule.id}`", rule.effect, rule.basis.article),
            "**never: unconfirmed**" if rule.basis.instrument in unconfirmed else _span(rule),
            _mark(rule.reading),
        )
        for rule in policy.rules
    ]
    yield from _table(("rule", "effect", "article", "in force", "text"), rules)
    yield "\n## Clocks\n"
    yield _COUNTED
    columns = ("clock", "from", "term", "stopped by", "due", "then", "text", "source", "reviewed")
    yield from _table(columns, [_clock(clock) for clock in policy.clocks])
    yield "\n## Calendars\n"
    yield _CALENDARS
    for (source, reviewed), group in groupby(policy.calendars, key=lambda each: (each.source, _reviewed(each))):
        found = list(group)
        spans = sorted({f"{each.valid_from} until {each.valid_to}" for each in found})
        marks = sorted({_mark(each.reading) for each in found})
        places = ", ".join(f"{each.jurisdiction} ({_offset(each.utc_offset_min or 0)})" for each in found)
        yield f"{places}; {', '.join(spans)}; {', '.join(marks)}: {source}; {reviewed}."


def _instrument(entry: InstrumentEntry, on: date) -> tuple[str, ...]:
    successor = f", then `{entry.succeeded_by}`" if entry.succeeded_by else ""
    note = f" ({entry.end_note})" if entry.end_note else ""
    span = _span(entry) + note + successor
    return (
        *(f"`{entry.id}`", entry.title, entry.jurisdiction, span),
        f"{_words(state_of(entry.model_dump(mode='json'), on))}, {entry.confirmation}",
        *(_mark(entry.reading), entry.source, _reviewed(entry)),
    )


def _clock(clock: Clock) -> tuple[str, ...]:
    return (
        *(f"`{clock.id}`", _words(clock.starts), _term(clock), ", ".join(map(_words, clock.stopped_by))),
        *(_words(clock.due), _words(clock.then), _mark(clock.reading), clock.source, _reviewed(clock)),
    )


def _term(clock: Clock) -> str:
    if clock.duration_h is not None:
        days, hours = divmod(clock.duration_h, 24)
        term = f"{clock.duration_h} h" if hours or days < 3 else f"{days} days"
        term = f"every {term}" if clock.repeats else term
    else:
        term = f"{clock.working_days} working days"
    return f"{_words(clock.promptness)}: {term}" if clock.promptness else term


def _span(entry: InstrumentEntry | Rule) -> str:
    if entry.valid_from is None:
        return "no first day known"
    if entry.valid_to is None:
        return f"from {entry.valid_from}"
    return f"{entry.valid_from} until the end of {entry.valid_to - timedelta(days=1)}"


def _mark(reading: ArticleReading) -> str:
    return "read" if reading is ArticleReading.READ else f"**{reading}**"


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
