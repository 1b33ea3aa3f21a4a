"""Mutants that no test can find, because nothing that a caller sees differs: by line and change, the reason."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {}
