"""What one recipient needs for one purpose, and nothing more: the plaintext of its sealed part.

It is told of the items that its edge is about, and of no others. Each kind of recipient has its list. A field that
stands in none of them reaches nobody: whoever adds one to the record or to its items decides here who needs it. What
stands below those two levels goes along with its field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from pydantic_core import to_json

from shared.contracts.referral import ReferralContent
from shared.guard.url_redaction import cut_of
from shared.kernel.errors import Refused
from shared.vocabulary.referral import HashKind
from shared.vocabulary.routing import PartyKind

Json = dict[str, Any]
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
#: What each kind of recipient may get of a record. One that has no list gets none. Reported accounts go to law
#: enforcement only, whatever the rules say.
RECORD_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    PartyKind.HOTLINE: _HOTLINE_FIELDS,
    PartyKind.LAW_ENFORCEMENT: _HOTLINE_FIELDS | {"subject_accounts"},
}
#: What both may get of an item.
ITEM_FIELDS: Final = frozenset(
    ("n", "locator", "uncut", "site_type", "commerciality", "hosting", "hashes", "assessments")
)
#: What a provider gets of a record, beside the items that it hosts.
NOTICE_FIELDS: Final = ("incident_kind", "media_kind")
NOTICE_ITEM_FIELDS: Final = frozenset(("locator", "uncut", "site_type", "hashes", "assessments"))
#: What it gets of an assessment: not who made it, nor when.
NOTICE_ASSESSMENT_FIELDS: Final = frozenset(("scheme", "value", "jurisdiction", "status"))


#: Of an item's hashes travel PDQ, and of these the first that it has; any other only where the edge's rules say so.
CRYPTOGRAPHIC: Final = (HashKind.SHA256.value, HashKind.SHA1.value, HashKind.MD5.value)
#: Of how many items PhotoDNA travels, which can be partly inverted.
PHOTODNA_ITEMS_MAX: Final = 8


def whole_record(content: ReferralContent) -> Json:
    """The content as JSON, without what is absent or default: computed once per referral, shared by all edges.

    Items that have no number yet, which is those of a submission, get theirs here, from 1.
    """
    record = content.model_dump(mode="json", exclude_none=True, exclude_defaults=True, exclude={"exercise"})
    record["items"] = [{"n": n} | item for n, item in enumerate(record["items"], 1)]
    for item, told in zip(content.items, record["items"], strict=True):
        if rules := cut_of(item.locator):
            told["locator"] |= {"cut": list(rules)}
    return record


def own_record(record: Json) -> bytes:
    """The record that the origin keeps of its own referral: all of it."""
    return to_json(record)


def referral_record(
    record: Json, kind: str, items: Sequence[int], *, withheld: Collection[str], hash_kinds: Collection[str] = ()
) -> Json:
    """The record for a hotline or an agency: what its kind may get of it and of these items, less what is withheld.

    Raises `Refused("recipient_without_list")` for a kind that nobody has decided about.
    """
    if kind not in RECORD_FIELDS:
        raise Refused("recipient_without_list", "no record is made for this kind of recipient", field="/recipient")
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
    """The record for a provider: of these items, which it hosts, only what it needs to find and judge them.

    It counts them itself, from 1 or by the `numbers` that they have in it: these say nothing of other items.
    """
    counted = numbers or range(1, len(items) + 1)
    kept = [{"n": n} | _notice_item(record["items"][at], withheld) for n, at in zip(counted, items, strict=True)]
    return _hashed({name: record[name] for name in NOTICE_FIELDS} | {"items": kept}, hash_kinds)


def sent_hashes(items: Iterable[Collection[str]], hash_kinds: Collection[str]) -> Iterator[set[str]]:
    """Of the kinds of hashes that each item has, those that travel where an edge's rules allow `hash_kinds`."""
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
    """The record, whose items are its own, with the hashes of each that travel."""
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
    """Return the listed members, in the order in which they stand."""
    return {name: each for name, each in value.items() if name in listed}
