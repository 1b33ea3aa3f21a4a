"""`python -m deploy.sandbox --parties FILE`: play the parties in the file until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import httpx
from cyclopts import App
from cyclopts.types import ExistingFile

from client.api import CausewayClient
from deploy.sandbox.desks import LOOKS_AT_ONCE_MAX, Desk, Rounds, Tally, say, work_of
from deploy.sandbox.parties import SandboxParty, read_parties
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind

app = App(name="sandbox", help="Sample parties that answer by themselves.")


#: So long between two questions whether a service answers, seconds.
_READY_POLL_S: Final = 0.5


@app.default
def play(*, parties: ExistingFile, seed: str = "1") -> int:
    """Play the parties in a file until SIGTERM or SIGINT.

    Parameters
    ----------
    parties
        JSON list of {party, kind, url, key}, readable by its owner alone; sandbox keys only.
    seed
        The same seed gives the same answers to the same ids.
    """
    try:
        played = read_parties(parties)
        tally = Tally()
        asyncio.run(_until_stopped(played, tally, seed=seed))
    except Refused as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    say("stopped", **tally.counts())
    return 0


async def _until_stopped(played: Sequence[SandboxParty], tally: Tally, *, seed: str) -> None:
    # Each party waits at its feed, and some look in meanwhile.
    connections = LOOKS_AT_ONCE_MAX + len(played)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    # One pool for all parties. No proxy: sample parties speak to their own stack.
    async with httpx.AsyncClient(timeout=httpx.Timeout(30.0, pool=None), limits=limits, trust_env=False) as http:
        attending = asyncio.ensure_future(_attend(played, http, tally, seed=seed))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, attending.cancel)
        try:
            await attending
        except asyncio.CancelledError:
            return


async def _attend(played: Sequence[SandboxParty], http: httpx.AsyncClient, tally: Tally, *, seed: str) -> None:
    """Attend all, once their services answer: these may be starting, too."""
    await asyncio.gather(*(_until_it_answers(http, url) for url in {one.url for one in played}))
    say("attending", parties=len(played))
    await Rounds(tally).attend(_desks(played, http, tally, seed=seed))


async def _until_it_answers(http: httpx.AsyncClient, url: str) -> None:
    while True:
        with suppress(httpx.TransportError):
            if not (await http.get(f"{url}/readyz")).is_server_error:
                return
        await asyncio.sleep(_READY_POLL_S)


def _desks(played: Sequence[SandboxParty], http: httpx.AsyncClient, tally: Tally, *, seed: str) -> dict[str, Desk]:
    providers = sorted(one.party for one in played if one.kind is PartyKind.INDUSTRY)
    desks: dict[str, Desk] = {}
    for one in played:
        client = CausewayClient(one.url, one.key.get_secret_value(), http=http, attempts_max=2)
        others = [provider for provider in providers if provider != one.party]
        work = work_of(one.kind, one.party, seed=seed, clock=SystemClock(), others=others)
        desks[one.party] = Desk(client, one.party, work, tally=tally)
    return desks


if __name__ == "__main__":
    app()
