"""The hotline's settings: the only place in this service that reads the environment (`CAUSEWAY_<INSTANCE>_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings


class HotlineSettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; the hotline needs nothing more."""
