"""The directory: who the parties and instances are. A signed document, identified by its SHA-256.

A party's annex says what it has agreed to beside the terms of all: others go by it, so it stands here.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from shared.contracts.base import Asn, Contract, Day, Digest, Flag, InstanceId, Instant, Jurisdiction, KeyId, PartyId
from shared.contracts.documents import ReadsAnnouncedClear, SignedDocument
from shared.vocabulary.referral import IncidentKind
from shared.vocabulary.routing import Mandate, PartyKind, PartyStatus

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
