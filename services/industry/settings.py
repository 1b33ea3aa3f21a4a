"""Settings of the providers' service: its only reader of the environment (`CAUSEWAY_<INSTANCE>_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings


class IndustrySettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; providers need nothing more."""
