"""Durability after a power failure: PostgreSQL's commits and Kafka's acknowledged records.

A 202 promises that PostgreSQL has the message on its disk. Kafka may lose acknowledged records: their writers keep
them until the recipient and audit have acknowledged them, and append them again. Such records arrive late. So a record
is on two brokers before Kafka acknowledges it (every producer asks for `acks=all`), or on the disk of the only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import asyncpg

from deploy.kafka.provision import Manifest, copies, live_settings
from deploy.site.access import CONNECT_S, admin_client, in_own_thread
from deploy.site.endpoints import KafkaEndpoint
from deploy.site.findings import Finding
from shared.kernel.errors import Unavailable

#: What is lost where PostgreSQL's setting is off.
_PROMISES: Final[Mapping[str, str]] = {
    "fsync": "a power failure may cost what was committed, or the whole database",
    "full_page_writes": "a power failure may leave half a page that no recovery mends",
    "synchronous_commit": "a crash costs what was answered with 202 in the last moment",
}
#: With the source of each: settings of a role or of a database win over the server's.
_SETTINGS: Final = "SELECT name, source FROM pg_settings WHERE name = ANY($1::text[]) AND setting = 'off'"
_MIN_INSYNC: Final = "min.insync.replicas"
_FLUSH: Final = "flush.messages"
_COPIES: Final = 2


def examine_commits(name: str, service_url: str) -> Iterator[Finding]:
    """Whether a commit of the service's role is on the disk when it returns. Raises `Unavailable`."""
    off, what = in_own_thread(_off(service_url)), f"durability {name}"
    for setting, source in off.items():
        yield Finding(what, f"{setting}_off", f"{_PROMISES[setting]}: set `{setting} = on` (it is off by: {source})")
    if not off:
        yield Finding(what)


def examine_copies(endpoint: KafkaEndpoint, manifest: Manifest, *, own_broker: bool) -> Iterator[Finding]:
    """Whether a record that Kafka has acknowledged is in two places. Raises `Unavailable`.

    `own_broker`: it is the one broker of a development stack, where one place is enough.
    """
    admin = admin_client(endpoint)
    replicas = copies(admin, manifest.topics)
    found: dict[tuple[str, str], list[str]] = {}
    for topic, settings in live_settings(admin, replicas).items():
        insync, flushed = int(settings[_MIN_INSYNC] or 1), settings[_FLUSH] == "1"
        if wrong := judged(replicas[topic], insync, flushed=flushed or own_broker):
            found.setdefault(wrong, []).append(topic)
    for (code, mend), topics in found.items():
        yield Finding("durability kafka", code, f"{mend}: {'; '.join(sorted(topics))}")
    if not found:
        yield Finding("durability kafka")


def judged(replicas: int, min_insync: int, *, flushed: bool) -> tuple[str, str] | None:
    """What is wrong with a topic, as a code, and what mends it. `flushed`: each record is on the disk at once.

    Where more copies are asked for than there are replicas, the broker is content with all that there are.
    """
    if replicas < _COPIES:
        return None if flushed else ("one_copy", f"replicate the topic, or set `{_FLUSH}=1` on a cluster of one broker")
    return None if min_insync >= _COPIES else ("one_copy_acknowledged", f"set `{_MIN_INSYNC}={_COPIES}`")


async def _off(url: str) -> dict[str, str]:
    """The settings that are off for this role, with where that was set."""
    with suppress(OSError, asyncpg.PostgresError, TimeoutError):
        connection = await asyncpg.connect(url, timeout=CONNECT_S)
        try:
            rows = await connection.fetch(_SETTINGS, list(_PROMISES))
            return {row["name"]: row["source"] for row in rows}
        finally:
            await connection.close()
    raise Unavailable("database_unavailable")
