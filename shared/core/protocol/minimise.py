"""Data minimisation: the record that one recipient needs for one purpose.

It is the plaintext of the sealed part. A recipient gets only the items of its edge. Each kind of recipient has a list
of fields. A field in no list is sent to no recipient. A developer who adds a field to the record or to its items must
add it to the lists of recipients that need it. Members below those two levels are included with their field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Final

from pydantic_core import to_json

from shared.core.canonical import Json
from shared.core.contracts.referral import ReferralContent
from shared.core.errors import Refused
from shared.core.guard.url_redaction import cut_of
from shared.core.vocabulary.referral import HashKind
from shared.core.vocabulary.routing import PartyKind

_HOTLINE_FIELDS: Final = frozenset(
    (
        "incident_kind",
        "incident_flags",
        "observed_at",
        "media_kind",
        "viewed_by",
        "priority",
        "actionable",
        "items",
        "user_jurisdictions",
        "victim_jurisdictions",
        "correlations",
        "external_ref",
    )
)
#: The record fields that each kind of recipient may get. A kind without a list gets no record. Only law enforcement
#: gets reported accounts, whatever the rules say.
RECORD_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    PartyKind.HOTLINE: _HOTLINE_FIELDS,
    PartyKind.LAW_ENFORCEMENT: _HOTLINE_FIELDS | {"subject_accounts"},
}
#: The item fields that both kinds may get.
ITEM_FIELDS: Final = frozenset(
    ("n", "locator", "uncut", "site_type", "commerciality", "hosting", "hashes", "assessments")
)
#: The record fields that a provider gets, in addition to the items that it hosts.
NOTICE_FIELDS: Final = ("incident_kind", "media_kind")
NOTICE_ITEM_FIELDS: Final = frozenset(("locator", "uncut", "site_type", "hashes", "assessments"))
#: The assessment fields that a provider gets, without author and date.
NOTICE_ASSESSMENT_FIELDS: Final = frozenset(("scheme", "value", "jurisdiction", "status"))


#: PDQ is always sent, and the first of these that an item has. Other hashes need a rule of the edge.
CRYPTOGRAPHIC: Final = (HashKind.SHA256.value, HashKind.SHA1.value, HashKind.MD5.value)
#: Maximum items with a PhotoDNA hash in one record, because that hash can be partly inverted.
PHOTODNA_ITEMS_MAX: Final = 8


def whole_record(content: ReferralContent) -> Json:
    """Return the content as JSON, without absent or default values.

    Computed once per referral, shared by all edges. Items of a submission get their numbers here, from 1.
    """
    record = content.model_dump(mode="json", exclude_none=True, exclude_defaults=True, exclude={"exercise"})
    record["items"] = [{"n": n} | item for n, item in enumerate(record["items"], 1)]
    for item, told in zip(content.items, record["items"], strict=True):
        if rules := cut_of(item.locator):
            told["locator"] |= {"cut": list(rules)}
    return record


def own_record(record: Json) -> bytes:
    """Return the complete record that the origin stores of its own referral."""
    return to_json(record)


def referral_record(
    record: Json, kind: str, items: Sequence[int], *, withheld: Collection[str], hash_kinds: Collection[str] = ()
) -> Json:
    """Return the record for a hotline or an agency: listed fields, these items, nothing withheld.

    Raises `Refused("recipient_without_list")` for a kind without a list.
    """
    if kind not in RECORD_FIELDS:
        raise Refused("recipient_without_list", "this kind of recipient gets no record", field="/recipient")
    kept = _only(record, RECORD_FIELDS[kind].difference(withheld))
    of_items = ITEM_FIELDS.difference(withheld)
    kept["items"] = [_only(record["items"][number], of_items) for number in items]
    return _hashed(kept, hash_kinds)


def notice_record(
    record: Json,
    items: Sequence[int],
    *,
    numbers: Sequence[int] = (),
    withheld: Collection[str],
    hash_kinds: Collection[str] = (),
) -> Json:
    """Return the record for a provider: the data of these items that it needs to find and judge them.

    Items are numbered from 1, or by the notice's own `numbers`. The numbers reveal nothing about other items.
    """
    counted = numbers or range(1, len(items) + 1)
    kept = [{"n": n} | _notice_item(record["items"][at], withheld) for n, at in zip(counted, items, strict=True)]
    return _hashed({name: record[name] for name in NOTICE_FIELDS} | {"items": kept}, hash_kinds)


def sent_hashes(items: Iterable[Collection[str]], hash_kinds: Collection[str]) -> Iterator[set[str]]:
    """Yield the hash kinds to send for each item, if an edge's rules allow `hash_kinds`."""
    photodna = PHOTODNA_ITEMS_MAX
    for present in items:
        sent = {HashKind.PDQ.value, next((kind for kind in CRYPTOGRAPHIC if kind in present), ""), *hash_kinds}
        sent &= set(present)
        if HashKind.PHOTODNA.value in sent:
            if not photodna:
                sent.remove(HashKind.PHOTODNA.value)
            photodna -= photodna > 0
        yield sent


def _hashed(record: Json, hash_kinds: Collection[str]) -> Json:
    """Return the record with only the hashes to send. It changes the items of the record."""
    items = [item for item in record["items"] if "hashes" in item]
    for item, sent in zip(items, sent_hashes([item["hashes"] for item in items], hash_kinds), strict=True):
        item["hashes"] = _only(item["hashes"], sent)
    return record


def _notice_item(item: Json, withheld: Collection[str]) -> Json:
    kept: Json = {"site_type": "not_determined"} | _only(item, NOTICE_ITEM_FIELDS.difference(withheld))
    if "assessments" in kept:
        kept["assessments"] = [_only(each, NOTICE_ASSESSMENT_FIELDS) for each in kept["assessments"]]
    return kept


def _only(value: Json, listed: Set[str]) -> Json:
    """Return the listed members in their present order."""
    return {name: each for name, each in value.items() if name in listed}
