"""The AsyncAPI 3.0 document of the exchange: topics, messages, and which service sends and receives what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from deploy.artifacts.correspondents import ROUTES, messages_on, pairs, readers_of, topics
from deploy.artifacts.schemas import PlainSchema, meaning, message_name, open_schema
from shared.contracts.directory import Approval, DocumentActivated
from shared.contracts.documents import SignedBeat
from shared.contracts.registry import Family, MessageType, value_model
from shared.envelope.attributes import (
    BATCH_SIZE_MAX,
    CONTENT_TYPE,
    COVERED,
    PROOF,
    SEQUENCE_MAX,
    SPEC_VERSION,
    TIME_STEP_S,
    Tier,
)
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
#: What the directory topic holds.
OF_DIRECTORY: Final = {PUBLISHED: PublishedDocument, BEAT: SignedBeat}
_SCHEMA_REF: Final = "#/components/schemas/{model}"
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$"}

#: What each header holds, beyond being 1 to 256 visible ASCII characters.
HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ce_dataschema": {"format": "uri", "description": "The JSON Schema of the value."},
    "ce_epoch": {"format": "uuid", "description": "The life of the counter that gave out the number, of version 7."},
    "ce_exercise": {"enum": ["true", "false"]},
    "ce_guard": {
        "pattern": "^[0-9a-f]{32} (normal|released)$",
        "description": "The edition of the guard that the texts passed, and whether anybody released one of them.",
    },
    "ce_id": {"format": "uuid", "description": "The message's id, a UUID of version 7 of `ce_time`."},
    "ce_keyid": {"description": "The key that signed the batch, as the directory names it."},
    "ce_recipient": {"description": "The recipient party; the recipient instance for receipts; `audit` for facts."},
    "ce_sender": {"description": "The sender party; the instance itself for receipts and facts."},
    "ce_sequence": {
        "pattern": "^(0|[1-9][0-9]*)$",
        "description": f"Dense per (sender, recipient, epoch), ≤ {SEQUENCE_MAX}.",
    },
    "ce_source": {"pattern": "^/instances/[A-Za-z0-9._~-]+$"},
    "ce_specversion": {"const": SPEC_VERSION},
    "ce_subject": {"description": "The Kafka key: referral id, notice id, or an id of the receipt's or fact's own."},
    "ce_tier": {"enum": [tier.value for tier in Tier], "description": "Who holds the signing key."},
    "ce_time": {
        "format": "date-time",
        "pattern": "0Z$",
        "description": f"When the message was written, cut to {TIME_STEP_S} s.",
    },
    "ce_type": {"pattern": "^causeway[.][a-z_]+[.]v[0-9]+$"},
    "content-type": {"const": CONTENT_TYPE},
    "ce_prevepoch": {"description": "On the first message of an epoch: the one before it, or `unknown`."},
    "ce_prevlast": {
        "description": "On the first message of an epoch: the last number of the one before, or `unknown`."
    },
    "ce_batchroot": {
        "pattern": "^[0-9a-f]{64}$",
        "description": "RFC 6962 root of what one recipient is sent together.",
    },
    "ce_batchsig": {"pattern": "^[A-Za-z0-9_-]{86}$", "description": "Ed25519 signature over the root."},
    "ce_batchindex": {"pattern": "^(0|[1-9][0-9]*)$"},
    "ce_batchsize": {"pattern": "^[1-9][0-9]*$", "description": f"At most {BATCH_SIZE_MAX}."},
    "ce_batchpath": {"description": "The hashes from leaf to root, base64url.", "minLength": 0, "maxLength": 683},
}


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
            "topics of their own, `causeway.inbox.<to>.<from>.v1`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "kafka.example:9093",
                "protocol": "kafka-secure",
                "description": "One principal per instance: it alone writes its topics, and reads what it is told.",
            }
        },
        "channels": {topic: _channel(topic) for topic in topics()},
        "operations": _operations(),
        "components": {
            "messages": {message_name(message): _message(message) for message in ROUTES} | _published(),
            "schemas": _schemas(),
        },
    }


def _channel(topic: str) -> dict[str, Any]:
    names = [*OF_DIRECTORY] if topic == DIRECTORY_TOPIC else [message_name(message) for message in messages_on(topic)]
    stated = topics()[topic]
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


def _configuration(config: Mapping[str, str]) -> dict[str, Any]:
    """The part of a topic's configuration that the Kafka binding has names for."""
    numbers = {name: int(config[name]) for name in ("retention.ms", "max.message.bytes") if name in config}
    return {"cleanup.policy": [config["cleanup.policy"]]} | numbers


def _operations() -> dict[str, Any]:
    """For every service what it sends into each topic, and what it receives from each."""
    found: dict[str, Any] = {}
    for topic in topics():
        names = [*OF_DIRECTORY] if topic == DIRECTORY_TOPIC else [message_name(each) for each in messages_on(topic)]
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
        "payload": {"$ref": _SCHEMA_REF.format(model=value_model(message).__name__)},
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
            "contentType": CONTENT_TYPE,
            "payload": {"$ref": _SCHEMA_REF.format(model=model.__name__)},
        }
        for name, model in OF_DIRECTORY.items()
    }


def _schemas() -> dict[str, Any]:
    values = [value_model(message) for message in ROUTES]
    listed = [(model, "validation") for model in (*values, *OF_DIRECTORY.values())]
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
    trace = {"type": "string", "description": "W3C Trace Context: telemetry, neither signed nor evidence."}
    headers = {
        "type": "object",
        "required": sorted((*COVERED, *PROOF)),
        "properties": stated | {"traceparent": trace},
        "patternProperties": extensions,
    }
    return schemas | {"headers": headers}


#: How each family is delivered, for people.
_FAMILIES: Final = {
    Family.REFERRAL: "Between two parties, keyed by referral id: sequenced, receipted, counted.",
    Family.NOTICE: "Between two parties, keyed by notice id: sequenced, receipted, counted.",
    Family.PRESERVATION: "Between an agency and a provider, keyed by preservation id: sequenced, receipted, counted.",
    Family.RECEIPT: "Between two instances: sequenced, neither receipted nor counted.",
    Family.DELIVERY: "Between two instances, audit among them, about delivery itself: neither receipted nor counted.",
    Family.FACT: f"To audit alone, on {inbox_prefix(AUDIT)}<from>.v1: sequenced, not receipted.",
}
