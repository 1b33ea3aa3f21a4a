"""Reading the books until they are sure: what differs must differ twice, or it was only on its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from deploy.accounting.books import read_books
from deploy.accounting.equations import Reconciliation, reconcile
from deploy.site.endpoints import Endpoints


async def reconciled(endpoints: Endpoints, *, pause_s: float = 1.0) -> Reconciliation:
    """Reconcile. A difference counts only if a second reading, `pause_s` later, shows the same one."""
    first = reconcile(await read_books(endpoints))
    if not first.differences:
        return first
    await asyncio.sleep(pause_s)
    second = reconcile(await read_books(endpoints))
    lasting = set(first.differences) & set(second.differences)
    return replace(second, differences=tuple(sorted(lasting)))
