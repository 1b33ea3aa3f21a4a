"""The policy: routing law as bitemporal data. A signed document, identified by its SHA-256.

No rule reads another rule. A permit proposes edges; a prohibition removes edges. Both read only the directory and the
facts that they list in `reads`. Without a permit, nothing is sent.

Rules cite instruments. Instruments, clocks and calendars state their source, their last review and how their article
was read. Rules and clocks of an unconfirmed instrument are not in force. No other field of an instrument has an effect.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.core.contracts.base import Contract, Day, Flag, Jurisdiction, PartyId, RuleId
from shared.core.contracts.directory import SignedDocument
from shared.core.vocabulary import law
from shared.core.vocabulary.judgement import RetentionClass, SienaCode, Tlp
from shared.core.vocabulary.referral import HashKind
from shared.core.vocabulary.routing import Fact, Instrument, Mandate, PartyKind, Purpose, Reason, WithheldField

FactValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$", max_length=64)]
Hours = Annotated[int, Field(strict=True, ge=1, le=24 * 365)]
Article = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .,()/-]{0,39}$", max_length=40)]
#: Words of a title or a citation. Addresses are not allowed, so that a document cannot link to a page.
Words = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .,;:()/§'+-]{2,199}$", max_length=200)]


class Predicate(Contract):
    """One condition; all of a rule's conditions must hold.

    `in`        the fact has at least one of `values`
    `not_in`    the fact has none of `values`
    `under`     a jurisdiction of the fact is at or below one of the nodes in `values` on the judged day
    `not_under` no jurisdiction of the fact is
    `unserved`  for a jurisdiction of the fact, neither its node nor a node above has an eligible party of the kind
                `values[0]`, on the day of decision

    An absent fact counts as the empty list.
    """

    fact: Fact
    op: Literal["in", "not_in", "under", "not_under", "unserved"]
    values: Annotated[tuple[FactValue, ...], Field(min_length=1, max_length=300)]


class Selector(Contract):
    """The parties of `kind` that a permit proposes: `sandbox` for an exercise, `live` otherwise.

    `serving`   for every jurisdiction of the fact `by`: the parties at that node, else at the nearest node above
    `named`     the party ids in the fact `providers`
    `mandated`  for every jurisdiction of `by`: the parties that hold `mandate` for that node, else for the nearest
                node above, else everywhere

    Nodes are a subdivision, its country, then all blocs of the country, which are equally near. They are those of the
    day of decision. The origin, and parties that do not accept the incident kind, are removed after the selection. So
    they still count as the nearest.
    """

    kind: PartyKind
    how: Literal["serving", "named", "mandated"]
    by: Fact
    mandate: Mandate | None = None


class RuleScope(Contract):
    """The edges that a prohibition removes: edges with one of `purposes`, to parties of one of `kinds`.

    The recipient must be at or below one of `nodes` (day of decision) and be one of `parties`. An empty list does not
    restrict.
    """

    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1, max_length=8)]
    kinds: Annotated[tuple[PartyKind, ...], Field(min_length=1, max_length=16)]
    nodes: Annotated[tuple[Jurisdiction, ...], Field(max_length=64)] = ()
    parties: Annotated[tuple[PartyId, ...], Field(max_length=64)] = ()


class LegalBasis(Contract):
    instrument: Instrument
    article: Article
    jurisdiction: Jurisdiction


class Handling(Contract):
    tlp: Tlp
    siena: SienaCode | None = None
    retention: RetentionClass = RetentionClass.MINIMAL


class Deadlines(Contract):
    """Hours from issue; None means none is set."""

    acknowledge_h: Hours | None = None
    act_h: Hours | None = None


class Rule(Contract):
    """One rule of law.

    `valid_*` are the days when it is in force; `known_from` is when we learnt of it (bitemporal). `judged_by` names the
    day for testing validity: the day of observation (was the detection lawful) or the day of decision (may it be sent
    now). `valid_to` is the first day on which the rule is not in force.

    A permit has `select`, `purpose`, `reason` and `handling`; a prohibition has `scope` and none of the first three.
    A rule that can reach a provider must not read `observed_on`, because a notice carries no earlier time.

    `hash_kinds` are sent in addition to PDQ and the item's strongest cryptographic hash, which are always sent.
    `hold_window_h` is the time in which law enforcement may hold the notice; without a hold it is then sent.
    `review_by` is the day by which a person must review a rule without an end. `reading` states how the article of its
    basis was read.
    """

    id: RuleId
    effect: Literal["permit", "prohibit"]
    reads: Annotated[tuple[Fact, ...], Field(min_length=1, max_length=32)]
    when: Annotated[tuple[Predicate, ...], Field(max_length=12)]
    select: Selector | None = None
    scope: RuleScope | None = None
    purpose: Purpose | None = None
    reason: Reason | None = None
    basis: LegalBasis
    reading: law.ArticleReading = law.ArticleReading.UNREAD
    handling: Handling | None = None
    withheld: Annotated[tuple[WithheldField, ...], Field(max_length=16)] = ()
    hash_kinds: Annotated[tuple[HashKind, ...], Field(max_length=16)] = ()
    hold_window_h: Annotated[int, Field(strict=True, ge=1, le=24 * 31)] | None = None
    deadlines: Deadlines = Deadlines()
    judged_by: Literal["observation", "decision"] = "decision"
    valid_from: Day
    valid_to: Day | None = None
    known_from: Day
    review_by: Day | None = None


class ReviewedEntry(Contract):
    """The source of an entry, its last review, and how its article was read.

    `known_from` is the day on which we learnt of it.
    """

    source: Words
    reviewed_on: Day
    reviewer_role: law.ReviewerRole
    reading: law.ArticleReading
    known_from: Day


class InstrumentEntry(ReviewedEntry):
    """One legal instrument that rules and clocks cite.

    `valid_from` is omitted while the first day is unknown. An unconfirmed instrument has no effect: its rules and
    clocks are never in force, and it neither begins nor ends another instrument.

    `valid_to` is the first day after its last day. A last day that the law fixes is included, and a holiday does not
    move it. `end_note` cites the reason.
    """

    id: Instrument
    title: Words
    jurisdiction: Jurisdiction
    confirmation: law.Confirmation
    valid_from: Day | None = None
    valid_to: Day | None = None
    end_note: Words | None = None
    succeeded_by: Instrument | None = None


class ClockRule(ReviewedEntry):
    """A time limit that the law sets: from `starts`, for either `duration_h` or `working_days`.

    `promptness` is the wording of a law that gives no number; then the exchange sets the number. Only the causes in
    `stopped_by` stop the clock. At its end `due` falls due, and `then` is the consequence if it was not done. With
    `repeats` it starts again. New law affects only clocks that start later.
    """

    id: RuleId
    basis: LegalBasis
    starts: law.ClockEvent
    duration_h: Annotated[int, Field(strict=True, ge=1, le=24 * 366 * 10)] | None = None
    working_days: Annotated[int, Field(strict=True, ge=1, le=366)] | None = None
    promptness: law.Promptness | None = None
    stopped_by: Annotated[tuple[law.StopCause, ...], Field(max_length=8)] = ()
    due: law.ClockDue
    then: law.ClockConsequence
    repeats: Flag = False
    valid_from: Day
    valid_to: Day | None = None


class Calendar(ReviewedEntry):
    """The working days of one jurisdiction from `valid_from` until before `valid_to`.

    They are the `working_weekdays` (1 Monday … 7 Sunday) except holidays. Terms beyond this span are not computed.
    `utc_offset_min`: its days are those of this standard time, in minutes ahead of UTC, all the year. Default: UTC.
    """

    jurisdiction: Jurisdiction
    working_weekdays: Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=7)], ...], Field(max_length=7)]
    holidays: Annotated[tuple[Day, ...], Field(max_length=400)]
    utc_offset_min: Annotated[int, Field(strict=True, ge=-12 * 60, le=14 * 60)] | None = None
    valid_from: Day
    valid_to: Day


class Policy(SignedDocument):
    """The whole routing law that an installation applies, as one signed document.

    `hold_max_h` is the maximum time from the act that requests a hold to the end of the hold. Default: 336 hours.
    `hour_s`: the seconds of an hour of its deadlines and hold windows; below 3,600 only on a development stack.
    """

    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=20_000)]
    instruments: Annotated[tuple[InstrumentEntry, ...], Field(max_length=200)] = ()
    clocks: Annotated[tuple[ClockRule, ...], Field(max_length=400)] = ()
    calendars: Annotated[tuple[Calendar, ...], Field(max_length=300)] = ()
    hold_max_h: Annotated[int, Field(strict=True, ge=1, le=24 * 366)] | None = None
    hour_s: Annotated[int, Field(strict=True, ge=1, le=3600)] | None = None
