"""What each principal may take of a cluster's bytes and time: quotas, read and set.

A broker makes whoever takes more wait with its answers; nothing is refused and nothing is lost. The admin client used
elsewhere knows no quotas, so the two requests of Kafka's protocol (KIP-546) are sent as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from deploy.kafka.provision import Manifest, Quota
from shared.runtime.kafka.access import KAFKA_ERRORS, KafkaAccess, unavailable

_USER: Final = "user"
_EXACTLY_THIS_KIND: Final = 2
_TEXT: Final = String("utf-8")
_ENTITY: Final = ("entity", Array(("entity_type", _TEXT), ("entity_name", _TEXT)))


async def differing_quotas(access: KafkaAccess, manifest: Manifest) -> frozenset[str]:
    """The principals of the manifest whose quotas are not what it says. Raises `Unavailable`."""
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
    """Every quota as (name, value, whether it is taken away)."""
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
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", _TEXT), _ENTITY)),
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
