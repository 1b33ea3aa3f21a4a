"""The signed acceptance: an origin's instance states, for the sender to keep, what it has accepted and when."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.base import (
    Contract,
    Digest,
    FormVersion,
    GuardEdition,
    InstanceId,
    Instant,
    KeyId,
    PartyId,
    SignatureText,
    Uuid,
)


class SignedAcceptance(Contract):
    """`instance` has accepted a referral of `party`. The signature covers all but itself and the key id.

    `body_sha256` is that of the bytes that were posted; of an item of a list, of the item's own. `guard` is the edition
    that let it in. `merge_delay_s` after `accepted_at`, audit has the decided fact of the referral, or the instance has
    broken its word: a week at most, since an instance states itself how long nobody can tell. `version`: its form.
    """

    version: FormVersion
    instance: InstanceId
    party: PartyId
    referral_id: Uuid
    body_sha256: Digest
    guard: GuardEdition
    accepted_at: Instant
    merge_delay_s: Annotated[int, Field(strict=True, ge=1, le=604_800)]
    key_id: KeyId
    signature: SignatureText
