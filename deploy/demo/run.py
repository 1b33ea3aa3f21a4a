"""Running the demo: everything set up, the steps taken, the result printed and written."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from deploy.accounting.run import reconciled
from deploy.demo import steps
from deploy.demo.links import login_links
from deploy.demo.lists import feedback, lists_of_parties
from deploy.demo.report import print_report
from deploy.demo.stories import play_stories, print_stories
from deploy.demo.ticks import ticks
from deploy.devstack.settings import DevStackSettings
from deploy.devstack.stack import DevStack, say_on_stderr
from deploy.devstack.state import StateDirectory
from deploy.devstack.supervisor import Child, Supervisor
from deploy.sample.files import write_jsonl
from deploy.sample.generator import demo_referrals
from deploy.scenarios.stage import ISSUE_SLOT_S
from deploy.site.endpoints import Endpoints
from deploy.site.installation import migrate_databases
from deploy.site.settings import PROJECT_ROOT
from deploy.stack_children import instance_children, sandbox_children
from shared.vocabulary.routing import PartyKind

STATE = PROJECT_ROOT / ".state" / "demo"


class _Done(BaseException):
    """Ends the supervisor's loop when nobody is there to press Ctrl-C; carries the exit code."""

    def __init__(self, code: int) -> None:
        self.code = code


def run_demo(report_file: Path | None, count: int, state: Path) -> int:
    """Run it. On a terminal the exchange stays up until Ctrl-C; elsewhere it ends with the report.

    Either way links are printed that open its consoles as long as it runs; on a terminal new ones at the end.
    """
    started = monotonic()
    _begin_anew(state)
    settings = DevStackSettings().model_copy(update={"causeway_dev_state_dir": state})
    stack = DevStack(state, settings, forking=True, fill_databases=migrate_databases)
    supervisor = Supervisor(stack, lambda endpoints: _children(state, endpoints), say_on_stderr)

    def on_ready() -> None:
        say_on_stderr(f"ready after {monotonic() - started:.1f} s")
        stays = sys.stdout.isatty()
        until = "until Ctrl-C" if stays else "as long as this demo, which ends with its report"
        say_on_stderr(f"its consoles are open {until}; each of these links lets one in once")
        _say_links(stack.endpoints, state)
        report = asyncio.run(_demonstrate(state, stack.endpoints, count, started=started))
        print_report(report)
        # Sample parties answer whatever comes: in a story each does what the story says.
        with supervisor.resting("sandbox-"):
            report["stories"] = asyncio.run(play_stories(state, say_on_stderr))
            report["seconds"]["stories"] = round(monotonic() - started, 1)
            print_stories(report["stories"])
            if report_file is not None:
                report_file.write_text(json.dumps(report, indent=2))
            told_otherwise = [each for story in report["stories"] for each in story["differences"]]
            if not stays:
                say_on_stderr(f"the exchange stops here: at a terminal it stays up. What it did is in {state}")
                raise _Done(1 if report["accounting"]["differences"] or told_otherwise else 0)
        _say_links(stack.endpoints, state)
        more = f"causeway dev login-link PARTY --state {shlex.quote(str(state))}"
        say_on_stderr(f"the exchange stays up: Ctrl-C stops it; `{more}` makes more links")

    try:
        return supervisor.run(on_ready)
    except _Done as done:
        return done.code


def _say_links(endpoints: Endpoints, state: Path) -> None:
    for link in asyncio.run(login_links(endpoints, state)):
        say_on_stderr(f"{link.party}, once within ten minutes: {link.url}")


def _children(state: Path, endpoints: Endpoints) -> list[Child]:
    settings = {"ISSUE_SLOT_S": ISSUE_SLOT_S}
    return [*instance_children(state, endpoints, settings, migrated=True), *sandbox_children(state, endpoints)]


def _begin_anew(state: Path) -> None:
    """Empty the demo's state directory, unless a demo runs in it."""
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


async def _demonstrate(state: Path, endpoints: Endpoints, count: int, *, started: float) -> dict[str, Any]:
    parties = json.loads((state / "parties.json").read_text())
    keys = {party["party"]: steps.Key(party["url"], party["key"]) for party in parties}
    of = {kind: [party["party"] for party in parties if party["kind"] == kind] for kind in PartyKind}
    sampled = list(demo_referrals())[:count]
    write_jsonl(state / "sample.jsonl", sampled)
    say_on_stderr(f"filing {len(sampled)} sampled referrals over HTTP")
    async with steps.accountants(endpoints) as books:
        answered = asyncio.create_task(steps.until_answered(books))
        states = await steps.import_referrals(sampled, keys, say_on_stderr)
        filed_s = monotonic() - started
        first_answer_s = await answered - started
        say_on_stderr("waiting for the parties to answer")
        await steps.until_settled(books)
        settled_s = monotonic() - started
        referral_id = await steps.withdraw_one(books, keys)
        return {
            "filed": {"count": len(sampled), "states": states},
            "recipients": await steps.recipients(books),
            "answers": await steps.answers(books),
            "ticks": await ticks(books, keys, of[PartyKind.HOTLINE]),
            "work_lists": await steps.work_lists(books),
            "lists": await lists_of_parties(books, keys),
            "feedback": await feedback(books, of[PartyKind.LAW_ENFORCEMENT]),
            "flow": {
                "referral_id": str(referral_id),
                "messages": await steps.flow_of(endpoints, keys, referral_id),
            },
            "accounting": (await reconciled(endpoints)).as_json(),
            "urls": endpoints.http,
            "seconds": {
                "first_answer": round(first_answer_s, 1),
                "filed": round(filed_s, 1),
                "settled": round(settled_s, 1),
                "end": round(monotonic() - started, 1),
            },
            "input": {
                "sample": str(state / "sample.jsonl"),
                "directory": str(state / "directory.json"),
                "policy": str(state / "policy.json"),
            },
        }
