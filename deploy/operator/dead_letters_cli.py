"""`causeway dead-letters`: messages that an instance has taken and not applied."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from client.cli import output
from deploy.site.options import Options, ending
from shared.kernel.errors import Refused

dead_letters_app = App(name="dead-letters")
_OPTIONS = Options()
_COLUMNS = ("message_id", "writer", "outcome", "code", "opened_at")


@dead_letters_app.command(name="list")
async def list_(
    name: str,
    /,
    *,
    outcome: str | None = None,
    code: str | None = None,
    limit: int = 100,
    options: Options = _OPTIONS,
) -> int:
    """List the messages that an instance keeps as exceptions, oldest first.

    The instance retries deferred and waiting messages by itself. A person ends a dead letter.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    outcome
        Only messages with this outcome: deferred, waiting or dead.
    code
        Only messages with this code.
    limit
        Maximum number of messages.
    """
    with ending(options):
        from deploy.operator.dead_letters import as_json, opened, to_outcome

        kind = to_outcome(outcome)
        async with opened(name, options) as exceptions:
            found = [as_json(each) for each in await exceptions.list(outcome=kind, code=code, limit=limit)]
        if options.json:
            output.document({"messages": found})
        else:
            output.table(_COLUMNS, [[each[column] for column in _COLUMNS] for each in found])
        return output.DONE


@dead_letters_app.command
async def show(name: str, message_id: str, /, *, options: Options = _OPTIONS) -> int:
    """Show one message and the meaning of its code, without its content.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    message_id
        The message id, as the list shows it.
    """
    with ending(options):
        from deploy.operator.dead_letters import as_json, find, opened, to_message_id

        wanted = to_message_id(message_id)
        async with opened(name, options) as exceptions:
            found = [as_json(each) for each in await find(exceptions, wanted)]
        if options.json:
            output.document({"messages": found})
        else:
            for each in found:
                output.table(("field", "value"), list(each.items()))
        return output.DONE


@dead_letters_app.command(name="retry")
async def retry_messages(
    name: str,
    message_id: str | None = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    code: str | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Process messages again after you removed the cause; exit code 1 if one is still an exception.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    message_id
        One message.
    every
        All exceptions of the instance, oldest first.
    code
        With --all: only messages with this code.
    """
    with ending(options):
        from deploy.operator.dead_letters import ROWS_MAX, find, opened, retry, to_message_id

        if every == (message_id is not None):
            raise Refused("retry_what", "either one message id or --all", status=400)
        wanted = None if message_id is None else to_message_id(message_id)
        async with opened(name, options) as exceptions:
            if wanted is not None:
                outcomes = await retry(exceptions, await find(exceptions, wanted))
            else:
                outcomes = await retry(exceptions, await exceptions.list(code=code, limit=ROWS_MAX))
        if options.json:
            output.document({"retried": outcomes})
        else:
            output.table(("message_id", "outcome"), list(outcomes.items()))
        return output.DONE if all(outcome == "done" for outcome in outcomes.values()) else output.FAILED


@dead_letters_app.command(name="discard")
async def discard_message(name: str, message_id: str, /, *, options: Options = _OPTIONS) -> int:
    """Refuse a dead letter for good. Its writer then sends the whole state of the subject again.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    message_id
        The message id, as the list shows it.
    """
    with ending(options):
        from deploy.operator.dead_letters import discard, find, opened, to_message_id

        wanted = to_message_id(message_id)
        async with opened(name, options) as exceptions:
            await discard(exceptions, await find(exceptions, wanted))
        if options.json:
            output.document({"discarded": message_id})
        else:
            output.line(f"{message_id} is refused; its writer sends the whole state again")
        return output.DONE
