"""Checks of posted referrals, computed by a separate process that has only the documents.

    python -m shared.features.filing.api.checking

The process guards and decides as filing does, and stores nothing. The budget of the posting party is charged for it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pydantic_core import from_json, to_json

from shared.core.clock import parse_rfc3339, rfc3339
from shared.core.contracts.base import JsonObject
from shared.core.contracts.decision import NotSent
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused, not_found
from shared.core.guard import opens_list, parse_body, parse_list
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.prepare import Documents, RoutingPreview, check
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE
from shared.core.vocabulary.routing import Purpose, Reason
from shared.features.filing.api import bodies
from shared.features.filing.rules import Recipient
from shared.platform.admission.budgets import Principal, work_of
from shared.platform.http.bodies import BATCH_ITEMS_MAX
from shared.platform.http.problems import problem_body
from shared.platform.http.worker_process import WorkerProcess, serve_questions


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A body to check as it arrived, with its party, time, and key or session."""

    body: bytes
    content_type: str | None
    content_encoding: str | None
    party: str
    at: datetime
    actor: str = ""


class CheckOutcome(NamedTuple):
    """The answer's body, the work units (items examined and edges decided), and the number of refused items."""

    body: bytes
    work: int
    posted: int
    refused: int


Checking = Callable[[CheckRequest], Awaitable[CheckOutcome]]


def check_posted(posted: CheckRequest, documents: Documents) -> CheckOutcome:
    """Check one referral or a list, and return the results. Raises `Refused` if the whole body is refused."""
    origin = documents.directory.party(posted.party)
    if origin is None:
        raise not_found()
    values, refused_bytes = _one_or_many(posted)
    submissions = [bodies.parsed(value) for value in values]
    outcomes = [_outcome(each, origin, documents, at=posted.at) for each in submissions]
    results = tuple(_result(index, each) for index, each in enumerate(outcomes))
    items = sum(len(each.items) for each in submissions if not isinstance(each, Refused))
    edges = sum(len(each.judged.edges) for each in outcomes if not isinstance(each, Refused))
    refused = sum(isinstance(each, Refused) for each in outcomes)
    work = len(submissions) + items + edges + work_of(refused_bytes)
    return CheckOutcome(bodies.CheckAnswer(results=results).spelt(), work, len(submissions), refused)


class CheckWorker:
    """`Checking` by a process of its own, by the documents in force at the request."""

    def __init__(self, documents: Callable[[], Documents]) -> None:
        self._documents = documents
        self._aside = WorkerProcess(__name__)

    async def __call__(self, posted: CheckRequest) -> CheckOutcome:
        directory, policy = (documents := self._documents()).directory, documents.policy
        known = {
            "directory": (directory.digest, lambda: _spelt(directory)),
            "policy": (policy.digest, lambda: _spelt(policy)),
        }
        answer = await self._aside.ask(_question(posted), asker=Principal(posted.party, posted.actor), known=known)
        head, _, body = answer.partition(b"\n")
        header = json.loads(head)
        if "code" in header:
            raise Refused(header["code"], header["detail"], field=header["field"], status=header["status"])
        return CheckOutcome(**header | {"body": body})

    async def aclose(self) -> None:
        """End the process."""
        await self._aside.close()


class CheckingProcess:
    """The checking process: it keeps the latest documents and answers questions."""

    def __init__(self) -> None:
        self._directory: DirectoryIndex | None = None
        self._policy: PolicyIndex | None = None

    def learn(self, name: str, spelt: bytes) -> None:
        content = json.loads(spelt)
        if name == "directory":
            self._directory = DirectoryIndex(content["document"], content["digest"], TREE)
        else:
            self._policy = PolicyIndex(content["document"], content["digest"], TREE)

    def answer(self, question: bytes) -> bytes:
        assert self._directory is not None
        assert self._policy is not None
        head, _, body = question.partition(b"\n")
        kind, encoding, party, at = json.loads(head)
        posted = CheckRequest(body, kind, encoding, party, parse_rfc3339(at))
        try:
            checked = check_posted(posted, Documents(self._directory, self._policy))
        except Refused as error:
            problem = {"code": error.code, "detail": error.detail, "field": error.field, "status": error.status}
            return to_json(problem) + b"\n"
        return to_json(checked._replace(body=b"")._asdict()) + b"\n" + checked.body


def _question(posted: CheckRequest) -> bytes:
    head = posted.content_type, posted.content_encoding, posted.party, rfc3339(posted.at)
    return to_json(head) + b"\n" + posted.body


def _spelt(index: DirectoryIndex | PolicyIndex) -> bytes:
    return to_json({"digest": index.digest, "document": dict(index.document)})


def _one_or_many(posted: CheckRequest) -> tuple[Sequence[JsonObject | Refused], int]:
    """Read a list or a single referral. Return the items, and the bytes of refused list items."""
    kind, encoding = posted.content_type, posted.content_encoding
    if not _is_list(posted.body):
        return [parse_body(kind, encoding, posted.body)], 0
    items = list(parse_list(kind, encoding, posted.body, name="referrals", items_max=BATCH_ITEMS_MAX))
    return [each.read for each in items], sum(len(each.raw) for each in items if isinstance(each.read, Refused))


def _is_list(body: bytes) -> bool:
    """Return whether a body is to be read as a list. A body too large for one referral is not parsed for this."""
    if len(body) > BODY_BYTES_MAX:
        return opens_list(body, "referrals")
    try:
        read = from_json(body)
    except ValueError:
        return False  # refused as a single referral, with the broken rule
    return isinstance(read, dict) and "referrals" in read


def _outcome(
    submission: ReferralSubmission | Refused, origin: PartyEntry, documents: Documents, *, at: datetime
) -> RoutingPreview | Refused:
    if isinstance(submission, Refused):
        return submission
    try:
        return check(submission, origin=origin, documents=documents, at=at)
    except Refused as error:
        return error


def _result(index: int, outcome: RoutingPreview | Refused) -> bodies.CheckPassed | bodies.CheckRefused:
    if isinstance(outcome, Refused):
        return bodies.CheckRefused(index=index, ok=False, problem=problem_body(outcome))
    judged, waits = outcome.judged, outcome.waits
    return bodies.CheckPassed(
        index=index,
        ok=True,
        state=judged.disposition if waits is None else ReferralState.UNRELEASED,
        work_reason=waits or judged.work_reason,
        recipients=tuple(
            Recipient(
                recipient=edge.recipient,
                purpose=Purpose(edge.terms.purpose),
                reason=Reason(edge.terms.reason),
                rules=tuple(edge.terms.rules),
            )
            for edge in judged.edges
        ),
        not_sent=tuple(NotSent.model_validate(each) for each in judged.not_sent),
        cut=tuple(bodies.CutPreview(n=n, rules=rules, target=target) for n, rules, target in outcome.cut),
        respelled=outcome.respelled,
    )


if __name__ == "__main__":
    process = CheckingProcess()
    serve_questions(process.learn, process.answer)
