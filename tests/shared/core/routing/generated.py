"""Generated worlds: directories, policies and facts from a seed, varied enough to reach every branch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from shared.core.contracts.decision import Facts
from shared.core.contracts.directory import Directory, Party
from shared.core.contracts.policy import Policy, Rule
from shared.core.vocabulary.judgement import RetentionClass, SienaCode, Tlp
from shared.core.vocabulary.referral import (
    Actionability,
    IncidentFlag,
    IncidentKind,
    LocatorKind,
    MediaKind,
    PriorityLevel,
    ViewedBy,
)
from shared.core.vocabulary.routing import Instrument, Mandate, Purpose, Reason, WithheldField
from tests.shared.core.routing.builders import FOREVER, KINDS, directory_document, party

WHOLE_PLACES = ("reporter", "user", "victim")
ITEM_PLACES = ("hosting", "provider_establishment")
PLACES = (*WHOLE_PLACES, *ITEM_PLACES)
CODES = ("NL", "DE", "DE-BY", "FR", "BE", "US", "US-CA", "US-TX", "GB", "GB-EAW", "GH", "KE", "BR", "AU", "JP", "CA")
NODES = (*CODES, "BLOC-EU", "BLOC-EUR", "BLOC-AMR", "BLOC-AU")
UNKNOWN = ("XX", "AN")
FIRST = date(2026, 3, 1)
PROVIDERS = tuple(f"provider-{number:03}.example" for number in range(1, 9))
SINGLES: dict[str, list[Any]] = {
    "incident_kind": [*IncidentKind],
    "media_kind": [*MediaKind],
    "viewed_by": [*ViewedBy],
    "priority": [*PriorityLevel],
    "actionable": [*Actionability],
}
MANY: dict[str, list[Any]] = {"incident_flags": [*IncidentFlag], "locator_kinds": [*LocatorKind]}


def generated_directory(random: Random) -> Directory:
    parties = [party(name, "industry", *_some(random, CODES, 2), status=_status(random)) for name in PROVIDERS]
    for kind in ("hotline", "law_enforcement"):
        names = [f"{kind.replace('_', '-')}-{number:02}.example" for number in range(10)]
        parties += [_generated_party(random, kind, name) for name in names]
    return directory_document(*parties)


def generated_policy(random: Random, permits: int, prohibitions: int) -> Policy:
    rules = [_generated_permit(random, f"permit-{number:04}") for number in range(permits)]
    rules += [_generated_prohibition(random, f"prohibit-{number:04}") for number in range(prohibitions)]
    random.shuffle(rules)
    return Policy(version=1, issued_on=FIRST, valid_until=FOREVER, rules=tuple(rules))


def generated_facts(random: Random, directory: Directory, codes: Sequence[str] = CODES) -> Facts:
    stated: dict[str, Any] = {name: random.choice(known) for name, known in SINGLES.items()}
    stated["incident_flags"] = _some(random, list(IncidentFlag), 2)
    stated |= {place: _some(random, codes, 2) for place in WHOLE_PLACES}
    if random.random() < 0.02:
        stated[random.choice(WHOLE_PLACES)] = [random.choice(UNKNOWN)]
    stated["items"] = [_generated_item(random, codes) for _ in range(random.choice((1, 1, 2, 3)))]
    origin = random.choice(directory.parties)
    observed = FIRST + timedelta(days=random.randrange(60))
    return Facts.model_validate(
        stated | {"origin": origin.id, "origin_kind": origin.kind, "observed_on": observed.isoformat()}
    )


def _generated_item(random: Random, codes: Sequence[str]) -> dict[str, Any]:
    places = {place: _some(random, codes, 2) for place in ITEM_PLACES}
    if random.random() < 0.01:
        places[random.choice(ITEM_PLACES)] = [random.choice(UNKNOWN)]
    return places | {
        "locator_kinds": _some(random, list(LocatorKind), 2),
        "providers": _some(random, (*PROVIDERS, "nobody.example") if random.random() < 0.03 else PROVIDERS, 2),
        "assessments": _some(random, ("iwf:A", "iwf:B", "esp_industry:A1", "interpol_baseline:baseline"), 2),
    }


def generated_time(random: Random) -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(90 * 24 * 3600))


def _generated_party(random: Random, kind: str, party_id: str) -> Party:
    mandates = [{"mandate": "orphan", "covers": random.choice((*NODES, None))}] if random.random() < 0.2 else []
    if random.random() < 0.3:
        mandates.append({"mandate": random.choice(list(Mandate)), "covers": random.choice((*NODES, None))})
    accepts = _some(random, list(IncidentKind), 9) if random.random() < 0.3 else []
    places = _some(random, NODES, 3)
    return party(party_id, kind, *places, status=_status(random), mandates=mandates, accepts=accepts)


def _generated_permit(random: Random, rule_id: str) -> Rule:
    how = random.choice(("serving", "serving", "mandated", "named"))
    by = "providers" if how == "named" else random.choice(PLACES)
    mandate = random.choice(list(Mandate)) if how == "mandated" else None
    kind = "industry" if how == "named" else random.choice(("hotline", "law_enforcement"))
    handling = {"tlp": random.choice(list(Tlp)), "siena": random.choice((None, *SienaCode))}
    deadlines = {"acknowledge_h": random.choice((None, 1, 24)), "act_h": random.choice((None, 24, 72))}
    reason = "orphan_mandate" if mandate == "orphan" else random.choice([r for r in Reason if r != "orphan_mandate"])
    permit = {
        "effect": "permit",
        "select": {"kind": kind, "how": how, "by": by, "mandate": mandate},
        "purpose": random.choice(list(Purpose)),
        "reason": reason,
        "handling": handling | {"retention": random.choice(list(RetentionClass))},
        "withheld": _some(random, list(WithheldField), 2),
        "hold_window_h": 24 if random.random() < 0.2 else None,
        "deadlines": deadlines,
    }
    return _finished(random, rule_id, permit, {by}, to_industry=kind == "industry")


def _generated_prohibition(random: Random, rule_id: str) -> Rule:
    kinds = random.sample(KINDS, random.randint(1, 2))
    scope = {
        "purposes": random.sample(list(Purpose), random.randint(1, 2)),
        "kinds": kinds,
        "nodes": _some(random, NODES, 3),
        "parties": _some(random, PROVIDERS, 2) if random.random() < 0.2 else [],
    }
    return _finished(random, rule_id, {"effect": "prohibit", "scope": scope}, set(), to_industry="industry" in kinds)


def _finished(random: Random, rule_id: str, rule: dict[str, Any], reads: set[str], *, to_industry: bool) -> Rule:
    # A fact that names other parties may be read only by a permit that selects by it.
    shown = ({"provider_establishment"} if "providers" in reads else reads) & set(ITEM_PLACES)
    conditions = [_condition(random, (*WHOLE_PLACES, *sorted(shown))) for _ in range(random.randint(1, 3))]
    judged_by = "decision" if to_industry or random.random() < 0.5 else "observation"
    reads = reads | {condition["fact"] for condition in conditions}
    reads |= {"observed_on"} if judged_by == "observation" else set()
    valid_from = FIRST - timedelta(days=200) if random.random() < 0.6 else FIRST + timedelta(days=random.randrange(40))
    valid_to = FIRST + timedelta(days=random.randrange(20, 90)) if random.random() < 0.3 else None
    return Rule.model_validate(
        rule
        | {
            "id": rule_id,
            "reads": sorted(reads),
            "when": conditions,
            "basis": {
                "instrument": random.choice(list(Instrument)),
                "article": "1",
                "jurisdiction": random.choice(NODES),
            },
            "judged_by": judged_by,
            "valid_from": valid_from,
            "valid_to": valid_to,
            "known_from": FIRST - timedelta(days=10) if random.random() < 0.8 else FIRST + timedelta(days=30),
        }
    )


def _condition(random: Random, places: Sequence[str]) -> dict[str, Any]:
    shape = random.random()
    if shape < 0.5:
        op = random.choice(("under", "under", "under", "not_under"))
        return {"fact": random.choice(places), "op": op, "values": random.sample(NODES, random.randint(1, 4))}
    if shape < 0.6:
        return {"fact": random.choice(places), "op": "unserved", "values": [random.choice(KINDS)]}
    fact, codes = random.choice(list((SINGLES | MANY | {"origin_kind": KINDS}).items()))
    known = list(codes)
    values = random.sample(known, random.randint(1, max(1, len(known) - 1)))
    return {"fact": fact, "op": random.choice(("in", "in", "not_in")), "values": values}


def _some(random: Random, choices: Any, most: int) -> list[str]:
    return random.sample(list(choices), random.randint(0, most))


def _status(random: Random) -> str:
    return random.choice(("sandbox", "sandbox", "sandbox", "live", "live", "suspended"))
