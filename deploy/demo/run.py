"""Run the demo: start the exchange, take the steps, play the stories, print and write the report."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from pydantic_core import to_jsonable_python
from rich.console import Console

from deploy.accounting.run import print_accounts
from deploy.demo.steps import begin_steps, settled_accounts
from deploy.devstack.stack import DevStack, say_on_stderr
from deploy.devstack.state import DevStackSettings, StateDirectory
from deploy.devstack.supervisor import Supervisor
from deploy.operator.console_accounts import login_link
from deploy.sample.generator import demo_referrals, write_jsonl
from deploy.scenarios.player import ISSUE_SLOT_S, PartyKey, over_http, play
from deploy.scenarios.story import stories
from deploy.site.endpoints import STACK_FILE, Endpoints
from deploy.site.installation import migrate_databases
from deploy.site.open import Site
from deploy.site.settings import PROJECT_ROOT
from deploy.stack_children import instance_children, sandbox_children
from shared.core.canonical import Json
from shared.core.clock import SystemClock
from shared.core.vocabulary.routing import PartyKind

STATE: Final = PROJECT_ROOT / ".state" / "demo"
#: The parties for whose consoles links are printed, one of each service; their lists have many rows in the demo.
SHOWN: Final = ("hotline-nl.example", "police-nl.example", "provider-012.example", "auditor.example")


class _Done(BaseException):
    """The end of the supervisor's loop without a terminal for Ctrl-C; it carries the exit code."""

    def __init__(self, code: int) -> None:
        self.code = code


def run_demo(report_file: Path | None, count: int, state: Path) -> int:
    """Run the demo. On a terminal the exchange runs until Ctrl-C; otherwise it ends with the report.

    In both cases it prints links that open its consoles while it runs; on a terminal it prints new ones at the end.
    """
    started = monotonic()
    _begin_anew(state)
    settings = DevStackSettings().model_copy(update={"causeway_dev_state_dir": state})
    stack = DevStack(state, settings, forking=True, fill_databases=migrate_databases)
    slot = {"ISSUE_SLOT_S": ISSUE_SLOT_S}
    supervisor = Supervisor(
        stack,
        lambda at: [*instance_children(state, at, slot, migrated=True), *sandbox_children(state, at)],
        say_on_stderr,
    )

    def on_ready() -> None:
        say_on_stderr(f"ready after {monotonic() - started:.1f} s")
        stays = sys.stdout.isatty()
        until = "until Ctrl-C" if stays else "until this demo ends with its report"
        say_on_stderr(f"its consoles are open {until}; each of these links signs in one person once")
        asyncio.run(_say_links(stack.endpoints, state))
        report = asyncio.run(_demonstrate(state, stack.endpoints, count, started=started))
        print(text_of("report", report))
        # Sample parties answer every subject; in a story each party follows the story instead.
        with supervisor.resting("sandbox-"):
            report["stories"] = asyncio.run(_play_stories(state))
            print(text_of("stories", report))
            report["accounting"] = asyncio.run(settled_accounts(stack.endpoints)).as_json()
            report["seconds"]["end"] = round(monotonic() - started, 1)
            print_accounts(Console(width=None if Console().is_terminal else 200), report["accounting"])
            say_on_stderr(f"end after {report['seconds']['end']} s")
            if report_file is not None:
                report_file.write_text(json.dumps(report, indent=2))
            told_otherwise = [each for story in report["stories"] for each in story["differences"]]
            if not stays:
                say_on_stderr(f"the exchange stops now; on a terminal it keeps running. Its results are in {state}")
                raise _Done(1 if report["accounting"]["differences"] or told_otherwise else 0)
        asyncio.run(_say_links(stack.endpoints, state))
        more = f"causeway dev login-link PARTY --state {shlex.quote(str(state))}"
        say_on_stderr(f"the exchange keeps running: Ctrl-C stops it; `{more}` makes more links")

    try:
        return supervisor.run(on_ready)
    except _Done as done:
        return done.code


def text_of(template: str, report: Mapping[str, object]) -> str:
    """Return a part of the report for people: `report`, `flow` or `stories`."""
    texts = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(),  # only for HTML pages; there is none
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = texts.get_template(f"{template}.txt.j2").render(report, Counter=Counter)
    return "\n".join(map(str.rstrip, text.splitlines()))


async def _say_links(endpoints: Endpoints, state: Path) -> None:
    """Print a link for each selected party; each link works once."""
    site = Site(state / STACK_FILE, state, endpoints)
    for party in SHOWN:
        link = await login_link(site, party, at=SystemClock().now())
        say_on_stderr(f"{link.party}, once within ten minutes: {link.url}")


async def _play_stories(state: Path) -> Sequence[Json]:
    """Play all stories without hours, at the same time, with the sample parties' own keys.

    Return the played stories as JSON.
    """
    wanted = [story for story in stories() if not story.hours]
    say_on_stderr(f"playing {', '.join(story.name for story in wanted)}")
    async with over_http({party["party"]: PartyKey(party["url"], party["key"]) for party in _parties(state)}) as stage:
        played = await asyncio.gather(*(play(story, stage) for story in wanted))
    found: list[Json] = to_jsonable_python(played, exclude_none=True)
    return found


def _begin_anew(state: Path) -> None:
    """Empty the demo's state directory, unless a demo is running in it."""
    directory = StateDirectory(state)
    directory.acquire()
    try:
        directory.reset()
        for name in ("keys", "approvers"):
            shutil.rmtree(state / name, ignore_errors=True)
        for file in state.glob("*.json*"):
            file.unlink()
    finally:
        directory.release()


def _parties(state: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((state / "parties.json").read_text())
    return found


async def _demonstrate(state: Path, endpoints: Endpoints, count: int, *, started: float) -> Json:
    parties, seconds = _parties(state), dict[str, float]()
    keys = {party["party"]: PartyKey(party["url"], party["key"]) for party in parties}
    of = {kind: [party["party"] for party in parties if party["kind"] == kind] for kind in PartyKind}
    sampled = list(demo_referrals())[:count]
    write_jsonl(state / "sample.jsonl", sampled)

    def note(name: str, at: float) -> None:
        seconds[name] = round(at - started, 1)

    say_on_stderr(f"submitting {len(sampled)} sampled referrals over HTTP")
    async with begin_steps(endpoints, keys) as steps:
        answered = asyncio.create_task(steps.until_answered())
        states = await steps.import_referrals(sampled, say_on_stderr)
        note("filed", monotonic())
        note("first_answer", await answered)
        say_on_stderr("waiting for the parties to answer")
        await steps.until_settled()
        note("settled", monotonic())
        referral_id, withdrawn = await steps.withdraw_one()
        report = {
            "filed": {"count": len(sampled), "states": states},
            "recipients": await steps.recipients(),
            "answers": await steps.answers(),
            "ticks": await steps.ticks(of[PartyKind.HOTLINE]),
            "work_lists": await steps.work_lists(),
            "lists": await steps.lists_of_parties(),
            "feedback": await steps.feedback(of[PartyKind.LAW_ENFORCEMENT]),
            "flow": {"referral_id": str(referral_id), "messages": await steps.flow_of(referral_id, withdrawn)},
            "urls": endpoints.http,
            "input": {
                "sample": str(state / "sample.jsonl"),
                **{name: str(state / f"{name}.json") for name in ("directory", "policy")},
            },
        }
    return report | {"seconds": seconds}
