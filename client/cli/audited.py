"""What audit has of referrals, from the files that an auditor has written or from audit itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import JsonValue, ValidationError, model_validator

from client.cli.settings import Options, access
from client.problem import ApiProblem
from client.views import View, read_in
from shared.contracts.evidence import SignedAcceptance
from shared.kernel.errors import Refused

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
    entries: list[_Entry] = []
    for referral_id in referral_ids:
        try:
            flow = await client.flow(referral_id, purpose=purpose)
        except ApiProblem as problem:
            if problem.code != "not_found":
                raise
        else:
            entries += _Entries.model_validate(flow.model_dump(mode="json")).messages
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
