"""Rerouting: what a provider does not host is sent to the one that does. An amendment, caused by an answer.

To each item that was disowned a hosting observation is appended. What was observed before stays, but that it names who
has disowned it: of these items the first provider is told no more, and the other is told as if it had been first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date
from typing import Final
from uuid import UUID

from shared.contracts.base import Contract, PartyId, Uuid
from shared.contracts.referral import Hosting, NumberedItem, ReferralRecord
from shared.guard import as_kept
from shared.kernel.errors import Refused
from shared.party.origin.domain import AmendedReferral
from shared.party.origin.records import DisownedItems
from shared.party.origin.use_cases.amend import REROUTE, Change, Changing, change
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.referral import AmendmentCause, HostingMethod
from shared.vocabulary.routing import PartyKind

#: An item has so many hosting observations: an older one makes room.
HOSTING_MAX: Final = 4


class Rerouting(Contract):
    """Whose answer it is that sends items elsewhere, and where; whom that answer names, if nobody is said."""

    notice_id: Uuid
    provider: PartyId | None = None


async def reroute_referral(
    referral_id: UUID, wanted: Rerouting, changing: Changing, *, body_sha256: str
) -> AmendedReferral:
    """Send what a notice's provider has disowned to the one that hosts it.

    Raises `Refused`: as `Changing.found`, `notice_unknown`, `nothing_disowned`, `provider_needed` where the answer
    names nobody, `provider_unknown`, and whatever `change` refuses.
    """
    directory = changing.documents().directory
    found = await changing.found(referral_id, REROUTE)
    disowned = await changing.amendments.disowned(referral_id, wanted.notice_id)
    if disowned is None:
        raise Refused("notice_unknown", "the referral has no such notice", field="/notice_id")
    hosts = _hosts(disowned, wanted.provider, directory)
    assert found.content is not None
    record = as_kept(ReferralRecord.model_validate_json(found.content))
    on = changing.at.astimezone(UTC).date()
    items = tuple(
        each if each.n not in hosts else _moved(each, disowned.recipient, hosts[each.n], directory=directory, on=on)
        for each in record.items
    )
    content = record.model_copy(update={"items": items})
    return await change(found, Change(REROUTE, AmendmentCause.REROUTED, content, body_sha256), changing)


def _hosts(disowned: DisownedItems, provider: str | None, directory: DirectoryIndex) -> Mapping[int, str]:
    """Who hosts each item instead, by the item's number."""
    hosts = {n: provider or suggested for n, suggested in disowned.items.items()}
    if not hosts:
        raise Refused("nothing_disowned", "its provider has disowned nothing that is still asked of it", status=409)
    found = {}
    for n, host in hosts.items():
        if host is None:
            raise Refused("provider_needed", "the answer names nobody: say who hosts it", field="/provider")
        party = directory.party(host)
        if party is None or party.kind != PartyKind.INDUSTRY or party.id == disowned.recipient:
            raise Refused("provider_unknown", "no other provider of the directory", field="/provider")
        found[n] = party.id
    return found


def _moved(item: NumberedItem, before: str, host: str, *, directory: DirectoryIndex, on: date) -> NumberedItem:
    """The item as it is hosted: where it was observed stays, without who has disowned it."""
    kept = [
        each
        for each in (_without(each, before, directory=directory, on=on) for each in item.hosting)
        if each is not None
    ]
    observed = Hosting(provider=host, method=HostingMethod.PROVIDER, observed_on=on)
    return item.model_copy(update={"hosting": (*kept[1 - HOSTING_MAX :], observed)})


def _without(hosting: Hosting, provider: str, *, directory: DirectoryIndex, on: date) -> Hosting | None:
    """The observation without this provider; nothing where it says nothing else."""
    stated = None if hosting.provider is None else directory.party_by_alias(hosting.provider, on) or hosting.provider
    by_asn = None if hosting.asn is None else directory.provider_by_asn(hosting.asn, on)
    if provider not in (stated, by_asn):
        return hosting
    left = hosting.model_copy(update={"provider": None, "asn": None})
    return None if left.jurisdiction is None else left
