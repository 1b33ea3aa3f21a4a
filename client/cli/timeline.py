"""`causeway timeline ID`: what has happened to one subject, in one order."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from client.cli import output
from client.cli.settings import Options

_OPTIONS = Options()
_COLUMNS = ("when", "what", "state", "by", "said")


async def timeline(subject: UUID, /, *, options: Options = _OPTIONS) -> int:
    """List each act on it in the order in which you learned of it: when (UTC), what, by whom, and the codes it said.

    Parameters
    ----------
    subject
        The id under which you know it: of a referral or a notice.
    """
    async with output.service(options) as client:
        found = await client.timeline(subject)
        if options.json:
            output.document([each.model_dump(mode="json", exclude_none=True) for each in found])
        else:
            output.table(
                _COLUMNS,
                [
                    (f"{each.at:%Y-%m-%d %H:%M:%S}", each.type, each.state or "", each.by or "", _codes(each.said))
                    for each in found
                ],
            )
        return output.DONE


def _codes(said: Mapping[str, object] | None) -> str:
    return " ".join(f"{name}={value}" for name, value in (said or {}).items() if isinstance(value, str))
