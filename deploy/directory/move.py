"""Moving a party to another instance of its kind: the next directory, for the approvers to judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from deploy.directory.approval import valid_until
from shared.contracts.directory import FORMER_MAX
from shared.kernel.canonical import canonical_json
from shared.kernel.errors import Refused


def moved(directory: bytes, party: str, instance: str, *, issued_on: date) -> bytes:
    """The next directory: one version on, issued on that day, valid as long as any, with `party` at `instance`.

    Where it was before stays with it: what was sent to it there can still be answered from there. Nothing else differs,
    also of what this release does not know. `directory` is a whole document. Raises `Refused`:
    `party_unknown`, `instance_unknown`, `instance_of_another_kind` or `party_there_already`.
    """
    document: dict[str, Any] = json.loads(directory)
    found = next((each for each in document["parties"] if each["id"] == party), None)
    if found is None:
        raise Refused("party_unknown", "the directory has no such party", status=400)
    kinds = {each["id"]: each["kind"] for each in document["instances"]}
    _refuse_unfit(found, instance, kinds)
    before = [
        each for each in found.get("instances_before") or () if each["instance"] not in (instance, found["instance"])
    ]
    left = {"instance": found["instance"], "until": issued_on.isoformat()}
    found |= {"instance": instance, "instances_before": [*before, left][-FORMER_MAX:]}
    edition = {
        "version": document["version"] + 1,
        "issued_on": issued_on.isoformat(),
        "valid_until": valid_until(issued_on).isoformat(),
    }
    return canonical_json(document | edition)


def _refuse_unfit(party: Mapping[str, Any], instance: str, kinds: Mapping[str, str]) -> None:
    kind, there = party["kind"], kinds.get(instance)
    fit = ", ".join(name for name in kinds if kinds[name] == kind)
    if there is None:
        raise Refused("instance_unknown", f"for {kind} the directory has: {fit}", status=400)
    if there != kind:
        raise Refused("instance_of_another_kind", f"`{instance}` is for {there}; for {kind}: {fit}", status=400)
    if party["instance"] == instance:
        raise Refused("party_there_already", f"`{instance}` serves it now", status=400)
