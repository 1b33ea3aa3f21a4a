"""Pages of the attention list and of the deadlines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from shared.core.acts.act import Subject
from shared.features.attention.api import AttentionRoutes
from shared.features.deadlines.api import DueList
from shared.features.events.pages import LiveStream
from shared.platform.console.forms import PageInput
from shared.platform.console.frame import ROOT, Frame

ROWS_OF_A_PAGE: Final = 25
#: The highest rank of a list: only subjects with a child at risk, or all.
_P0, _ALL = 0, 1


class ListPages:
    """The attention list and the deadlines. `places` are the paths of the kinds of subjects below /console."""

    def __init__(
        self, frame: Frame, live: LiveStream, attention: AttentionRoutes, *, due: DueList, places: Mapping[Subject, str]
    ) -> None:
        self._frame = frame
        self._live = live
        self._attention = attention
        self._due = due
        self._places = {kind.value: f"{ROOT}/{path}" for kind, path in places.items()}
        frame.get("/attention", self._waiting)
        frame.get("/due", self._falling_due)

    async def _waiting(self, request: PageInput) -> Response:
        only = request.query("priority")
        rank_max = _P0 if only == "p0" else _ALL
        after = await self._live.last(request.identity)
        page = await self._attention.page(
            request.identity, request.query("cursor"), rank_max=rank_max, limit=ROWS_OF_A_PAGE
        )
        views = {"listed": page, "only": only, "places": self._places, "after": after}
        return self._frame.page(request, "attention.html", views)

    async def _falling_due(self, request: PageInput) -> Response:
        after = await self._live.last(request.identity)
        due = await self._due.page(request.identity, request.query("cursor"), ROWS_OF_A_PAGE)
        sent = [path for kind, path in self._places.items() if kind != Subject.REFERRAL]
        return self._frame.page(request, "due.html", {"listed": due, "after": after, "sent": sent[0] if sent else None})
