"""`causeway doctor`: checks from outside of everything that a working installation needs.

The checks include durability after a power failure. A 202 promises that PostgreSQL has the message on its disk. Kafka
may lose acknowledged records: their writers keep them until the recipient and audit have acknowledged them, and append
them again. Such records arrive late. So two brokers have a record before Kafka acknowledges it (every producer asks for
`acks=all`), or the only broker has it on its disk.
"""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.kafka.provision import Manifest, copies, live_settings
from deploy.operator.state import as_json, check_schemas, find_difference, wanted_manifest
from deploy.site.access import Finding, accepts, admin_client, answers, asked, connected, in_own_thread, kafka_access
from deploy.site.endpoints import ADMIN, KafkaEndpoint, OwnedDatabase
from deploy.site.installation import Installation
from deploy.site.open import Site
from deploy.site.settings import party_kind
from shared.core.clock import SystemClock
from shared.core.errors import Unavailable
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.instance.settings import load_keys
from shared.platform.database.migrate import name_differences
from shared.platform.database.transactions import Database
from shared.platform.kafka.documents import DocumentFeed, read_approver_keys

LOGIN_S: Final = 5.0
_ASK_S: Final = 0.5
_PRIVATE_FILES: Final = ("passwords.json", "parties.json", "beat.key")
#: The loss that each PostgreSQL setting causes if it is off.
_PROMISES: Final[Mapping[str, str]] = {
    "fsync": "a power failure may lose committed data, or the whole database",
    "full_page_writes": "a power failure may leave half a page that no recovery repairs",
    "synchronous_commit": "a crash loses referrals that were answered with 202 in the last moment",
}
#: With the source of each: settings of a role or of a database override the server's.
_SETTINGS: Final = "SELECT name, source FROM pg_settings WHERE name = ANY($1::text[]) AND setting = 'off'"
_MIN_INSYNC: Final = "min.insync.replicas"
_FLUSH: Final = "flush.messages"
_COPIES: Final = 2


class Login(StrEnum):
    """The result of a login.

    `broker_silent`: a process accepts connections and does not answer as Kafka in time; `broker_untrusted`: it has no
    certificate for its host name that this site trusts.
    """

    DONE = "done"
    BROKER_DOWN = "broker_down"
    BROKER_SILENT = "broker_silent"
    BROKER_UNTRUSTED = "broker_untrusted"
    PASSWORD_WRONG = "password_wrong"  # noqa: S105 - the name of an outcome


_REASONS: Final = {KafkaError._AUTHENTICATION: Login.PASSWORD_WRONG, KafkaError._SSL: Login.BROKER_UNTRUSTED}
_LOGIN_ADVICE: Final[Mapping[Login, str]] = {
    Login.BROKER_DOWN: "no process accepts connections there: start the broker, or correct the address",
    Login.BROKER_SILENT: "a process listens there and does not answer as Kafka does: check address, protocol and load",
    Login.BROKER_UNTRUSTED: "it has no TLS, or its certificate is for another host or of an untrusted authority",
    Login.PASSWORD_WRONG: "the broker answers and does not know this password: `causeway topics apply` sets it",
}


#: Checks the surroundings of a site.
Surroundings = Callable[[Site], list[Finding]]


def examine(site: Site, stack: Surroundings) -> list[Finding]:
    """Run all checks; a check that does not depend on a failed one runs too. Blocks.

    `stack` checks the surroundings of a development stack's site; for other sites only the addresses are tried.
    """
    kafka = site.endpoints.kafka
    found = asked("state directory", _state, site)
    found += stack(site) if site.endpoints.pids else asked("addresses", _addresses, site)
    logins = asked("kafka login", _logins, kafka)
    found += logins
    # An operator on another's Kafka cannot read its topics, and need not.
    asks = kafka.open or ADMIN in kafka.principals
    if asks and all(finding.well for finding in logins if finding.what == f"kafka login {ADMIN}"):
        found += asked("topics and access rules", _topics, site)
        own_broker = "kafka" in site.endpoints.pids
        found += asked("durability kafka", lambda: examine_copies(kafka, wanted_manifest(site), own_broker=own_broker))
    for name, database in site.endpoints.databases.items():
        found += asked(f"database {name}", _reachable, name, database.service_url)
        found += asked(f"durability {name}", examine_commits, name, database.service_url)
        found += asked(f"schema {name}", _schema, name, site.endpoints.owned(name))
        # An instance's private keys may be on another machine than its operator's; a stack has them here.
        if site.endpoints.pids or Installation(site.state).keys_dir(name).is_dir():
            found += asked(f"keys {name}", _keys, site, name)
            found += asked(f"documents {name}", _documents, site, name)
    return found


def _state(site: Site) -> Iterator[Finding]:
    state = site.state
    if not state.is_dir():
        yield Finding("state directory", "state_missing", "the site names a directory of keys and documents: make it")
        return
    open_to_others = stat.S_IMODE(state.stat().st_mode) & 0o077
    advice = "a process that reads it can act as every party: set mode 0700"
    yield Finding("state directory", "state_exposed", advice) if open_to_others else Finding("state directory")
    secrets = [state / name for name in _PRIVATE_FILES]
    for path in (site.file, *secrets, *site.endpoints.kafka.password_files.values()):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(path.name, "file_exposed", "it holds credentials: set mode 0600")


def _addresses(site: Site) -> Iterator[Finding]:
    for name, url in site.endpoints.http.items():
        what, parts = f"{name} api", urlsplit(url)
        if accepts(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)):
            yield Finding(what)
        else:
            yield Finding(what, "port_silent", "no process listens at this address: see the log of the instance")


def _keys(site: Site, name: str) -> Iterator[Finding]:
    """Check the key files: `load_keys` refuses a missing one, and one that others may read."""
    load_keys(Installation(site.state).keys_dir(name))
    yield Finding(f"keys {name}")


def _logins(kafka: KafkaEndpoint) -> Iterator[Finding]:
    for principal in kafka.principals or (ADMIN,):
        login = try_login(kafka, principal)
        what = f"kafka login {principal}"
        yield Finding(what) if login is Login.DONE else Finding(what, login.value, _LOGIN_ADVICE[login])
        if login in (Login.BROKER_DOWN, Login.BROKER_SILENT):
            return  # the other logins would wait as long, with the same result


def _topics(site: Site) -> Iterator[Finding]:
    manifest = wanted_manifest(site)
    found = as_json(find_difference(site.endpoints.kafka, manifest))
    differing = {name: entries for name, entries in found.items() if entries}
    for name, entries in differing.items():
        before = "delete the topics, then " if name == "partitions_differing" else ""
        yield Finding("topics and access rules", name, f"{before}`causeway topics apply`: {'; '.join(entries)}")
    if not differing:
        yield Finding(f"topics and access rules ({len(manifest.topics)} topics)")


def _reachable(name: str, url: str) -> Iterator[Finding]:
    what = f"database {name}"
    advice = "the server is down, or does not know the service's role and password"
    yield Finding(what) if answers(url) else Finding(what, "database_unavailable", advice)


def _schema(name: str, database: OwnedDatabase) -> Iterator[Finding]:
    (state,) = check_schemas({name: database})
    what = f"schema {name}"
    at = ", ".join(state.at) or "nothing"
    advice = f"at {at}, newest {', '.join(state.heads)}: `causeway db migrate`"
    if state.differing:
        yield Finding(what, "schema_differs", name_differences(state.differing))
    else:
        yield Finding(what) if state.current else Finding(what, "schema_behind", advice)


def _documents(site: Site, name: str) -> Iterator[Finding]:
    """Check the documents that the instance would use if it started now without a broker, and its key in them."""
    directory = asyncio.run(_directory_in_force(site, name))
    signing = load_keys(Installation(site.state).keys_dir(name)).signing
    what = f"documents {name}"
    entry, kind = directory.instance(name), site.endpoints.kind(name)
    if directory.signing_key(signing.key_id) is None:
        yield Finding(what, "key_not_in_directory", "other instances refuse messages signed with this key")
    elif entry is not None and entry.kind != party_kind(kind):
        yield Finding(
            what, "instance_of_another_kind", f"`{kind}` here, for {entry.kind} in the directory: see `kinds`"
        )
    else:
        yield Finding(what)


async def _directory_in_force(site: Site, name: str) -> DirectoryIndex:
    database = Database(site.endpoints.database(name).service_url, pool_size=1)
    shelf, clock = DocumentStore(), SystemClock()
    approver_keys = read_approver_keys(Installation(site.state).approver_keys_file)
    access = kafka_access(site.endpoints, name)
    feed = DocumentFeed(access, database, shelf, instance=name, approver_keys=approver_keys, clock=clock)
    try:
        await feed.load()
        await feed.check()
        return shelf.directories.active(clock.now())
    finally:
        await database.close()


def examine_commits(name: str, service_url: str) -> Iterator[Finding]:
    """Check that a commit of the service's role is on the disk when it returns. Raises `Unavailable`."""
    off, what = in_own_thread(_off(service_url)), f"durability {name}"
    for setting, source in off.items():
        yield Finding(what, f"{setting}_off", f"{_PROMISES[setting]}: set `{setting} = on` (it is off by: {source})")
    if not off:
        yield Finding(what)


def examine_copies(endpoint: KafkaEndpoint, manifest: Manifest, *, own_broker: bool) -> Iterator[Finding]:
    """Check that a record that Kafka has acknowledged is in two places. Raises `Unavailable`.

    `own_broker`: the single broker of a development stack, where one place is enough.
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
    """Return the fault of a topic as a code, and its remedy.

    `flushed`: each record is on the disk at once. If more copies are required than there are replicas, the broker
    accepts all existing ones.
    """
    if replicas < _COPIES:
        return None if flushed else ("one_copy", f"replicate the topic, or set `{_FLUSH}=1` on a cluster of one broker")
    return None if min_insync >= _COPIES else ("one_copy_acknowledged", f"set `{_MIN_INSYNC}={_COPIES}`")


async def _off(url: str) -> dict[str, str]:
    """Return the settings that are off for this role, with their source."""
    with suppress(OSError, asyncpg.PostgresError, TimeoutError):
        async with connected(url) as connection:
            rows = await connection.fetch(_SETTINGS, list(_PROMISES))
            return {row["name"]: row["source"] for row in rows}
    raise Unavailable("database_unavailable")


def try_login(endpoint: KafkaEndpoint, principal: str) -> Login:
    """Log in once as `principal` and ask for metadata. Blocks for a few seconds at most."""
    if not any(_accepts(server) for server in endpoint.bootstrap_servers.split(",")):
        return Login.BROKER_DOWN
    codes: list[int] = []
    reported: dict[str, Any] = {"log_level": 0, "error_cb": lambda error: codes.append(error.code())}
    client = AdminClient(endpoint.librdkafka_options(principal) | reported)
    deadline = time.monotonic() + LOGIN_S
    while not _reasons(codes) and time.monotonic() < deadline:
        try:
            client.list_topics(timeout=_ASK_S)
        except KafkaException as error:
            codes.append(error.args[0].code())
            client.poll(0)  # this calls the callback with the reason, if there is one
        else:
            return Login.DONE
    return next(iter(_reasons(codes)), Login.BROKER_SILENT)


def _reasons(codes: Sequence[int]) -> list[Login]:
    """Return the reasons that the client reported: it retries silently, and its error only states a timeout."""
    return [_REASONS[code] for code in codes if code in _REASONS]


def _accepts(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    return port.isdecimal() and accepts(host.strip("[]"), int(port))
