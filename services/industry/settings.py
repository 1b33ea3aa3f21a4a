"""Settings of the providers' service: its only reader of the environment (`CAUSEWAY_INDUSTRY_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings, settings_for


class IndustrySettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; providers need nothing more."""

    model_config = settings_for("industry")
