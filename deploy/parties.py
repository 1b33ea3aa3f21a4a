"""How an instance is built from its kind: whatever knows more than one party is in `deploy`, and starts here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deploy.site.kinds import refuse_unknown_kind

if TYPE_CHECKING:
    from shared.runtime.instance.app import App


async def build_instance(kind: str, instance: str, **given: Any) -> App:
    """Wire the instance of this name from its environment. Settings `given`, by field name, win over that.

    Only the room of its kind is loaded. Raises `Refused("kind_unknown")`.
    """
    refuse_unknown_kind(kind)
    app: App = await import_module(f"services.{kind}.app").build(instance, **given)
    return app
