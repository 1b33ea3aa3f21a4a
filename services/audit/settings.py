"""Audit's settings: the only place in this service that reads the environment (`CAUSEWAY_AUDIT_…`)."""

from __future__ import annotations

from shared.runtime.instance.settings import RuntimeSettings, settings_for


class AuditSettings(RuntimeSettings):
    """What `RuntimeSettings` asks for; audit needs nothing more."""

    model_config = settings_for("audit")
