"""Audit's settings: the only place in this service that reads the environment (`CAUSEWAY_<INSTANCE>_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings


class AuditSettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; audit needs nothing more."""
