"""Settings of the agencies' service: its only reader of the environment (`CAUSEWAY_LAW_ENFORCEMENT_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings, settings_for


class LawEnforcementSettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; agencies need nothing more."""

    model_config = settings_for("law_enforcement")
