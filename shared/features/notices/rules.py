"""The rules of providers: permits for acts on their own referrals and on notices issued to them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from shared.core.acts import states
from shared.core.acts.act import Subject, Track
from shared.core.acts.states import permits
from shared.core.authority import Authority
from shared.core.contracts.answers import NoticeDisowning, NoticeStatements
from shared.core.errors import Refused
from shared.core.protocol.items import ItemLog, answered
from shared.core.protocol.origin import PERMITS
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import NoticeAction
from shared.core.vocabulary.routing import PartyKind
from shared.features.received.rules import HeldItem, RecipientKind

_ASKED: Final = tuple(permits(Subject.PRESERVATION, Track.ANSWER))
AUTHORITY: Final = Authority((*PERMITS, *permits(Subject.NOTICE), *_ASKED, states.PERMIT, *states.PERMITS))
#: A notice is issued once, with an id of its own. Its referral is not known here.
PROVIDER: Final = RecipientKind(subject=Subject.NOTICE, audience="providers", authority=AUTHORITY)


def check_suggested(said: NoticeDisowning, directory: DirectoryIndex, *, by: str) -> None:
    """Check that a host that the provider `by` names is another provider. Raises `Refused("suggested_unknown")`."""
    for place, each in enumerate(said.disowned):
        entry = None if each.suggested is None else directory.party(each.suggested)
        if each.suggested is not None and (entry is None or entry.kind != PartyKind.INDUSTRY or each.suggested == by):
            raise Refused(
                "suggested_unknown", "not another provider in the directory", field=f"/disowned/{place}/suggested"
            )


def removed_by(said: NoticeStatements, notice: HeldItem) -> frozenset[int]:
    """Return the items that an answer states as removed. Raises `Refused` as `shared.core.protocol.items` does."""
    stated = answered(said.items, notice.numbers, ItemLog.kept(notice.said))
    return frozenset(each.n for each in stated.answers if each.action is NoticeAction.REMOVED)


class Period(NamedTuple):
    """A period of whole days in UTC, including both days."""

    since: date
    until: date

    @classmethod
    def of(cls, since: date, until: date) -> Period:
        """Build a period. Raises `Refused`: `period_empty`, `period_long` for more than a year."""
        if until < since:
            raise Refused("period_empty", "since must not be later than until", field="/query/until", status=400)
        if until - since >= timedelta(days=366):
            raise Refused("period_long", "a period has at most 366 days", field="/query/until", status=400)
        return cls(since, until)

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.since, time(), UTC)

    @property
    def ends(self) -> datetime:
        """The first instant after the period."""
        return datetime.combine(self.until + timedelta(days=1), time(), UTC)
