"""The table of instances: whatever knows more than one party is in `deploy`, and starts here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.kernel.errors import Refused

if TYPE_CHECKING:
    from shared.runtime.instance.app import App


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One default instance: its id (also principal, database), and how to build it from its environment.

    Settings given to `build`, by field name, win over those of the environment.
    """

    id: str
    build: Callable[..., Awaitable[App]]


async def _hotline(**given: Any) -> App:
    from services.hotline.app import build
    from services.hotline.settings import HotlineSettings

    return await build(HotlineSettings(**given))


async def _law_enforcement(**given: Any) -> App:
    from services.law_enforcement.app import build
    from services.law_enforcement.settings import LawEnforcementSettings

    return await build(LawEnforcementSettings(**given))


async def _industry(**given: Any) -> App:
    from services.industry.app import build
    from services.industry.settings import IndustrySettings

    return await build(IndustrySettings(**given))


async def _audit(**given: Any) -> App:
    from services.audit.app import build
    from services.audit.settings import AuditSettings

    return await build(AuditSettings(**given))


INSTANCES: Mapping[str, InstanceRow] = {
    row.id: row
    for row in (
        InstanceRow("hotline", _hotline),
        InstanceRow("law_enforcement", _law_enforcement),
        InstanceRow("industry", _industry),
        InstanceRow("audit", _audit),
    )
}


def instance_row(name: str) -> InstanceRow:
    """The row of an instance. Raises `Refused("instance_unknown")`."""
    row = INSTANCES.get(name)
    if row is None:
        raise Refused("instance_unknown", f"one of {', '.join(INSTANCES)}")
    return row
