"""A run of `causeway demo` like a user's, and its verification by independent programs."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

from deploy.accounting.run import reconciled
from deploy.devstack.stack import DevStack
from deploy.site.endpoints import Endpoints
from deploy.site.settings import keeps_referrals
from deploy.statistics.figures import Month, read_figures
from services.audit.domain import decisions
from services.audit.domain.entries import AuditDecision
from shared.core.clock import SystemClock
from shared.core.contracts.facts import DecidedReferral
from shared.core.protocol.decision_fact import ReadDecision
from shared.core.vocabulary import jurisdiction
from tests.acceptance import flows, retold
from tests.acceptance.programs import causeway, foreign
from tests.support.stack import embedded_settings

#: Changes that a forger could make to a decision's sealed part.
Alter = Callable[[dict[str, Any]], object]
ALTERATIONS: Final[Sequence[Alter]] = (
    lambda stated: stated["edges"][0].__setitem__(3, "A" * 43),
    lambda stated: stated["edges"].append(stated["edges"][0]),
    lambda stated: stated["decision"].update(policy="0" * 64),
    lambda stated: stated["facts"].update(origin="nobody.example"),
)
#: Audit's objection to each decided revision of a referral, or None if it derives the same result.
Judged = dict[tuple[UUID, int], str | None]


def judged_again(endpoints: Endpoints, altered: int = 0) -> Judged:
    """Read all of Kafka again and judge the decisions. The first `altered` ones with edges are changed before that."""
    left, found, read, derived = [altered], Judged(), decisions.read_decided, decisions.Judge._derived

    def altering(plaintext: bytes, count: int) -> list[ReadDecision | ValueError]:
        told = json.loads(plaintext)
        for each in told["decisions"]:
            if each["edges"] and left[0]:
                left[0] -= 1
                ALTERATIONS[left[0] % len(ALTERATIONS)](each)
        return read(json.dumps(told).encode(), count)

    def noting(judge: decisions.Judge, told: DecidedReferral, decided: ReadDecision | ValueError) -> AuditDecision:
        kept = derived(judge, told, decided)
        found.setdefault((told.referral_id, told.revision), kept.problem)
        return kept

    with patch.object(decisions, "read_decided", altering), patch.object(decisions.Judge, "_derived", noting):
        asyncio.run(reconciled(endpoints, everything=True))
    return found


TREE = Path(jurisdiction.__file__).with_name("data") / "jurisdictions.json"
#: Number of decisions that are altered before audit judges them again.
ALTERED = 100
#: Every way in which a recipient may answer, or give no answer.
ANSWERS = ("actioned", "rejected", "not_ours", "declined", "none")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One finished run of the demo: its exit, its output, and when it began and ended."""

    state: Path
    ran: subprocess.CompletedProcess[str]
    report: dict[str, Any]
    began: datetime
    ended: datetime

    @property
    def messages(self) -> Sequence[dict[str, Any]]:
        """Return the flow that it printed."""
        return self.report["flow"]["messages"]


def run_demo(folder: Path, count: int, *, timeout_s: float) -> Demonstration:
    """Run the demo in an empty folder, not on a terminal. Raises `AssertionError` with its errors if it fails."""
    clock = SystemClock()
    began, state, file = clock.now(), folder / "demo", folder / "report.json"
    arguments = ("--json", str(file), "--count", str(count), "--state", str(state))
    ran = causeway(state, "demo", *arguments, timeout_s=timeout_s)
    assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-500:]}"
    return Demonstration(state, ran, json.loads(file.read_text()), began, clock.now())


def counted(demo: Demonstration) -> dict[str, Any]:
    """Return the demo's counts in the form of the recount's summary."""
    recipients: dict[str, dict[str, int]] = {}
    for row in demo.report["recipients"]:
        recipients.setdefault(row["recipient"], {})[row["purpose"]] = row["count"]
    reasons: Counter[str] = Counter()
    for row in demo.report["work_lists"]:
        reasons[row["reason"]] += row["count"]
    return {
        "referrals": demo.report["filed"]["count"],
        "dispositions": demo.report["filed"]["states"],
        "work_reasons": dict(reasons),
        "recipients": recipients,
    }


def recounted(demo: Demonstration, *, policy: Path | None = None) -> list[dict[str, Any]]:
    """Return the independent script's counts from the demo's input alone, for each day on which it may have decided."""
    files = {
        name: Path(demo.report["input"][key]) for name, key in (("referrals", "sample"), ("directory", "directory"))
    }
    files |= {"policy": policy or Path(demo.report["input"]["policy"]), "tree": TREE}
    arguments = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    summaries = []
    for day in sorted({demo.began.date(), demo.ended.date()}):
        ran = foreign("recount.py", arguments=[*arguments, "--on", day.isoformat()])
        assert ran.returncode == 0, ran.stderr
        summary: dict[str, Any] = json.loads(ran.stdout)
        del summary["not_sent"]
        summaries.append(summary)
    return summaries


def without_a_rule(demo: Demonstration, rule_id: str, folder: Path) -> Path:
    """Return the demo's policy with one rule left out, for the control of the recount."""
    policy = json.loads(Path(demo.report["input"]["policy"]).read_text())
    policy["rules"] = [rule for rule in policy["rules"] if rule["id"] != rule_id]
    file = folder / "edited-policy.json"
    file.write_text(json.dumps(policy))
    return file


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Findings on the demo's restarted servers: the flow read again, and reconciliation."""

    again: flows.Reread
    accounts_code: int
    accounts: dict[str, Any]
    months: list[tuple[dict[str, Any], dict[str, Any]]]
    #: Differences of timelines from the databases and audit, and the same after one timeline was edited.
    timelines: list[str]
    timelines_edited: list[str]
    #: Attention items that parties must have, and the same after one row was removed and one added.
    lists: dict[str, Any]
    lists_edited: dict[str, Any]
    #: Audit's objections to each decision, and to the decisions after some were altered.
    decisions: Judged
    decisions_altered: Judged


def aftermath(demo: Demonstration) -> Aftermath:
    """Start the demo's servers again, without its instances, and inspect their content."""
    with DevStack(demo.state, embedded_settings(), say=lambda _: None) as stack:
        again = flows.reread(stack.endpoints, demo.messages, demo.state / "directory.json")
        ran = causeway(demo.state, "audit", "reconcile", "--json")
        months = [counted_twice(stack.endpoints, month) for month in {_month(demo.began), _month(demo.ended)}]
        stories, edited = demo.report["stories"], retold.edited(demo.report)
        told = [retold.timelines_differ(stack, each) for each in (stories, edited["stories"])]
        lists = [retold.lists_recounted(stack, each) for each in (demo.report, edited)]
        decisions = [judged_again(stack.endpoints, altered) for altered in (0, ALTERED)]
    return Aftermath(again, ran.returncode, json.loads(ran.stdout), months, *told, *lists, *decisions)


def counted_twice(endpoints: Endpoints, month: Month) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parties' acts in a month as counts and median minutes, by our count and by an independent program."""
    ours = {
        recipient: {
            measure.value: [figures.count(measure), figures.median_minutes(measure)] for measure in figures.minutes
        }
        | ({"gone": [figures.gone.total(), figures.gone_while_held.total()]} if figures.gone else {})
        for recipient, figures in asyncio.run(read_figures(endpoints, month, exercises=True)).items()
    }
    origins = [each for each in endpoints.instances if keeps_referrals(endpoints.kind(each))]
    asked = {
        "urls": {endpoints.database(each).accountant_url: endpoints.kind(each) for each in origins},
        "first": month.first.isoformat(),
        "after": month.after.isoformat(),
        "exercises": True,
    }
    ran = foreign("recount_month.py", asked)
    assert ran.returncode == 0, ran.stderr
    theirs: dict[str, Any] = json.loads(ran.stdout)
    return ours, theirs


def _month(at: datetime) -> Month:
    return Month(at.year, at.month)
