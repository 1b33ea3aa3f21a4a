"""Routing questions that send nothing: referrals of a file against the documents of an installation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deploy.operator.documents import document_in_force
from shared.contracts.base import error_locations
from shared.contracts.decision import Facts
from shared.contracts.referral import ReferralSubmission
from shared.exchange.facts import read_facts
from shared.exchange.prepare import Documents, check
from shared.guard import parse_body
from shared.kernel.canonical import canonical_json
from shared.kernel.errors import Refused
from shared.routing.directory_index import PartyEntry
from shared.routing.shelf import DocumentShelf, read_directory, read_policy
from shared.routing.whatif import Comparison, DecidedReferral, compare, preview, replay

_WRAPPER = frozenset({"origin", "label", "referral"})


@dataclass(frozen=True, slots=True)
class Routed:
    """Row `number` of a file (from 1): its explanation (`shared.routing.explain`), or why it would be refused."""

    number: int
    explanation: dict[str, Any] | None = None
    refusal: Refused | None = None

    def as_json(self) -> dict[str, Any]:
        if self.refusal is not None:
            return {"row": self.number, "refused": {"code": self.refusal.code, "field": self.refusal.field}}
        return {"row": self.number} | (self.explanation or {})


class Router:
    """Decides as the instances do, by the directory and the policy that `state` holds (`causeway policy publish`)."""

    def __init__(self, state: Path) -> None:
        """Raises `Unavailable("documents_missing")` where nothing was installed."""
        directory, policy = document_in_force(state, "directory"), document_in_force(state, "policy")
        self._documents = Documents(read_directory(directory), read_policy(policy))

    def explain(
        self,
        file: Path,
        *,
        now: datetime,
        at: datetime | None = None,
        observed_on: date | None = None,
        origin: str | None = None,
    ) -> Iterator[Routed]:
        """Each referral decided as of `now`; with `at`, by the law and the tree of that time, and with `observed_on` as
        if it had been observed then.
        """
        shelf = self._shelf(since=min(now, at or now))
        for number, decided in self._decided(file, now, origin):
            if isinstance(decided, Refused):
                yield Routed(number, refusal=decided)
            else:
                again = replay(decided, shelf, at=at or now, observed_on=observed_on)
                yield Routed(number, preview(decided, shelf) if at is None else again)

    def dry_run(self, policy: bytes, file: Path, *, now: datetime, origin: str | None = None) -> Comparison:
        """What `policy` would change for the referrals of the file that are not refused. Raises `Refused` for it."""
        decided = [each for _, each in self._decided(file, now, origin) if isinstance(each, DecidedReferral)]
        old, directory = self._documents.policy, self._documents.directory
        return compare(decided, directory=directory, old=old, new=read_policy(policy))

    def _shelf(self, since: datetime) -> DocumentShelf:
        shelf = DocumentShelf()
        shelf.directories.place(self._documents.directory, since)
        shelf.policies.place(self._documents.policy, since)
        return shelf

    def _decided(self, file: Path, at: datetime, origin: str | None) -> Iterator[tuple[int, DecidedReferral | Refused]]:
        for number, line in _lines(file):
            try:
                named, submission = _submission(line)
                yield number, self._one(submission, self._party(named or origin), at)
            except Refused as refusal:
                yield number, refusal

    def _one(self, submission: ReferralSubmission, party: PartyEntry, at: datetime) -> DecidedReferral:
        check(submission, origin=party, documents=self._documents, at=at)  # refuses what the guard would refuse
        read = read_facts(submission, party, self._documents.directory)
        facts = Facts.model_validate_json(canonical_json(read.facts))
        return DecidedReferral(facts, submission.exercise, at, read.unknown)

    def _party(self, name: str | None) -> PartyEntry:
        if name is None:
            raise Refused("origin_missing", "name it with --origin, or in each row", status=400)
        entry = self._documents.directory.party(name)
        if entry is None:
            raise Refused("origin_unknown", "the directory has no such party", field="/origin")
        return entry


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Counts of what would change, by recipient and purpose, and by rule and direction."""
    edges = {
        name: [{"recipient": recipient, "purpose": purpose, "count": count} for (recipient, purpose), count in rows]
        for name, rows in (
            ("gained", sorted(found.gained.items())),
            ("lost", sorted(found.lost.items())),
            ("altered", sorted(found.altered.items())),
        )
    }
    dispositions = [
        {"before": before, "after": after, "count": count}
        for (before, after), count in sorted(found.dispositions.items())
    ]
    rules = [{"rule": rule, "direction": way, "count": count} for (rule, way), count in sorted(found.rules.items())]
    return (
        {"referrals": found.referrals, "changed": found.changed}
        | edges
        | {"dispositions": dispositions, "rules": rules}
    )


def _lines(file: Path) -> Sequence[tuple[int, bytes]]:
    if file.suffix == ".json":
        return [(1, file.read_bytes())]
    if file.suffix == ".jsonl":
        return [(number, line) for number, line in enumerate(file.read_bytes().splitlines(), start=1) if line.strip()]
    raise Refused("file_format_unknown", "the name ends in .json or .jsonl", status=400)


def _submission(line: bytes) -> tuple[str | None, ReferralSubmission]:
    """A row: a submission, or `{"origin", "label", "referral"}` around one, within the limits of the service."""
    row = parse_body("application/json", None, line)
    wrapped = "referral" in row
    origin, referral = (row.get("origin"), row["referral"]) if wrapped else (None, row)
    if wrapped and not (row.keys() <= _WRAPPER and isinstance(origin, str)):
        raise Refused("row_malformed", "origin, label and referral, and nothing else")
    try:
        return origin, ReferralSubmission.model_validate_json(canonical_json(referral), strict=True)
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    raise Refused("body_invalid", where["rule"], field=where["field"])
