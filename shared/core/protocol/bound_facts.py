"""Comparison of facts with the public directory, and of a sent record with its edge.

An edge that can be derived again shows its recipient's rights, given its facts. This proves nothing unless the facts
are true of the record and of its sender. Both are compared here, as far as the recipient can see them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from typing import Final

from shared.core.contracts.decision import Edge, Facts, ItemFacts
from shared.core.contracts.referral import NoticeItem, NoticeRecord, NumberedItem, ReferralRecord
from shared.core.errors import Refused
from shared.core.protocol.minimise import ITEM_FIELDS, RECORD_FIELDS, sent_hashes
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.routing import WithheldField

_ALL_ITEM_FIELDS: Final = frozenset(ITEM_FIELDS)


def check_facts(facts: Facts, directory: DirectoryIndex) -> None:
    """Raise `Refused` if facts about a party differ from the directory."""
    origin = directory.party(facts.origin or "")
    if origin is None:
        raise _otherwise("origin")
    if facts.origin_kind not in (None, origin.kind):
        raise _otherwise("origin_kind")
    if facts.reporter is not None and set(facts.reporter) != set(origin.jurisdictions):
        raise _otherwise("reporter")
    for item in facts.items or ():
        if item.providers is None or item.provider_establishment is None:
            continue
        found = [directory.party(provider) for provider in item.providers]
        if set(item.provider_establishment) != {code for party in found if party for code in party.jurisdictions}:
            raise _otherwise("items")


def check_record(edge: Edge, record: ReferralRecord | NoticeRecord, kind: str, *, hash_kinds: Collection[str]) -> None:
    """Raise `Refused` if a record differs from its edge, or has more than its recipient may get.

    `hash_kinds` are those that the edge's rules allow.
    """
    stated = edge.facts
    if isinstance(record, ReferralRecord):
        for name, tell in _TOLD.items():
            said = getattr(stated, name)
            if said is not None and _WITHHELD.get(name) not in edge.withheld and said != tell(record):
                raise _otherwise(name)
        _check_fields(edge, record, kind)
    else:
        for name in _TOLD_TO_PROVIDERS:
            if getattr(stated, name) not in (None, getattr(record, name)):
                raise _otherwise(name)
    _check_hashes(record, hash_kinds)
    if stated.items is None:
        return
    if len(stated.items) != len(record.items):
        raise _otherwise("items")
    items: tuple[NumberedItem | NoticeItem, ...] = record.items
    for facts, item in zip(stated.items, items, strict=True):
        _check_item(facts, item, edge.withheld)


#: The facts that a referral's record shows, each in the form of `Facts`; and those that a notice's record also shows.
_TOLD: Final[Mapping[str, Callable[[ReferralRecord], object]]] = {
    "incident_kind": lambda record: record.incident_kind,
    "media_kind": lambda record: record.media_kind,
    "viewed_by": lambda record: record.viewed_by,
    "priority": lambda record: record.priority.level,
    "actionable": lambda record: record.actionable.status,
    "incident_flags": lambda record: tuple(sorted(set(record.incident_flags))),
    "observed_on": lambda record: record.observed_at.astimezone(UTC).date(),
    "user": lambda record: tuple(sorted(set(record.user_jurisdictions))),
    "victim": lambda record: tuple(sorted(set(record.victim_jurisdictions))),
}
_TOLD_TO_PROVIDERS: Final = ("incident_kind", "media_kind")
_WITHHELD: Final = {"user": WithheldField.USER_JURISDICTIONS, "victim": WithheldField.VICTIM_JURISDICTIONS}


def _check_fields(edge: Edge, record: ReferralRecord, kind: str) -> None:
    """Check that the record has only fields of the recipient's kind, and none that the edge withholds."""
    withheld = {field.value for field in edge.withheld}
    if record.model_fields_set - set(RECORD_FIELDS.get(kind, ())) or record.model_fields_set & withheld:
        raise Refused("edge_not_reproducible", "its record has withheld fields", field="/sealed/record")
    if any(item.model_fields_set - _ALL_ITEM_FIELDS or item.model_fields_set & withheld for item in record.items):
        raise Refused("edge_not_reproducible", "its items have withheld fields", field="/sealed/record/items")


def _check_hashes(record: ReferralRecord | NoticeRecord, hash_kinds: Collection[str]) -> None:
    items: tuple[NumberedItem | NoticeItem, ...] = record.items
    found = [item.hashes.model_fields_set for item in items if item.hashes is not None]
    if any(sent != kinds for kinds, sent in zip(found, sent_hashes(found, hash_kinds), strict=True)):
        raise Refused("edge_not_reproducible", "its hashes are not those that its rules allow", field="/sealed/record")


def _check_item(facts: ItemFacts, item: NumberedItem | NoticeItem, withheld: Collection[WithheldField]) -> None:
    if facts.locator_kinds not in (None, (item.locator.kind,)):
        raise _otherwise("items")
    assessed = tuple(sorted({f"{each.scheme.value}:{each.value}" for each in item.assessments}))
    if facts.assessments not in (None, assessed) and WithheldField.ASSESSMENTS not in withheld:
        raise _otherwise("items")
    if isinstance(item, NumberedItem) and not set(facts.hosting or ()) <= {each.jurisdiction for each in item.hosting}:
        raise _otherwise("items")


def _otherwise(fact: str) -> Refused:
    return Refused("edge_not_reproducible", "it differs from record or directory", field=f"/sealed/edge/facts/{fact}")
