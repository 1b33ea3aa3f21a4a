"""`causeway topics`: how a cluster differs from what a directory asks for, and making it equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AclBinding  # type: ignore[attr-defined]  # re-exported without saying so
from cyclopts import App
from cyclopts.types import ExistingFile

from deploy.kafka.derive import manifest_in
from deploy.kafka.provision import Difference, Manifest, apply, difference
from deploy.kafka.quotas import apply_quotas, differing_quotas
from deploy.operator.documents import document_in_force
from deploy.site.access import access_to, admin_client, in_own_thread
from deploy.site.endpoints import KafkaEndpoint
from deploy.site.open import Site, site
from deploy.site.options import OPTIONS, Listing, Options, Printed, verb

topics_app = App(name="topics")


@verb(topics_app)
def diff(*, directory: ExistingFile | None = None, options: Options = OPTIONS) -> Printed:
    """Say how the cluster differs from what the directory's instances need; exit code 1 if it does.

    Parameters
    ----------
    directory
        A directory, as .json, instead of the one that was published last from the state directory.
    """
    here = site(options)
    found = find_difference(here.endpoints.kafka, wanted_manifest(here, directory))
    return _printed(found, well=not found)


@verb(topics_app, "apply")
def apply_topics(*, directory: ExistingFile | None = None, options: Options = OPTIONS) -> Printed:
    """Give the directory's instances their topics, passwords and rights, and print what differed. Partitions stay.

    Parameters
    ----------
    directory
        A directory, as .json, that is not published yet: so its instances find their topics when it takes effect.
    """
    here = site(options)
    return _printed(apply_manifest(here.endpoints.kafka, wanted_manifest(here, directory)), well=True)


def wanted_manifest(site: Site, directory: Path | None = None) -> Manifest:
    """What the directory in this file asks for; without a file, the one that was published last from the site's state.

    Raises `Refused` for a directory that no instance would take, `Unavailable` where none was published.
    """
    return manifest_in(document_in_force(site.state, "directory") if directory is None else directory.read_bytes())


def find_difference(endpoint: KafkaEndpoint, manifest: Manifest) -> Difference:
    """Raises `Unavailable` when the cluster does not let `admin` in."""
    found = difference(admin_client(endpoint), manifest, secured=not endpoint.open)
    if endpoint.open:
        return found  # nobody has a name there by which to be held to anything
    return replace(found, quotas_differing=in_own_thread(differing_quotas(access_to(endpoint), manifest)))


def apply_manifest(endpoint: KafkaEndpoint, manifest: Manifest) -> Difference:
    """Make the cluster as the manifest says; return what differed before. Partitions are never changed: `Refused`."""
    before = find_difference(endpoint, manifest)
    passwords = {name: endpoint.password(name) for name in endpoint.principals}
    apply(admin_client(endpoint), manifest, passwords)
    if not endpoint.open:
        in_own_thread(apply_quotas(access_to(endpoint), manifest))
    return before


def as_json(found: Difference) -> dict[str, list[str]]:
    """What differs, by what it is; rules as `principal may operation topic name`."""
    return {name: sorted(_text(each) for each in differing) for name, differing in vars(found).items()}


def _printed(found: Difference, *, well: bool) -> Printed:
    listed = as_json(found)
    rows = [(name, each) for name, differing in listed.items() for each in differing]
    return Printed(listed, [Listing(("what", "which"), rows)], well)


def _text(differing: object) -> str:
    if not isinstance(differing, AclBinding):
        return str(differing)
    members: Any = (differing.operation, differing.restype, differing.resource_pattern_type)
    operation, kind, pattern = (member.name.lower() for member in members)
    return f"{differing.principal.removeprefix('User:')} may {operation} {kind} {differing.name} ({pattern})"
