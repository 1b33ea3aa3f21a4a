"""JSON Schemas (2020-12) of messages, sealed records and documents, and each message's sender and recipient.

The schemas are those of the models that recipients use. The pages of the services (`services/*/README.md`) match the
table of routes; a test compares them. The table names kinds of service; topics are those of default instances, whose
ids are the names of their kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import CoreSchema

from deploy.kafka.provision import TopicRule, manifest_of
from shared.catalog import CATALOG
from shared.core.canonical import Json
from shared.core.contracts.base import Contract
from shared.core.contracts.directory import Beat, Directory, DocumentActivated, SignedBeat
from shared.core.contracts.policy import Policy
from shared.core.contracts.referral import ReferralSubmission
from shared.core.contracts.registry import MessageType, schema_uri
from shared.core.protocol.authority import AUDIT, InstancePair, cells_of, pairs_of
from shared.core.protocol.read_capabilities import own_reads
from shared.core.vocabulary.routing import PartyKind
from shared.delivery.control import CONTROL_TYPES
from shared.platform.kafka.documents import DIRECTORY_TOPIC, PublishedDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Bodies that are not messages: submissions, and records of the directory topic.
OF_DIRECTORY: dict[str, type[Contract]] = {"published_document.v1": PublishedDocument, "signed_beat.v1": SignedBeat}
DOCUMENTS: dict[str, type[Contract]] = {
    "referral_submission.v1": ReferralSubmission,
    "directory.v1": Directory,
    "policy.v1": Policy,
    "document_activated.v1": DocumentActivated,
    **OF_DIRECTORY,
}
#: Documents that are read leniently: a member that the schema does not list is ignored; see
#: `shared.core.contracts.directory`.
LENIENT = DOCUMENTS.keys() - {"referral_submission.v1"}
#: The part of them that stays closed, because its exact members are signed.
_SIGNED = Beat.__name__


#: All messages, in the order in which an instance announces them.
MESSAGES: Final = [
    message for named in own_reads(CATALOG).messages for message in CATALOG.messages if message.name == named.name
]


class PlainSchema(GenerateJsonSchema):
    """A schema without titles that repeat field names, absence as a default, and OpenAPI's union keyword."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def generate(self, schema: CoreSchema, mode: Any = "validation") -> JsonSchemaValue:
        document = super().generate(schema, mode)
        _tidy(document)
        return document


def models() -> dict[str, type[Contract]]:
    """Return every published model by schema name: clear parts of messages, their sealed parts, documents."""
    found: dict[str, type[Contract]] = {}
    for message in CATALOG.messages:
        found[message_name(message)] = message.clear
        if message.sealed is not None:
            found[f"{message_name(message)}.sealed"] = message.sealed
    return found | DOCUMENTS


def message_name(message: MessageType) -> str:
    """Return the name of a message's schema and examples, for example `notice_issued.v1`."""
    return f"{message.name}.v{message.version}"


def schema_of(name: str) -> Json:
    """Return the JSON Schema published under `schema_uri(name)`."""
    model: type[BaseModel] = models()[name]
    schema = model.model_json_schema(schema_generator=PlainSchema)
    if name in LENIENT:
        open_schema(schema)
    return {"$schema": DIALECT, "$id": schema_uri(name)} | schema | _described(name)


def schemas_of_messages() -> Json:
    """Return the schema of each clear part and record of the directory topic, as AsyncAPI refers to them."""
    listed = [
        (model, "validation") for model in (*dict.fromkeys(each.clear for each in MESSAGES), *OF_DIRECTORY.values())
    ]
    _, found = models_json_schema(listed, ref_template="#/components/schemas/{model}", schema_generator=PlainSchema)  # type: ignore[arg-type]
    schemas: Json = found["$defs"]
    for around in ("PublishedDocument", "SignedBeat", "DocumentActivated", "Approval"):
        open_schema(schemas[around])
    return schemas


def _described(name: str) -> dict[str, str]:
    """Return the title and description of a schema; a message's meaning is its clear part's docstring."""
    said = next((meaning(message) for message in CATALOG.messages if message_name(message) == name), None)
    return {"title": name} | ({} if said is None else {"description": said})


def meaning(message: MessageType) -> str:
    """Return the meaning of the message: the docstring of its clear part."""
    return " ".join((message.clear.__doc__ or "").split())


def open_schema(node: object) -> None:
    """Allow members that the schema does not list, for lenient readers."""
    if isinstance(node, dict):
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
        for name, child in node.items():
            if name != _SIGNED:
                open_schema(child)
    elif isinstance(node, list):
        for child in node:
            open_schema(child)


def _tidy(node: object) -> None:
    if isinstance(node, dict):
        node.pop("discriminator", None)
        if node.get("default", ...) is None:
            del node["default"]
        for child in node.values():
            _tidy(child)
    elif isinstance(node, list):
        for child in node:
            _tidy(child)


#: The default instances, by id, with their kind.
KINDS: Final[Mapping[str, str]] = {
    **{name: name for name in ("hotline", "law_enforcement", "industry")},
    AUDIT: PartyKind.AUDITOR,
}
#: The messages of delivery itself, by the name of their CloudEvents type without `causeway.`.
CONTROL: Final = tuple(sorted(type_text.removeprefix("causeway.") for type_text in CONTROL_TYPES.values()))


class Route(NamedTuple):
    """The kinds of service that send a message and those that receive it."""

    senders: tuple[str, ...]
    recipients: tuple[str, ...]


def _route(message: MessageType) -> Route:
    """Return the permitted senders and recipients, with kinds in the order of every page."""
    cells = cells_of(message, CATALOG)
    senders, recipients = {cell.sender for cell in cells}, {cell.recipient for cell in cells}
    return Route(
        tuple(name for name, kind in KINDS.items() if kind in senders),
        tuple(name for name, kind in KINDS.items() if kind in recipients),
    )


ROUTES: Final[Mapping[MessageType, Route]] = {message: _route(message) for message in MESSAGES}


def topics() -> Mapping[str, TopicRule]:
    """Return every topic of the default instances, as `causeway topics apply` makes them."""
    return manifest_of(KINDS).topics


@cache
def pairs() -> Mapping[str, InstancePair]:
    """Return the permitted writer and reader of each topic."""
    return {pair.topic: pair for pair in pairs_of(KINDS)}


def messages_on(topic: str) -> tuple[MessageType, ...]:
    """Return the messages that are written to a topic, in the order of the registry."""
    pair = pairs().get(topic)
    if pair is None:
        return ()
    return tuple(each for each, route in ROUTES.items() if pair.sender in route.senders and pair.to in route.recipients)


def names_on(topic: str) -> list[str]:
    """Return the names of all records that a topic may hold.

    A topic of another installation has none. Of the records of delivery audit writes only acknowledgements,
    and none of its messages is sent to audit.
    """
    if topic == DIRECTORY_TOPIC:
        return [*OF_DIRECTORY]
    if (pair := pairs().get(topic)) is None:
        return []
    proofs = [] if pair.sender == AUDIT else ["proof_record.v1"]
    control = () if AUDIT in (pair.sender, pair.to) else CONTROL
    return [*map(message_name, messages_on(topic)), *proofs, "acknowledgement.v1", *control]


def readers_of(topic: str) -> tuple[str, ...]:
    """Return the services that read a topic. Audit reads every topic."""
    if topic == DIRECTORY_TOPIC:
        return tuple(KINDS)
    pair = pairs().get(topic)
    return () if pair is None else tuple(dict.fromkeys((pair.to, AUDIT)))
