"""A case referral does not begin a case if it arrives after the origin's withdrawal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from services.law_enforcement.bus import AgencyHandler
from shared.contracts.registry import REFERRAL_PASSED_ON, REFERRAL_WITHDRAWN
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.messaging.tracks import track_of
from shared.runtime.database.transactions import RowScope
from shared.runtime.delivery.tracks import TrackChange, TrackKey, TrackSide, note_tracks
from shared.runtime.delivery.unit import Unit
from tests.services.deliveries import AGENCY, AT, HOTLINE, OTHER_AGENCY, OTHER_HOTLINE
from tests.services.law_enforcement.agency import KEK, Agencies


async def came(agencies: Agencies, withdrawn_by: str) -> list[str]:
    """Return the codes for a case that is referred after `withdrawn_by` withdrew its own referral of that id."""
    subject = uuid7()
    track = track_of(REFERRAL_WITHDRAWN, withdrawn_by, AGENCY, subject=subject)
    assert track is not None
    key = TrackKey("hotline", TrackSide.HELD, track)
    tombstone = TrackChange(key, subject, withdrawn_by, AGENCY, is_withdrawn=True)
    passed: Any = SimpleNamespace(
        message_id=uuid7(),
        message=REFERRAL_PASSED_ON,
        subject=str(subject),
        filed_by=HOTLINE,
        sender=OTHER_AGENCY,
        recipient=AGENCY,
        sealed=None,
    )
    async with agencies.database.transaction(RowScope((AGENCY,), Role.SERVICE, "apply")) as session:
        await note_tracks(session.driver, [tombstone])
        unit = Unit(session)
        door = Asking(kek=KEK, documents=agencies.documents, now=lambda: AT)
        return list((await door.apply(unit, [passed])).values())


class Asking(AgencyHandler):
    """A handler that refuses any message that passes the check for withdrawals."""

    def _may_be_told(self, message: Any) -> None:
        raise Refused("nothing_else")


async def test_it_is_refused_as_what_its_sender_withdrew_would_be(agencies: Agencies) -> None:
    assert await came(agencies, HOTLINE) == ["subject_withdrawn"]
    assert await came(agencies, OTHER_HOTLINE) == ["nothing_else"]
