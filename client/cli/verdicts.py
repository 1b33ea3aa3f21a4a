"""Verdicts on acceptances: each separately, by the directory and by audit's entries of its referral."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import JsonValue, ValidationError, model_validator

from client.cli.rows import RowFile, RowFormat
from client.cli.settings import ClientOptions, access
from client.problem import ApiProblem
from client.transport import encode_body
from client.views import View, read_in
from shared.core.contracts.evidence import SignedAcceptance
from shared.core.errors import Refused
from shared.core.protocol.acceptance import AuditState, at_audit, check_acceptance, check_body, read_acceptance
from shared.core.routing.directory_index import DirectoryIndex

if TYPE_CHECKING:
    from client.api import CausewayClient

_DECIDED = "causeway.referral_decided."
_SANDBOX_KEY = "cw_test_"


class _DecidedFact(View):
    """The needed fields of a decided fact."""

    referral_id: UUID
    body_sha256: str


class _Entry(View):
    """An entry of audit, in a flow or on a page of a topic.

    Only an entry with a valid sender's proof counts.
    """

    type: str | None = None
    sender: str | None = None
    verified: bool = False
    detail: dict[str, JsonValue] | None = None


class _Entries(View):
    """A flow, a page of a topic, or the refusal that an auditor gets for an unknown referral."""

    messages: tuple[_Entry, ...] = ()
    items: tuple[_Entry, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_of_these(cls, value: object) -> object:
        known = isinstance(value, dict) and value.keys() & {"messages", "items", "error"}
        if not known or (isinstance(value, dict) and "error" in value and value["error"].get("code") != "not_found"):
            raise ValueError("not an answer of audit")
        return value


@dataclass(frozen=True, slots=True)
class AuditHashes:
    """(instance, referral) → the hashes of the bodies that the instance has stated to audit."""

    stated: dict[tuple[str, UUID], frozenset[str]]

    def hashes(self, acceptance: SignedAcceptance) -> frozenset[str]:
        return self.stated.get((acceptance.instance, acceptance.referral_id), frozenset())


def read_entries(texts: Iterable[bytes]) -> AuditHashes:
    """Return the entries in these files. Raises `Refused("entries_malformed")`."""
    entries: list[_Entry] = []
    for text in texts:
        try:
            read = _Entries.model_validate_json(text)
        except (ValidationError, AttributeError):
            raise Refused("entries_malformed", "neither a flow nor a page of entries", status=400) from None
        entries += (*read.messages, *read.items)
    return _audited(entries)


def check_world(exercises: Iterable[bool | None], options: ClientOptions) -> None:
    """Raise `Refused("world_mismatch")` if the key's auditor cannot see such referrals.

    Audit answers an auditor of the sandbox about a live referral as if it did not exist, and the reverse.
    """
    sandbox = access(options).key.startswith(_SANDBOX_KEY)
    if any(each not in (None, sandbox) for each in exercises):
        raise Refused("world_mismatch", "this auditor cannot see such referrals", field="/key", status=400)


async def ask(client: CausewayClient, referral_ids: Iterable[UUID], *, purpose: str) -> AuditHashes:
    """Return audit's entries of each referral: its flow, or nothing."""
    from client.api import read_as

    entries: list[_Entry] = []
    for referral_id in referral_ids:
        try:
            flow = await client.flow(referral_id, purpose=purpose)
        except ApiProblem as problem:
            if problem.code != "not_found":
                raise
        else:
            entries += read_as(_Entries, flow).messages
    return _audited(entries)


def _audited(entries: Sequence[_Entry]) -> AuditHashes:
    stated: dict[tuple[str, UUID], frozenset[str]] = {}
    for entry in entries:
        decided = read_in(_DecidedFact, entry.detail)
        if decided is None or not entry.verified or not (entry.type or "").startswith(_DECIDED):
            continue
        key = (entry.sender or "", decided.referral_id)
        stated[key] = stated.get(key, frozenset()) | {decided.body_sha256}
    return AuditHashes(stated)


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One acceptance.

    `code` has the reason why it does not hold, `audit` the state at audit, if that was asked. `exercise`: whether it is
    of the sandbox; None if the directory does not know its party.
    """

    acceptance: SignedAcceptance | None
    code: str | None
    exercise: bool | None = None
    audit: AuditState | None = None

    @property
    def broken(self) -> bool:
        """Return whether its instance failed to state to audit what it promised."""
        return self.audit in (AuditState.MISSING, AuditState.DIFFERENT)

    def against(self, audited: AuditHashes, *, at: datetime) -> ProofCheck:
        """Return this verdict, compared with audit's entries at that time."""
        if self.acceptance is None or self.code is not None:
            return self
        return replace(self, audit=at_audit(self.acceptance, audited.hashes(self.acceptance), at=at))

    def row(self) -> tuple[object, ...]:
        given = self.acceptance
        about = (None,) * 4 if given is None else (given.referral_id, given.party, given.instance, given.accepted_at)
        return (*about, self.code or "holds", None if self.audit is None else self.audit.value)

    def as_json(self) -> dict[str, object]:
        told: dict[str, object] = {"holds": self.code is None, "code": self.code}
        if self.acceptance is not None:
            told["acceptance"] = self.acceptance.model_dump(mode="json")
        return told | ({} if self.audit is None else {"audit": self.audit.value})


def verdicts(
    lines: Sequence[bytes], directory: DirectoryIndex, *, bodies: Sequence[bytes] | None, at: datetime
) -> list[ProofCheck]:
    """Return a verdict for each line as of `at`, by the directory and, if given, the posted bodies."""
    return [_verdict(line, directory, bodies, at=at) for line in lines]


def bodies_of(file: Path) -> list[bytes]:
    """Return all forms in which a file may have been posted: its bytes, and each row as the client encodes it."""
    bodies = [file.read_bytes()]
    if file.suffix.lower().removeprefix(".") in list(RowFormat):
        # The rows of every origin: the acceptances show which of them were posted.
        bodies += [encode_body(row.referral) for row in RowFile(file).every_row() if row.referral is not None]
    return bodies


def _verdict(line: bytes, directory: DirectoryIndex, bodies: Sequence[bytes] | None, *, at: datetime) -> ProofCheck:
    acceptance = None
    try:
        acceptance = read_acceptance(line)
        check_acceptance(acceptance, directory, at=at)
        if bodies is not None:
            check_body(acceptance, bodies)
    except Refused as error:
        return ProofCheck(acceptance, error.code)
    party = directory.party(acceptance.party)
    return ProofCheck(acceptance, None, None if party is None else party.status == "sandbox")
