"""Constants for the tests of the runtime's edges."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.core.envelope.keys import SigningKey

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
KEY = SigningKey(bytes(range(32)))
