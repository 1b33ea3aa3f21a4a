"""What a provider decides: who may do what with its own referrals and with the notices issued to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from shared.contracts.answers import NoticeDisowning, NoticeStatements
from shared.exchange import states
from shared.exchange.act import Subject, Track
from shared.exchange.items import Said, answered
from shared.exchange.origin import PERMITS
from shared.exchange.states import permits
from shared.kernel.authority import Authority
from shared.kernel.errors import Refused
from shared.party.recipient.domain import Item, RecipientKind
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.answers import NoticeAction
from shared.vocabulary.routing import PartyKind

_ASKED: Final = tuple(permits(Subject.PRESERVATION, Track.ANSWER))
AUTHORITY: Final = Authority((*PERMITS, *permits(Subject.NOTICE), *_ASKED, states.PERMIT, *states.PERMITS))
#: A notice is issued once: there is no earlier id, no referral shows here.
PROVIDER: Final = RecipientKind(subject=Subject.NOTICE, audience="providers", authority=AUTHORITY)


def check_suggested(said: NoticeDisowning, directory: DirectoryIndex) -> None:
    """An item that is not ours may be another provider's: one of the directory, or nobody is named."""
    for place, each in enumerate(said.disowned):
        entry = None if each.suggested is None else directory.party(each.suggested)
        if each.suggested is not None and (entry is None or entry.kind != PartyKind.INDUSTRY):
            raise Refused("suggested_unknown", "no provider of the directory", field=f"/disowned/{place}/suggested")


def removed_by(said: NoticeStatements, notice: Item) -> frozenset[int]:
    """The items of a notice that an answer says were removed. Raises `Refused` as `shared.exchange.items` does."""
    stated = answered(said.items, notice.numbers, Said.kept(notice.said))
    return frozenset(each.n for each in stated.answers if each.action is NoticeAction.REMOVED)


class Period(NamedTuple):
    """Whole days, UTC, both of them within it."""

    since: date
    until: date

    @classmethod
    def of(cls, since: date, until: date) -> Period:
        """Raises `Refused`: `period_empty`, `period_long` for more than a year."""
        if until < since:
            raise Refused("period_empty", "since must not be later than until", field="/query/until", status=400)
        if until - since >= timedelta(days=366):
            raise Refused("period_long", "366 days at most", field="/query/until", status=400)
        return cls(since, until)

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.since, time(), UTC)

    @property
    def ends(self) -> datetime:
        """The first instant after it."""
        return datetime.combine(self.until + timedelta(days=1), time(), UTC)
