"""What one recipient needs for one purpose, and nothing more: the plaintext of its sealed part."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from shared.contracts.referral import ReferralContent
from shared.vocabulary.routing import PartyKind, WithheldField

_NOTICE_ITEM_FIELDS = ("locator", "site_type", "hashes", "assessment")


def whole_record(content: ReferralContent) -> dict[str, Any]:
    """The content as JSON, without what is absent or default: computed once per referral, shared by all edges."""
    return content.model_dump(mode="json", exclude_none=True, exclude_defaults=True, exclude={"exercise"})


def referral_record(record: Mapping[str, Any], kind: str, withheld: Collection[str]) -> bytes:
    """The record for a hotline or an agency. Reported accounts go to law enforcement only, whatever the rules say."""
    hidden = set(withheld)
    if kind != PartyKind.LAW_ENFORCEMENT:
        hidden.add(WithheldField.SUBJECT_ACCOUNTS)
    kept = {name: value for name, value in record.items() if name not in hidden}
    items_without = hidden & {WithheldField.HASHES, WithheldField.ASSESSMENT}
    if items_without:
        kept["items"] = [_without(item, items_without) for item in record["items"]]
    return _encoded(kept)


def notice_record(
    record: Mapping[str, Any], item_providers: Sequence[Collection[str]], provider: str, *, withheld: Collection[str]
) -> bytes:
    """The record for a provider: only the items that it hosts, only what it needs to find and judge them."""
    hidden = set(withheld)
    items = [
        {"site_type": "not_determined"}
        | {name: item[name] for name in _NOTICE_ITEM_FIELDS if name in item and name not in hidden}
        for item, providers in zip(record["items"], item_providers, strict=True)
        if provider in providers
    ]
    return _encoded({"incident_kind": record["incident_kind"], "media_kind": record["media_kind"], "items": items})


def _without(item: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


def _encoded(value: Mapping[str, Any]) -> bytes:
    return to_json(value)
