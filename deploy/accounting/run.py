"""Reconciling until the result is sure: a difference counts only if a second reading confirms it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from deploy.accounting.books import read_books
from deploy.accounting.differences import Reconciliation
from deploy.accounting.sealed import Sealed, read_sealed, write_sealed
from deploy.site.endpoints import Endpoints


async def reconciled(endpoints: Endpoints, *, everything: bool = False, pause_s: float = 1.0) -> Reconciliation:
    """Reconcile. A difference counts only if a second reading, `pause_s` later, shows the same one.

    The sealed part is not read, unless `everything` is asked for: then all seals must still hold. If nothing differs,
    the settled part is sealed.
    """
    sealed = read_sealed(endpoints.state) if endpoints.state else Sealed()
    begun, before = (Sealed(), sealed) if everything else (sealed, Sealed())
    found = await read_books(endpoints, begun, before=before)
    if found.result.differences:
        await asyncio.sleep(pause_s)
        second = await read_books(endpoints, begun, before=before)
        lasting = set(found.result.differences) & set(second.result.differences)
        second.result = replace(second.result, differences=tuple(sorted(lasting)))
        found = second
    if not found.result.differences:
        sealed = _seal(endpoints.state, found.sealed)
    counts = sealed.counts()
    pairs = tuple(each._replace(sealed=counts[each.parties]) for each in found.result.pairs)
    return replace(found.result, pairs=pairs, sealed_until=sealed.until)


def _seal(folder: Path | None, now: Sealed) -> Sealed:
    """Store and return the seals."""
    if folder is not None:
        write_sealed(folder, now)
    return now
