"""Mutants that no test can find, because a caller sees no difference: by line and change, the reason."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {
    (
        "answered = replace(resync, nonce=None, is_first=False, answered_at=scope.now, rows_nonce=nonce)",
        "False -> True",
    ): "`is_first` is read only beside a nonce (`note_request`, `answer_request`), and there is none here"
}
