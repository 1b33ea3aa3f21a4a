"""`causeway quarantine`: records that were parked."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from client.cli import output
from deploy.site.options import Options, ending
from shared.kernel.errors import Refused

quarantine_app = App(name="quarantine", help="Records that were parked: look, and have them judged again.")
_OPTIONS = Options()


@quarantine_app.command(name="list")
async def list_(name: str, /, *, reason: str | None = None, limit: int = 100, options: Options = _OPTIONS) -> int:
    """List the records that wait in the quarantine of an instance, oldest first.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    reason
        Only what was parked for this code.
    limit
        At most so many.
    """
    with ending(options):
        from deploy.operator.quarantine import as_json, quarantine_of
        from deploy.site.open import instance_kind, instance_settings

        async with quarantine_of(instance_kind(name, options), name, instance_settings(name, options)) as quarantine:
            found = [as_json(each) for each in await quarantine.page(reason=reason, limit=limit)]
        if options.json:
            output.document({"records": found})
        else:
            columns = ("coordinates", "count", "reason", "parked_at", "sender")
            output.table(columns, [[each[column] for column in columns] for each in found])
        return output.DONE


@quarantine_app.command
async def show(name: str, coordinates: str, /, *, options: Options = _OPTIONS) -> int:
    """Show one record that waits: what is known of it, and what its reason means. Never its content.

    Parameters
    ----------
    coordinates
        topic/partition/offset, as the list has it.
    """
    with ending(options):
        from deploy.operator.quarantine import Place, as_json, find, quarantine_of
        from deploy.site.open import instance_kind, instance_settings

        place = Place.read(coordinates)
        async with quarantine_of(instance_kind(name, options), name, instance_settings(name, options)) as quarantine:
            found = as_json(await find(quarantine, place))
        if options.json:
            output.document(found)
        else:
            output.table(("field", "value"), list(found.items()))
        return output.DONE


@quarantine_app.command(name="replay")
async def replay_parked(
    name: str,
    coordinates: str | None = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    reason: str | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Have parked records judged again, once the cause is mended; exit code 1 if one is still parked.

    Parameters
    ----------
    coordinates
        topic/partition/offset of one record.
    every
        All that wait, oldest first.
    reason
        With --all: only what was parked for this code.
    """
    with ending(options):
        from deploy.operator.quarantine import Place, all_done, quarantine_of, replay_all
        from deploy.site.open import instance_kind, instance_settings

        if every == (coordinates is not None):
            raise Refused("replay_what", "either the coordinates of one record or --all", status=400)
        one = None if coordinates is None else Place.read(coordinates)
        async with quarantine_of(instance_kind(name, options), name, instance_settings(name, options)) as quarantine:
            if one is not None:
                outcomes = {one: (await quarantine.replay(*one)).value}
            else:
                outcomes = await replay_all(quarantine, reason=reason)
        if options.json:
            output.document({"replayed": {str(place): outcome for place, outcome in outcomes.items()}})
        else:
            output.table(("coordinates", "outcome"), list(outcomes.items()))
        return output.DONE if all_done(outcomes) else output.FAILED
