"""Files of referrals: JSON (one referral), JSONL and CSV, one row per line.

A bad row is a result, never an abort. A JSONL row is a submission, or an object `{"origin", "label", "referral"}`
around one.

Verdicts on acceptances: each separately, by the directory and by audit's entries of its referral.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import JsonValue, ValidationError, model_validator

from client import views
from client.cli.settings import ClientOptions, access, decode_line
from client.problem import ApiProblem
from client.transport import encode_body
from client.views import View, read_in
from shared.core.codes import RULES, find_remedy
from shared.core.contracts.evidence import SignedAcceptance
from shared.core.errors import Refused
from shared.core.guard import parse_body
from shared.core.protocol.acceptance import AuditState, at_audit, check_acceptance, check_body, read_acceptance
from shared.core.routing.directory_index import DirectoryIndex
from shared.formats.referral_table import ReferralTable, submission

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
    next: str | None = None

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
        cursor: str | None = None
        try:
            while True:
                page = read_as(_Entries, await client.flow(referral_id, purpose=purpose, cursor=cursor))
                entries += page.messages
                if (cursor := page.next) is None:
                    break
        except ApiProblem as problem:
            if problem.code != "not_found":
                raise
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
        document: dict[str, object] = {"holds": self.code is None, "code": self.code}
        if self.acceptance is not None:
            document["acceptance"] = self.acceptance.model_dump(mode="json")
        return document | ({} if self.audit is None else {"audit": self.audit.value})


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


_BOM = b"\xef\xbb\xbf"
_WRAPPER = frozenset({"origin", "label", "referral"})


class RowFormat(StrEnum):
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class RowError:
    """The reason why a row is refused, and what is `expected`. It never contains values of the row."""

    row: int
    code: str
    field: str | None = None
    rule: str | None = None
    expected: str | None = None

    @property
    def remedy(self) -> str | None:
        """Return the remedy: the schema's expectation, otherwise that of the rule, otherwise that of the code."""
        return self.expected or RULES.get(self.rule or "") or find_remedy(self.code)

    def as_report(self) -> dict[str, str | None]:
        """Return the error for a report, without its row."""
        return {"field": self.field, "code": self.code, "rule": self.rule, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class ImportRow:
    """Row `number` (the line in the file, from 1): a body to send, or the reason why there is none."""

    number: int
    origin: str | None = None
    referral: dict[str, JsonValue] | None = None
    error: RowError | None = None

    def refused(self, code: str, rule: str) -> ImportRow:
        """Return this row as refused."""
        return replace(self, referral=None, error=RowError(self.number, code, rule=rule))


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of one row: a state, or the errors for which it is refused.

    `existing` rows were submitted before, under their reference. A `passing` error is the service's, not the row's.
    `acceptance` is the signed one. Only a check has `work_reason`, the reason why a row would reach no recipient,
    `recipients`, the parts that would be `cut`, and the items whose addresses would be `respelled`.
    """

    row: int
    state: str | None = None
    referral_id: UUID | None = None
    existing: bool = False
    passing: bool = False
    work_reason: str | None = None
    recipients: tuple[views.RecipientView, ...] = ()
    cut: tuple[views.CutView, ...] = ()
    respelled: tuple[int, ...] = ()
    acceptance: dict[str, JsonValue] | None = None
    errors: tuple[RowError, ...] = ()


class RowFile:
    """One file, read once: its digest and its rows belong to the same bytes."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises `Refused` for a name without .json, .jsonl or .csv, an empty file, a bad first line.
        """
        try:
            self.format = RowFormat(path.suffix.lower().removeprefix("."))
        except ValueError:
            raise Refused("file_format_unknown", "use a name that ends in .csv, .jsonl or .json", status=400) from None
        self.path = path
        self._data = path.read_bytes().removeprefix(_BOM)
        if not self._data.strip():
            raise Refused("file_empty", "a file with a referral in it: is it the right one?", status=400)
        self.sha256 = hashlib.sha256(self._data).hexdigest()
        first = self._data.partition(b"\n")[0].removesuffix(b"\r")
        is_table = self.format is RowFormat.CSV
        self._table = ReferralTable.from_first_line(decode_line(first, "/columns")) if is_table else None
        #: The number of other parties' rows that the last reading of `rows` has left out so far.
        self.left_out = 0

    @property
    def lines(self) -> int:
        """Return the number of lines of the file; the last one need not have a line end."""
        return self._data.count(b"\n") + (not self._data.endswith(b"\n"))

    def rows(self, origin: str | None = None) -> Iterator[ImportRow]:
        """Yield every row; with `origin`, without those that name another. A repeated reference is refused.

        A row without an origin belongs to the reader. Raises `Refused` at the end if every row is another's.
        """
        seen: set[str] = set()
        self.left_out, taken = 0, 0
        for row in self.every_row():
            # Unreadable rows have no known origin: they are shown to every party that imports the file.
            if origin is not None and row.error is None and row.origin not in (None, origin):
                self.left_out += 1
                continue
            taken += 1
            if origin is None and row.origin is not None and row.error is None:
                row = row.refused("origin_not_chosen", "give --origin for rows that name their origin")
            reference = row.referral.get("external_ref") if row.referral is not None else None
            if isinstance(reference, str):
                if reference in seen:
                    row = row.refused("external_ref_repeated", "an earlier row of this file has the same one")
                seen.add(reference)
            yield row
        if self.left_out and not taken:
            raise Refused("origin_has_no_rows", "every row of the file names another origin", status=400)

    def every_row(self) -> Iterator[ImportRow]:
        """Yield every row of the file, of any origin."""
        if self.format is RowFormat.JSON:
            yield _read(1, self._data, _from_json)
            return
        table = self._table
        start = 0
        for number in range(1, self._data.count(b"\n") + 2):
            end = self._data.find(b"\n", start)
            line = self._data[start : end if end >= 0 else len(self._data)].removesuffix(b"\r")
            start = end + 1
            if not line.strip() or (table is not None and number == 1):
                continue
            yield _read(number, line, _from_json if table is None else lambda text: _from_csv(table, text))


def _read(number: int, line: bytes, read: Callable[[bytes], tuple[str | None, dict[str, JsonValue]]]) -> ImportRow:
    try:
        origin, referral = read(line)
    except Refused as refusal:
        return ImportRow(number, error=RowError(number, refusal.code, refusal.field, refusal.detail))
    return ImportRow(number, origin, referral)


def _from_json(line: bytes) -> tuple[str | None, dict[str, JsonValue]]:
    """Return the submission in one JSON text, within the service's limits of a body."""
    row = parse_body("application/json", None, line)
    if "referral" not in row:
        return None, row
    origin, referral = row.get("origin"), row["referral"]
    if not (row.keys() <= _WRAPPER and isinstance(origin, str) and isinstance(referral, dict)):
        raise Refused("row_malformed", "use origin, label and referral, and nothing else")
    return origin, referral


def _from_csv(table: ReferralTable, line: bytes) -> tuple[str | None, dict[str, JsonValue]]:
    cells = table.cells(decode_line(line))
    return cells.get("origin"), submission(cells)
