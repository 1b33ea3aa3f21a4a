"""A month's acts of the parties, counted from the database of every origin, as its accountant reads it.

Every act is counted in the month in which it happened: the figures are final when the month is over, and later acts do
not change them. An answer counts when the origin first had it; no later answer removes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from deploy.accounting.book import Snapshot, open_snapshot
from deploy.site.endpoints import Endpoints
from deploy.site.settings import keeps_referrals
from shared.core.errors import Refused
from shared.core.vocabulary.routing import PartyKind

#: The time after its last instant at which a month is over: it exceeds the difference of clocks.
OVER_AFTER: Final = timedelta(days=1)


class Measure(StrEnum):
    """A measure of a recipient. `sent` is timed from the submission, all others from sending."""

    SENT = "sent"
    FROM_HOTLINES = "from_hotlines"
    FROM_PROVIDERS = "from_providers"
    ANSWERED = "answered"
    ACTIONED = "actioned"
    REMOVED = "removed"
    CONFIRMED = "confirmed"
    REAPPEARED = "reappeared"
    REJECTED = "rejected"
    NOT_OURS = "not_ours"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    FED_BACK = "fed_back"
    CLOSED = "closed"
    IDENTIFIED = "identified"
    SAFEGUARDED = "safeguarded"


def _measured(names: str) -> tuple[Measure, ...]:
    return tuple(map(Measure, names.split()))


#: The measures of each kind of recipient, in the order of publication. An agency's feedback is any outcome that it
#: reported. A provider's removal is confirmed if its notifier has since rechecked and found it gone.
MEASURES: Final[Mapping[PartyKind, tuple[Measure, ...]]] = {
    PartyKind.INDUSTRY: _measured("sent answered actioned removed confirmed reappeared rejected not_ours"),
    PartyKind.LAW_ENFORCEMENT: _measured(
        "sent from_hotlines from_providers accepted declined fed_back closed identified safeguarded"
    ),
}

#: The measure of cases sent by each kind of origin's service.
_FROM: Final = {PartyKind.HOTLINE: Measure.FROM_HOTLINES, PartyKind.INDUSTRY: Measure.FROM_PROVIDERS}

#: One row per recipient, origin, measure and duration in whole minutes. Several edges of one referral to one recipient
#: are one.
_COUNTED: Final = """
WITH sent AS (
    SELECT coalesce(e.notice_id, e.referral_id) AS subject, e.recipient, e.party AS origin,
           min(r.accepted_at) AS filed_at, min(c.started_at) AS sent_at
    FROM edge AS e
    JOIN referral AS r ON r.referral_id = e.referral_id AND r.exercise = $3
    JOIN deadline AS c ON c.edge_id = e.edge_id AND c.party = e.party AND c.started_at IS NOT NULL
    GROUP BY 1, 2, 3
), answered AS (
    SELECT subject, sender,
           min(at) FILTER (WHERE answer <> 'withdrawal_acknowledged') AS answered,
           min(at) FILTER (WHERE answer = 'actioned') AS actioned,
           min(at) FILTER (WHERE removals <> '[]') AS removed,
           min(at) FILTER (WHERE answer = 'rejected') AS rejected,
           min(at) FILTER (WHERE answer = 'not_ours') AS not_ours,
           min(at) FILTER (WHERE answer = 'accepted') AS accepted,
           min(at) FILTER (WHERE answer = 'declined') AS declined,
           min(at) FILTER (WHERE answer IN ('ongoing', 'closed')) AS fed_back,
           min(at) FILTER (WHERE answer = 'closed') AS closed,
           min(at) FILTER (WHERE child_identified = 'yes') AS identified,
           min(at) FILTER (WHERE child_safeguarded = 'yes') AS safeguarded
    FROM answer_act WHERE code IS NULL GROUP BY subject, sender
), looked AS (
    SELECT l.subject, min(l.at) FILTER (WHERE k.found = 'reappeared') AS reappeared,
           min(l.at) FILTER (WHERE k.found = 'gone' AND EXISTS (
               SELECT FROM answer_act AS a, jsonb_to_recordset(a.removals) AS r (n integer, round integer)
               WHERE a.subject = l.subject AND a.code IS NULL AND a.at <= l.at AND (r.n, r.round) = (k.n, k.round)
           )) AS confirmed
    FROM answer_act AS l, jsonb_to_recordset(l.recheck_results) AS k (n integer, round integer, found text)
    WHERE l.code IS NULL GROUP BY l.subject
)
SELECT s.recipient, s.origin, m.measure, greatest(floor(extract(epoch FROM m.at - m.since) / 60), 0)::bigint AS minutes,
       count(*) AS n
FROM sent AS s LEFT JOIN answered AS a ON a.subject = s.subject AND a.sender = s.recipient
LEFT JOIN looked AS l ON l.subject = s.subject
CROSS JOIN LATERAL (VALUES
    ('sent', s.sent_at, s.filed_at),
    ('answered', a.answered, s.sent_at), ('actioned', a.actioned, s.sent_at), ('rejected', a.rejected, s.sent_at),
    ('removed', a.removed, s.sent_at), ('confirmed', l.confirmed, s.sent_at),
    ('reappeared', l.reappeared, s.sent_at),
    ('not_ours', a.not_ours, s.sent_at), ('accepted', a.accepted, s.sent_at), ('declined', a.declined, s.sent_at),
    ('fed_back', a.fed_back, s.sent_at), ('closed', a.closed, s.sent_at), ('identified', a.identified, s.sent_at),
    ('safeguarded', a.safeguarded, s.sent_at)
) AS m (measure, at, since)
WHERE m.at >= $1 AND m.at < $2 GROUP BY 1, 2, 3, 4
"""
#: One row per provider and origin: the items that were already gone, and those of them whose notice was sent after an
#: agency had placed a hold in time, as on the origin's own page.
_GONE: Final = """
WITH notices AS (
    SELECT e.notice_id, e.recipient, e.party AS origin,
           bool_or(EXISTS (SELECT FROM hold AS h WHERE h.referral_id = e.referral_id
               AND h.placed_at <= e.decided_at AND h.state <> 'too_late')) AS held
    FROM edge AS e JOIN referral AS r ON r.referral_id = e.referral_id AND r.exercise = $3
    WHERE e.notice_id IS NOT NULL AND e.state = 'emitted' GROUP BY 1, 2, 3
)
SELECT n.recipient, n.origin, sum(a.already_gone)::bigint AS gone,
       coalesce(sum(a.already_gone) FILTER (WHERE n.held), 0)::bigint AS held
FROM answer_act AS a JOIN notices AS n ON n.notice_id = a.subject AND n.recipient = a.sender
WHERE a.code IS NULL AND a.already_gone > 0 AND a.at >= $1 AND a.at < $2 GROUP BY 1, 2
"""


class Month(NamedTuple):
    """A month of the calendar, in UTC."""

    year: int
    month: int

    @classmethod
    def read(cls, text: str) -> Month:
        """Parse `2026-10`. Raises `Refused("month_invalid")`."""
        try:
            at = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        except ValueError:
            raise Refused("month_invalid", "as YYYY-MM", field="/month", status=400) from None
        return cls(at.year, at.month)

    @property
    def first(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def after(self) -> datetime:
        """Return the first instant of the following month."""
        years, months = divmod(self.month, 12)
        return datetime(self.year + years, months + 1, 1, tzinfo=UTC)

    def require_over(self, now: datetime) -> None:
        """Raise `Refused("month_not_over")` while its figures may still change."""
        if now < self.after + OVER_AFTER:
            raise Refused("month_not_over", f"it is a day after the month ends: {self.after + OVER_AFTER:%Y-%m-%d}")

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


@dataclass(slots=True)
class Figures:
    """Figures of one party or of several: for each measure, the count of each duration in minutes."""

    minutes: dict[Measure, Counter[int]] = field(default_factory=dict)
    #: The count of each measure by the origin that contributes it.
    origins: dict[Measure, Counter[str]] = field(default_factory=dict)
    #: By origin: items that a provider reported as already gone, and those of them whose notice an agency had held.
    gone: Counter[str] = field(default_factory=Counter)
    gone_while_held: Counter[str] = field(default_factory=Counter)

    def add(self, measure: Measure, minutes: int, count: int, *, origin: str) -> None:
        self.minutes.setdefault(measure, Counter())[minutes] += count
        self.origins.setdefault(measure, Counter())[origin] += count

    def count(self, measure: Measure) -> int:
        return self.origins.get(measure, Counter()).total()

    def median_minutes(self, measure: Measure) -> int | None:
        """Return the lower median; None without values."""
        counts = self.minutes.get(measure, Counter())
        half, seen = (counts.total() + 1) // 2, 0
        for minutes in sorted(counts):
            seen += counts[minutes]
            if seen >= half:
                return minutes
        return None

    @classmethod
    def sum(cls, several: Iterable[Figures]) -> Figures:
        """Add up the measures of several parties, as if they were one."""
        total = cls()
        for figures in several:
            for measure, counts in figures.minutes.items():
                total.minutes.setdefault(measure, Counter()).update(counts)
                total.origins.setdefault(measure, Counter()).update(figures.origins[measure])
        return total


async def read_figures(endpoints: Endpoints, month: Month, *, exercises: bool) -> dict[str, Figures]:
    """Return figures by recipient, over all origins of a site: real ones, or `exercises`.

    Raises `Unavailable`.
    """
    found: dict[str, Figures] = {}
    for instance in endpoints.instances:
        kind = endpoints.kind(instance)
        if not keeps_referrals(kind):
            continue
        async with open_snapshot(endpoints.database(instance).accountant_url, kind=kind) as book:
            await count_book(book, month, found, exercises=exercises)
    return found


async def count_book(book: Snapshot, month: Month, found: dict[str, Figures], *, exercises: bool) -> None:
    """Add one origin's figures of the month."""
    for row in await book.fetch(_COUNTED, month.first, month.after, exercises):
        figures, measure = found.setdefault(row["recipient"], Figures()), Measure(row["measure"])
        counted = {measure, _FROM[PartyKind(book.kind)]} if measure is Measure.SENT else {measure}
        for each in counted:
            figures.add(each, row["minutes"], row["n"], origin=row["origin"])
    for row in await book.fetch(_GONE, month.first, month.after, exercises):
        figures = found.setdefault(row["recipient"], Figures())
        figures.gone[row["origin"]] += row["gone"]
        figures.gone_while_held[row["origin"]] += row["held"]
