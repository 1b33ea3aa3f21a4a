"""`causeway referral recheck …`: whoever issued notices looks again at what they were about."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from client.cli import output
from client.cli.settings import Options, zoned
from shared.vocabulary.answers import CheckedBy

_OPTIONS = Options()


async def recheck(
    referral_id: UUID,
    /,
    *words: str,
    by: CheckedBy = CheckedBy.PERSON,
    at: datetime | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Say what you have found of items that notices were issued about. Their providers are told.

    Parameters
    ----------
    words
        An item's number and what was found, each once: 1=gone 2=up. Or never_there, or reappeared. What was said to be
        removed and is up has reappeared: its provider is to answer once more.
    by
        Who or what has looked.
    at
        When; now if no time is given. UTC if it names no zone.
    """
    async with output.service(options) as client:
        from client.statements import checks

        output.moved(await client.check_items(referral_id, checks(words, by, zoned(at))), options)
        return output.DONE
