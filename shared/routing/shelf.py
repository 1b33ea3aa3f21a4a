"""The documents an instance has seen: by digest, and which one was active when."""

from __future__ import annotations

from bisect import insort
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from pydantic import ValidationError

from shared.contracts.base import Contract, error_locations
from shared.contracts.directory import Directory, DocumentActivated
from shared.contracts.policy import Policy
from shared.kernel.canonical import digest
from shared.kernel.errors import Refused, Unavailable
from shared.routing.derive import TOLERANCE
from shared.routing.directory_index import DirectoryIndex
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.jurisdiction import TREE, JurisdictionTree


class Document(Protocol):
    digest: str


_Document = TypeVar("_Document", bound=Document)


class Shelf(Generic[_Document]):
    """All documents of one kind. The one that took effect last is active; of two at one time, the later placed."""

    def __init__(self) -> None:
        self._documents: dict[str, _Document] = {}
        self._activations: list[tuple[datetime, int, str]] = []

    def place(self, document: _Document, active_from: datetime) -> None:
        """Put it in force from `active_from`. Placing the same again changes nothing."""
        self._documents.setdefault(document.digest, document)
        if all((when, placed) != (active_from, document.digest) for when, _, placed in self._activations):
            insort(self._activations, (active_from, len(self._activations), document.digest))

    def active(self, at: datetime) -> _Document:
        """The document in force at `at`. Raises `Unavailable` before the first."""
        in_force = [placed for when, _, placed in self._activations if when <= at]
        if not in_force:
            raise Unavailable("document_unknown")
        return self._documents[in_force[-1]]

    def get(self, document_digest: str, at: datetime) -> _Document:
        """The document with that digest, if it was in force within five minutes of `at`, the broker's time.

        The grace is for clocks that differ. Raises `Unavailable` for a digest not seen yet, `Refused` for one
        that was not in force then.
        """
        document = self._documents.get(document_digest)
        if document is None:
            raise Unavailable("document_unknown")
        ends = [when for when, _, _ in self._activations[1:]] + [datetime.max.replace(tzinfo=UTC)]
        for (begin, _, placed), end in zip(self._activations, ends, strict=True):
            was_in_force = placed == document_digest and begin < end
            if was_in_force and begin <= at + TOLERANCE and at - TOLERANCE < end:
                return document
        raise Refused("document_lapsed")


class DocumentShelf:
    """Directories and policies. Whoever places one has verified its approvals (`verify_document`)."""

    def __init__(self, tree: JurisdictionTree = TREE) -> None:
        self.directories: Shelf[DirectoryIndex] = Shelf()
        self.policies: Shelf[PolicyIndex] = Shelf()
        self._tree = tree

    def place(self, activated: DocumentActivated, body: bytes) -> None:
        """Raises `Refused` if `body` is not the document that was approved, or not a valid one."""
        if digest(body) != activated.digest:
            raise Refused("document_digest_mismatched", field="/digest")
        if activated.kind == "directory":
            self.directories.place(read_directory(body, self._tree), activated.active_from)
        else:
            self.policies.place(read_policy(body, self._tree), activated.active_from)


def read_directory(body: bytes, tree: JurisdictionTree = TREE) -> DirectoryIndex:
    """The directory whose exact bytes are `body`. Raises `Refused`, with the field, if it is not a valid one."""
    return DirectoryIndex(_valid(Directory, body), digest(body), tree)


def read_policy(body: bytes, tree: JurisdictionTree = TREE) -> PolicyIndex:
    """The policy whose exact bytes are `body`. Raises `Refused`, with the field, if it is not a valid one."""
    return PolicyIndex(_valid(Policy, body), digest(body), tree)


def _valid(contract: type[Contract], body: bytes) -> dict[str, object]:
    try:
        return contract.model_validate_json(body).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    raise Refused("document_invalid", where["rule"], field=where["field"])
