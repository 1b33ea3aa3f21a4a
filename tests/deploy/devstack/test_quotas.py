"""The quota of each principal in the cluster: derived from the directory, set, and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.devstack.stack import DevStack
from deploy.kafka.provision import WRITE_BYTES_PER_S, Manifest, apply_quotas, differing_quotas, manifest_of
from deploy.operator.state import as_json, find_difference
from deploy.site.access import access_to, kafka_access
from deploy.site.settings import party_kinds
from shared.core.errors import Unavailable
from tests.support.exchange_world import INSTANCES
from tests.support.running import until

MANIFEST = manifest_of(party_kinds({name: name for name in INSTANCES}))


def with_quota_of(name: str, **changes: float | None) -> Manifest:
    """Return the manifest with another quota for one principal; None removes it."""
    rule = MANIFEST.principals[name]
    assert rule.quota is not None
    quota = None if None in changes.values() else rule.quota._replace(**changes)
    return replace(MANIFEST, principals={**MANIFEST.principals, name: rule._replace(quota=quota)})


def test_every_principal_has_a_quota_and_audit_may_read_what_all_others_write() -> None:
    quotas = {name: rule.quota for name, rule in MANIFEST.principals.items()}
    assert {each.producer_byte_rate for each in quotas.values() if each} == {WRITE_BYTES_PER_S}
    audit = quotas["audit"]
    assert audit is not None
    assert audit.consumer_byte_rate >= WRITE_BYTES_PER_S * (len(MANIFEST.principals) - 1)


async def test_a_stack_that_is_up_holds_its_principals_to_them(stack: DevStack) -> None:
    access = access_to(stack.endpoints.kafka)
    assert await differing_quotas(access, MANIFEST) == frozenset()
    # This also fails if no quota was set, since another manifest's quotas are then missing.
    assert await differing_quotas(access, with_quota_of("industry", producer_byte_rate=1)) == {"industry"}


@pytest.mark.parametrize("changed", [7_000, None])
async def test_a_quota_that_was_changed_or_removed_is_found_and_mended(stack: DevStack, changed: int | None) -> None:
    access, kafka = access_to(stack.endpoints.kafka), stack.endpoints.kafka

    async def differs() -> bool:
        return as_json(find_difference(kafka, MANIFEST))["quotas_differing"] == ["industry"]

    async def is_mended() -> bool:
        return not find_difference(kafka, MANIFEST)

    # The broker applies it a moment after the controller has answered.
    await apply_quotas(access, with_quota_of("industry", consumer_byte_rate=changed))
    await until(differs, seconds_max=60)
    await apply_quotas(access, MANIFEST)
    await until(is_mended, seconds_max=60)


async def test_no_instance_may_change_its_own(stack: DevStack) -> None:
    with pytest.raises(Unavailable):
        await apply_quotas(kafka_access(stack.endpoints, "industry"), with_quota_of("industry", producer_byte_rate=1))
    assert await differing_quotas(access_to(stack.endpoints.kafka), MANIFEST) == frozenset()
