"""The beat of an instance's documents: how long ago somebody said which are newest, and whether these are ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic_core import from_json

from shared.contracts.documents import Beat, SignedBeat
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.routing.documents import verify_beat
from shared.routing.shelf import DocumentShelf

#: The Kafka key of a beat on the directory topic; compaction keeps the last.
BEAT_KEY: Final = b"beat"
#: How old a beat may be.
BEAT_TOLERANCE: Final = timedelta(minutes=5)


class BeatWatch:
    """Keeps the newest beat that a beat key of the directory in force has signed. Puts nothing in force."""

    def __init__(self, shelf: DocumentShelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._since = clock.now()
        self._newest: Beat | None = None

    def receive(self, value: bytes) -> None:
        """Take a beat, unless a newer one came before: one sent again makes nobody younger.

        Raises `Refused`; `Unavailable` before a directory is in force.
        """
        signed, now = read_beat(value), self._clock.now()
        verify_beat(signed, self._shelf.directories.active(now), now)
        if self._newest is None or signed.beat.at > self._newest.at:
            self._newest = signed.beat

    def age_s(self) -> float:
        """Seconds since the newest beat, or since this process began to listen for the first."""
        heard = self._since if self._newest is None else self._newest.at
        return max(0.0, (self._clock.now() - heard).total_seconds())

    def reason(self) -> str:
        """Why not to trust the documents here: `beat_late`, `documents_behind`, `documents_differ`, or "".

        They differ where the beat names another document under the version in force here: one of both was shown to one
        instance and not to another. Always "" where nobody sends beats: the directory names no beat key, or none was
        heard since the start. The age tells nevertheless.
        """
        now = self._clock.now()
        try:
            directory, policy = self._shelf.directories.active(now), self._shelf.policies.active(now)
        except Unavailable:
            return ""
        if not directory.beats or (named := self._newest) is None:
            return ""
        if self.age_s() > BEAT_TOLERANCE.total_seconds():
            return "beat_late"
        pairs = ((named.directory, directory), (named.policy, policy))
        if any(version > here.edition.version for (version, _), here in pairs):
            return "documents_behind"
        differ = any(
            version == here.edition.version and named_digest != here.digest for (version, named_digest), here in pairs
        )
        return "documents_differ" if differ else ""

    def lateness(self) -> str:
        """`beat_late` where there may be newer documents than those here and nobody has said for long, or ""."""
        reason = self.reason()
        return reason if reason == "beat_late" else ""


def read_beat(value: bytes) -> SignedBeat:
    """A record's value as a beat; what is not known beside it is ignored, and nothing in it, since that is signed.

    Verifies nothing. Raises `Refused`, without its text.
    """
    try:
        stated = from_json(value)
        return SignedBeat.model_validate({name: stated[name] for name in SignedBeat.model_fields})
    except (ValueError, KeyError, TypeError):
        pass  # refused below: its text may quote the record
    raise Refused("beat_malformed")
