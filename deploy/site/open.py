"""Which installation a verb acts on: a site file, a stack's state directory, or the environment of one instance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.site.endpoints import STACK_FILE, Endpoints, OwnedDatabase, load, read_site
from deploy.site.installation import Installation, environment
from deploy.site.options import Options
from deploy.site.settings import KINDS, SAMPLE_INSTANCES, SiteSettings, inherited_environment
from shared.kernel.errors import Refused
from shared.runtime.instance.settings import prefix_of


@dataclass(frozen=True, slots=True)
class Site:
    """What a site file says, and the directory of its keys and documents."""

    file: Path
    state: Path
    endpoints: Endpoints


def site(options: Options) -> Site:
    """The site that was named, else that of the development stack.

    Raises `Refused` for a site file that does not say it, `Unavailable("stack_not_started")` where a stack has none.
    """
    file = _site_file(options)
    if file is not None:
        endpoints = read_site(file)
        return Site(file, endpoints.state or file.parent, endpoints)
    state = _stack_directory(options)
    return Site(state / STACK_FILE, state, load(state))


def state_directory(options: Options) -> Path:
    """The directory of keys and documents. A stack's need not have been started."""
    return _stack_directory(options) if _site_file(options) is None else site(options).state


def owned_databases(options: Options) -> dict[str, OwnedDatabase]:
    """Each instance's database as its owner: those given in the environment, else those of the site."""
    if not _named(options) and (given := SiteSettings().causeway_database_urls):
        return {name: OwnedDatabase(_told_kind(name), url) for name, url in given.items()}
    endpoints = site(options).endpoints
    return {name: endpoints.owned(name) for name in endpoints.databases}


def instance_kind(instance: str, options: Options) -> str:
    """The kind of an instance, from where `instance_settings` has its settings."""
    return site(options).endpoints.kind(instance) if instance_settings(instance, options) else _told_kind(instance)


def instance_settings(instance: str, options: Options) -> dict[str, str]:
    """Settings of an instance by field name; empty where no site is named and the environment has them itself."""
    prefix = prefix_of(instance)
    if not _named(options) and f"{prefix}KAFKA_BOOTSTRAP_SERVERS" in inherited_environment():
        return {}
    here = site(options)
    given = environment(Installation(here.state), here.endpoints, instance)
    return {name.removeprefix(prefix).lower(): value for name, value in given.items()}


def _told_kind(instance: str) -> str:
    """The kind of an instance of which only the environment tells, which does not say it."""
    kind = SAMPLE_INSTANCES.get(instance, instance)
    if kind not in KINDS:
        raise Refused(
            "instance_kind_unknown", f"a site file says of which kind `{instance}` is, in `kinds`", status=400
        )
    return kind


def _named(options: Options) -> bool:
    """Whether somebody has said which site is meant: then the environment of an instance is not asked."""
    return options.state is not None or _site_file(options) is not None


def _site_file(options: Options) -> Path | None:
    """The nearest word counts: the options of the call, then the environment."""
    if options.site is not None and options.state is not None:
        raise Refused("site_named_twice", "either --site or --state", status=400)
    if options.site is not None or options.state is not None:
        return options.site
    return SiteSettings().causeway_site


def _stack_directory(options: Options) -> Path:
    return (options.state or SiteSettings().causeway_dev_state_dir).resolve()
