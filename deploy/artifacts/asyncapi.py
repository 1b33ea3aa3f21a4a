"""The AsyncAPI 3.0 document of the exchange: topics, messages, and which service sends and receives what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from deploy.artifacts.correspondents import ROUTES, messages_on, pairs, readers_of, topics
from deploy.artifacts.delivery_records import describe_records, list_records
from deploy.artifacts.schemas import PlainSchema, meaning, message_name, open_schema
from shared.contracts.directory import Approval, DocumentActivated
from shared.contracts.documents import SignedBeat
from shared.contracts.registry import Family, MessageType
from shared.envelope.attributes import CONTENT_TYPE, COVERED, SPEC_VERSION, TIME_STEP_S, Tier
from shared.envelope.headers import PLACE, SALT, TRACEPARENT
from shared.envelope.spelling import (
    EXTENSION,
    EXTENSION_CHARACTERS_MAX,
    EXTENSIONS_CHARACTERS_MAX,
    EXTENSIONS_MAX,
)
from shared.exchange.topics import AUDIT, inbox_prefix
from shared.runtime.kafka.documents import DIRECTORY_TOPIC, PublishedDocument

PUBLISHED: Final = "published_document.v1"
BEAT: Final = "signed_beat.v1"
_JSON: Final = "application/json"
#: What the directory topic holds.
OF_DIRECTORY: Final = {PUBLISHED: PublishedDocument, BEAT: SignedBeat}
_SCHEMA_REF: Final = "#/components/schemas/{model}"
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$"}

#: What each header holds, beyond being 1 to 256 visible ASCII characters.
HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ce_dataschema": {"format": "uri", "description": "The JSON Schema of the clear part."},
    "ce_exercise": {"enum": ["true", "false"]},
    "ce_guard": {
        "pattern": "^[0-9a-f]{32} (normal|released)$",
        "description": "The edition of the guard that the texts passed, and whether anybody released one of them.",
    },
    "ce_id": {"format": "uuid", "description": "The message's id, a UUID of version 7 of `ce_time`."},
    "ce_recipient": {"description": "The recipient party; the recipient instance for facts."},
    "ce_sender": {"description": "The sender party; the instance itself for facts."},
    "ce_source": {"pattern": "^/instances/[A-Za-z0-9._~-]+$"},
    "ce_specversion": {"const": SPEC_VERSION},
    "ce_subject": {"description": "The Kafka key: referral, notice or preservation id, or one of the fact's own."},
    "ce_tier": {"enum": [tier.value for tier in Tier], "description": "Who holds the signing key."},
    "ce_time": {
        "format": "date-time",
        "pattern": "0Z$",
        "description": f"When the message was written, cut to {TIME_STEP_S} s.",
    },
    "ce_type": {"pattern": "^causeway[.][a-z_]+[.]v[0-9]+$"},
    "content-type": {"const": CONTENT_TYPE},
}
#: The headers of one copy of a message: no signature of evidence covers them.
OF_A_COPY: Final[Mapping[str, Mapping[str, Any]]] = {
    SALT: {
        "type": "string",
        "pattern": "^[0-9a-f]{32}$",
        "description": "16 random bytes in hexadecimal: the start of the message's leaf.",
    },
    PLACE: {
        "type": "string",
        "pattern": "^[0-9a-f]{48}$",
        "description": "The incarnation of the stream, 16 bytes, and the number in it, 8 bytes, big-endian, in "
        "hexadecimal. The proof record before the message signs it.",
    },
    TRACEPARENT: {"type": "string", "description": "W3C Trace Context: telemetry, neither signed nor evidence."},
}
_VALUE: Final = (
    "The value is the clear part as canonical JSON, a line feed, and the sealed part as bytes. The payload schema is "
    "that of the clear part."
)


def asyncapi() -> dict[str, Any]:
    """The whole document, self-contained."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Causeway exchange",
            "version": "1",
            "description": "Referral metadata between hotlines, law enforcement and industry. Organisations never "
            "connect to Kafka: they use the HTTP interfaces of the services. Within a version of a message only "
            "optional members are added. The channels are those of one instance of each kind; any two instances have "
            "topics of their own, `causeway.inbox.<to>.<from>.v1`. Beside these messages a topic holds proof records, "
            "acknowledgements and the messages of delivery itself: `docs/messages.md`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "kafka.example:9093",
                "protocol": "kafka-secure",
                "description": "One principal per instance: it alone writes its topics, and reads those written to it.",
            }
        },
        "channels": {topic: _channel(topic) for topic in topics()},
        "operations": _operations(),
        "components": {
            "messages": {message_name(message): _message(message) for message in ROUTES}
            | describe_records()
            | _published(),
            "schemas": _schemas(),
        },
    }


def _channel(topic: str) -> dict[str, Any]:
    names, stated = names_on(topic), topics()[topic]
    return {
        "address": topic,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": stated.partitions,
                "topicConfiguration": _configuration(stated.config),
            }
        },
    }


def names_on(topic: str) -> list[str]:
    """Return the names of all records that a topic may hold; none for a topic that is not of this installation."""
    if topic == DIRECTORY_TOPIC:
        return [*OF_DIRECTORY]
    pair = pairs().get(topic)
    of_delivery = () if pair is None else list_records(pair)
    return [*map(message_name, messages_on(topic)), *of_delivery]


def _configuration(config: Mapping[str, str]) -> dict[str, Any]:
    """The part of a topic's configuration that the Kafka binding has names for."""
    numbers = {name: int(config[name]) for name in ("retention.ms", "max.message.bytes") if name in config}
    return {"cleanup.policy": [config["cleanup.policy"]]} | numbers


def _operations() -> dict[str, Any]:
    """For every service what it sends into each topic, and what it receives from each."""
    found: dict[str, Any] = {}
    for topic in topics():
        names = names_on(topic)
        if pair := pairs().get(topic):
            found[f"{pair.sender}.send.{_short(topic)}"] = _operation("send", topic, names)
        for reader in readers_of(topic):
            found[f"{reader}.receive.{_short(topic)}"] = _operation("receive", topic, names)
    found["operator.send.directory"] = _operation("send", DIRECTORY_TOPIC, [*OF_DIRECTORY])
    return found


def _operation(action: str, topic: str, names: list[str]) -> dict[str, Any]:
    channel = f"#/channels/{topic}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in names],
    }


def _short(topic: str) -> str:
    return topic.removeprefix("causeway.").removesuffix(".v1")


def _message(message: MessageType) -> dict[str, Any]:
    return {
        "name": message.type,
        "title": message_name(message),
        "summary": meaning(message),
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": "#/components/schemas/headers"},
        "description": _VALUE,
        "payload": {"$ref": _SCHEMA_REF.format(model=message.clear.__name__)},
        "tags": [{"name": message.family.value, "description": _FAMILIES[message.family]}],
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
    }


def _published() -> dict[str, Any]:
    """Records of the directory topic are no CloudEvents: approvers or a beat key sign them, not an instance."""
    return {
        name: {
            "name": name,
            "title": name,
            "summary": (model.__doc__ or "").strip(),
            "contentType": _JSON,
            "payload": {"$ref": _SCHEMA_REF.format(model=model.__name__)},
        }
        for name, model in OF_DIRECTORY.items()
    }


def _schemas() -> dict[str, Any]:
    clear = dict.fromkeys(message.clear for message in ROUTES)
    listed = [(model, "validation") for model in (*clear, *OF_DIRECTORY.values())]
    _, found = models_json_schema(listed, ref_template=_SCHEMA_REF, schema_generator=PlainSchema)  # type: ignore[arg-type]
    schemas: dict[str, Any] = found["$defs"]
    for around in (*OF_DIRECTORY.values(), DocumentActivated, Approval):
        open_schema(schemas[around.__name__])
    stated = {name: _TEXT | dict(rule) for name, rule in HEADERS.items()}
    extensions = {
        f"^{EXTENSION}$": _TEXT
        | {
            "maxLength": EXTENSION_CHARACTERS_MAX,
            "description": "Of a later release: covered by the signature, ignored. "
            f"At most {EXTENSIONS_MAX}, of {EXTENSIONS_CHARACTERS_MAX} characters in all.",
        }
    }
    headers = {
        "type": "object",
        "required": [*COVERED, SALT, PLACE],
        "properties": stated | {name: dict(rule) for name, rule in OF_A_COPY.items()},
        "patternProperties": extensions,
    }
    return schemas | {"headers": headers}


#: Each family, for people.
_FAMILIES: Final = {
    Family.REFERRAL: "Between two parties, keyed by referral id.",
    Family.NOTICE: "Between two parties, keyed by notice id.",
    Family.PRESERVATION: "Between an agency and a provider, keyed by preservation id.",
    Family.FACT: f"Of an instance itself, to audit on {inbox_prefix(AUDIT)}<from>.v1; what it reads also to its peers.",
}
