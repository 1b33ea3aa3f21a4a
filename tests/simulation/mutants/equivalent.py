"""Mutants that no test can find, because a caller sees no difference: by line and change, the reason."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {
    (
        "answered = replace(resync, nonce=None, is_first=False, answered_at=scope.now, rows_nonce=nonce)",
        "False -> True",
    ): "`is_first` is read only beside a nonce (`note_request`, `answer_request`), and there is none here",
    (
        "if where in ends and record.offset < ends[where].end:",
        "And -> Or",
    ): "the consumer reads these partitions alone, and only this instance appends to them, after it has read them",
    (
        "enable_idempotence=True,",
        "True -> False",
    ): "a retry of the client may then append records twice, as a repeated append may: readers drop those they have",
    (
        "WHERE peer = $1 AND incarnation = $2 AND lane = $3::smallint AND first <= $4::bigint + 1), 0)",
        "<= -> < in: $3::smallint AND first <= $4::bigint + 1)",
    ): "the row that is read in addition ends at the number, and `first + count > $4 + 1` leaves it out",
    (
        "for message, record, end in zip(messages, records, ends, strict=True)",
        "True -> False",
    ): "the three lists have one item for each of the same messages",
}
