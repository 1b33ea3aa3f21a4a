"""What one recipient needs for one purpose, and nothing more: the plaintext of its sealed part.

Each kind of recipient has its list. A field that stands in none of them reaches nobody: whoever adds one to the record
or to its items decides here who needs it. What stands below those two levels goes along with its field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pydantic_core import to_json

from shared.contracts.referral import ReferralContent
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind

_HOTLINE_FIELDS: Final = (
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
    "correlation",
    "external_ref",
)
#: What each kind of recipient may get of a record. One that has no list gets none. Reported accounts go to law
#: enforcement only, whatever the rules say.
RECORD_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    PartyKind.HOTLINE: _HOTLINE_FIELDS,
    PartyKind.LAW_ENFORCEMENT: (*_HOTLINE_FIELDS, "subject_accounts"),
}
#: What both may get of an item.
ITEM_FIELDS: Final = ("n", "locator", "site_type", "commerciality", "hosting", "hashes", "assessment")
#: What a provider gets of a record, beside the items that it hosts.
NOTICE_FIELDS: Final = ("incident_kind", "media_kind")
NOTICE_ITEM_FIELDS: Final = ("locator", "site_type", "hashes", "assessment")


def whole_record(content: ReferralContent) -> dict[str, Any]:
    """The content as JSON, without what is absent or default: computed once per referral, shared by all edges.

    Items that have no number yet, which is those of a submission, get theirs here, from 1.
    """
    record = content.model_dump(mode="json", exclude_none=True, exclude_defaults=True, exclude={"exercise"})
    record["items"] = [{"n": n} | item for n, item in enumerate(record["items"], 1)]
    return record


def own_record(record: Mapping[str, Any]) -> bytes:
    """The record that the origin keeps of its own referral: all of it."""
    return to_json(record)


def referral_record(record: Mapping[str, Any], kind: str, withheld: Collection[str]) -> bytes:
    """The record for a hotline or an agency: what its kind may get, less what the rules withhold from it.

    Raises `Refused("recipient_without_list")` for a kind that nobody has decided about.
    """
    if kind not in RECORD_FIELDS:
        raise Refused("recipient_without_list", "no record is made for this kind of recipient", field="/recipient")
    kept = _only(record, RECORD_FIELDS[kind], withheld)
    kept["items"] = [_only(item, ITEM_FIELDS, withheld) for item in record["items"]]
    return to_json(kept)


def notice_record(
    record: Mapping[str, Any], item_providers: Sequence[Collection[str]], provider: str, *, withheld: Collection[str]
) -> bytes:
    """The record for a provider: only the items that it hosts, only what it needs to find and judge them.

    It counts them itself: the numbers of a notice say nothing of other items.
    """
    items = [
        {"n": n, "site_type": "not_determined"}
        | {name: item[name] for name in NOTICE_ITEM_FIELDS if name in item and name not in withheld}
        for n, item in enumerate(_hosted(record, item_providers, provider), 1)
    ]
    return to_json({name: record[name] for name in NOTICE_FIELDS} | {"items": items})


def notice_items(
    record: Mapping[str, Any], item_providers: Sequence[Collection[str]], provider: str
) -> tuple[int, ...]:
    """The origin's own numbers of a notice's items: the first is what the notice calls 1."""
    return tuple(item["n"] for item in _hosted(record, item_providers, provider))


def _hosted(
    record: Mapping[str, Any], item_providers: Sequence[Collection[str]], provider: str
) -> list[Mapping[str, Any]]:
    hosted = zip(record["items"], item_providers, strict=True)
    return [item for item, providers in hosted if provider in providers]


def _only(value: Mapping[str, Any], listed: Collection[str], withheld: Collection[str]) -> dict[str, Any]:
    """What is listed and not withheld, in the order in which it stands."""
    return {name: each for name, each in value.items() if name in listed and name not in withheld}
