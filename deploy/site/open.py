"""Where the operator's verbs act: one installation's state directory, or the environment of one instance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.site.endpoints import Endpoints, load
from deploy.site.installation import Installation, environment
from deploy.site.settings import SiteSettings, inherited_environment


@dataclass(frozen=True, slots=True)
class Site:
    """A state directory and what its endpoints file says."""

    state: Path
    endpoints: Endpoints


def state_directory(state: Path | None) -> Path:
    """The directory that was named, else that of the development stack."""
    return (state or SiteSettings().causeway_dev_state_dir).resolve()


def site(state: Path | None) -> Site:
    """Raises `Unavailable("stack_not_started")` where no endpoints file is."""
    directory = state_directory(state)
    return Site(directory, load(directory))


def owner_urls(state: Path | None) -> dict[str, str]:
    """The owner's URL of each instance's database: those given in the environment, else those of the endpoints file."""
    if state is None and (given := SiteSettings().given_database_urls()):
        return given
    return {name: database.owner_url for name, database in site(state).endpoints.databases.items()}


def instance_settings(instance: str, state: Path | None) -> dict[str, str]:
    """Settings of an instance by field name. None where no directory is named and the environment has them itself."""
    prefix = f"CAUSEWAY_{instance.upper()}_"
    if state is None and f"{prefix}KAFKA_BOOTSTRAP_SERVERS" in inherited_environment():
        return {}
    here = site(state)
    given = environment(Installation(here.state), here.endpoints, instance)
    return {name.removeprefix(prefix).lower(): value for name, value in given.items()}
