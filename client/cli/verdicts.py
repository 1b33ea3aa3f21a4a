"""Verdicts on acceptances: each on its own, by the directory and by what audit has of its referral."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import JsonValue, ValidationError, model_validator

from client.cli.rows import RowFile, RowFormat
from client.cli.settings import Options, access
from client.problem import ApiProblem
from client.transport import spelt
from client.views import View, read_in
from shared.contracts.evidence import SignedAcceptance
from shared.exchange.acceptance import AtAudit, at_audit, check_acceptance, check_body, read_acceptance
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex

if TYPE_CHECKING:
    from client.api import CausewayClient

_DECIDED = "causeway.referral_decided."
_SANDBOX_KEY = "cw_test_"


class _Decided(View):
    """What a decided fact states, as far as it matters here."""

    referral_id: UUID
    body_sha256: str


class _Entry(View):
    """An entry of audit, in a flow or on a page of a topic. Only one whose sender's proof held counts."""

    type: str | None = None
    sender: str | None = None
    verified: bool = False
    detail: dict[str, JsonValue] | None = None


class _Entries(View):
    """A flow, a page of a topic, or the refusal that an auditor gets for a referral that audit knows nothing of."""

    messages: tuple[_Entry, ...] = ()
    items: tuple[_Entry, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_of_these(cls, value: object) -> object:
        known = isinstance(value, dict) and value.keys() & {"messages", "items", "error"}
        if not known or (isinstance(value, dict) and "error" in value and value["error"].get("code") != "not_found"):
            raise ValueError("not what audit answers")
        return value


@dataclass(frozen=True, slots=True)
class Audited:
    """(instance, referral) → the hashes of the bodies that the instance has told audit of."""

    stated: dict[tuple[str, UUID], frozenset[str]]

    def hashes(self, acceptance: SignedAcceptance) -> frozenset[str]:
        return self.stated.get((acceptance.instance, acceptance.referral_id), frozenset())


def read_entries(texts: Iterable[bytes]) -> Audited:
    """What these files hold. Raises `Refused("entries_malformed")`."""
    entries: list[_Entry] = []
    for text in texts:
        try:
            read = _Entries.model_validate_json(text)
        except (ValidationError, AttributeError):
            raise Refused("entries_malformed", "neither a flow nor a page of entries", status=400) from None
        entries += (*read.messages, *read.items)
    return _audited(entries)


def check_world(exercises: Iterable[bool | None], options: Options) -> None:
    """Raises `Refused("world_mismatch")` where the key is of an auditor who is shown nothing of such referrals.

    Audit answers an auditor of the sandbox about a live referral as if there were none, and the reverse.
    """
    sandbox = access(options).key.startswith(_SANDBOX_KEY)
    if any(each not in (None, sandbox) for each in exercises):
        raise Refused("world_mismatch", "this auditor is shown nothing of such referrals", field="/key", status=400)


async def ask(client: CausewayClient, referral_ids: Iterable[UUID], *, purpose: str) -> Audited:
    """What audit has of each: its flow, or nothing."""
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


def _audited(entries: Sequence[_Entry]) -> Audited:
    stated: dict[tuple[str, UUID], frozenset[str]] = {}
    for entry in entries:
        decided = read_in(_Decided, entry.detail)
        if decided is None or not entry.verified or not (entry.type or "").startswith(_DECIDED):
            continue
        key = (entry.sender or "", decided.referral_id)
        stated[key] = stated.get(key, frozenset()) | {decided.body_sha256}
    return Audited(stated)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One acceptance. `code` says why it does not hold, `audit` what audit has of it, if that was asked.

    `exercise` is whether it is of the sandbox, None where the directory does not know its party.
    """

    acceptance: SignedAcceptance | None
    code: str | None
    exercise: bool | None = None
    audit: AtAudit | None = None

    @property
    def broken(self) -> bool:
        """Whether its instance has not told audit what it says that it would."""
        return self.audit in (AtAudit.MISSING, AtAudit.DIFFERENT)

    def against(self, audited: Audited, *, at: datetime) -> Verdict:
        """This verdict, held against what audit has at that time."""
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
) -> list[Verdict]:
    """A verdict for each line as of `at`, by the directory and, where there are any, the bodies that were posted."""
    return [_verdict(line, directory, bodies, at=at) for line in lines]


def bodies_of(file: Path) -> list[bytes]:
    """What a file may have been posted as: byte for byte, and row by row as the client spells them."""
    bodies = [file.read_bytes()]
    if file.suffix.lower().removeprefix(".") in list(RowFormat):
        bodies += _rows(RowFile(file))
    return bodies


def _rows(file: RowFile) -> Iterable[bytes]:
    # The rows of every origin: which of them were posted the acceptances say.
    return (spelt(row.referral) for row in file.every_row() if row.referral is not None)


def _verdict(line: bytes, directory: DirectoryIndex, bodies: Sequence[bytes] | None, *, at: datetime) -> Verdict:
    acceptance = None
    try:
        acceptance = read_acceptance(line)
        check_acceptance(acceptance, directory, at=at)
        if bodies is not None:
            check_body(acceptance, bodies)
    except Refused as error:
        return Verdict(acceptance, error.code)
    party = directory.party(acceptance.party)
    return Verdict(acceptance, None, None if party is None else party.status == "sandbox")
