"""`python -m deploy.sandbox --parties FILE`: play the parties in the file until asked to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal

import httpx
from cyclopts import App
from cyclopts.types import ExistingFile
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator

from client.api import CausewayClient
from deploy.sandbox.party_agents import LOOKS_AT_ONCE_MAX, AgentScheduler, PartyAgent, RunStatistics, say, work_of
from deploy.site.options import PLAIN, exit_on_coded_error
from shared.core.clock import SystemClock
from shared.core.contracts.base import PartyId
from shared.core.errors import Refused
from shared.core.vocabulary.routing import PartyKind

app = App(name="sandbox", help="Sample parties that answer automatically.")


#: Seconds between two checks whether a service answers.
_READY_POLL_S: Final = 0.5


SandboxKind = Literal[PartyKind.HOTLINE, PartyKind.LAW_ENFORCEMENT, PartyKind.INDUSTRY]


class SandboxParty(BaseModel):
    """One party to play. Only sandbox keys are accepted: this program cannot act for a live party."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    party: PartyId
    kind: SandboxKind
    url: str
    key: SecretStr

    @field_validator("key")
    @classmethod
    def _key_is_of_a_sandbox(cls, key: SecretStr) -> SecretStr:
        if not key.get_secret_value().startswith("cw_test_"):
            raise ValueError("not a sandbox key")
        return key


_PARTIES = TypeAdapter(Annotated[tuple[SandboxParty, ...], Field(min_length=1)])


def read_parties(path: Path) -> tuple[SandboxParty, ...]:
    """Read the parties in a JSON file that only its owner can read.

    Raises `Refused`, never with a key in it.
    """
    if path.stat().st_mode & 0o077:
        raise Refused("parties_file_open_to_others", "chmod 600 the file: it holds keys")
    try:
        return _PARTIES.validate_json(path.read_bytes())
    except ValidationError as error:
        field = "/" + "/".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
    raise Refused("parties_file_malformed", "a list of {party, kind, url, key} with sandbox keys", field=field)


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
    with exit_on_coded_error(PLAIN):
        tally = RunStatistics()
        asyncio.run(_until_stopped(read_parties(parties), tally, seed=seed))
    say("stopped", **tally.counts())
    return 0


async def _until_stopped(played: Sequence[SandboxParty], tally: RunStatistics, *, seed: str) -> None:
    # Each party has a waiting feed request, and some read their lists at the same time.
    connections = LOOKS_AT_ONCE_MAX + len(played)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    # One pool for all parties. No proxy: sample parties connect to their own stack.
    async with httpx.AsyncClient(timeout=httpx.Timeout(30.0, pool=None), limits=limits, trust_env=False) as http:
        attending = asyncio.ensure_future(_attend(played, http, tally, seed=seed))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, attending.cancel)
        try:
            await attending
        except asyncio.CancelledError:
            return


async def _until_it_answers(http: httpx.AsyncClient, url: str) -> None:
    while True:
        with suppress(httpx.TransportError):
            if not (await http.get(f"{url}/readyz")).is_server_error:
                return
        await asyncio.sleep(_READY_POLL_S)


async def _attend(played: Sequence[SandboxParty], http: httpx.AsyncClient, tally: RunStatistics, *, seed: str) -> None:
    """Play all parties, once their services answer: these may still be starting."""
    await asyncio.gather(*(_until_it_answers(http, url) for url in {one.url for one in played}))
    say("attending", parties=len(played))
    providers = sorted(one.party for one in played if one.kind is PartyKind.INDUSTRY)
    desks: dict[str, PartyAgent] = {}
    for one in played:
        client = CausewayClient(one.url, one.key.get_secret_value(), http=http, attempts_max=2)
        others = [provider for provider in providers if provider != one.party]
        work = work_of(one.kind, one.party, seed=seed, clock=SystemClock(), others=others)
        desks[one.party] = PartyAgent(client, one.party, work, tally=tally)
    await AgentScheduler(tally).attend(desks)


if __name__ == "__main__":
    app()
