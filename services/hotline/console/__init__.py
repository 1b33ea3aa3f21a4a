"""The web door of a hotline: what others offered to it. Its own referrals have the pages of every origin."""

from __future__ import annotations

from functools import partial
from typing import Final

from services.hotline.domain import HOTLINE
from services.hotline.store import PostgresOffers
from shared.party.console.subjects import SubjectKind
from shared.party.recipient.use_cases import act

OFFERS: Final = SubjectKind(
    path="offers",
    title="Offered to us",
    one="offer",
    recipient=HOTLINE,
    items=PostgresOffers,
    act_on=partial(act, HOTLINE),
    numbers=lambda _: (),
    rows="offer_rows.html",
    body="offer_body.html",
    record="one_record.html",
)
FOLDERS: Final = (__file__,)
