"""The console of a service with parties, assembled on the machinery of its instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from shared.core.acts.act import Subject
from shared.core.acts.states import LOOKING, row
from shared.instance.app import gate_of
from shared.instance.machinery import InstanceParts
from shared.party.attention import AttentionRoutes, AttentionSource
from shared.party.console import subjects
from shared.party.console.lists import ListPages, LiveStream, WebhookPages
from shared.party.console.preservations import PLACE, PreservationPages
from shared.party.console.subjects import SubjectKind, SubjectPages
from shared.party.events import DueList, Events
from shared.party.origin.api.act_handlers import OriginApi
from shared.party.origin.console import pages
from shared.party.origin.console.imports import ImportPages
from shared.party.preservation.api import PreservationRoutes
from shared.party.serving import RouteContext
from shared.party.webhooks import WebhookRoutes
from shared.platform.console.frame import ROOT, Frame, NavEntry
from shared.platform.console.rendering import folders_of


class ConsoleRouter(NamedTuple):
    """The console to which pages are added before it is `closed`."""

    frame: Frame
    live: LiveStream


def party_door(
    machinery: InstanceParts,
    serving: RouteContext,
    *,
    title: str,
    menu: Sequence[NavEntry],
    kinds: Sequence[SubjectKind],
    sources: Sequence[AttentionSource],
    folders: Sequence[str],
    places: Mapping[Subject, str] = MappingProxyType({}),
    preservations: PreservationRoutes | None = None,
) -> ConsoleRouter:
    """Build the pages that every party has, and the pages of its received subjects.

    `folders` are modules with a template folder. `sources` are the sources of the attention list. `places` are the
    paths of further kinds of subjects below /console. `preservations` is set for agencies and providers only.
    """
    frame = Frame(gate_of(machinery), title, menu, folders=folders_of([*folders, subjects.__file__]))
    live = LiveStream(frame, Events(serving))
    for kind in kinds:
        SubjectPages(frame, kind, live=live)
    found = {kind.routes.recipient.subject: kind.path for kind in kinds} | dict(places)
    if preservations is not None:
        PreservationPages(frame, preservations, live=live)
        found |= {Subject.PRESERVATION: PLACE}
    attention, due = AttentionRoutes(serving, sources), DueList(serving)
    ListPages(frame, live, attention, due=due, places=found)
    WebhookPages(frame, WebhookRoutes(serving))
    return ConsoleRouter(frame, live)


def entry(title: str, path: str) -> NavEntry:
    """Return a menu entry for all roles that may read."""
    return NavEntry(title, f"{ROOT}/{path}", LOOKING)


def around(*own: NavEntry) -> Sequence[NavEntry]:
    """Return a menu: attention first, then the party's own entries, then deadlines and webhooks."""
    return entry("Attention", "attention"), *own, entry("Due", "due"), entry("Webhooks", "webhooks")


def origin_door(
    machinery: InstanceParts,
    serving: RouteContext,
    *,
    title: str,
    use: OriginApi,
    kind: SubjectKind,
    sources: Sequence[AttentionSource],
    folders: Sequence[str],
    more: Sequence[NavEntry] = (),
    preservations: PreservationRoutes | None = None,
) -> ConsoleRouter:
    """Build the pages of a party that submits its own referrals and receives one `kind` of subject.

    `more` are menu entries for pages that its service adds.
    """
    files = row(Subject.REFERRAL, "submit").roles
    menu = around(
        entry("My referrals", "referrals"),
        NavEntry("New referral", f"{ROOT}/new", files),
        NavEntry("Import", f"{ROOT}/import", files),
        entry(kind.title, kind.path),
        *more,
    )
    door = party_door(
        machinery,
        serving,
        title=title,
        menu=menu,
        kinds=[kind],
        sources=sources,
        folders=[*folders, pages.__file__],
        places={Subject.REFERRAL: "referrals"},
        preservations=preservations,
    )
    pages.ReferralPages(door.frame, use, last=door.live.last)
    ImportPages(door.frame, use)
    return door
