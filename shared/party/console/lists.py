"""Pages of what needs a person, and of what falls due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from shared.exchange.act import Subject
from shared.party.attention import Attention
from shared.party.console.live import Live
from shared.party.events import DueList
from shared.runtime.console.asked import Asked
from shared.runtime.console.frame import ROOT, Frame

ROWS_OF_A_PAGE: Final = 25
#: The ranks of the list: a child at risk alone, or all.
_P0, _ALL = 0, 1


class ListPages:
    """`places` are where a kind of subject is below /console."""

    def __init__(
        self, frame: Frame, live: Live, attention: Attention, *, due: DueList, places: Mapping[Subject, str]
    ) -> None:
        self._frame = frame
        self._live = live
        self._attention = attention
        self._due = due
        self._places = {kind.value: f"{ROOT}/{path}" for kind, path in places.items()}
        frame.get("/attention", self._waiting)
        frame.get("/due", self._falling_due)

    async def _waiting(self, asked: Asked) -> Response:
        only = asked.query("priority")
        rank_max = _P0 if only == "p0" else _ALL
        after = await self._live.last(asked.identity)
        page = await self._attention.page(
            asked.identity, asked.query("cursor"), rank_max=rank_max, limit=ROWS_OF_A_PAGE
        )
        views = {"listed": page, "only": only, "places": self._places, "after": after}
        return self._frame.page(asked, "attention.html", views)

    async def _falling_due(self, asked: Asked) -> Response:
        after = await self._live.last(asked.identity)
        page = await self._due.page(asked.identity, asked.query("cursor"), ROWS_OF_A_PAGE)
        sent = [path for kind, path in self._places.items() if kind != Subject.REFERRAL]
        return self._frame.page(asked, "due.html", {"listed": page, "after": after, "sent": sent[0] if sent else None})
