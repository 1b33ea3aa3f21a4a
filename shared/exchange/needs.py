"""What a message lacks to be taken here, as one word: what its sender is told, and when it is worth another look."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple, Self

from shared.contracts.registry import BY_TYPE
from shared.guard.edition import known
from shared.kernel.errors import Refused
from shared.routing.engine import ENGINE
from shared.routing.shelf import DocumentShelf
from shared.vocabulary.edition import edition as vocabulary_edition


class NeedKind(StrEnum):
    """Documents and acts wait here; for all others the sender keeps the message, until another release is running."""

    DOCUMENT = "document"  # the digest of a directory or policy that has not come
    DIRECTORY = "directory"  # one above this version
    ACT = "act"  # the act before it in its track: the subject
    MESSAGE = "message"  # a message type that is not read
    ENGINE = "engine"  # an engine's version
    GUARD = "guard"  # an edition of the guard
    VOCABULARY = "vocabulary"  # another edition of the code lists than this one, which lacks a code


class Need(NamedTuple):
    """Stored and compared as text: `document 9f…`, `message causeway.notice_issued.v2`."""

    kind: NeedKind
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.what}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None for a kind that a later release has stored here: nobody of this one can say that it has come."""
        kind, _, what = text.partition(" ")
        return cls(NeedKind(kind), what) if kind in set(NeedKind) else None

    @classmethod
    def met_of(cls, texts: Iterable[str], meets: Callable[[Self], bool]) -> list[str]:
        """Those of these that are met by now."""
        read = {text: cls.read(text) for text in texts}
        return [text for text, need in read.items() if need is not None and meets(need)]

    def met(self, shelf: DocumentShelf) -> bool:
        """Whether this release, with these documents, has it. Of an act nobody can say: the act itself tells."""
        match self.kind:
            case NeedKind.DOCUMENT:
                return shelf.directories.has(self.what) or shelf.policies.has(self.what)
            case NeedKind.DIRECTORY:
                return shelf.directories.newest > int(self.what)
            case NeedKind.MESSAGE:
                return self.what in BY_TYPE
            case NeedKind.ENGINE:
                return self.what == str(ENGINE)
            case NeedKind.GUARD:
                return self.what in known()
            case NeedKind.VOCABULARY:
                return self.what != vocabulary_edition()
            case NeedKind.ACT:
                return False


class Unread(Refused):
    """What cannot be taken yet: nothing is wrong with it but that we lack something, which `need` names."""

    def __init__(self, code: str, need: Need, *, field: str | None = None) -> None:
        super().__init__(code, field=field)
        self.need = need
