"""What the environment says of the installation that is meant. The only reader of it in this room."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.site.endpoints import INSTANCES
from shared.kernel.errors import Refused

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class SiteSettings(BaseSettings):
    """Frozen; each field is the environment variable of the same name in capitals.

    `causeway_site` is a site file; without it, the site is that of the stack in `causeway_dev_state_dir`. An instance's
    database URL that is given here wins over that of a stack.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="forbid", hide_input_in_errors=True)

    #: Keys that begin so are ours: none may be there that no field has.
    prefixes: ClassVar[tuple[str, ...]] = ("CAUSEWAY_SITE",)

    causeway_site: Path | None = None
    causeway_dev_state_dir: Path = PROJECT_ROOT / ".state" / "dev"
    causeway_hotline_database_url: str | None = Field(default=None, repr=False)
    causeway_law_enforcement_database_url: str | None = Field(default=None, repr=False)
    causeway_industry_database_url: str | None = Field(default=None, repr=False)
    causeway_audit_database_url: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _no_unknown_keys(self) -> Self:
        """Refuse a misspelt key: what is not read would silently be replaced by a default, or by an embedded server."""
        known = {name.upper() for name in type(self).model_fields}
        for key in inherited_environment():
            ours = key.startswith(self.prefixes) or (key.startswith("CAUSEWAY_") and key.endswith("_DATABASE_URL"))
            if ours and key not in known:
                raise Refused("unknown_setting", "nothing here has a setting of this name", field=key)
        return self

    def given_database_urls(self) -> dict[str, str]:
        """The URLs given per instance; the instances without one are not in it."""
        urls = {name: getattr(self, f"causeway_{name}_database_url") for name in INSTANCES}
        return {name: url for name, url in urls.items() if url is not None}


def inherited_environment() -> dict[str, str]:
    """The environment that the services inherit."""
    return dict(os.environ)  # noqa: TID251 - this is the settings module
