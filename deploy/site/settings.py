"""The environment's settings of the selected installation.

The only reader and writer of the environment here. The kinds of service are the packages below `services`. An instance
has a kind, and a name independent of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import services
from shared.core.errors import Refused
from shared.core.vocabulary.routing import PartyKind

#: Every service that can run, sorted.
KINDS: Final = tuple(sorted(path.parent.name for path in Path(services.__path__[0]).glob("*/app.py")))
#: The one kind whose name is not the name of the parties that it serves.
AUDIT: Final = "audit"


def refuse_unknown_kind(kind: str) -> None:
    """Raise `Refused("kind_unknown")` for an unknown kind of service."""
    if kind not in KINDS:
        raise Refused("kind_unknown", f"one of {', '.join(KINDS)}", status=400)


def party_kind(kind: str) -> PartyKind:
    """Return the kind of party that a kind of service serves. Raises `Refused("kind_unknown")`."""
    refuse_unknown_kind(kind)
    return PartyKind.AUDITOR if kind == AUDIT else PartyKind(kind)


def party_kinds(instances: Mapping[str, str]) -> dict[str, PartyKind]:
    """Return the kinds of party that instances serve, by instance. Raises as `party_kind` does."""
    return {name: party_kind(kind) for name, kind in instances.items()}


def kind_serving(party: str) -> str:
    """Return the kind of service that serves a kind of party: the inverse."""
    return AUDIT if party == PartyKind.AUDITOR else party


def keeps_referrals(kind: str) -> bool:
    """Return whether a kind of service is an origin: its database has referrals."""
    return keeps(kind, "referral")


def keeps(kind: str, table: str) -> bool:
    """Return whether the newest schema of a kind of service has a table."""
    from shared.platform.database.migrate import newest_schema

    return f"table {table}" in newest_schema(kind).catalogue


#: Instance → its kind of service. The first of a kind serves parties whose own instance does not run.
SAMPLE_INSTANCES: Final[Mapping[str, str]] = json.loads(Path(__file__).with_name("instances.json").read_bytes())


PROJECT_ROOT = Path(__file__).resolve().parents[2]
_URL: Final = "_DATABASE_URL"
_KAFKA: Final = "_KAFKA_BOOTSTRAP_SERVERS"


class SiteSettings(BaseSettings):
    """The site's settings, frozen. Fields except `causeway_database_urls` are variables in capitals.

    `causeway_site` is a site file; without it, the site is that of the stack in `causeway_dev_state_dir`. A given
    database URL of an instance overrides that of a stack.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="forbid", hide_input_in_errors=True)

    #: Prefixes of this program's variables: each such variable must be a field.
    prefixes: ClassVar[tuple[str, ...]] = ("CAUSEWAY_SITE",)

    causeway_site: Path | None = None
    causeway_dev_state_dir: Path = PROJECT_ROOT / ".state" / "dev"
    #: By instance. Read from `CAUSEWAY_<INSTANCE>_DATABASE_URL`.
    causeway_database_urls: dict[str, str] = Field(default_factory=lambda: dict(_given_database_urls()), repr=False)

    @model_validator(mode="after")
    def _no_unknown_keys(self) -> Self:
        """Refuse a misspelt key: it would silently be replaced by a default, or by an embedded server.

        An instance may have any name; a variable of an unknown name is accepted if Kafka is set for that name too.
        """
        variables = inherited_environment()
        known = {name.upper() for name in type(self).model_fields}
        known |= {f"CAUSEWAY_{name.upper()}{_URL}" for name in (*KINDS, *SAMPLE_INSTANCES)}
        known |= {key.removesuffix(_KAFKA) + _URL for key in variables if key.endswith(_KAFKA)}
        for key in variables:
            ours = key.startswith(self.prefixes) or (key.startswith("CAUSEWAY_") and key.endswith(_URL))
            if ours and key not in known:
                raise Refused("unknown_setting", "no setting has this name", field=key)
        return self


def _given_database_urls() -> Iterator[tuple[str, str]]:
    """Yield instance and URL; an empty one counts as not given."""
    for key, url in inherited_environment().items():
        if key.startswith("CAUSEWAY_") and key.endswith(_URL) and url:
            yield key.removeprefix("CAUSEWAY_").removesuffix(_URL).lower(), url


def inherited_environment() -> dict[str, str]:
    """Return the environment that the services inherit."""
    return dict(os.environ)  # noqa: TID251 - this is the settings module


def adopt_environment(env: Mapping[str, str]) -> None:
    """Replace this process's environment, also for C libraries."""
    os.environ.clear()  # noqa: TID251 - this is the settings module
    os.environ.update(env)  # noqa: TID251
