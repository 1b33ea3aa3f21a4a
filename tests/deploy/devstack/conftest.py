"""Makes the shared stack a fixture of this folder."""

from __future__ import annotations

from tests.support.stack import stack

__all__ = ["stack"]
