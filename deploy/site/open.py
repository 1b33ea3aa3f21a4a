"""A command's installation: a site file, a stack's state directory, or an instance's environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.site.endpoints import STACK_FILE, Endpoints, OwnedDatabase, load, read_site
from deploy.site.installation import Installation, environment
from deploy.site.options import Options
from deploy.site.settings import KINDS, SAMPLE_INSTANCES, SiteSettings, inherited_environment
from shared.core.errors import Refused
from shared.instance.settings import prefix_of


@dataclass(frozen=True, slots=True)
class Site:
    """The content of a site file, and the directory of its keys and documents."""

    file: Path
    state: Path
    endpoints: Endpoints


def site(options: Options) -> Site:
    """Return the named site, otherwise that of the development stack.

    Raises `Refused` for a site file without a needed entry, `Unavailable("stack_not_started")` if a stack has none.
    """
    file = _site_file(options)
    if file is not None:
        endpoints = read_site(file)
        return Site(file, endpoints.state or file.parent, endpoints)
    state = _stack_directory(options)
    return Site(state / STACK_FILE, state, load(state))


def state_directory(options: Options) -> Path:
    """Return the directory of keys and documents. A stack need not have been started."""
    return _stack_directory(options) if _site_file(options) is None else site(options).state


def owned_databases(options: Options) -> dict[str, OwnedDatabase]:
    """Return each instance's database as its owner: those in the environment, otherwise those of the site."""
    if not _named(options) and (given := SiteSettings().causeway_database_urls):
        return {name: OwnedDatabase(_assumed_kind(name), url) for name, url in given.items()}
    endpoints = site(options).endpoints
    return {name: endpoints.owned(name) for name in endpoints.databases}


def instance_kind(instance: str, options: Options) -> str:
    """Return the kind of an instance, from the source that `instance_settings` uses."""
    return site(options).endpoints.kind(instance) if instance_settings(instance, options) else _assumed_kind(instance)


def instance_settings(instance: str, options: Options) -> dict[str, str]:
    """Return an instance's settings by field name; empty if no site is named and the environment has them."""
    prefix = prefix_of(instance)
    if not _named(options) and f"{prefix}KAFKA_BOOTSTRAP_SERVERS" in inherited_environment():
        return {}
    current_site = site(options)
    given = environment(Installation(current_site.state), current_site.endpoints, instance)
    return {name.removeprefix(prefix).lower(): value for name, value in given.items()}


def _assumed_kind(instance: str) -> str:
    """Return the kind of an instance that only the environment names, if the name is the kind."""
    kind = SAMPLE_INSTANCES.get(instance, instance)
    if kind not in KINDS:
        raise Refused("instance_kind_unknown", f"state the kind of `{instance}` in `kinds` of a site file", status=400)
    return kind


def _named(options: Options) -> bool:
    """Return whether the user has named a site: then the environment of an instance is not used."""
    return options.state is not None or _site_file(options) is not None


def _site_file(options: Options) -> Path | None:
    """Return the site file: the options of the call come first, then the environment."""
    if options.site is not None and options.state is not None:
        raise Refused("site_named_twice", "either --site or --state", status=400)
    if options.site is not None or options.state is not None:
        return options.site
    return SiteSettings().causeway_site


def _stack_directory(options: Options) -> Path:
    return (options.state or SiteSettings().causeway_dev_state_dir).resolve()
