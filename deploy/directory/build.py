"""The sample directory: the parties of `parties.json`, with the keys of an installation.

All parties are invented: what is real is which places have a hotline and an agency, and how many reports providers
filed. Establishments, domains and AS numbers of providers are synthetic; AS numbers are the documentation ranges of
RFC 5398. What each sample origin says that it files in a day is as much as `make demo` and `make bench` may file in
minutes. Where drawn or computer-made material is no offence, parties take no such referral.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from deploy.directory.approval import valid_until
from deploy.directory.instances import SAMPLE_INSTANCES
from deploy.site.kinds import party_kind
from shared.contracts.directory import Directory, PublicKey
from shared.vocabulary.routing import PartyKind

PARTIES = Path(__file__).with_name("parties.json")
ISSUED_ON = date(2026, 3, 1)


def sample_directory(
    instance_keys: Mapping[str, tuple[PublicKey, ...]],
    *,
    kinds: Mapping[str, str] = SAMPLE_INSTANCES,
    beat_keys: tuple[PublicKey, ...] = (),
) -> Directory:
    """The sample directory with the public keys of this installation's instances, by instance id, and of its beat.

    `kinds` are those of the instances that are not called as their kind. A party whose own instance this installation
    does not run is served by the first of its kind. Raises `KeyError` if there is none.
    """
    instances = {id_: party_kind(kinds.get(id_, id_)) for id_ in instance_keys}
    first = {kind: id_ for id_, kind in reversed(instances.items())}
    parties = [
        party if party["instance"] in instances else party | {"instance": first[party["kind"]]}
        for party in _sample_parties().values()
    ]
    return Directory.model_validate(
        {
            "version": 1,
            "issued_on": ISSUED_ON,
            "valid_until": valid_until(ISSUED_ON),
            "beat_keys": beat_keys,
            "instances": [{"id": id_, "kind": kind, "keys": instance_keys[id_]} for id_, kind in instances.items()],
            "parties": parties,
        }
    )


def served_places() -> frozenset[str]:
    """Places with a hotline and an agency."""
    hotlines = [each for each in _sample_parties().values() if each["kind"] == PartyKind.HOTLINE]
    return frozenset(place for each in hotlines for place in each["jurisdictions"])


def establishment(party: str) -> str:
    """Where a sample provider is established. Synthetic."""
    place: str = _sample_parties()[party]["jurisdictions"][0]
    return place


@cache
def _sample_parties() -> Mapping[str, dict[str, Any]]:
    return {each["id"]: each for each in json.loads(PARTIES.read_text(encoding="utf-8"))["parties"]}
