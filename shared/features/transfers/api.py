"""The HTTP route for transfers of referrals to hotlines."""

from __future__ import annotations

from typing import Final

from shared.core.contracts.answers import TransferRequest
from shared.features.filing.api.act_handlers import ActRoute, feature_of
from shared.features.transfers.ports import TransferredReferral
from shared.features.transfers.service import TRANSFER, resend_transfers, transfer_referral

_TRANSFER: Final = (
    "Permit one hotline, or all with an orphan's mandate, to claim the referral. The first claim is granted."
)

TRANSFERS: Final = feature_of(
    ActRoute(TRANSFER, TransferredReferral, _TRANSFER, TransferRequest, transfer_referral)
)._replace(sent_again=resend_transfers)
