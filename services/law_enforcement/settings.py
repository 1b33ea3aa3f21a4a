"""Settings of the agencies' service: its only reader of the environment (`CAUSEWAY_<INSTANCE>_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings


class LawEnforcementSettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; agencies need nothing more."""
