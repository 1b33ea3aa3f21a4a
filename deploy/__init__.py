"""Whatever knows more than one party: the operator's verbs, the dev stack, the sandbox, sample documents, accounts."""

from __future__ import annotations

#: Of the whole project; `pyproject.toml` takes it from here.
__version__ = "0.1.0"
