"""What is in force or will be, as the directory topic holds it: for a tool that publishes the next document."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path

from deploy.site.access import in_own_thread, kafka_access
from deploy.site.endpoints import ADMIN, Endpoints
from shared.contracts.directory import DocumentActivated
from shared.exchange.message import Record
from shared.kernel.errors import Refused
from shared.routing.documents import verify_document
from shared.runtime.kafka.documents import DIRECTORY_TOPIC, read_approver_keys, read_document
from shared.runtime.kafka.reader import LogReader


def newest_version(endpoints: Endpoints, kind: str, *, approver_keys_file: Path) -> int:
    """The highest version of an approved document of this kind, also of one that takes effect later; 0 for none.

    Blocks. What is in the topic without its two approvals counts for nothing. Raises `Unavailable`.
    """
    found = published_documents(endpoints, ADMIN, approver_keys_file=approver_keys_file)
    return max((int(json.loads(body)["version"]) for activated, body in found if activated.kind == kind), default=0)


def published_documents(
    endpoints: Endpoints, principal: str, *, approver_keys_file: Path
) -> list[tuple[DocumentActivated, bytes]]:
    """Every document that was published with its approvals, in the order of the topic, read as `principal`.

    Blocks. Raises `Unavailable`.
    """
    keys = read_approver_keys(approver_keys_file)
    found = []
    for record in in_own_thread(_published(endpoints, principal)):
        try:
            activated, body = read_document(record.value or b"")
            verify_document(activated, body, keys)
        except Refused:
            continue
        found.append((activated, body))
    return found


async def _published(endpoints: Endpoints, principal: str) -> list[Record]:
    reader = LogReader(kafka_access(endpoints, principal), [DIRECTORY_TOPIC], client_id="causeway-published")
    found: list[Record] = []
    for where, bounds in (await reader.bounds()).items():
        if bounds.first < bounds.end:
            async with aclosing(reader.read_range(where, bounds.first, bounds.end)) as batches:
                async for batch in batches:
                    found += batch
    return found
