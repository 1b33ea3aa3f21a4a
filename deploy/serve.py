"""`causeway serve KIND --instance NAME`: build an instance from its kind, and run its parts in one process.

Whatever knows more than one party is in `deploy`, and starts here.
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
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.instance.app import App
from shared.runtime.instance.parts import run_parts
from shared.runtime.watch.logs import configure_logs, log
from shared.runtime.watch.telemetry import close_telemetry, configure_telemetry, current_trace_id
from shared.runtime.watch.watchdog import LoopWatch

#: Net new containers before the collector looks at the youngest, and how often before it looks at older ones.
COLLECTED_EVERY: Final = (50_000, 20, 50)
#: How long a thread of this process computes while another waits for its turn.
SWITCH_S: Final = 0.0005
#: How long a person waits for an instance's database and documents, seconds.
AT_ONCE_S_MAX: Final = 15.0


def serve(kind: str, instance: str, only: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; 0 when it was asked to stop. `only` empty means every part.

    Raises `Refused("instance_of_another_kind")` where the directory that it already has knows the instance otherwise.
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
    watched = {part: app.parts[part] for part in only or app.parts} | {"watchdog": LoopWatch().run}
    running = asyncio.ensure_future(run_parts(watched))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    settle_collector()
    # Where a thread computes, whoever waits for the loop has its turn within half a millisecond, not five.
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
    """Have the garbage collector look less often, and not at what is loaded by now: that stays.

    A batch makes tens of thousands of objects and no cycles; looking at them every 700 found nothing and cost time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_EVERY)


def _refuse_other_kind(app: App, kind: str) -> None:
    """A service over the name of another kind would write what nobody takes from it. Without a directory: too early."""
    with suppress(Unavailable):
        known = app.machinery.documents().directory.instance(app.machinery.instance)
        if known is not None and known.kind != party_kind(kind):
            raise Refused("instance_of_another_kind", f"the directory says that it is for {known.kind}")


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
