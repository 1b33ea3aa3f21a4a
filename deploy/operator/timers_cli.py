"""`causeway timers`: the deadlines of an instance, counted again from its steps."""

from __future__ import annotations

from cyclopts import App

from client.cli import output
from deploy.site.options import Options, ending
from shared.exchange.topics import AUDIT
from shared.kernel.errors import Refused

timers_app = App(name="timers")
_OPTIONS = Options()


@timers_app.command
async def rebuild(name: str, /, *, options: Options = _OPTIONS) -> int:
    """Count every deadline of an instance again, from its steps and the published documents.

    The rows stay the same. Parties are notified once of deadlines that fall due meanwhile. The instance may run.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    """
    with ending(options):
        from deploy.parties import built_at_once
        from deploy.site.open import instance_kind, instance_settings
        from shared.runtime.watch.logs import configure_logs

        kind = instance_kind(name, options)
        if kind == AUDIT:
            raise Refused("no_timers_here", "audit acts for no party: name the instance of one", status=400)
        configure_logs(instance=name)
        app = await built_at_once(kind, name, **instance_settings(name, options))
        try:
            looked = await app.machinery.rebuild_timers()
        finally:
            await app.machinery.close()
        if options.json:
            output.document({"edges": looked})
        else:
            output.line(f"{looked} edges looked at")
        return output.DONE
