"""Pages for auditors: a search for flows, one flow as a picture and a table, and the state of each topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import date
from typing import Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from services.audit import use_cases
from services.audit.domain.entries import AUTHORITY
from services.audit.domain.proof import ProofView
from services.audit.domain.shown import Access, Accounts, EntryView, FlowFilter, PairAccount, ScopeSet
from services.audit.store.entries import PostgresEntries, PostgresPartitions
from shared.catalog import CATALOG
from shared.core.authority import Role
from shared.core.clock import Clock
from shared.core.contracts.base import PartyId
from shared.core.contracts.registry import name_of
from shared.core.errors import Refused
from shared.messaging.placement import PlaceKeys
from shared.platform.console.forms import PageInput
from shared.platform.console.frame import HEADERS, ROOT, Frame, NavEntry
from shared.platform.http.identity import Identity

PATH: Final = f"{ROOT}/flows"
FOLDERS: Final = (__file__,)
_AUDITORS: Final = frozenset({Role.AUDITOR})
MENU: Final = (
    NavEntry("Flows", PATH, _AUDITORS),
    NavEntry("Record access", f"{ROOT}/accesses", _AUDITORS),
    NavEntry("Reconciliation", f"{ROOT}/reconciliation", _AUDITORS),
    NavEntry("Topics", f"{ROOT}/topics", _AUDITORS),
)
_ROWS_OF_A_PAGE: Final = 50
#: The number of pairs, and of differences, on one page.
ROWS_MAX: Final = 200
TERMS: Final = tuple(name for name in PairAccount.model_fields if name not in ("sender", "recipient", "exercise"))
_PARTY: Final = TypeAdapter[str](PartyId)


class Arrow(NamedTuple):
    """One message in a picture: its number in the table, its sender, recipient and name."""

    number: int
    sender: str
    recipient: str
    name: str


@dataclass(eq=False)
class FlowPages:
    """The pages' handlers. Every access is recorded with its purpose; a page asks for a missing purpose first."""

    frame: Frame
    entries: PostgresEntries
    partitions: PostgresPartitions
    _: KW_ONLY
    clock: Clock
    within: Callable[[Identity], ScopeSet | None]
    keys: PlaceKeys

    def __post_init__(self) -> None:
        self.frame.get("/flows", self._find)
        self.frame.get("/flows/{id}/{digest}/proof", self._kept_proof)
        self._get("/flows/{id}", "flow", self._flow)
        self._get("/flows/{id}/{digest}", "flow", self._proof)
        self._get("/accesses", "flow", self._accesses)
        self._get("/reconciliation", "flow", self._reconciliation)
        self._get("/topics", "topic", self._topics)

    def _get(self, path: str, resource: str, shown: Callable[[PageInput], Awaitable[Response]]) -> None:
        """Serve a page to auditors after they have stated their purpose."""

        async def answer(asked: PageInput) -> Response:
            AUTHORITY.require(resource, asked.identity.role, action="read", state="any")
            if asked.query("purpose") is None:
                return self.frame.page(asked, "purpose.html", {"path": asked.path})
            return await shown(asked)

        self.frame.get(path, answer)

    async def _find(self, asked: PageInput) -> Response:
        AUTHORITY.require("flow", asked.identity.role, action="read", state="any")
        if asked.query("purpose") is None:
            return self._found(asked, None)
        try:
            sought = self._sought(asked)
            look, cursor = self._look(asked), asked.query("cursor")
            found = await use_cases.find_flows(sought, look, entries=self.entries, cursor=cursor)
        except Refused as error:
            if error.code == "forbidden":
                raise
            field = {"purpose_missing": "purpose"}.get(error.code, (error.field or "").rpartition("/")[2])
            return self._found(asked, None, status=error.status, problems=[(field, error.detail)])
        return self._found(asked, found)

    def _found(
        self, asked: PageInput, found: object, *, status: int = 200, problems: list[tuple[str, str]] | None = None
    ) -> Response:
        said = {name: asked.query(name) or "" for name in ("purpose", "party", "since", "until", "reference")}
        again = urlencode({name: text for name, text in said.items() if text})
        views = {"found": found, "said": said, "again": again, "problems": problems or [], "keep": _kept_purpose(asked)}
        return self.frame.page(asked, "flows.html", views, status=status)

    def _sought(self, asked: PageInput) -> FlowFilter:
        """Return the search. Raises `Refused`: `parameter_invalid`, `day_malformed`, `reference_malformed`."""
        reference = asked.query("reference")
        try:
            known = None if reference is None else UUID(reference)
        except ValueError:
            raise Refused(
                "reference_malformed", "the id of a referral, notice or message", field="/reference"
            ) from None
        days = {"since": _day(asked, "since"), "until": _day(asked, "until")}
        return FlowFilter.of(_party(asked), known, **days, now=self.clock.now())

    async def _flow(self, asked: PageInput) -> Response:
        cursor = asked.query("cursor")
        flow = await use_cases.show_flow(asked.id(), self._look(asked), entries=self.entries, cursor=cursor)
        arrows = [_arrow(each) for each in flow.messages]
        parties = (party for arrow in arrows for party in (arrow.sender, arrow.recipient))
        views = {
            "flow": flow,
            "names": {each.number: each.name for each in arrows},
            "arrows": arrows,
            "lives": {party: 200 * place + 100 for place, party in enumerate(dict.fromkeys(parties))},
            "keep": _kept_purpose(asked),
            "proof": _kept_page(asked),
        }
        return self.frame.page(asked, "flow.html", views)

    async def _proof(self, asked: PageInput) -> Response:
        """Show the stored proof of one message of a flow."""
        entry, proof = await self._proven(asked)
        views = {"entry": entry, "proof": proof, "name": _arrow(entry).name, "flow": asked.id()}
        return self.frame.page(asked, "proof.html", views | {"keep": _kept_page(asked)})

    async def _kept_proof(self, asked: PageInput) -> Response:
        """Return the proof of one message as a file, for offline verification."""
        _, proof = await self._proven(asked)
        name = f"record-{proof.digest[:16]}-proof.json"
        headers = dict(HEADERS) | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(proof.model_dump_json(), media_type="application/json", headers=headers)

    async def _proven(self, asked: PageInput) -> tuple[EntryView, ProofView]:
        of, look = (asked.id(), str(asked.request.path_params["digest"])), self._look(asked)
        return await use_cases.show_proof(*of, look, entries=self.entries, keys=self.keys, cursor=asked.query("cursor"))

    async def _accesses(self, asked: PageInput) -> Response:
        """Show the accesses of the auditor's organisation. Record accesses at a party are shown in the flow."""
        look, cursor = self._look(asked), asked.query("cursor")
        found = await use_cases.show_accesses(look, cursor=cursor, limit=_ROWS_OF_A_PAGE, entries=self.entries)
        return self.frame.page(asked, "accesses.html", {"listed": found, "keep": _kept_purpose(asked)})

    async def _reconciliation(self, asked: PageInput) -> Response:
        """Show the operator's reconciliation of all sides, within the scope. Differences come first."""
        look, cursor = self._look(asked), asked.query("cursor")
        shown = await use_cases.show_accounts(look, cursor=cursor, entries=self.entries)
        views = {"listed": shown, "most": ROWS_MAX, "keep": _kept_purpose(asked), "terms": TERMS}
        return self.frame.page(asked, "reconciliation.html", views | {"sums": _sums(shown.accounts)})

    async def _topics(self, asked: PageInput) -> Response:
        found = await use_cases.show_topics(self._look(asked), entries=self.entries, partitions=self.partitions)
        return self.frame.page(asked, "topics.html", {"listed": found})

    def _look(self, asked: PageInput) -> Access:
        who = asked.identity
        return Access(who.party, who.role, who.exercise, asked.query("purpose"), self.within(who), who.actor)


def _kept_purpose(asked: PageInput) -> str:
    return urlencode({"purpose": asked.query("purpose") or ""})


def _kept_page(asked: PageInput) -> str:
    """Return the purpose and the page of a flow, for the links to its messages."""
    cursor = asked.query("cursor")
    return _kept_purpose(asked) + ("" if cursor is None else "&" + urlencode({"cursor": cursor}))


def _sums(accounts: Accounts | None) -> Mapping[str, int]:
    """Return the sums over all pairs in scope, listed or not."""
    pairs = () if accounts is None else accounts.pairs
    return {name: sum(getattr(each, name) for each in pairs) for name in TERMS}


def _party(asked: PageInput) -> str | None:
    """Return the party of the search. It is stored with the access, so only a valid party id is accepted."""
    said = asked.query("party")
    try:
        return None if said is None else _PARTY.validate_python(said)
    except ValidationError:
        raise Refused("parameter_invalid", "a party's id, such as police-nl.example", field="/party") from None


def _day(asked: PageInput, name: str) -> date | None:
    said = asked.query(name)
    if said is None:
        return None
    try:
        found = date.fromisoformat(said)
    except ValueError:
        found = None
    # The year is bounded, so that the day after the last one exists.
    if found is None or not 2000 <= found.year < 2100:
        raise Refused("day_malformed", "a day such as 2026-05-04", field=f"/{name}")
    return found


def _arrow(entry: EntryView) -> Arrow:
    name = name_of(entry.type or "")
    name = name if CATALOG.knows(name) else entry.kind.value
    sender = entry.sender or "unknown"
    return Arrow(entry.position, sender, entry.recipient or sender, name.replace("_", " "))
