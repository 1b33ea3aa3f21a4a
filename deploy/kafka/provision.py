"""Apply the topics, users and access rules of a manifest to a cluster, and report differences.

Replication is the cluster's default. A rule that is not in the manifest is removed, and Kafka refuses everything
without a rule: so only the super user `admin` may write the directory topic. READ and WRITE each imply DESCRIBE, which
shows the length of a topic: no principal has either on the topic of another pair. An idempotent producer needs no right
beyond WRITE.

Quotas: the broker delays responses to a principal above its quota. It rejects and drops nothing. The admin client does
not support quotas, so this module sends the two requests of Kafka's protocol (KIP-546) itself.

A manifest is derived from a directory: topics, access rules and quotas of its instances.

    causeway.inbox.<to>.<from>.v1   <from> writes it and reads it back; <to> and audit read it
    causeway.directory.v1           every instance reads it, only the super user `admin` writes it

An inbox topic has a partition for each lane of a stream (`shared.messaging.streams.Lane`). Audit writes its
acknowledgements to each instance; an instance writes its facts, and copies that audit lacks, to audit.

The directory alone names instances. Trust: a person who can change the directory of a site's state, and has the
password of `admin`, can give any right on the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports them without saying so
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic
from pydantic import BaseModel, ConfigDict

from shared.core.errors import Refused, Unavailable
from shared.core.protocol.authority import AUDIT, INBOXES, InstancePair, inbox_prefix, pairs_of
from shared.core.routing.documents import read_directory
from shared.platform.kafka.access import KAFKA_ERRORS, KafkaAccess, unavailable
from shared.platform.kafka.documents import DIRECTORY_TOPIC

SCRAM_ITERATIONS = 8192
#: The prefix of all topic names of this exchange; no instance reads in a group.
NAMES: Final = "causeway."
_DATED_BY: Final = "message.timestamp.type"
_CALL_S = 30.0


class TopicRule(BaseModel):
    """The layout of one topic. `config` holds settings that must not depend on the cluster's defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partitions: int
    config: dict[str, str]


class Quota(NamedTuple):
    """One principal's limits at each broker: bytes a second, and percent of a request thread's time."""

    producer_byte_rate: float
    consumer_byte_rate: float
    request_percentage: float


class PrincipalRule(NamedTuple):
    """All rights of one principal: topics that it writes and reads, by name or by prefix.

    Without a quota it is not limited.
    """

    write: tuple[str, ...]
    read: tuple[str, ...]
    read_under: tuple[str, ...]
    quota: Quota | None = None


@dataclass(frozen=True)
class Manifest:
    """The required state of a cluster."""

    topics: Mapping[str, TopicRule]
    principals: Mapping[str, PrincipalRule]

    def bindings(self) -> set[AclBinding]:
        """Return the access rules as Kafka stores them."""
        return {binding for name, rule in self.principals.items() for binding in _bindings(name, rule)}


@dataclass(frozen=True)
class ClusterDiff:
    """Differences between a manifest and a cluster: missing, different and additional parts.

    An empty difference is false. `topics_dated_by_sender` differ in the clock that dates a record: with the sender's
    clock, a sender chooses the keys and documents by which its records are judged.
    """

    topics_missing: frozenset[str]
    topics_differing: frozenset[str]
    topics_dated_by_sender: frozenset[str]
    partitions_differing: frozenset[str]
    bindings_missing: frozenset[AclBinding]
    bindings_extra: frozenset[AclBinding]
    #: Of principals; `deploy.kafka.provision` compares them.
    quotas_differing: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return any(vars(self).values())


def apply(admin: AdminClient, manifest: Manifest, passwords: Mapping[str, str]) -> None:
    """Change the cluster to match the manifest; a second run changes nothing.

    With empty `passwords` the cluster counts as open: topics only. Rules of principals outside the manifest stay,
    except on topics and groups of this exchange. Topics are never deleted. Raises `Refused("topic_partitions_differ")`
    before any change, with both numbers: a partition is a lane of a stream. A topic may be deleted and created again:
    readers begin at its first record, and writers append again.
    """
    before = difference(admin, manifest, secured=bool(passwords))
    if before.partitions_differing:
        raise Refused("topic_partitions_differ", _partitions_text(admin, manifest, before.partitions_differing))
    missing = [(name, manifest.topics[name]) for name in sorted(before.topics_missing)]
    _each(admin.create_topics, [NewTopic(name, rule.partitions, -1, config=rule.config) for name, rule in missing])
    _each(admin.incremental_alter_configs, [_resource(name, manifest.topics[name]) for name in before.topics_differing])
    # Rules before users: a principal that can log in always has its limits.
    _each(admin.create_acls, list(before.bindings_missing))
    _each(admin.delete_acls, [_exactly(binding) for binding in before.bindings_extra])
    # Always set passwords, because a cluster does not reveal whether it has the same one.
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    known = sorted(passwords.keys() & manifest.principals.keys())
    users = [UserScramCredentialUpsertion(name, scram, passwords[name].encode()) for name in known]
    _each(admin.alter_user_scram_credentials, users)


def difference(admin: AdminClient, manifest: Manifest, *, secured: bool = True) -> ClusterDiff:
    """Compare the cluster with the manifest. Access rules are compared only on a `secured` cluster."""
    live = _call(lambda: admin.list_topics(timeout=_CALL_S)).topics
    present = {name: rule for name, rule in manifest.topics.items() if name in live}
    bindings = manifest.bindings() if secured else set()
    found = _live_bindings(admin, manifest) if secured else set()
    differing = _differing(admin, present)
    return ClusterDiff(
        topics_missing=frozenset(manifest.topics.keys() - live.keys()),
        topics_differing=frozenset(differing),
        topics_dated_by_sender=frozenset(name for name, settings in differing.items() if _DATED_BY in settings),
        partitions_differing=frozenset(
            name for name, rule in present.items() if len(live[name].partitions) != rule.partitions
        ),
        bindings_missing=frozenset(bindings - found),
        bindings_extra=frozenset(found - bindings),
    )


def copies(admin: AdminClient, topics: Iterable[str]) -> dict[str, int]:
    """Return the intended number of replicas of each existing topic: the lowest of its partitions."""
    live = _call(lambda: admin.list_topics(timeout=_CALL_S)).topics
    return {name: min(len(each.replicas) for each in live[name].partitions.values()) for name in topics if name in live}


def live_settings(admin: AdminClient, topics: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """Return the effective settings of each topic, including the cluster's defaults."""
    resources = [ConfigResource("topic", name) for name in topics]
    return {
        resource.name: {name: entry.value for name, entry in _result(future).items()}
        for resource, future in (admin.describe_configs(resources) if resources else {}).items()
    }


def _bindings(principal: str, rule: PrincipalRule) -> Iterable[AclBinding]:
    literal, prefixed = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
    for names, pattern, operation in (
        (rule.write, literal, AclOperation.WRITE),
        (rule.read, literal, AclOperation.READ),
        (rule.read_under, prefixed, AclOperation.READ),
    ):
        for name in names:
            allowed = (f"User:{principal}", "*", operation, AclPermissionType.ALLOW)
            yield AclBinding(ResourceType.TOPIC, name, pattern, *allowed)


def _partitions_text(admin: AdminClient, manifest: Manifest, topics: Iterable[str]) -> str:
    live = _call(lambda: admin.list_topics(timeout=_CALL_S)).topics
    return ", ".join(
        f"{name} has {len(live[name].partitions)} instead of {manifest.topics[name].partitions}"
        for name in sorted(topics)
    )


def _live_bindings(admin: AdminClient, manifest: Manifest) -> set[AclBinding]:
    """Return the rules of the manifest's principals and `User:*`, and all rules on this exchange's topics.

    So an instance that has left the directory loses its rights, and rules of unknown principals are reported.
    """
    every: Any = None  # the library accepts only None for "any" here, but does not declare it
    named = (ResourceType.ANY, every, ResourcePatternType.ANY)
    everything = AclBindingFilter(*named, every, every, AclOperation.ANY, AclPermissionType.ANY)
    ours = {f"User:{name}" for name in manifest.principals} | {"User:*"}
    return {
        binding
        for binding in _result(admin.describe_acls(everything))
        if binding.principal in ours or binding.name.startswith(NAMES)
    }


def _exactly(binding: AclBinding) -> AclBindingFilter:
    named = (binding.restype, binding.name, binding.resource_pattern_type)
    return AclBindingFilter(*named, binding.principal, binding.host, binding.operation, binding.permission_type)


def _differing(admin: AdminClient, topics: Mapping[str, TopicRule]) -> dict[str, set[str]]:
    """Return the topics whose settings differ from the manifest, with the names of these settings."""
    found: dict[str, set[str]] = {}
    for topic, live in live_settings(admin, topics).items():
        wanted = topics[topic].config.items()
        if differing := {key for key, value in wanted if live.get(key) != value}:
            found[topic] = differing
    return found


def _resource(name: str, rule: TopicRule) -> ConfigResource:
    kind = AlterConfigOpType.SET
    entries = [ConfigEntry(key, value, incremental_operation=kind) for key, value in rule.config.items()]
    return ConfigResource("topic", name, incremental_configs=entries)


def _each(call: Callable[[list[Any]], Mapping[Any, Future[Any]]], items: list[Any]) -> None:
    """Make one admin call for all `items`, unless there are none, and wait for each result."""
    for future in call(items).values() if items else ():
        _result(future)


def _result(future: Future[Any]) -> Any:
    return _call(lambda: future.result(timeout=_CALL_S))


def _call(call: Any) -> Any:
    """Run one admin call. A topic that another process has just created is not an error."""
    try:
        return call()
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return None
        raise Unavailable("kafka_admin_failed", reason.name()) from error
    except TimeoutError as error:
        raise Unavailable("kafka_admin_failed", f"no answer within {_CALL_S:g} s") from error


_USER: Final = "user"
_EXACTLY_THIS_KIND: Final = 2
_TEXT: Final = String("utf-8")
_ENTITY: Final = ("entity", Array(("entity_type", _TEXT), ("entity_name", _TEXT)))


async def differing_quotas(access: KafkaAccess, manifest: Manifest) -> frozenset[str]:
    """Return the principals whose quotas differ from the manifest. Raises `Unavailable`."""
    found = await _asked(access, DescribeClientQuotasRequest([(_USER, _EXACTLY_THIS_KIND, None)], strict=True))
    _raise_for(found.error_code)
    live = {entity[0][1]: dict(values) for entity, values in found.entries}
    return frozenset(name for name, rule in manifest.principals.items() if live.get(name, {}) != _wanted(rule.quota))


async def apply_quotas(access: KafkaAccess, manifest: Manifest) -> None:
    """Set the quotas of the manifest's principals. Raises `Unavailable`."""
    differing = sorted(await differing_quotas(access, manifest))
    if not differing:
        return
    entries = [([(_USER, name)], _operations(manifest.principals[name].quota)) for name in differing]
    answered = await _asked(access, _AlterClientQuotasRequest(entries))
    for error_code, *_ in answered.entries:
        _raise_for(error_code)


def _wanted(quota: Quota | None) -> Mapping[str, float]:
    return {} if quota is None else quota._asdict()


def _operations(quota: Quota | None) -> list[tuple[str, float, bool]]:
    """Return every quota as (name, value, whether it is removed)."""
    wanted = _wanted(quota)
    return [(name, wanted.get(name, 0.0), name not in wanted) for name in Quota._fields]


def _raise_for(error_code: int) -> None:
    if error_code:
        raise unavailable(for_code(error_code)())


async def _asked(access: KafkaAccess, request: Request[Any]) -> Any:
    client = AIOKafkaClient(**access.client_options("causeway-quotas"))
    try:
        await client.bootstrap()
        return await client.send(client.get_random_node(), request)
    except KAFKA_ERRORS as error:
        raise unavailable(error) from None
    finally:
        await client.close()


class _AlterClientQuotasResponse(Response):  # type: ignore[misc]  # aiokafka declares no types
    API_KEY: ClassVar[int] = 49
    API_VERSION: ClassVar[int] = 0
    SCHEMA: ClassVar[Schema] = Schema(
        ("throttle_time_ms", Int32), ("entries", Array(("error_code", Int16), ("error_message", _TEXT), _ENTITY))
    )


class _AlterClientQuotasStruct(RequestStruct):  # type: ignore[misc]
    API_KEY: ClassVar[int] = 49
    API_VERSION: ClassVar[int] = 0
    RESPONSE_TYPE: ClassVar[type[Response]] = _AlterClientQuotasResponse
    SCHEMA: ClassVar[Schema] = Schema(
        ("entries", Array(_ENTITY, ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean))))),
        ("validate_only", Boolean),
    )


class _AlterClientQuotasRequest(Request[_AlterClientQuotasStruct]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = 49

    def __init__(self, entries: list[tuple[list[tuple[str, str]], list[tuple[str, float, bool]]]]) -> None:
        self._entries = entries

    def build(self, request_struct_class: type[_AlterClientQuotasStruct]) -> _AlterClientQuotasStruct:
        return request_struct_class(self._entries, False)


#: Bytes a second that one instance may write at each broker: a thousand referrals, each to many recipients.
WRITE_BYTES_PER_S: Final = 32 << 20
#: The time of two request threads of a broker.
REQUEST_PERCENT: Final = 200
#: The layout of each kind of topic.
LAYOUTS: Final = Path(__file__).with_name("layouts.json")


def manifest_in(directory: bytes) -> Manifest:
    """Return the manifest of a directory document.

    Raises `Refused` as `read_directory` and `manifest_of` do.
    """
    return manifest_of(read_directory(directory).kinds())


def manifest_of(instances: Mapping[str, str]) -> Manifest:
    """Return the manifest for instances, by id, with their kind.

    Raises `Refused("topic_names_collide")` if Kafka treats two names as one: a dot equals an underscore.
    """
    layouts = json.loads(LAYOUTS.read_bytes())
    inbox, directory = (TopicRule.model_validate(layouts[name]) for name in ("inbox", "directory"))
    pairs = pairs_of(instances)
    topics = {pair.topic: inbox for pair in pairs}
    if len({name.replace(".", "_") for name in topics}) != len(topics):
        raise Refused("topic_names_collide", "Kafka treats a dot like an underscore: give an instance another id")
    return Manifest(topics | {DIRECTORY_TOPIC: directory}, {name: _rule(name, pairs) for name in instances})


def _rule(name: str, pairs: tuple[InstancePair, ...]) -> PrincipalRule:
    written = tuple(pair.topic for pair in pairs if pair.sender == name)
    told_by = {pair.sender for pair in pairs if name in (pair.to, AUDIT)}
    return PrincipalRule(
        write=written,
        # It may read its own topics, because it finds its position there after a restart.
        read=(*written, DIRECTORY_TOPIC),
        read_under=(INBOXES if name == AUDIT else inbox_prefix(name),),
        # Its own bytes, and twice the bytes of all its senders for reading a backlog.
        quota=Quota(WRITE_BYTES_PER_S, 2 * WRITE_BYTES_PER_S * max(1, len(told_by)), REQUEST_PERCENT),
    )
