"""Deliveries of an exchange, from its databases and Kafka: the delay, and the number of appends of each message."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count, islice
from time import monotonic
from typing import Any, Final
from uuid import UUID

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports them without saying so
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from deploy.site.access import admin_client
from tests.failures.load import Post, Sender, quantile
from tests.support import driver
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import Lane
from tests.support.running import HOTLINE, Exchange, referral, until

#: Errors for a topic that a principal may not even describe.
_NOT_EVEN_DESCRIBED: Final = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART)
#: The limit for the arrival of a referral with a child at risk, whatever the queue before it.
P0_S_MAX: Final = 5.0
#: The multiple of that limit for which a test waits.
P0_PATIENCE: Final = 100
_numbers = count(1)


def filings(wanted: int) -> Iterator[Post]:
    """Yield a number of posts of one referral, each to a hotline, an agency and a provider."""
    for number in islice(_numbers, wanted):
        reference = f"delivered-{number}"
        yield Post(HOTLINE, reference, (referral(external_ref=reference),))


def to_an_agency(wanted: int, *, together: int) -> Iterator[Post]:
    """Yield a number of referrals, `together` in a post, each of which goes to one agency only."""
    while wanted > 0:
        numbers = list(islice(_numbers, min(together, wanted)))
        wanted -= len(numbers)
        yield Post(HOTLINE, f"batch-{numbers[0]}", tuple(_to_an_agency(number) for number in numbers))


def _to_an_agency(number: int) -> dict[str, Any]:
    items = [{"locator": {"kind": "account", "value": f"user-{number}@elsewhere.example"}}]
    return referral(external_ref=f"agency-{number}", user_jurisdictions=["NL"], items=items)


async def tell_of_p0(exchange: Exchange, sender: Sender) -> float:
    """Submit a referral with a child at risk; return the seconds until the agency has the case."""
    [post] = to_an_agency(1, together=1)
    p0 = {"priority": {"level": "p0_child_at_risk", "basis": ["imminent_harm"]}}
    [referral_], begun = post.referrals, monotonic()
    await sender.send([Post(post.party, post.key, (referral_ | p0,))])
    filed = UUID(sender.tally.accepted[post.party, referral_["external_ref"]])
    await until(lambda: driver.count_cases(exchange, filed), seconds_max=P0_PATIENCE * P0_S_MAX)
    return monotonic() - begun


async def delays_s(exchange: Exchange, since: datetime, *, published: bool = False) -> Mapping[str, list[float]]:
    """Return each edge's time from acceptance since `since` until its recipient applied it, by recipient instance.

    `published`: until the broker had it. Edges that their recipient does not have are left out.
    """
    edges = await driver.list_sent_edges_since(exchange, since)
    list_times, found = delivery.list_publications if published else delivery.list_arrivals, {}
    for instance in sorted({row["instance"] for row in edges}):
        accepted = {row["message_id"]: row["accepted_at"] for row in edges if row["instance"] == instance}
        times = await list_times(exchange, instance, list(accepted))
        found[instance] = [(at - accepted[message]).total_seconds() for message, at in times.items()]
    return found


async def forget(exchange: Exchange, topic: str, lane: Lane, *, below: int) -> None:
    """Have the broker delete the records of one lane of a topic below an offset, as retention does."""
    admin = admin_client(exchange.endpoints.kafka)
    for done in admin.delete_records([TopicPartition(topic, int(lane), below)]).values():
        await asyncio.to_thread(done.result, 30)


def p99_s(delays: Mapping[str, Sequence[float]], *instances: str) -> float:
    return quantile([each for name in instances for each in delays[name]], 0.99)


async def appended_twice(exchange: Exchange, topic: str | None = None) -> int:
    """Count records beyond the first of each message, in one inbox topic or in all."""
    topics = [topic] if topic else await delivery.list_inbox_topics(exchange)
    copies = [
        Counter(delivery.message_id_of(each) for each in await delivery.list_records(exchange, name)) for name in topics
    ]
    return sum(times - 1 for counted in copies for times in counted.values())


@asynccontextmanager
async def without_right(exchange: Exchange, principal: str, topic: str, operation: AclOperation) -> AsyncIterator[None]:
    """Remove a permission on the topic from the principal within this context, which its own rule had granted."""
    admin, literal = admin_client(exchange.endpoints.kafka), ResourcePatternType.LITERAL
    right = (ResourceType.TOPIC, topic, literal, f"User:{principal}", "*", operation, AclPermissionType.ALLOW)
    for taken in admin.delete_acls([AclBindingFilter(*right)]).values():
        assert await asyncio.to_thread(taken.result, 60)
    try:
        # The controller has answered; the broker allows it for a moment longer.
        await until(lambda: asyncio.to_thread(_may_not, exchange, principal, topic, operation), seconds_max=60)
        yield
    finally:
        for given in admin.create_acls([AclBinding(*right)]).values():
            await asyncio.to_thread(given.result, 60)


def _may_not(exchange: Exchange, principal: str, topic: str, operation: AclOperation) -> bool:
    """Return whether the broker denies the principal this operation."""
    asked = admin_client(exchange.endpoints.kafka, principal)
    described = asked.describe_topics(TopicCollection([topic]), include_authorized_operations=True)[topic]
    try:
        return operation not in (described.result().authorized_operations or ())
    except KafkaException as error:
        if error.args[0].code() in _NOT_EVEN_DESCRIBED:
            return True
        raise


@asynccontextmanager
async def denied(exchange: Exchange, principal: str, topic: str, operation: AclOperation) -> AsyncIterator[None]:
    """Deny the principal an operation on the topic within this context, regardless of rules that grant it."""
    admin, literal = admin_client(exchange.endpoints.kafka), ResourcePatternType.LITERAL
    rule = (ResourceType.TOPIC, topic, literal, f"User:{principal}", "*", operation, AclPermissionType.DENY)
    for made in admin.create_acls([AclBinding(*rule)]).values():
        await asyncio.to_thread(made.result, 30)
    try:
        yield
    finally:
        for taken in admin.delete_acls([AclBindingFilter(*rule)]).values():
            await asyncio.to_thread(taken.result, 30)
