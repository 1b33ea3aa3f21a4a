"""The kinds of service: the rooms below `services`. An instance has a kind, and a name that says nothing of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import services
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind

#: Every room that can be served, sorted.
KINDS: Final = tuple(sorted(path.parent.name for path in Path(services.__path__[0]).glob("*/app.py")))
#: The one kind that is not called as the parties that it serves are.
AUDIT: Final = "audit"


def refuse_unknown_kind(kind: str) -> None:
    """Raises `Refused("kind_unknown")` for what is no kind of service."""
    if kind not in KINDS:
        raise Refused("kind_unknown", f"one of {', '.join(KINDS)}", status=400)


def party_kind(kind: str) -> PartyKind:
    """The parties that a kind of service serves, as the directory says it. Raises `Refused("kind_unknown")`."""
    refuse_unknown_kind(kind)
    return PartyKind.AUDITOR if kind == AUDIT else PartyKind(kind)


def party_kinds(instances: Mapping[str, str]) -> dict[str, PartyKind]:
    """The kinds of party that instances serve, as the directory says them, by instance. Raises as `party_kind` does."""
    return {name: party_kind(kind) for name, kind in instances.items()}


def kind_serving(party: str) -> str:
    """The kind of service that serves a kind of party: the other way round."""
    return AUDIT if party == PartyKind.AUDITOR else party


def keeps_referrals(kind: str) -> bool:
    """Whether a kind of service is an origin: the newest schema of its database has a place for what it files."""
    from shared.runtime.database.migrate import newest_schema

    return "table referral" in newest_schema(kind).catalogue


#: Instance → its kind of service. The first of a kind serves whoever's own instance is not run.
SAMPLE_INSTANCES: Final[Mapping[str, str]] = json.loads(Path(__file__).with_name("instances.json").read_bytes())
