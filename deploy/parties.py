"""How an instance is built from its kind: whatever knows more than one party is in `deploy`, and starts here."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from deploy.site.kinds import refuse_unknown_kind
from shared.kernel.errors import Unavailable

if TYPE_CHECKING:
    from shared.runtime.instance.app import App

#: How long a person waits for an instance's database and documents, seconds.
AT_ONCE_S_MAX: Final = 15.0


async def build_instance(kind: str, instance: str, **given: Any) -> App:
    """Wire the instance of this name from its environment. Settings `given`, by field name, win over that.

    Only the room of its kind is loaded. Raises `Refused("kind_unknown")`.
    """
    refuse_unknown_kind(kind)
    app: App = await import_module(f"services.{kind}.app").build(instance, **given)
    return app


async def built_at_once(kind: str, instance: str, **given: Any) -> App:
    """`build_instance` for a person, who does not wait for its servers as a service does.

    Raises `Unavailable("instance_unavailable")` where they do not answer in time.
    """
    try:
        async with asyncio.timeout(AT_ONCE_S_MAX):
            return await build_instance(kind, instance, **given)
    except TimeoutError:
        raise Unavailable("instance_unavailable") from None
