"""`causeway dev`: start and stop the development stack, show its logs, and empty it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from deploy.site.options import PLAIN, Options, Output, PlainOptions, exit_on_coded_error, framed
from shared.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.devstack.state import DevStackSettings, StateDirectory
    from deploy.devstack.supervisor import ChildrenOf
    from deploy.site.endpoints import Endpoints

_STOP_S_MAX = 90.0


def dev_app(children: ChildrenOf, fill_databases: Callable[[Endpoints], None] | None = None) -> App:
    """Return the commands.

    `children` names the services to run in addition to the servers, from the endpoints. `fill_databases`: see
    `DevStack`.
    """
    app = App(name="dev", help="The development stack: PostgreSQL, Kafka and the instances on this machine.")

    @app.command
    def up(
        *,
        detach: Annotated[bool, Parameter(negative="")] = False,
        secure: Annotated[bool, Parameter(negative="")] = False,
    ) -> int:
        """Start everything and stay until Ctrl-C; with --detach, return once it is ready.

        Parameters
        ----------
        secure
            Accept Kafka clients over SASL_SSL only, with a certificate of the stack's own authority.
        """
        with exit_on_coded_error(Options()):
            return _up(children, fill_databases, detach=detach, secure=secure)

    for verb in (down, logs, reset):
        app.command(verb)
    return app


def _state() -> tuple[StateDirectory, DevStackSettings]:
    from deploy.devstack.state import DevStackSettings, StateDirectory

    settings = DevStackSettings()
    return StateDirectory(settings.causeway_dev_state_dir), settings


def _up(children: ChildrenOf, fill: Callable[[Endpoints], None] | None, *, detach: bool, secure: bool) -> int:
    from deploy.devstack.stack import DevStack, say_on_stderr
    from deploy.devstack.supervisor import Supervisor
    from deploy.devstack.supervisor import detach as run_detached

    state, settings = _state()
    if secure:
        settings = settings.model_copy(update={"causeway_dev_secure": True})

    def run(say: Callable[[str], None], on_ready: Callable[[], None]) -> int:
        folder = settings.causeway_dev_state_dir
        stack = DevStack(folder, settings, say, forking=True, fill_databases=fill)
        return Supervisor(stack, children, say).run(on_ready)

    if detach:
        return run_detached(state, run)
    return run(say_on_stderr, lambda: say_on_stderr("ready: Ctrl-C stops it"))


@framed
def down(*, options: PlainOptions = PLAIN) -> Output:
    """Stop a running stack; its data stays."""
    state, _ = _state()
    pid = state.supervisor_pid()
    if pid is None:
        return Output({"stopped": False}, ["nothing runs"])
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S_MAX
    while state.supervisor_pid() == pid:
        if time.monotonic() > deadline:
            raise Unavailable("stack_does_not_stop", f"process {pid} still runs after {_STOP_S_MAX:g} s")
        time.sleep(0.1)
    return Output({"stopped": True}, ["stopped"])


def logs(*names: str, follow: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print the end of the logs, of all parts or the named ones; with --follow, continue to print."""
    with exit_on_coded_error(Options()):
        state, _ = _state()
        found = sorted(state.part("logs").glob("*.log"))
        chosen = [log for log in found if not names or log.stem in names]
        if not chosen:
            raise Unavailable("no_such_log", f"there are: {', '.join(log.stem for log in found) or 'none yet'}")
        command = ["tail", "--verbose", "--lines=100", *(["--follow=name"] if follow else []), *map(str, chosen)]
        with suppress(KeyboardInterrupt):
            return subprocess.run(command, check=False).returncode
        return 0


@framed
def reset(*, options: PlainOptions = PLAIN) -> Output:
    """Delete the data, logs and passwords of a stopped stack. External servers and files are not touched."""
    state, _ = _state()
    state.acquire()
    try:
        state.reset()
    finally:
        state.release()
    return Output({"emptied": True}, ["emptied"])
