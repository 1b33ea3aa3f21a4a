"""What is refused of transfers and claims."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "claim_not_offered": Why(
        "a hotline has claimed a referral that its origin has not let it claim",
        "wait until the origin transfers it: causeway orphan list shows what may be claimed",
    ),
    "transfer_not_entitled": Why(
        "no rule of the policy has sent the referral to that hotline, or to any by an orphan's mandate",
        "transfer it to a hotline that causeway referral show ID lists, or amend what the referral states",
    ),
}
