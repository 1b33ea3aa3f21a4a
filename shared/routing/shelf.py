"""The documents an instance has seen: by digest, and which one was active when."""

from __future__ import annotations

from bisect import bisect_right, insort
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from shared.contracts.directory import Directory, DocumentActivated, read_leniently
from shared.contracts.policy import Policy
from shared.kernel.canonical import digest
from shared.kernel.errors import Refused, Unavailable
from shared.routing.derive import TOLERANCE
from shared.routing.directory_index import DirectoryIndex
from shared.routing.edition import Edition
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.jurisdiction import TREE, JurisdictionTree


class Document(Protocol):
    digest: str
    edition: Edition


_Document = TypeVar("_Document", bound=Document)


class Shelf(Generic[_Document]):
    """All documents of one kind. Each takes over when it takes effect, if its version is above the one in force."""

    def __init__(self) -> None:
        self._documents: dict[str, _Document] = {}
        #: (when, version, digest), sorted: the same schedule whatever the order in which documents arrive.
        self._activations: list[tuple[datetime, int, str]] = []
        #: Those of them that took over, or will: when, and which.
        self._begins: list[datetime] = []
        self._taken_over: list[str] = []

    def place(self, document: _Document, active_from: datetime) -> bool:
        """Put it in force from `active_from`. Placing the same again changes nothing.

        False if it never takes over, because one of its version or a later one is in force by then.
        """
        self._documents.setdefault(document.digest, document)
        activation = active_from, document.edition.version, document.digest
        if activation not in self._activations:
            insort(self._activations, activation)
            self._begins, self._taken_over, in_force = [], [], 0
            for when, version, placed in self._activations:
                if version > in_force:
                    in_force = version
                    self._begins.append(when)
                    self._taken_over.append(placed)
        return (active_from, document.digest) in zip(self._begins, self._taken_over, strict=True)

    @property
    def newest(self) -> int:
        """The highest version that has come, in force or not; 0 before the first."""
        return max((version for _, version, _ in self._activations), default=0)

    @property
    def first(self) -> datetime:
        """When there was one in force for the first time. Raises `Unavailable` before one has come."""
        if not self._begins:
            raise Unavailable("document_unknown")
        return self._begins[0]

    def has(self, document_digest: str) -> bool:
        """Whether the document with that digest has come, in force or not."""
        return document_digest in self._documents

    def of(self, document_digest: str) -> _Document:
        """The document with that digest, whenever it was in force. Raises `Unavailable` for one not seen yet."""
        document = self._documents.get(document_digest)
        if document is None:
            raise Unavailable("document_unknown")
        return document

    def active(self, at: datetime) -> _Document:
        """The document in force at `at`. Raises `Unavailable` before the first."""
        number = bisect_right(self._begins, at)
        if not number:
            raise Unavailable("document_unknown")
        return self._documents[self._taken_over[number - 1]]

    def get(self, document_digest: str, at: datetime) -> _Document:
        """The document with that digest, if it was in force within five minutes of `at`, the broker's time.

        The grace is for clocks that differ. Raises `Unavailable` for a digest not seen yet, `Refused` for one
        that was not in force then.
        """
        document = self._documents.get(document_digest)
        if document is None:
            raise Unavailable("document_unknown")
        for number, placed in enumerate(self._taken_over, 1):
            if placed == document_digest:
                begin, end = self._begins[number - 1], self._begins[number] if number < len(self._begins) else None
                ended = end is not None and (end <= begin or at - end >= TOLERANCE)
                if begin - at <= TOLERANCE and not ended:
                    return document
        raise Refused("document_lapsed")


class DocumentShelf:
    """Directories and policies. Whoever places one has verified its approvals (`verify_document`)."""

    def __init__(self, tree: JurisdictionTree = TREE) -> None:
        self.directories: Shelf[DirectoryIndex] = Shelf()
        self.policies: Shelf[PolicyIndex] = Shelf()
        self._tree = tree

    def place(self, activated: DocumentActivated, body: bytes) -> bool:
        """False if it is valid and never takes over, since its version is not above the one in force.

        Raises `Refused` if `body` is not the document that was approved, or not a valid one.
        """
        if digest(body) != activated.digest:
            raise Refused("document_digest_mismatched", field="/digest")
        if activated.kind == "directory":
            return self.directories.place(read_directory(body, self._tree), activated.active_from)
        return self.policies.place(read_policy(body, self._tree), activated.active_from)


def read_directory(body: bytes, tree: JurisdictionTree = TREE) -> DirectoryIndex:
    """The directory whose exact bytes are `body`. Raises `Refused`, with the field, if it is not a valid one."""
    return DirectoryIndex(_valid(Directory, body), digest(body), tree)


def read_policy(body: bytes, tree: JurisdictionTree = TREE) -> PolicyIndex:
    """The policy whose exact bytes are `body`. Raises `Refused`, with the field, if it is not a valid one."""
    return PolicyIndex(_valid(Policy, body), digest(body), tree)


def _valid(contract: type[Directory] | type[Policy], body: bytes) -> dict[str, object]:
    return read_leniently(contract, body).model_dump(mode="json", exclude_none=True)
