"""`causeway serve NAME`: run an instance, all of its parts in one process or only some of them."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Sequence

import uvloop

from deploy.parties import instance_row
from shared.kernel.errors import Refused
from shared.runtime.instance.app import App
from shared.runtime.instance.parts import run_parts
from shared.runtime.watch.logs import configure_logs, log
from shared.runtime.watch.telemetry import close_telemetry, configure_telemetry, current_trace_id


def serve(name: str, only: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; 0 when it was asked to stop. `only` empty means every part."""
    row = instance_row(name)
    return uvloop.run(_serve(name, row.build, only))


async def _serve(name: str, build: object, only: Sequence[str]) -> int:
    configure_logs(instance=name, trace_id=current_trace_id)
    app: App = await build()  # type: ignore[operator]
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
    running = asyncio.ensure_future(run_parts({part: app.parts[part] for part in only or app.parts}))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    # What is loaded by now stays: the collector need not walk it again, which would be a pause in the middle of work.
    gc.collect()
    gc.freeze()
    log("service_started", part=name)
    try:
        await running
    except asyncio.CancelledError:
        log("service_stopped", part=name)
    finally:
        await app.machinery.close()
        close_telemetry()
    return 0
