"""What is to be made of acceptances: each on its own, whatever is wrong with another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from client.cli.audited import Audited
from client.cli.rows import RowFile, RowFormat
from client.transport import spelt
from shared.contracts.evidence import SignedAcceptance
from shared.exchange.acceptance import AtAudit, at_audit, check_acceptance, check_body, read_acceptance
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex


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
