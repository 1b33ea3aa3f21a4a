"""`causeway doctor`: everything that must be so before an installation works, looked at from outside."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.devstack.databases import answers
from deploy.devstack.endpoints import ADMIN, KafkaEndpoint
from deploy.devstack.java import find_java
from deploy.devstack.settings import DevStackSettings
from deploy.devstack.state import StateDirectory, port_is_free
from deploy.installation import Installation, kafka_access
from deploy.kafka.provision import load_manifest
from deploy.operator.database import check_schemas
from deploy.operator.findings import Finding, asked
from deploy.operator.kafka_login import Login, try_login
from deploy.operator.site import Site
from deploy.operator.topics import as_json, find_difference
from shared.kernel.clock import SystemClock
from shared.routing.directory_index import DirectoryIndex
from shared.routing.shelf import DocumentShelf
from shared.runtime.database.migrate import name_differences
from shared.runtime.database.transactions import Database
from shared.runtime.instance.keys import load_keys
from shared.runtime.kafka.documents import DocumentFeed, read_approver_keys

_PRIVATE_FILES: Final = ("endpoints.json", "passwords.json", "parties.json")
_LOGIN_ADVICE: Final[Mapping[Login, str]] = {
    Login.BROKER_DOWN: "nothing accepts connections there: start the broker, or mend the address",
    Login.BROKER_SILENT: "something listens there and does not answer as Kafka does: address, protocol or load",
    Login.PASSWORD_WRONG: "the broker answers and does not know this password: `causeway topics apply` sets it",
}


def examine(site: Site) -> list[Finding]:
    """Look at everything; what does not depend on another check is looked at even if that one failed. Blocks."""
    kafka = site.endpoints.kafka
    found = asked("state directory", _state, site.state)
    found += asked("ports", _ports, site)
    found += asked("java", _java, kafka)
    logins = asked("kafka login", _logins, kafka)
    found += logins
    if all(finding.well for finding in logins if finding.what == f"kafka login {ADMIN}"):
        found += asked("topics and access rules", _topics, kafka)
    for name, database in site.endpoints.databases.items():
        found += asked(f"keys {name}", _keys, site, name)
        found += asked(f"database {name}", _reachable, name, database.service_url)
        found += asked(f"schema {name}", _schema, name, database.owner_url)
        found += asked(f"documents {name}", _documents, site, name)
    return found


def _state(state: Path) -> Iterator[Finding]:
    open_to_others = stat.S_IMODE(state.stat().st_mode) & 0o077
    advice = "whoever reads it can act as every party: mode 0700"
    yield Finding("state directory", "state_exposed", advice) if open_to_others else Finding("state directory")
    for name in _PRIVATE_FILES:
        path = state / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(name, "file_exposed", "it holds credentials: mode 0600")


def _ports(site: Site) -> Iterator[Finding]:
    """While the stack runs its ports answer; while it does not they are free, or its next start takes others."""
    running = StateDirectory(site.state).supervisor_pid() is not None
    urls = {f"{name} api": url for name, url in site.endpoints.http.items()}
    for what, url in urls.items():
        host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
        if running and not _accepts(host, port):
            yield Finding(what, "port_silent", f"nobody listens at port {port}: see the log of this instance")
        elif not running and not port_is_free(port):
            yield Finding(what, "port_taken", f"a process outside this stack listens at port {port}")
        else:
            yield Finding(what)


def _java(kafka: KafkaEndpoint) -> Iterator[Finding]:
    """Needed only for the embedded Kafka, which is on this machine."""
    if kafka.bootstrap_servers.startswith("127.0.0.1:"):
        find_java(DevStackSettings().java_home)
        yield Finding("java")


def _keys(site: Site, name: str) -> Iterator[Finding]:
    """`load_keys` refuses a missing key file, and one that others may read."""
    load_keys(Installation(site.state).keys_dir(name))
    yield Finding(f"keys {name}")


def _logins(kafka: KafkaEndpoint) -> Iterator[Finding]:
    for principal in kafka.passwords or (ADMIN,):
        login = try_login(kafka, principal)
        what = f"kafka login {principal}"
        yield Finding(what) if login is Login.DONE else Finding(what, login.value, _LOGIN_ADVICE[login])
        if login in (Login.BROKER_DOWN, Login.BROKER_SILENT):
            return  # the others would only wait as long, and find the same


def _topics(kafka: KafkaEndpoint) -> Iterator[Finding]:
    differing = {name: entries for name, entries in as_json(find_difference(kafka)).items() if entries}
    for name, entries in differing.items():
        yield Finding("topics and access rules", name, "; ".join(entries))
    if not differing:
        yield Finding(f"topics and access rules ({len(load_manifest().topics)} topics)")


def _reachable(name: str, url: str) -> Iterator[Finding]:
    what = f"database {name}"
    advice = "the server is down, or does not know the service's role and password"
    yield Finding(what) if answers(url) else Finding(what, "database_unavailable", advice)


def _schema(name: str, owner_url: str) -> Iterator[Finding]:
    (state,) = check_schemas({name: owner_url})
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
    known = directory.signing_key(signing.key_id) is not None
    yield Finding(what) if known else Finding(what, "key_not_in_directory", "others refuse what this instance signs")


async def _directory_in_force(site: Site, name: str) -> DirectoryIndex:
    database = Database(site.endpoints.databases[name].service_url, pool_size=1)
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


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2.0):
            return True
    except OSError:
        return False
