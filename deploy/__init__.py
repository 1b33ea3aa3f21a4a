"""The code that knows more than one party: operator's commands, dev stack, sandbox, samples, accounting."""

from __future__ import annotations

#: The version of the whole project; `pyproject.toml` reads it here.
__version__ = "0.1.0"
