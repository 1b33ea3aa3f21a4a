"""A preservation as ETSI TS 103 120 (V1.15.1) writes it: one HI-1 message with an action for each act, oldest first.

    preserve    LPTaskObject        the request creates it, every later act of either side updates it
    produce     LDTaskObject        the same; until when is lost: an LD task has no place for it

A mapping, checked against ETSI's schemas in tests; that a receiver's national profile takes it nobody has shown. Codes
are written as entries of a dictionary of our own: those of ETSI were not read. `docs/preservation.md` has each field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final, NamedTuple
from uuid import UUID, uuid5
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

CORE: Final = "http://uri.etsi.org/03120/common/2019/10/Core"
TASK: Final = "http://uri.etsi.org/03120/common/2020/09/Task"
COMMON: Final = "http://uri.etsi.org/03120/common/2016/02/Common"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_VERSION: Final = "V1.15.1"
_OWNER: Final = "causeway"
#: Where no country of a party is known: ISO 3166-1 leaves it to users.
NO_COUNTRY: Final = "ZZ"
#: What stands for a code in an element that wants a number; the code itself is its description.
_CODED: Final = "0"
for _prefix, _uri in (("core", CORE), ("task", TASK), ("common", COMMON), ("xsi", _XSI)):
    register_namespace(_prefix, _uri)


class Endpoint(NamedTuple):
    """A party and its country (ISO 3166-1 alpha-2), `NO_COUNTRY` where none is known."""

    party: str
    country: str


class Step(NamedTuple):
    """One act: its number of all, the state that it led to, its words as JSON has them, and when it was told."""

    by: str
    state: str
    said: Mapping[str, object]
    at: datetime


class Flow(NamedTuple):
    """A preservation, as either of its parties has it. `locations` are (kind, value)."""

    preservation_id: UUID
    preserves: bool
    instrument: str
    term: str | None
    until: date | None
    order_reference: str | None
    locations: Sequence[tuple[str, str]]
    agency: Endpoint
    provider: Endpoint
    steps: Sequence[Step]


def written(flow: Flow) -> bytes:
    """The whole flow as XML, UTF-8. Nothing of it depends on when it is written: the same flow gives the same bytes."""
    message = Element(_core("HI1Message"))
    header = SubElement(message, _core("Header"))
    _endpoint(header, _core("SenderIdentifier"), flow.agency)
    _endpoint(header, _core("ReceiverIdentifier"), flow.provider)
    _text(header, _core("TransactionIdentifier"), str(uuid5(flow.preservation_id, str(len(flow.steps)))))
    _text(header, _core("Timestamp"), flow.steps[-1].at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    version = SubElement(header, _core("Version"))
    _text(version, _core("ETSIVersion"), _VERSION)
    _text(version, _core("NationalProfileOwner"), _OWNER)
    _text(version, _core("NationalProfileVersion"), "1")
    payload = SubElement(SubElement(message, _core("Payload")), _core("RequestPayload"))
    requests = SubElement(payload, _core("ActionRequests"))
    for number, step in enumerate(flow.steps):
        request = SubElement(requests, _core("ActionRequest"))
        _text(request, _core("ActionIdentifier"), str(number))
        action = SubElement(request, _core("CREATE" if number == 0 else "UPDATE"))
        _object(action, flow, step, generation=number)
    found: bytes = tostring(message, encoding="UTF-8", xml_declaration=True)
    return found


def _object(action: Element, flow: Flow, step: Step, *, generation: int) -> None:
    kind = "LPTaskObject" if flow.preserves else "LDTaskObject"
    task = SubElement(action, _core("HI1Object"), {f"{{{_XSI}}}type": f"task:{kind}"})
    _text(task, _core("ObjectIdentifier"), str(flow.preservation_id))
    _text(task, _core("CountryCode"), flow.agency.country)
    _text(task, _core("OwnerIdentifier"), flow.agency.party)
    _text(task, _core("Generation"), str(generation))
    if flow.order_reference is not None:
        _text(task, _core("ExternalIdentifier"), flow.order_reference)
    _text(task, _core("LastChanged"), _instant(step.at))
    _entry(task, "Status", "PreservationState", value=step.state)
    if (why := _why(step)) is not None:
        reason = SubElement(task, _task("StatusReason"))
        _text(reason, _core("ErrorCode"), _CODED)
        _text(reason, _core("ErrorDescription"), why)
    if step.state == "withdrawn":
        _entry(task, "DesiredStatus", "PreservationState", value="withdrawal_acknowledged")
    _details(task, flow)
    if flow.preserves:
        _expiry(task, flow, step)
    _endpoint(task, _task("CSPID"), flow.provider)


def _details(task: Element, flow: Flow) -> None:
    details = SubElement(task, _task("RequestDetails"))
    _entry(details, "Type", "Instrument", value=flow.instrument)
    values = SubElement(details, _task("RequestValues"))
    for kind, value in flow.locations:
        one = SubElement(values, _task("RequestValue"))
        form = SubElement(one, _task("FormatType"))
        _text(form, _task("FormatOwner"), _OWNER)
        _text(form, _task("FormatName"), kind)
        _text(one, _task("Value"), value)
    if flow.term is not None:
        subtype = SubElement(details, _task("Subtype"))
        _entry(subtype, "RequestSubtype", "PreservationTerm", value=flow.term)


def _expiry(task: Element, flow: Flow, step: Step) -> None:
    """Until when the agency wants it kept, and until when it is. A day ends with its last second, UTC."""
    until = step.said.get("until")
    answered = "answer" in step.said
    wanted = until if isinstance(until, str) and not answered else flow.until and flow.until.isoformat()
    if wanted:
        _text(task, _task("DesiredPreservationExpiration"), _day_end(wanted))
    if answered and isinstance(until, str):
        _text(task, _task("PreservationExpiration"), _day_end(until))


def _why(step: Step) -> str | None:
    """The code that says why, and of what came too late, when it was removed."""
    for name in ("reason", "impossible", "removed_at"):
        if isinstance(said := step.said.get(name), str):
            return said
    return None


def _endpoint(above: Element, name: str, endpoint: Endpoint) -> None:
    element = SubElement(above, name)
    _text(element, _core("CountryCode"), endpoint.country)
    _text(element, _core("UniqueIdentifier"), endpoint.party)


def _entry(above: Element, name: str, dictionary: str, *, value: str) -> None:
    element = SubElement(above, _task(name))
    for part, text in (("Owner", _OWNER), ("Name", dictionary), ("Value", value)):
        _text(element, f"{{{COMMON}}}{part}", text)


def _text(above: Element, name: str, text: str) -> None:
    SubElement(above, name).text = text


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day_end(day: str) -> str:
    return _instant(datetime.combine(date.fromisoformat(day), time(23, 59, 59), UTC))


def _core(name: str) -> str:
    return f"{{{CORE}}}{name}"


def _task(name: str) -> str:
    return f"{{{TASK}}}{name}"
