"""`causeway recover`: after a database was restored from an older backup."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from client.cli import output
from deploy.site.options import Options, ending

recover_app = App(name="recover", help="After an instance's database was restored: begin anew, and see what came back.")
_OPTIONS = Options()
_COLUMNS = ("peer", "told", "taken", "lost", "missing", "strays")


@recover_app.default
async def recover(
    name: str,
    /,
    *,
    look: Annotated[bool, Parameter(negative="")] = False,
    options: Options = _OPTIONS,
) -> int:
    """Begin the recovery of a restored instance, and say how far it is; exit code 1 as long as it is under way.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    look
        Begin nothing: only say how far it is.
    """
    with ending(options):
        from deploy.operator import recovery
        from deploy.site.kinds import keeps_referrals
        from deploy.site.open import instance_kind, instance_settings

        kind, settings = instance_kind(name, options), instance_settings(name, options)
        if not look:
            await recovery.begin(kind, name, settings)
        async with recovery.restored(kind, name, settings) as machinery:
            found = await recovery.look(machinery, originates=keeps_referrals(kind))
        if options.json:
            output.document(asdict(found) | {"over": found.over, "forgotten": dict(recovery.FORGOTTEN)})
        else:
            output.table(_COLUMNS, [[getattr(each, column) for column in _COLUMNS] for each in found.peers])
            output.table(("on the work list", "referrals"), list(found.work.items()))
            refused = [(each.party, each.subject, each.code) for each in found.refused]
            output.table(("refused act of", "on", "because"), refused)
            output.table(("does not come back", "again by"), recovery.FORGOTTEN)
            if not found.noticed:
                output.line("the instance has not looked yet: start it, then `causeway recover --look`")
        return output.DONE if found.over else output.FAILED
