"""The directory: who the parties and instances are. A signed document, identified by its SHA-256.

A party's annex says what it has agreed to beside the terms of all: others go by it, so it stands here. The beat says
which documents are newest.

Documents are read leniently: a member that this release does not know stays in the digest and is ignored, unless the
document names it in `requires`. Values are as strict as anywhere, but for suites and uses of keys. Whoever publishes
checks strictly, since a misspelt member must not be ignored in silence. What stands around a document or a beat is read
so, too; a beat itself is closed, since all of it is signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from inspect import isclass
from typing import Annotated, Any, Final, Self, TypeVar, get_args

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from shared.contracts.base import (
    Asn,
    Contract,
    Day,
    Digest,
    Flag,
    GuardEdition,
    InstanceId,
    Instant,
    Jurisdiction,
    KeyId,
    PartyId,
    SignatureText,
    error_locations,
)
from shared.kernel.errors import Refused
from shared.vocabulary.referral import IncidentKind
from shared.vocabulary.routing import Mandate, PartyKind, PartyStatus

Version = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
#: A member of a document by the names that lead to it, list positions left out, for example `rules.hold_window_h`.
MemberPath = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){0,5}$", max_length=246)
]
Requires = Annotated[tuple[MemberPath, ...], Field(max_length=64)]


class SignedDocument(Contract):
    """What directory and policy share.

    `version` only rises: a document whose version is not above the one in force never takes over. `valid_until` is the
    first day on which it should have been replaced; senders decide by it for `grace_days` more, then they wait.
    `requires` names members without which it must not be read.
    """

    version: Version
    issued_on: Day
    valid_until: Day
    grace_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 60
    requires: Requires = ()


class Beat(Contract):
    """Which documents are newest at `at`, each as version and digest. It puts nothing in force."""

    at: Instant
    directory: tuple[Version, Digest]
    policy: tuple[Version, Digest]


class SignedBeat(Contract):
    """A beat with the Ed25519 signature of a beat key of the directory, over `causeway-beat/v1` and the beat."""

    beat: Beat
    key_id: KeyId
    signature: SignatureText


_Document = TypeVar("_Document", bound=SignedDocument)
_REQUIRES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Requires)


def read_leniently(contract: type[_Document], body: bytes) -> _Document:
    """The document whose exact bytes are `body`. What it does not know it leaves out.

    Raises `Refused`: `document_requires_unknown` where it must be known, else `document_invalid`, with the field.
    """
    try:
        stated = from_json(body)
        for number, path in enumerate(_REQUIRES.validate_python(stated.get("requires") or ())):
            if path not in known_members(contract):
                raise Refused("document_requires_unknown", field=f"/requires/{number}")
        return contract.model_validate_json(body, extra="ignore")
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    except (ValueError, AttributeError):
        where = {"rule": "json_invalid", "field": ""}  # its text may quote the document
    raise Refused("document_invalid", where["rule"], field=where["field"])


@lru_cache(8)
def known_members(contract: type[Contract]) -> frozenset[str]:
    """Every member that this release knows in such a document, as `requires` names them."""
    return frozenset(_members(contract, ""))


def _members(contract: type[Contract], above: str) -> Iterator[str]:
    for name, field in contract.model_fields.items():
        yield above + name
        for inner in _contracts_in(field.annotation):
            yield from _members(inner, f"{above}{name}.")


def _contracts_in(annotation: Any) -> Iterator[type[Contract]]:
    if isclass(annotation) and issubclass(annotation, Contract):
        yield annotation
    for argument in get_args(annotation):
        yield from _contracts_in(argument)


#: A message's name without its version (`shared.contracts.registry`).
MessageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,47}$", max_length=48)]


class ReadMessage(Contract):
    """A message and the highest version of it that is read; every lower one is read as well."""

    name: MessageName
    version: Annotated[int, Field(strict=True, ge=1, le=99)]


class ReadsAnnouncedClear(Contract):
    """What an instance reads, told to every peer and to audit at every start. The newest by the broker's time counts.

    `vocabulary` and `guards` name editions by their digests. The directory says the same of who has not spoken yet.
    """

    messages: Annotated[tuple[ReadMessage, ...], Field(min_length=1, max_length=500)]
    engines: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=1, le=1000)], ...], Field(min_length=1, max_length=64)
    ]
    vocabulary: Digest
    guards: Annotated[tuple[GuardEdition, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _each_message_once(self) -> Self:
        if len({each.name for each in self.messages}) != len(self.messages):
            raise ValueError("message_twice")
        return self


PublicKeyText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43,4000}={0,2}$", max_length=4002)]
DomainName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){1,4}$", max_length=120)]


class PublicKey(Contract):
    """A public key with its validity. `use` says what for; `suite` names the algorithm.

    One of a use or a suite that its reader does not know is not there for it, and nothing else is.
    A key that is `revoked_at` some time proves nothing from then on, whatever time a record of it claims to be from.
    """

    key_id: KeyId
    use: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,15}$", max_length=16)]
    suite: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,24}$", max_length=24)]
    public: PublicKeyText
    valid_from: Instant
    valid_to: Instant | None = None
    revoked_at: Instant | None = None


class Validity(Contract):
    """The days on which an alias, domain or ASN belongs to a party; `valid_to` is the first day it does not."""

    valid_from: Day
    valid_to: Day | None = None


class Alias(Validity):
    """A former or other name of a party, as it appears in published tables or reports."""

    party: PartyId


class Domain(Validity):
    domain: DomainName


class AutonomousSystem(Validity):
    asn: Asn


class MandateGrant(Contract):
    """A mandate and the node of the jurisdiction tree it covers; None means everywhere."""

    mandate: Mandate
    covers: Jurisdiction | None = None


class FormerInstance(Contract):
    """An instance that served a party until it moved. `until`: the day on which the directory that moved it was issued.

    What was sent to it for the party before is still its to answer, and nothing else of the party's is.
    """

    instance: InstanceId
    until: Day


#: So many former instances of a party are kept, the newest last.
FORMER_MAX: Final = 8


class Daily(Contract):
    """What a party files in a day, as it has declared: so many records, of which 99 in 100 cost no more bytes.

    `record_bytes` is without hashes, `hash_bytes` the hashes. Half as much again is its day's budget.
    """

    records: Annotated[int, Field(strict=True, ge=20, le=1_000_000)]
    record_bytes: Annotated[int, Field(strict=True, ge=1, le=1_536)]
    hash_bytes: Annotated[int, Field(strict=True, ge=1, le=4_096)]


class Annex(Contract):
    """What a party has agreed to beside the terms of all.

    `contact_suggestions`, of an agency: it may be told of another one that has accepted the same, and that one of it.
    """

    contact_suggestions: Flag = False


class Party(Contract):
    """An organisation. `instance` serves it; tier-`party` keys, where it has any, are its own.

    Without `daily` it is of the smallest class: 20 records, 6 KiB a day of hashes and as much of all the rest.
    """

    id: PartyId
    kind: PartyKind
    status: PartyStatus
    instance: InstanceId
    instances_before: Annotated[tuple[FormerInstance, ...], Field(max_length=FORMER_MAX)] = ()
    jurisdictions: Annotated[tuple[Jurisdiction, ...], Field(max_length=64)]
    mandates: Annotated[tuple[MandateGrant, ...], Field(max_length=8)] = ()
    accepts: Annotated[tuple[IncidentKind, ...], Field(max_length=32)] = ()
    aliases: Annotated[tuple[Alias, ...], Field(max_length=16)] = ()
    domains: Annotated[tuple[Domain, ...], Field(max_length=1000)] = ()
    asns: Annotated[tuple[AutonomousSystem, ...], Field(max_length=1000)] = ()
    keys: Annotated[tuple[PublicKey, ...], Field(max_length=16)] = ()
    daily: Daily | None = None
    annex: Annex | None = None


class Instance(Contract):
    """One running service, and the public keys it signs and opens with. Its topics follow from its id.

    `reads_floor` is what it reads at least, for whoever has not heard it yet; left out: what every release reads.
    """

    id: InstanceId
    kind: PartyKind
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=16)]
    reads_floor: ReadsAnnouncedClear | None = None


class Directory(SignedDocument):
    """The whole directory. `accepts` of a party empty means every incident kind.

    `beat_keys` are the operator's keys (use `sign`) that say which documents are newest; they approve nothing.
    """

    beat_keys: Annotated[tuple[PublicKey, ...], Field(max_length=8)] = ()
    instances: Annotated[tuple[Instance, ...], Field(min_length=1, max_length=1000)]
    parties: Annotated[tuple[Party, ...], Field(min_length=1, max_length=20_000)]


#: A signature of any suite in base64url: of what form it is, its reader looks up by the key.
AnySignatureText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{86,16384}$", max_length=16_384)]


class Approval(Contract):
    """One approver's signature over `causeway-document/v1`, kind, digest and activation time.

    The key's id begins with its suite. One by a key that its reader does not know counts for nothing, and nothing else.
    """

    approver: PartyId
    key_id: KeyId
    signature: AnySignatureText


class DocumentActivated(Contract):
    """A directory or policy document as published: its digest, when it takes effect, and at least two approvals."""

    kind: Annotated[str, StringConstraints(pattern=r"^(directory|policy)$", max_length=9)]
    digest: Digest
    active_from: Instant
    approvals: Annotated[tuple[Approval, ...], Field(min_length=2, max_length=32)]
