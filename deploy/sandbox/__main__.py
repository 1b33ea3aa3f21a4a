"""`python -m deploy.sandbox --parties FILE`: play the parties in the file until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

import httpx
from cyclopts import App
from cyclopts.types import ExistingFile

from client.api import CausewayClient
from deploy.sandbox.desks import AgencyDesk, Desk, HotlineDesk, ProviderDesk
from deploy.sandbox.parties import SandboxParty, read_parties
from deploy.sandbox.rounds import LOOKS_AT_ONCE_MAX, PAUSE_S_MAX, Rounds
from deploy.sandbox.tally import Tally, say
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind

app = App(name="sandbox", help="Sample parties that answer by themselves.")


@app.default
def play(*, parties: ExistingFile, seed: str = "1", pause_s_max: float = PAUSE_S_MAX) -> int:
    """Play the parties in a file until SIGTERM or SIGINT.

    Parameters
    ----------
    parties
        JSON list of {party, kind, url, key}, readable by its owner alone; sandbox keys only.
    seed
        The same seed gives the same answers to the same ids.
    pause_s_max
        Longest pause, in seconds, between two looks of a party without news.
    """
    try:
        played = read_parties(parties)
        tally = Tally()
        asyncio.run(_until_stopped(played, tally, seed=seed, pause_s_max=pause_s_max))
    except Refused as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    say("stopped", **tally.counts())
    return 0


async def _until_stopped(played: Sequence[SandboxParty], tally: Tally, *, seed: str, pause_s_max: float) -> None:
    limits = httpx.Limits(max_connections=LOOKS_AT_ONCE_MAX, max_keepalive_connections=LOOKS_AT_ONCE_MAX)
    # One pool for all parties. No proxy: sample parties speak to their own stack.
    async with httpx.AsyncClient(timeout=httpx.Timeout(30.0, pool=None), limits=limits, trust_env=False) as http:
        rounds = Rounds(tally, pause_s_max=pause_s_max)
        attending = asyncio.ensure_future(rounds.attend(_desks(played, http, tally, seed=seed)))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, attending.cancel)
        say("attending", parties=len(played))
        try:
            await attending
        except asyncio.CancelledError:
            return


def _desks(played: Sequence[SandboxParty], http: httpx.AsyncClient, tally: Tally, *, seed: str) -> dict[str, Desk]:
    providers = sorted(one.party for one in played if one.kind is PartyKind.INDUSTRY)
    desks: dict[str, Desk] = {}
    for one in played:
        client = CausewayClient(one.url, one.key.get_secret_value(), http=http, attempts_max=2)
        match one.kind:
            case PartyKind.HOTLINE:
                desks[one.party] = HotlineDesk(client, one.party, tally)
            case PartyKind.LAW_ENFORCEMENT:
                desks[one.party] = AgencyDesk(client, one.party, tally, seed=seed)
            case PartyKind.INDUSTRY:
                others = [provider for provider in providers if provider != one.party]
                desks[one.party] = ProviderDesk(client, one.party, tally, seed=seed, others=others, clock=SystemClock())
    return desks


if __name__ == "__main__":
    app()
