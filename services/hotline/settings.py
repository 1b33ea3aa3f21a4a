"""The hotline's settings: the only place in this service that reads the environment (`CAUSEWAY_HOTLINE_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings, settings_for


class HotlineSettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; the hotline needs nothing more."""

    model_config = settings_for("hotline")
