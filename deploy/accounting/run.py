"""Reading the books until they are sure: what differs must differ twice, or it was only on its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from deploy.accounting.books import read_books
from deploy.accounting.differences import Difference, Reconciliation
from deploy.accounting.sealed import Sealed, read_sealed, write_sealed
from deploy.site.endpoints import Endpoints


async def reconciled(endpoints: Endpoints, *, everything: bool = False, pause_s: float = 1.0) -> Reconciliation:
    """Reconcile. A difference counts only if a second reading, `pause_s` later, shows the same one.

    Days that were sealed are not read, unless `everything` is asked for: then their digests are made again and
    compared. Where nothing differs, what is over is sealed.
    """
    sealed = read_sealed(endpoints.state) if endpoints.state else Sealed()
    begun = Sealed() if everything else sealed
    found = await read_books(endpoints, begun)
    if found.result.differences:
        await asyncio.sleep(pause_s)
        second = await read_books(endpoints, begun)
        lasting = set(found.result.differences) & set(second.result.differences)
        second.result = replace(second.result, differences=tuple(sorted(lasting)))
        found = second
    if everything:
        changed = _changed(sealed, found.sealed)
        found.result = replace(found.result, differences=tuple(sorted({*found.result.differences, *changed})))
    if not found.result.differences:
        sealed = _seal(endpoints.state, sealed, found.sealed)
    counts = sealed.counts()
    pairs = tuple(each._replace(sealed=counts[each.parties]) for each in found.result.pairs)
    return replace(found.result, pairs=pairs, sealed_until=sealed.until)


def _changed(before: Sealed, now: Sealed) -> list[Difference]:
    """The days that say something else than when they were sealed."""
    return [
        Difference("II", "a day that was sealed says something else now", day)
        for day in sorted(before.days.keys() | now.days.keys())
        if before.until is not None and day < before.until.isoformat() and before.days.get(day) != now.days.get(day)
    ]


def _seal(folder: Path | None, before: Sealed, now: Sealed) -> Sealed:
    """What is sealed from now on."""
    if folder is None or now.until is None or not now.days:
        return before
    write_sealed(folder, now)
    return now
