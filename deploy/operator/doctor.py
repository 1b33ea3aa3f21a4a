"""`causeway doctor`: everything that must be so before an installation works, looked at from outside."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from deploy.operator.database import check_schemas
from deploy.operator.durability import examine_commits, examine_copies
from deploy.operator.kafka_login import Login, try_login
from deploy.operator.topics import as_json, find_difference, wanted_manifest
from deploy.site.access import accepts, answers, kafka_access
from deploy.site.endpoints import ADMIN, KafkaEndpoint, OwnedDatabase
from deploy.site.findings import Finding, asked
from deploy.site.installation import Installation
from deploy.site.kinds import party_kind
from deploy.site.open import Site
from shared.kernel.clock import SystemClock
from shared.routing.directory_index import DirectoryIndex
from shared.routing.shelf import DocumentShelf
from shared.runtime.database.migrate import name_differences
from shared.runtime.database.transactions import Database
from shared.runtime.instance.keys import load_keys
from shared.runtime.kafka.documents import DocumentFeed, read_approver_keys

_PRIVATE_FILES: Final = ("passwords.json", "parties.json", "beat.key")
_PARTITIONS: Final = "partitions_differing"
_LOGIN_ADVICE: Final[Mapping[Login, str]] = {
    Login.BROKER_DOWN: "nothing accepts connections there: start the broker, or mend the address",
    Login.BROKER_SILENT: "something listens there and does not answer as Kafka does: address, protocol or load",
    Login.BROKER_UNTRUSTED: "no TLS there, or its certificate names another host or is of an authority we do not trust",
    Login.PASSWORD_WRONG: "the broker answers and does not know this password: `causeway topics apply` sets it",
}


#: Looks at what is around a site.
Surroundings = Callable[[Site], list[Finding]]


def examine(site: Site, stack: Surroundings) -> list[Finding]:
    """Look at everything; what does not depend on another check is looked at even if that one failed. Blocks.

    `stack` looks around a site that a development stack has written; of others only the addresses are tried.
    """
    kafka = site.endpoints.kafka
    found = asked("state directory", _state, site)
    found += stack(site) if site.endpoints.pids else asked("addresses", _addresses, site)
    logins = asked("kafka login", _logins, kafka)
    found += logins
    # Who runs instances on somebody else's Kafka cannot ask for its topics, and need not.
    asks = kafka.open or ADMIN in kafka.principals
    if asks and all(finding.well for finding in logins if finding.what == f"kafka login {ADMIN}"):
        found += asked("topics and access rules", _topics, site)
        found += asked("durability kafka", _copies, site)
    for name, database in site.endpoints.databases.items():
        found += asked(f"database {name}", _reachable, name, database.service_url)
        found += asked(f"durability {name}", examine_commits, name, database.service_url)
        found += asked(f"schema {name}", _schema, name, site.endpoints.owned(name))
        if _holds_keys(site, name):
            found += asked(f"keys {name}", _keys, site, name)
            found += asked(f"documents {name}", _documents, site, name)
    return found


def _state(site: Site) -> Iterator[Finding]:
    state = site.state
    if not state.is_dir():
        yield Finding("state directory", "state_missing", "the site names a directory of keys and documents: make it")
        return
    open_to_others = stat.S_IMODE(state.stat().st_mode) & 0o077
    advice = "whoever reads it can act as every party: mode 0700"
    yield Finding("state directory", "state_exposed", advice) if open_to_others else Finding("state directory")
    secrets = [state / name for name in _PRIVATE_FILES]
    for path in (site.file, *secrets, *site.endpoints.kafka.password_files.values()):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(path.name, "file_exposed", "it holds credentials: mode 0600")


def _addresses(site: Site) -> Iterator[Finding]:
    for name, url in site.endpoints.http.items():
        what, parts = f"{name} api", urlsplit(url)
        if accepts(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)):
            yield Finding(what)
        else:
            yield Finding(what, "port_silent", "nobody listens at this address: see the log of the instance")


def _holds_keys(site: Site, name: str) -> bool:
    """An instance's private keys need not lie where its operator sits; on a stack they do."""
    return bool(site.endpoints.pids) or Installation(site.state).keys_dir(name).is_dir()


def _keys(site: Site, name: str) -> Iterator[Finding]:
    """`load_keys` refuses a missing key file, and one that others may read."""
    load_keys(Installation(site.state).keys_dir(name))
    yield Finding(f"keys {name}")


def _logins(kafka: KafkaEndpoint) -> Iterator[Finding]:
    for principal in kafka.principals or (ADMIN,):
        login = try_login(kafka, principal)
        what = f"kafka login {principal}"
        yield Finding(what) if login is Login.DONE else Finding(what, login.value, _LOGIN_ADVICE[login])
        if login in (Login.BROKER_DOWN, Login.BROKER_SILENT):
            return  # the others would only wait as long, and find the same


def _topics(site: Site) -> Iterator[Finding]:
    manifest = wanted_manifest(site)
    found = as_json(find_difference(site.endpoints.kafka, manifest))
    differing = {name: entries for name, entries in found.items() if entries}
    for name, entries in differing.items():
        mend = "delete the topics, then `causeway topics apply`" if name == _PARTITIONS else "`causeway topics apply`"
        yield Finding("topics and access rules", name, f"{mend}: {'; '.join(entries)}")
    if not differing:
        yield Finding(f"topics and access rules ({len(manifest.topics)} topics)")


def _copies(site: Site) -> Iterator[Finding]:
    endpoints = site.endpoints
    yield from examine_copies(endpoints.kafka, wanted_manifest(site), own_broker="kafka" in endpoints.pids)


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
    """What the instance would have in force if it started now without a broker, and whether it knows this key."""
    directory = asyncio.run(_directory_in_force(site, name))
    signing = load_keys(Installation(site.state).keys_dir(name)).signing
    what = f"documents {name}"
    entry, kind = directory.instance(name), site.endpoints.kind(name)
    if directory.signing_key(signing.key_id) is None:
        yield Finding(what, "key_not_in_directory", "others refuse what this instance signs")
    elif entry is not None and entry.kind != party_kind(kind):
        yield Finding(
            what, "instance_of_another_kind", f"`{kind}` here, for {entry.kind} in the directory: see `kinds`"
        )
    else:
        yield Finding(what)


async def _directory_in_force(site: Site, name: str) -> DirectoryIndex:
    database = Database(site.endpoints.database(name).service_url, pool_size=1)
    shelf, clock = DocumentShelf(), SystemClock()
    approver_keys = read_approver_keys(Installation(site.state).approver_keys_file)
    access = kafka_access(site.endpoints, name)
    feed = DocumentFeed(access, database, shelf, instance=name, approver_keys=approver_keys, clock=clock)
    try:
        await feed.load()
        await feed.check()
        return shelf.directories.active(clock.now())
    finally:
        await database.close()
