"""What a hotline keeps of what an origin says of a transfer: one pure function, in the words of offers."""

from __future__ import annotations

from shared.contracts.transfers import ClaimGrantedClear, TransferOfferedClear, TransferWords


def handed(clear: TransferOfferedClear | ClaimGrantedClear) -> dict[str, object]:
    """The words in JSON, by the names that `TransferWords` has."""
    if isinstance(clear, ClaimGrantedClear):
        words = TransferWords(done=clear.done)
    else:
        words = TransferWords(transfer=clear.reason)
    return words.model_dump(mode="json", exclude_none=True)
