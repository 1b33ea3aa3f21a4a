"""Build the sample directory. The parties come from the published tables; keys are each installation's own.

`python -m deploy.directory.build` writes `parties.json` again. All parties are invented: what is real is which
places have a hotline and an agency, and how many reports providers filed. Establishments, domains and AS numbers
of providers are synthetic; AS numbers are the documentation ranges of RFC 5398.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import cycle
from pathlib import Path
from typing import Any

from deploy.directory.approval import valid_until
from deploy.directory.instances import SAMPLE_INSTANCES
from deploy.sample import published
from deploy.site.kinds import kind_serving, party_kind
from shared.contracts.directory import Directory, PublicKey
from shared.exchange.authority import ORIGINS
from shared.vocabulary.referral import IncidentKind
from shared.vocabulary.routing import Mandate, PartyKind, PartyStatus

PARTIES = Path(__file__).with_name("parties.json")
ISSUED_ON = date(2026, 3, 1)

#: Governments of the Global Taskforce. England and Wales are a subdivision, the two unions are blocs.
TASKFORCE = (
    *("BLOC-EU", "BLOC-AU", "AU", "BE", "BR", "KH", "CA", "GB-EAW", "FI", "GH", "GT", "MD", "NL", "NZ", "MK"),
    *("PH", "SE", "AE", "US"),
)
USER_COUNTRIES_MAX = 60
#: The mandated hotlines for orphans, one per region: INHOPE's rule names five hotlines with a mandate.
ORPHAN_HOTLINES = {"AU": "BLOC-OCE", "NL": "BLOC-EUR", "PH": "BLOC-ASI", "US": "BLOC-AMR", "ZA": "BLOC-AFR"}
NATIONAL_HUBS = ("US", "CA")
TRUSTED_FLAGGERS = ("BE", "DE", "FI", "FR", "NL", "SE")
#: Whose agencies have opted in to being told of each other.
IN_CONTACT = ("BE", "DE", "NL")
REGIONS = ("BLOC-AFR", "BLOC-AMR", "BLOC-ASI", "BLOC-EUR", "BLOC-OCE")
#: Where the provider of rank 1, 2, 3 … is established. Synthetic.
ESTABLISHMENTS = (
    *("US-CA", "IE", "US-CA", "IE", "US-CA", "US-CA", "SG", "GB", "CA", "US-FL"),
    *("US-WA", "NL", "US-CA", "US-CA", "US-CA", "US-NY", "US-NJ", "US-WA", "US-NY", "CY"),
    *("NL", "US-CA", "US-DE", "US-CA", "CZ", "US-CA", "CA", "US-PA", "IE", "DE"),
    *("US-CA", "NL", "CY", "US-CA", "US-TX", "BG", "US-NY", "LU", "FR", "US-TX"),
    *("GB", "RO", "US-TX", "US-CA", "NL", "US-CA", "US-WA", "IE", "CH", "US-UT"),
)
#: The day on which a firm took over what was filed under its former name, by rank.
SUCCESSIONS = {5: date(2023, 3, 15), 38: date(2023, 8, 17)}
#: What each sample origin says that it files in a day: as much as `make demo` and `make bench` may file in minutes.
DAILY = {"records": 1_000_000, "record_bytes": 512, "hash_bytes": 512}
_ANNEX = {"contact_suggestions": True}
_SINCE = date(2015, 1, 1)
#: Places where drawn or computer-made material is no offence: their parties take no such referral.
_REAL_CHILDREN_ONLY = ("JP",)


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
    parties = json.loads(PARTIES.read_text(encoding="utf-8"))["parties"]
    for party in parties:
        if party["instance"] not in instances:
            party["instance"] = first[party["kind"]]
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


def build_parties() -> list[dict[str, Any]]:
    """All parties of the sample set, sorted by id, as they stand in `parties.json`."""
    parties = [*_hotlines(), *_agencies(), *_providers()]
    parties.append(_party("auditor.example", PartyKind.AUDITOR, ()))
    parties.sort(key=lambda party: str(party["id"]))
    for kind in PartyKind:
        # Dealt in turn, so that the busiest providers are not all with one operator.
        turn = cycle([id_ for id_, name in SAMPLE_INSTANCES.items() if name == kind_serving(kind)])
        for party, instance in zip([party for party in parties if party["kind"] == kind], turn, strict=False):
            party["instance"] = instance
    return parties


def served_places() -> tuple[str, ...]:
    """Places with a hotline and an agency: top user countries, hosting countries, the taskforce; sorted."""
    users = [row.value for row in published.user_countries() if row.value][:USER_COUNTRIES_MAX]
    hosts = [row.value for row in published.hosting_countries() if row.value]
    return tuple(sorted({*users, *hosts, *TASKFORCE, *ORPHAN_HOTLINES}))


def _hotlines() -> Iterator[dict[str, Any]]:
    for place in served_places():
        if place == "GB-EAW":
            continue  # one hotline serves all of GB, England and Wales by name
        mandates = [(Mandate.ORPHAN, ORPHAN_HOTLINES[place])] if place in ORPHAN_HOTLINES else []
        mandates += [(Mandate.NATIONAL_HUB, place)] if place in NATIONAL_HUBS else []
        mandates += [(Mandate.TRUSTED_FLAGGER, "BLOC-EU")] if place in TRUSTED_FLAGGERS else []
        jurisdictions = ("GB", "GB-EAW") if place == "GB" else (place,)
        yield _party(
            f"hotline-{place.lower()}.example",
            PartyKind.HOTLINE,
            jurisdictions,
            **_optional(mandates=_grants(mandates), accepts=_accepted_in(place)),
        )
    yield _party("hotline-live.example", PartyKind.HOTLINE, ("BE", "NL"), status=PartyStatus.LIVE)


def _agencies() -> Iterator[dict[str, Any]]:
    states = [row.value for row in published.us_states() if row.value != "US"]
    for place in sorted({*served_places(), *states}):
        yield _party(
            f"police-{place.lower()}.example",
            PartyKind.LAW_ENFORCEMENT,
            (place,),
            **_optional(accepts=_accepted_in(place), annex=_ANNEX if place in IN_CONTACT else {}),
        )
    for region in REGIONS:
        yield _party(
            f"police-last-resort-{region[-3:].lower()}.example",
            PartyKind.LAW_ENFORCEMENT,
            (),
            mandates=_grants([(Mandate.LAST_RESORT, region)]),
        )
    yield _party("police-live.example", PartyKind.LAW_ENFORCEMENT, ("BE", "NL"), status=PartyStatus.LIVE)


def _providers() -> Iterator[dict[str, Any]]:
    former_names = {row.rank: row.stated_as for row in published.providers() if row.stated_as != row.party}
    for rank, party in sorted({(row.rank, row.party) for row in published.providers()}):
        domains = [{"domain": party, "valid_from": _SINCE.isoformat()}]
        aliases = []
        if rank in SUCCESSIONS:
            succession = SUCCESSIONS[rank].isoformat()
            aliases = [{"party": former_names[rank], "valid_from": succession}]
            domains.append({"domain": former_names[rank], "valid_from": succession})
        asns = [{"asn": number, "valid_from": _SINCE.isoformat()} for number in _documentation_asns(rank)]
        yield _party(
            party,
            PartyKind.INDUSTRY,
            (ESTABLISHMENTS[rank - 1],),
            **_optional(aliases=aliases, asns=asns),
            domains=domains,
        )


def _documentation_asns(rank: int) -> tuple[int, ...]:
    """One AS number of RFC 5398 for each of the first 32 providers."""
    numbers = (*range(64496, 64512), *range(65536, 65552))
    return numbers[rank - 1 : rank]


def _accepted_in(place: str) -> list[str]:
    refused = {IncidentKind.VIRTUAL, IncidentKind.GENERATIVE_AI}
    return sorted(kind for kind in IncidentKind if kind not in refused) if place in _REAL_CHILDREN_ONLY else []


def _grants(mandates: list[tuple[Mandate, str]]) -> list[dict[str, str]]:
    return [{"mandate": mandate, "covers": covers} for mandate, covers in mandates]


def _optional(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _party(party_id: str, kind: PartyKind, jurisdictions: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    return {
        "id": party_id,
        "kind": kind.value,
        "status": fields.pop("status", PartyStatus.SANDBOX).value,
        "instance": "",  # dealt when all are there
        "jurisdictions": list(jurisdictions),
        **({"daily": DAILY} if kind in ORIGINS else {}),
        **fields,
    }


def _write() -> None:
    lines = ",\n".join(f"    {json.dumps(party)}" for party in build_parties())
    note = json.dumps("Sample parties, all invented. Written by deploy/directory/build.py; do not edit.")
    PARTIES.write_text(f'{{\n  "note": {note},\n  "parties": [\n{lines}\n  ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    _write()
