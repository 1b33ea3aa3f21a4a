"""The directory: parties and instances. A signed document, identified by its SHA-256.

A party's annex holds agreements in addition to the common terms. Other parties act on them, so they are in the
directory. The document heartbeat names the newest documents.

Documents are read leniently. A member that this release does not know is part of the digest and otherwise ignored,
unless the document names it in `requires`. Values are as strict as elsewhere, except for suites and uses of keys.
Publishers check strictly, since a misspelled member must not be ignored silently. The wrappers of a document and of a
heartbeat are read leniently, too. The heartbeat itself is strict, since all of it is signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from inspect import isclass
from typing import Annotated, Any, Final, Self, TypeVar, get_args

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from shared.core.contracts.base import (
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
from shared.core.errors import Refused
from shared.core.vocabulary.referral import IncidentKind
from shared.core.vocabulary.routing import Mandate, PartyKind, PartyStatus

Version = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
#: A member of a document by the names that lead to it, list positions left out, for example `rules.hold_window_h`.
MemberPath = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){0,5}$", max_length=246)
]
Requires = Annotated[tuple[MemberPath, ...], Field(max_length=64)]


class SignedDocument(Contract):
    """The common fields of directory and policy.

    A document takes effect only if its `version` is above the one in force. `valid_until` is the first day on which a
    newer document is overdue. Senders use the document for `grace_days` more; after that they wait. `requires` names
    members that a reader must know to read the document.
    """

    version: Version
    issued_on: Day
    valid_until: Day
    grace_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 60
    requires: Requires = ()


class Beat(Contract):
    """The versions and digests of the newest documents at `at`. It puts nothing in force."""

    at: Instant
    directory: tuple[Version, Digest]
    policy: tuple[Version, Digest]


class SignedBeat(Contract):
    """A heartbeat with the Ed25519 signature of a key in `beat_keys`, over `causeway-beat/v1` and itself."""

    beat: Beat
    key_id: KeyId
    signature: SignatureText


_Document = TypeVar("_Document", bound=SignedDocument)
_REQUIRES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Requires)


def read_leniently(contract: type[_Document], body: bytes) -> _Document:
    """Parse the document whose exact bytes are `body`. Unknown members are omitted.

    Raises `Refused`: `document_requires_unknown` if an unknown member is required, else `document_invalid`, with field.
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
    """Return every member that this release knows in such a document, in the notation of `requires`."""
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


#: A message's name without its version (`shared.core.contracts.registry`).
MessageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,47}$", max_length=48)]


class ReadMessage(Contract):
    """A message and the highest version of it that the instance reads.

    It reads every lower version as well.
    """

    name: MessageName
    version: Annotated[int, Field(strict=True, ge=1, le=99)]


class ReadsAnnouncedClear(Contract):
    """The versions that an instance reads. It sends them to every peer and to audit at every start.

    The newest by the broker's time counts. `vocabulary` and `guards` name editions by their digests. The directory has
    the same data for an instance that has not sent this message yet.
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
    """A public key with its validity. `use` names its purpose, `suite` the algorithm.

    A reader ignores a key with an unknown use or suite, and reads the rest of the document. From `revoked_at` on, the
    key proves nothing, whatever earlier time a record claims.
    """

    key_id: KeyId
    use: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,15}$", max_length=16)]
    suite: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,24}$", max_length=24)]
    public: PublicKeyText
    valid_from: Instant
    valid_to: Instant | None = None
    revoked_at: Instant | None = None


class Validity(Contract):
    """The days on which an alias, domain or ASN belongs to a party; `valid_to` is exclusive."""

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
    """An instance that served a party until it moved.

    `until` is the issue day of the directory with the move. This instance still answers messages that it received for
    the party before the move, and has no other rights.
    """

    instance: InstanceId
    until: Day


#: Maximum former instances of a party in the directory, the newest last.
FORMER_MAX: Final = 8


class Daily(Contract):
    """The daily volume that a party has declared. Of its records, 99 in 100 need no more than `record_bytes`.

    The bytes include hashes. Its daily quota is 1.5 times the declared volume, and half as much again for p0 alone.
    """

    records: Annotated[int, Field(strict=True, ge=20, le=1_000_000)]
    record_bytes: Annotated[int, Field(strict=True, ge=1, le=4_096)]


class Annex(Contract):
    """Agreements of a party in addition to the common terms.

    `contact_suggestions`, for an agency: it may learn of another agency that has agreed to the same, and vice versa.
    """

    contact_suggestions: Flag = False


class Party(Contract):
    """An organisation. `instance` serves it. Keys of tier `party`, if any, are the party's own.

    Without `daily` the party has the smallest volume: 20 records and 6 KiB a day, and 3 KiB more for p0 alone.
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
    """One running service, and its public keys for signing and opening. Its topics follow from its id.

    `reads_floor` are the versions that it reads at least, until it states them itself. Without it: those that every
    release reads.
    """

    id: InstanceId
    kind: PartyKind
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=16)]
    reads_floor: ReadsAnnouncedClear | None = None


class Directory(SignedDocument):
    """The whole directory. An empty `accepts` of a party means every incident kind.

    `beat_keys` are the operator's keys (use `sign`) for document heartbeats. They approve no documents.
    """

    beat_keys: Annotated[tuple[PublicKey, ...], Field(max_length=8)] = ()
    instances: Annotated[tuple[Instance, ...], Field(min_length=1, max_length=1000)]
    parties: Annotated[tuple[Party, ...], Field(min_length=1, max_length=20_000)]


#: A signature of any suite in base64url. The key determines its format.
AnySignatureText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{86,16384}$", max_length=16_384)]


class Approval(Contract):
    """One approver's signature over `causeway-document/v1`, kind, digest and activation time.

    The key's id begins with its suite. A reader ignores an approval by a key that it does not know.
    """

    approver: PartyId
    key_id: KeyId
    signature: AnySignatureText


class DocumentActivated(Contract):
    """A directory or policy document as published: digest, activation time and at least two approvals."""

    kind: Annotated[str, StringConstraints(pattern=r"^(directory|policy)$", max_length=9)]
    digest: Digest
    active_from: Instant
    approvals: Annotated[tuple[Approval, ...], Field(min_length=2, max_length=32)]
