"""`docs/law.md`: what the sample policy rests on, written from the policy itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from string import Template

from deploy.policy import sample_policy
from shared.contracts.policy import Clock, InstrumentEntry, Policy, Reviewed, Rule
from shared.routing.ageing import state_of
from shared.vocabulary.law import ArticleReading, Confirmation


def law_page() -> str:
    """The whole page: `law_page.template`, with its tables and counts filled in."""
    policy = sample_policy()
    entries = (*policy.instruments, *policy.clocks, *policy.calendars)
    template = Template(Path(__file__).with_suffix(".template").read_text(encoding="utf-8"))
    return template.substitute(
        version=policy.version,
        issued_on=policy.issued_on,
        counts=f"{len(policy.rules)} rules, {len(policy.instruments)} instruments, {len(policy.clocks)} clocks",
        calendar_count=len(policy.calendars),
        read_count=sum(entry.reading is ArticleReading.READ for entry in entries),
        entry_count=len(entries),
        instruments="\n".join(_instruments(policy)),
        rules="\n".join(_rules(policy)),
        clocks="\n".join(_clocks(policy)),
        calendars="\n".join(_calendars(policy)),
    )


def _instruments(policy: Policy) -> Iterator[str]:
    columns = ("code", "instrument", "where", "in force", "state", "text", "source", "reviewed")
    yield from _table(columns, [_instrument(entry, policy.issued_on) for entry in policy.instruments])


def _rules(policy: Policy) -> Iterator[str]:
    unconfirmed = {each.id for each in policy.instruments if each.confirmation is Confirmation.UNCONFIRMED}
    rows = [
        (
            *(f"`{rule.id}`", rule.effect, rule.basis.article),
            "**never: unconfirmed**" if rule.basis.instrument in unconfirmed else _span(rule),
            _mark(rule.reading),
        )
        for rule in policy.rules
    ]
    yield from _table(("rule", "effect", "article", "in force", "text"), rows)


def _clocks(policy: Policy) -> Iterator[str]:
    columns = ("clock", "from", "term", "stopped by", "due", "then", "text", "source", "reviewed")
    yield from _table(columns, [_clock(clock) for clock in policy.clocks])


def _calendars(policy: Policy) -> Iterator[str]:
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
