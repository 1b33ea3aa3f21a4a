"""The lists of a party, as the typed client looks through them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypedDict, Unpack

from client import views
from client.calls import PAGE_MAX, Calls


class Sought(TypedDict, total=False):
    """What is wanted of a list; what is None or left out is no filter.

    `party` is the other side: whom a referral was sent to, or who sent it. `reference` is one of the party's own, or an
    id. `since` and `until` are days, UTC, both of them in the period.
    """

    state: str | None
    party: str | None
    reference: str | None
    priority: str | None
    since: str | None
    until: str | None


class Lists(Calls):
    """What a party looks through its lists with."""

    def list(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **sought: Unpack[Sought]
    ) -> AsyncIterator[views.Page[views.ReferralView]]:
        """The party's own referrals, page by page from `cursor` on; some pages may be short."""
        return self.pages("/v1/referrals", views.Page[views.ReferralView], cursor, limit=limit, **sought)

    def inbox(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **sought: Unpack[Sought]
    ) -> AsyncIterator[views.Page[views.InboxItem]]:
        """The referrals offered to the party, page by page, without their records."""
        return self.pages("/v1/inbox", views.Page[views.InboxItem], cursor, limit=limit, **sought)

    def notices(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **sought: Unpack[Sought]
    ) -> AsyncIterator[views.Page[views.NoticeView]]:
        """The notices issued to the party, page by page, without their records."""
        return self.pages("/v1/notices", views.Page[views.NoticeView], cursor, limit=limit, **sought)
