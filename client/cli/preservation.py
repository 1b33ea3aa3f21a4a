"""`causeway preservation ask`: an agency asks a provider to keep what it has at some locations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from client.cli import output
from client.cli.settings import Options
from shared.vocabulary.preservation import PreservationKind

_OPTIONS = Options()


async def ask(
    provider: str,
    locations: Sequence[str],
    /,
    *,
    instrument: str,
    kind: PreservationKind = PreservationKind.PRESERVE,
    term: str | None = None,
    until: date | None = None,
    order_reference: str | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Ask a provider to keep what it has. Locations and your reference of the order reach it alone, sealed.

    Parameters
    ----------
    provider
        By its id in the directory.
    locations
        Each as KIND=VALUE, for example url=https://images.example/17; of a kind alone, url.
    instrument
        Under which instrument of the policy, for example eu_2023_1543.
    kind
        preserve, or produce: that is tracked alone, the order stays on its own channel.
    term
        For how long, by class: eu_60d, us_1y, ca_21d, ca_1y; or say --until, and not both.
    until
        Until which day.
    order_reference
        Your own.
    """
    async with output.service(options) as client:
        from client.cli.shown import show_state
        from shared.contracts.preserving import PreservationRecord, PreservationTerms

        ordered = {"kind": kind, "instrument": instrument, "term": term, "until": until}
        terms = PreservationTerms.model_validate(ordered)
        record = PreservationRecord.model_validate(
            {"locations": [_location(each) for each in locations], "order_reference": order_reference}
        )
        parts = [each.model_dump(mode="json", exclude_none=True) for each in (terms, record)]
        body = {"provider": provider} | parts[0] | parts[1]
        show_state(await client.call("POST", "/v1/preservations", body=body), options)
        return output.DONE


def _location(text: str) -> dict[str, str]:
    kind, named, value = text.partition("=")
    return {"kind": kind, "value": value} if named else {"kind": "url", "value": text}
