"""The signed acceptance: the origin's instance states for the sender which referral it has accepted, and when."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.base import Contract, Digest, FormVersion, GuardEdition, InstanceId, Instant, PartyId, Uuid
from shared.contracts.leaf_proof import LeafProof, SaltText


class SignedAcceptance(Contract):
    """`instance` has accepted a referral of `party`. The leaf of `proof` covers all members but `salt` and `proof`.

    The acceptances of one transaction share a tree and its signature. The signature also covers `instance` and
    `accepted_at`. `body_sha256` is the hash of the posted bytes; of an item of a list, of the item's own bytes.
    `guard` is the edition that passed the referral. Audit has the decided fact of the referral at most `merge_delay_s`
    after `accepted_at`, or the instance has broken its statement. An instance sets this delay itself, up to a week.
    `version`: the form of this document.
    """

    version: FormVersion
    instance: InstanceId
    party: PartyId
    referral_id: Uuid
    body_sha256: Digest
    guard: GuardEdition
    accepted_at: Instant
    merge_delay_s: Annotated[int, Field(strict=True, ge=1, le=604_800)]
    salt: SaltText
    proof: LeafProof
