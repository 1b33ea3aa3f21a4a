"""`causeway serve KIND --instance NAME`: build an instance, and run its parts in one process.

Code that knows more than one party is in `deploy`, and starts here.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import uvloop

from deploy.site.settings import party_kind, refuse_unknown_kind
from shared.core.errors import Refused, Unavailable
from shared.instance.app import App
from shared.instance.machinery import build_machinery
from shared.instance.settings import RuntimeSettings
from shared.instance.streams import run_parts
from shared.platform.observability.logs import configure_logs, log
from shared.platform.observability.telemetry import close_telemetry, configure_telemetry, current_trace_id

#: New containers before the collector checks the youngest objects, and how often before it checks older ones.
COLLECTED_EVERY: Final = (50_000, 20, 50)
#: Seconds that a thread of this process may compute while another waits.
SWITCH_S: Final = 0.0005
#: Seconds that a person waits for an instance's database and documents.
AT_ONCE_S_MAX: Final = 15.0


def serve(kind: str, instance: str, only: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return 0 when asked to stop. An empty `only` means every part.

    Raises `Refused("instance_of_another_kind")` if the directory in its database states another kind.
    """
    return uvloop.run(_serve(kind, instance, only))


async def _serve(kind: str, name: str, only: Sequence[str]) -> int:
    configure_logs(instance=name, trace_id=current_trace_id)
    app = await build_instance(kind, name)
    _refuse_other_kind(app, kind)
    settings = app.machinery.settings
    configure_logs(instance=name, level=settings.log_level, trace_id=current_trace_id)
    configure_telemetry(
        instance=name,
        otlp_endpoint=settings.otlp_endpoint,
        spans_file=settings.spans_file,
        sampling_ratio=settings.sampling_ratio,
    )
    unknown = set(only) - set(app.parts)
    if unknown:
        raise Refused("part_unknown", f"one of {', '.join(app.parts)}")
    watched = {part: app.parts[part] for part in only or app.parts} | {"watchdog": app.machinery.loop_watch.run}
    running = asyncio.ensure_future(run_parts(watched))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    settle_collector()
    # While a thread computes, the event loop gets its turn within half a millisecond, not five.
    sys.setswitchinterval(SWITCH_S)
    log("service_started", part=name)
    try:
        await running
    except asyncio.CancelledError:
        log("service_stopped", part=name)
    finally:
        await app.machinery.close()
        close_telemetry()
    return 0


def settle_collector() -> None:
    """Make the garbage collector run less often, and skip the objects that are loaded now, which stay.

    A batch makes tens of thousands of objects and no cycles; a check every 700 objects found nothing and cost time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_EVERY)


def _refuse_other_kind(app: App, kind: str) -> None:
    """Refuse a kind that the directory contradicts: no peer would take its messages. Needs a directory."""
    with suppress(Unavailable):
        known = app.machinery.documents().directory.instance(app.machinery.instance)
        if known is not None and known.kind != party_kind(kind):
            raise Refused("instance_of_another_kind", f"by the directory this instance is {known.kind}")


async def build_instance(kind: str, instance: str, **given: Any) -> App:
    """Wire the instance of this name from its environment.

    Settings in `given`, by field name, override it. Only the package of its kind is loaded. Raises
    `Refused("kind_unknown")`.
    """
    refuse_unknown_kind(kind)
    service = import_module(f"services.{kind}.app")
    settings = RuntimeSettings.of(instance, **given)
    app: App = service.assemble(await build_machinery(instance, settings, erases=service.ERASES, tracks=service.TRACKS))
    return app


async def built_at_once(kind: str, instance: str, **given: Any) -> App:
    """Call `build_instance` for a person, who waits only `AT_ONCE_S_MAX` for its servers.

    Raises `Unavailable("instance_unavailable")` if they do not answer in time.
    """
    try:
        async with asyncio.timeout(AT_ONCE_S_MAX):
            return await build_instance(kind, instance, **given)
    except TimeoutError:
        raise Unavailable("instance_unavailable") from None
