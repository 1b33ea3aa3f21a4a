"""The combined terms of several permits for one edge: all legal bases, and the strictest of the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.core.canonical import JsonView
from shared.core.vocabulary.judgement import RetentionClass, SienaCode, Tlp

_TLP = tuple(Tlp)
_SIENA = tuple(SienaCode)
#: Shortest first. The shortest wins: a recipient must not have to retain a record longer than it may.
_RETENTION = (
    RetentionClass.MINIMAL,
    RetentionClass.CA_21D,
    RetentionClass.TCO_6M,
    RetentionClass.CA_1Y,
    RetentionClass.EU_1Y,
    RetentionClass.US_1Y,
    RetentionClass.UK_POLICY,
)


@dataclass(frozen=True, slots=True, eq=False)
class EdgeTerms:
    """All parts of an edge except its recipient and facts, as JSON values and as canonical text.

    The edge does not contain `hash_kinds` and `hold_window_h`; its rules state them.
    """

    rules: tuple[str, ...]
    purpose: str
    reason: str
    reasons: frozenset[str]
    basis: tuple[Mapping[str, str], ...]
    handling: Mapping[str, str]
    withheld: tuple[str, ...]
    hash_kinds: frozenset[str]
    deadlines: Mapping[str, int]
    hold_window_h: int | None
    before_facts: str
    before_recipient: str
    after_recipient: str


def combine(rules: Sequence[JsonView]) -> EdgeTerms:
    """Return the terms of the permits `rules`, which are sorted by id and share one purpose."""
    ids = tuple(rule["id"] for rule in rules)
    basis = tuple({name: rule["basis"][name] for name in ("instrument", "article", "jurisdiction")} for rule in rules)
    # Members have the order of their contract, because edges are compared as text.
    handling = {"tlp": max((rule["handling"]["tlp"] for rule in rules), key=_TLP.index)}
    if siena := [code for rule in rules if (code := rule["handling"].get("siena"))]:
        handling["siena"] = max(siena, key=_SIENA.index)
    handling["retention"] = min(
        (rule["handling"].get("retention") or RetentionClass.MINIMAL.value for rule in rules), key=_RETENTION.index
    )
    withheld = tuple(sorted({field for rule in rules for field in rule.get("withheld") or ()}))
    hash_kinds = frozenset.intersection(*(frozenset(rule.get("hash_kinds") or ()) for rule in rules))
    deadlines = {
        name: hours
        for name in ("acknowledge_h", "act_h")
        if (hours := _shortest((rule.get("deadlines") or {}).get(name) for rule in rules))
    }
    purpose, reason = rules[0]["purpose"], rules[0]["reason"]
    return EdgeTerms(
        rules=ids,
        purpose=purpose,
        reason=reason,
        reasons=frozenset(rule["reason"] for rule in rules),
        basis=basis,
        handling=handling,
        withheld=withheld,
        hash_kinds=hash_kinds,
        deadlines=deadlines,
        hold_window_h=max((hours for rule in rules if (hours := rule.get("hold_window_h"))), default=None),
        before_facts=f'{{"basis":{encode(basis)},"deadlines":{encode(deadlines)},"facts":',
        before_recipient=f',"handling":{encode(handling)},"purpose":{encode(purpose)},"reason":{encode(reason)},"recipient":',
        after_recipient=f',"rules":{encode(ids)},"withheld":{encode(withheld)}}}',
    )


#: Canonical text of JSON values without floats and large integers (`shared.core.canonical`).
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


def _shortest(hours: Iterable[int | None]) -> int | None:
    return min((number for number in hours if number is not None), default=None)
