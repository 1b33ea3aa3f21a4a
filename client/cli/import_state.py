"""What an import has done so far, kept beside the file as `FILE.state`: one JSON line for each finished batch.

Whoever can modify it can make a run leave rows out or send them again; sent again, they are still not created
twice, because the service holds the idempotency keys and the references. It holds no value of a row.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Self, TypedDict, final
from uuid import UUID

from client.cli.batches import RowResult
from client.cli.rows import RowError
from shared.kernel.errors import Refused


class _KeptError(TypedDict):
    code: str
    field: str | None
    rule: str | None


@final
class _KeptRefusal(TypedDict):
    row: int
    errors: list[_KeptError]


@final
class _KeptRow(TypedDict):
    row: int
    state: str | None
    referral_id: str | None
    existing: bool


class ImportState:
    """The finished rows of one run. A run is one file's bytes, origin, service and key; any other starts afresh."""

    def __init__(self, path: Path, *, file_sha256: str, origin: str | None, url: str, key: str) -> None:
        self._path = path
        self.run = _digest("\n".join((file_sha256, origin or "", url, _digest(key))))
        self._results: dict[int, RowResult] = {}

    @classmethod
    def read(cls, path: Path, *, file_sha256: str, origin: str | None, url: str, key: str) -> Self:
        """The state of this run in `path`. A last line that a crash cut off is dropped: its batch is sent again."""
        state = cls(path, file_sha256=file_sha256, origin=origin, url=url, key=key)
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                if entry["run"] == state.run:
                    state._results.update((result.row, result) for result in map(_read, entry["results"]))
            except (ValueError, LookupError, TypeError):
                raise Refused("state_unreadable", "remove FILE.state to start over: nothing is created twice") from None
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        return state

    def __contains__(self, row: int) -> bool:
        return row in self._results

    def results(self) -> list[RowResult]:
        """Every finished row, in order."""
        return [self._results[row] for row in sorted(self._results)]

    def add(self, results: list[RowResult]) -> None:
        """Keep the results of one batch. When this returns they are on the disk, and the batch is not sent again."""
        entry = {"run": self.run, "results": [_written(result) for result in results]}
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with open(self._path, "ab", opener=_private) as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._results.update((result.row, result) for result in results)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _written(result: RowResult) -> _KeptRow | _KeptRefusal:
    if result.errors:
        errors: list[_KeptError] = [
            {"code": error.code, "field": error.field, "rule": error.rule} for error in result.errors
        ]
        return {"row": result.row, "errors": errors}
    referral_id = None if result.referral_id is None else str(result.referral_id)
    return {"row": result.row, "state": result.state, "referral_id": referral_id, "existing": result.existing}


def _read(kept: _KeptRow | _KeptRefusal) -> RowResult:
    row = kept["row"]
    if "errors" in kept:
        return RowResult(row, errors=tuple(RowError(row, **error) for error in kept["errors"]))
    referral_id = None if kept["referral_id"] is None else UUID(kept["referral_id"])
    return RowResult(row, kept["state"], referral_id, kept["existing"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
