"""`causeway status`, `topics` and `db`: the state of instances, cluster and databases, and repairs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
from confluent_kafka.admin import AclBinding  # type: ignore[attr-defined]  # re-exported without saying so
from cyclopts import App
from cyclopts.types import ExistingFile
from prometheus_client.parser import text_string_to_metric_families

from deploy.kafka.provision import ClusterDiff, Manifest, apply, apply_quotas, difference, differing_quotas, manifest_in
from deploy.operator.documents import document_in_force
from deploy.site.access import access_to, admin_client, in_own_thread
from deploy.site.endpoints import KafkaEndpoint, OwnedDatabase
from deploy.site.open import Site, owned_databases, site
from deploy.site.options import OPTIONS, Listing, Options, Output, framed, verb
from shared.core.errors import Refused
from shared.platform.database.migrate import find_differences, look_at_schema, newest_schema, refuse_stranger, upgrade

status_app = App(name="status")
topics_app = App(name="topics")
db_app = App(name="db")
ASK_S: Final = 5.0
#: The figures of an instance, each a metric `causeway_…`; times in seconds.
FIGURES: Final = (
    *("outbox_rows", "clocks_aside_rows", "subjects_aside", "outbox_age_s", "unacked_age_s", "exception_records"),
    *("dead_letter_records", "operator_lines", "lag_records"),
)
_METRICS: Final = {
    f"causeway_{name.replace('age_s', 'age_seconds').replace('lag_records', 'bus_lag_records')}": name
    for name in FIGURES
}


@status_app.default
@framed
async def status(*urls: str, options: Options = OPTIONS) -> Output:
    """Ask every instance; exit code 1 if one is not ready.

    Parameters
    ----------
    urls
        Base addresses of instances to ask instead of those of the stack; these show no figures.
    """
    endpoints = None if urls else site(options).endpoints
    addresses = {url: url for url in urls} if endpoints is None else endpoints.http
    found = await ask_instances(addresses, {} if endpoints is None else endpoints.metrics)
    figures = [[f"{each.figures[name]:g}" if name in each.figures else "" for name in FIGURES] for each in found]
    rows = [(each.name, "yes" if each.ready else "NO", *shown) for each, shown in zip(found, figures, strict=True)]
    reasons = [f"{each.name}: {reason}" for each in found for reason in each.reasons()]
    document = {"instances": [each.as_json() for each in found]}
    table = Listing(("instance", "ready", *FIGURES), rows)
    return Output(document, [table, *reasons], well=all(each.ready for each in found))


class InstanceStatus(NamedTuple):
    """One instance's answer. Without an answer it has neither checks nor figures."""

    name: str
    answers: bool
    ready: bool = False
    checks: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, float] = {}

    def as_json(self) -> dict[str, Any]:
        stated = {"instance": self.name, "answers": self.answers, "ready": self.ready}
        return stated | {"checks": list(self.checks)} | dict(self.figures)

    def reasons(self) -> list[str]:
        """Return each check with a reason, as `check reason`."""
        if not self.answers:
            return ["does not answer"]
        return [f"{check['name']} {check['reason']}" for check in self.checks if check["reason"]]


async def ask_instances(urls: Mapping[str, str], metrics: Mapping[str, str]) -> list[InstanceStatus]:
    """Ask all instances at once, by name → base URL, and those of `metrics` for their figures too.

    An instance that does not answer raises no error.
    """
    async with httpx.AsyncClient(timeout=ASK_S, trust_env=False) as client:
        requests = (_ask(client, name, url, metrics=metrics.get(name)) for name, url in urls.items())
        return list(await asyncio.gather(*requests))


async def _ask(client: httpx.AsyncClient, name: str, url: str, *, metrics: str | None) -> InstanceStatus:
    try:
        answer = (await client.get(f"{url.rstrip('/')}/readyz")).json()
        ready, checks = bool(answer["ready"]), list(answer["checks"])
        shown = "" if metrics is None else (await client.get(f"{metrics.rstrip('/')}/metrics")).text
        figures = _figures(shown)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return InstanceStatus(name, answers=False)  # no process there, or another one
    return InstanceStatus(name, True, ready, checks, figures)


def _figures(text: str) -> dict[str, float]:
    return {
        _METRICS[sample.name]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in _METRICS
    }


@verb(topics_app)
def diff(*, directory: ExistingFile | None = None, options: Options = OPTIONS) -> Output:
    """Show the differences between the cluster and the needs of the directory's instances.

    Exit code 1 if any.

    Parameters
    ----------
    directory
        A directory, as .json, instead of the last one published from the state directory.
    """
    current_site = site(options)
    found = find_difference(current_site.endpoints.kafka, wanted_manifest(current_site, directory))
    return _difference(found, well=not found)


@verb(topics_app, "apply")
def apply_topics(*, directory: ExistingFile | None = None, options: Options = OPTIONS) -> Output:
    """Give the directory's instances their topics, passwords and rights, and print the differences.

    Partitions stay.

    Parameters
    ----------
    directory
        A directory, as .json, before its publication, so that its instances find their topics when it takes effect.
    """
    target = site(options)
    return _difference(apply_manifest(target.endpoints.kafka, wanted_manifest(target, directory)), well=True)


def wanted_manifest(site: Site, directory: Path | None = None) -> Manifest:
    """Return the manifest of the directory in this file, or of the last one published from the site's state.

    Raises `Refused` for a directory that no instance would accept, `Unavailable` if none was published.
    """
    return manifest_in(document_in_force(site.state, "directory") if directory is None else directory.read_bytes())


def find_difference(endpoint: KafkaEndpoint, manifest: Manifest) -> ClusterDiff:
    """Compare the cluster with the manifest. Raises `Unavailable` if the cluster refuses `admin`."""
    found = difference(admin_client(endpoint), manifest, secured=not endpoint.open)
    if endpoint.open:
        return found  # an open cluster has no principals, so quotas do not apply
    return replace(found, quotas_differing=in_own_thread(differing_quotas(access_to(endpoint), manifest)))


def apply_manifest(endpoint: KafkaEndpoint, manifest: Manifest) -> ClusterDiff:
    """Change the cluster to match the manifest; return the differences before.

    Partitions never change: `Refused`.
    """
    before = find_difference(endpoint, manifest)
    passwords = {name: endpoint.password(name) for name in endpoint.principals}
    apply(admin_client(endpoint), manifest, passwords)
    if not endpoint.open:
        in_own_thread(apply_quotas(access_to(endpoint), manifest))
    return before


def as_json(found: ClusterDiff) -> dict[str, list[str]]:
    """Return the differences by kind; rules as `principal may operation topic name`."""
    return {name: sorted(_text(each) for each in differing) for name, differing in vars(found).items()}


def _difference(found: ClusterDiff, *, well: bool) -> Output:
    listed = as_json(found)
    rows = [(name, each) for name, differing in listed.items() for each in differing]
    return Output(listed, [Listing(("what", "which"), rows)], well)


def _text(differing: object) -> str:
    if not isinstance(differing, AclBinding):
        return str(differing)
    members: Any = (differing.operation, differing.restype, differing.resource_pattern_type)
    operation, kind, pattern = (member.name.lower() for member in members)
    return f"{differing.principal.removeprefix('User:')} may {operation} {kind} {differing.name} ({pattern})"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """A database's state.

    `at` is empty without a schema; `heads` are the newest revisions that this code knows. `differing` names the objects
    of a database at the newest revision that differ from that revision.
    """

    instance: str
    at: tuple[str, ...]
    heads: tuple[str, ...]
    differing: tuple[str, ...] = ()

    @property
    def current(self) -> bool:
        return self.at == self.heads and not self.differing

    def word(self, behind: str) -> str:
        return "DIFFERS" if self.differing else "" if self.current else behind

    def as_json(self) -> dict[str, object]:
        document = {"instance": self.instance, "at": self.at, "newest": self.heads}
        return document | {"current": self.current, "differing": self.differing}


@verb(db_app)
def migrate(*names: str, options: Options = OPTIONS) -> Output:
    """Migrate databases to the newest schema, of all instances or the named ones.

    A second run changes nothing.
    """
    return _schemas(migrate_schemas(chosen_databases(options, names)), behind="migrated")


@verb(db_app, "check")
def check_databases(*names: str, options: Options = OPTIONS) -> Output:
    """Compare each database, object by object, with the newest revision; exit code 1 if one differs."""
    found = check_schemas(chosen_databases(options, names))
    return _schemas(found, behind="BEHIND")._replace(well=all(each.current for each in found))


def check_schemas(databases: Mapping[str, OwnedDatabase]) -> list[SchemaState]:
    """Return the schema state of each database. Blocks. Raises `Unavailable` if one refuses its owner.

    Raises `Refused` if no migration continues from its state: `schema_unknown`, `database_made_otherwise`.
    """
    return [_check(name, database) for name, database in databases.items()]


def migrate_schemas(databases: Mapping[str, OwnedDatabase]) -> list[SchemaState]:
    """Migrate each database to the newest schema; return the states before. Blocks; forward only.

    Raises `Refused("schema_differs")` if the result differs from the newest revision, and `schema_unknown` if the
    database is at a revision that this code does not have.
    """
    before = check_schemas(databases)
    for state in before:
        if not state.current:
            upgrade(*databases[state.instance], whose=state.instance)
    return before


def chosen_databases(options: Options, names: Sequence[str]) -> dict[str, OwnedDatabase]:
    """Return the databases of these instances of a site, by default of all.

    Raises `Refused("instance_unknown")`.
    """
    databases = owned_databases(options)
    if not set(names) <= databases.keys():
        raise Refused("instance_unknown", f"one of {', '.join(databases)}", status=400)
    return {name: database for name, database in databases.items() if not names or name in names}


def _schemas(found: Sequence[SchemaState], *, behind: str) -> Output:
    """Return the state of each database for printing; `behind` is the word for an earlier revision."""
    rows = [(each.instance, " ".join(each.at), " ".join(each.heads), each.word(behind)) for each in found]
    listed = [each.as_json() for each in found]
    differing = [f"{each.instance}: {what}" for each in found for what in each.differing]
    return Output({"databases": listed}, [Listing(("database", "at", "newest", ""), rows), *differing])


def _check(instance: str, database: OwnedDatabase) -> SchemaState:
    found, newest = look_at_schema(database.owner_url), newest_schema(database.kind)
    refuse_stranger(found.catalogue, whose=instance)
    current = found.revisions == newest.revisions
    differing = tuple(find_differences(newest.catalogue, found.catalogue)) if current else ()
    return SchemaState(instance, found.revisions, newest.revisions, differing)
