"""`causeway route`: recipients and reasons for referrals of a file, by an installation's documents.

No command here sends anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from cyclopts import App
from cyclopts.types import ExistingFile
from pydantic import JsonValue, ValidationError

from client.cli.rows import RowFile
from client.cli.settings import zoned
from deploy.operator.documents import document_in_force
from deploy.site.open import state_directory
from deploy.site.options import OPTIONS, Listing, Options, Output, verb
from shared.core.canonical import Json, canonical_json
from shared.core.clock import SystemClock
from shared.core.contracts.base import error_locations
from shared.core.contracts.decision import Facts
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.protocol.facts import read_facts
from shared.core.protocol.prepare import Documents, check
from shared.core.routing.directory_index import PartyEntry
from shared.core.routing.documents import DocumentStore, read_directory, read_policy
from shared.core.routing.explain import DecisionInput, compare, explanation_text
from shared.core.routing.explain import preview as previewed
from shared.core.routing.explain import replay as replayed

route_app = App(name="route")


@dataclass(frozen=True, slots=True)
class RoutedRow:
    """Row `number` of a file (from 1): its explanation (`shared.core.routing.explain`), or its refusal."""

    number: int
    found: Json | Refused

    def as_json(self) -> Json:
        if isinstance(self.found, Refused):
            return {"row": self.number, "refused": {"code": self.found.code, "field": self.found.field}}
        return {"row": self.number} | self.found

    def text(self) -> str:
        refused = isinstance(self.found, Refused)
        return f"row {self.number}: " + (f"refused: {self.found}" if refused else explanation_text(self.as_json()))


@verb(route_app)
def preview(file: ExistingFile, /, *, origin: str | None = None, options: Options = OPTIONS) -> Output:
    """Show the recipients of each referral of a file if it were submitted now.

    Parameters
    ----------
    file
        Referrals as .jsonl, .json or .csv.
    origin
        The origin of rows that do not name one.
    """
    found = _routed(file, options, origin)
    rows = [row for each in found for row in _edge_rows(each)]
    return _printed(found, [Listing(("row", "disposition", "recipient", "purpose", "reason"), rows)])


@verb(route_app)
def explain(file: ExistingFile, /, *, origin: str | None = None, options: Options = OPTIONS) -> Output:
    """Show the effect of every rule on each referral of a file, as of now. Arguments as for preview."""
    found = _routed(file, options, origin)
    return _printed(found, [each.text() for each in found])


@verb(route_app)
def replay(
    file: ExistingFile,
    /,
    *,
    at: datetime,
    observed_on: date | None = None,
    origin: str | None = None,
    options: Options = OPTIONS,
) -> Output:
    """Show the effect of every rule on another day, by the policy of that day.

    Other arguments as for preview.

    Parameters
    ----------
    at
        A day, or a time; UTC if it names no zone.
    observed_on
        Use this day of observation: some law depends on it, and a later decision does not change it.
    """
    found = _routed(file, options, origin, at=zoned(at), observed_on=observed_on)
    return _printed(found, [each.text() for each in found])


@verb(route_app, "dry-run")
def dry_run(
    policy: ExistingFile, file: ExistingFile, /, *, origin: str | None = None, options: Options = OPTIONS
) -> Output:
    """Show the changes that another policy makes for the referrals of a file. Refused rows are omitted.

    Parameters
    ----------
    policy
        The other policy, as .json.
    """
    router = Router(options)
    decided = [each for _, each in router.decided(file, origin) if isinstance(each, DecisionInput)]
    documents = router.documents
    found = compare(decided, directory=documents.directory, old=documents.policy, new=read_policy(policy.read_bytes()))
    edges = {
        name: [{"recipient": to, "purpose": purpose, "count": n} for (to, purpose), n in sorted(counted.items())]
        for name, counted in {"gained": found.gained, "lost": found.lost, "altered": found.altered}.items()
    }
    turned = [{"before": old, "after": new, "count": n} for (old, new), n in sorted(found.dispositions.items())]
    rules = [{"rule": rule, "direction": direction, "count": n} for (rule, direction), n in sorted(found.rules.items())]
    document = {"referrals": found.referrals, "changed": found.changed, **edges, "dispositions": turned, "rules": rules}
    rows = [(name, *each.values()) for name, listed in edges.items() for each in listed]
    text: list[str | Listing] = [
        f"{found.changed} of {found.referrals} referrals would be routed differently",
        Listing(("edge", "recipient", "purpose", "count"), rows),
        Listing.of(("rule", "direction", "count"), rules),
    ]
    return Output(document, text)


class Router:
    """The decisions of the instances at `now`, by the directory and the policy in a state directory."""

    def __init__(self, options: Options) -> None:
        """Load the documents. Raises `Unavailable("documents_missing")` if nothing was installed."""
        state, self.now = state_directory(options), SystemClock().now()
        directory, policy = document_in_force(state, "directory"), document_in_force(state, "policy")
        self.documents = Documents(read_directory(directory), read_policy(policy))

    def decided(self, file: Path, origin: str | None) -> Iterator[tuple[int, DecisionInput | Refused]]:
        """Yield each row of a file with its decision or its refusal."""
        for row in RowFile(file).every_row():
            if (error := row.error) is not None:
                yield row.number, Refused(error.code, error.rule or "", field=error.field)
                continue
            try:
                yield row.number, self._one(_submission(row.referral or {}), self._party(row.origin or origin))
            except Refused as refusal:
                yield row.number, refusal

    def _one(self, submission: ReferralSubmission, party: PartyEntry) -> DecisionInput:
        check(submission, origin=party, documents=self.documents, at=self.now)  # runs the guard's check
        read = read_facts(submission, party, self.documents.directory)
        facts = Facts.model_validate_json(canonical_json(read.facts))
        return DecisionInput(facts, submission.exercise, self.now, read.unknown)

    def _party(self, name: str | None) -> PartyEntry:
        if name is None:
            raise Refused("origin_missing", "name it with --origin, or in each row", status=400)
        entry = self.documents.directory.party(name)
        if entry is None:
            raise Refused("origin_unknown", "the directory has no such party", field="/origin")
        return entry


def _routed(
    file: Path, options: Options, origin: str | None, *, at: datetime | None = None, observed_on: date | None = None
) -> list[RoutedRow]:
    """Yield each referral as of now.

    With `at`, use policy and tree of that time, as if the referral was observed on `observed_on`.
    """
    router, shelf = Router(options), DocumentStore()
    since = min(router.now, at or router.now)
    shelf.directories.place(router.documents.directory, since)
    shelf.policies.place(router.documents.policy, since)

    def found(decided: DecisionInput | Refused) -> Json | Refused:
        if isinstance(decided, Refused):
            return decided
        return replayed(decided, shelf, at=at, observed_on=observed_on) if at else previewed(decided, shelf)

    return [RoutedRow(number, found(decided)) for number, decided in router.decided(file, origin)]


def _printed(found: Sequence[RoutedRow], text: Sequence[str | Listing]) -> Output:
    document = {"referrals": [each.as_json() for each in found]}
    return Output(document, text, well=not any(isinstance(each.found, Refused) for each in found))


def _edge_rows(each: RoutedRow) -> list[tuple[object, ...]]:
    result = each.found
    if isinstance(result, Refused):
        return [(each.number, "refused", "", "", result)]
    edges = result["edges"] or [{"recipient": "", "purpose": "", "reason": result["work_reason"]}]
    return [(each.number, result["disposition"], edge["recipient"], edge["purpose"], edge["reason"]) for edge in edges]


def _submission(referral: Mapping[str, JsonValue]) -> ReferralSubmission:
    try:
        return ReferralSubmission.model_validate_json(canonical_json(referral), strict=True)
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    raise Refused("body_invalid", where["rule"], field=where["field"])
