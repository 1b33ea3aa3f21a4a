"""The demo's report as a person reads it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.accounting.cli import print_accounts


def print_report(report: dict[str, Any]) -> None:
    """Print what happened: counts, answers, work lists, one flow, the accounts, and where to look further."""
    console = Console(width=None if Console().is_terminal else 200)
    console.rule("Referrals filed")
    console.print(", ".join(f"{state}: {count}" for state, count in sorted(report["filed"]["states"].items())))
    _recipients(console, report["recipients"])
    _pairs(console, "Answers of recipients (none: silent)", sorted(report["answers"].items()))
    _ticks(console, report["ticks"])
    _work_lists(console, report["work_lists"])
    _lists(console, report)
    print_flow(console, report["flow"])
    print_accounts(console, report["accounting"])
    console.rule("Where to look further")
    for name, url in report["urls"].items():
        console.print(f"{name}: {url}/console, or {url}/openapi.json for programs", soft_wrap=True)
    seconds = report["seconds"]
    console.print(
        f"first answer after {seconds['first_answer']} s, filed after {seconds['filed']} s,"
        f" settled after {seconds['settled']} s, end after {seconds['end']} s"
    )


def _recipients(console: Console, rows: list[dict[str, Any]]) -> None:
    by_purpose = Counter[str]()
    for row in rows:
        by_purpose[row["purpose"]] += row["count"]
    table = Table(title="Most addressed recipients", title_justify="left")
    for column in ("recipient", "purpose", "referrals"):
        table.add_column(column)
    for row in sorted(rows, key=lambda row: (-row["count"], row["recipient"]))[:15]:
        table.add_row(row["recipient"], row["purpose"], str(row["count"]))
    console.print(table)
    totals = ", ".join(f"{purpose}: {count}" for purpose, count in sorted(by_purpose.items()))
    console.print(f"{len(rows)} recipients and purposes in all; {totals}")


def _pairs(console: Console, title: str, pairs: list[tuple[str, int]]) -> None:
    table = Table(title=title, title_justify="left")
    for name, _ in pairs:
        table.add_column(name)
    table.add_row(*(str(count) for _, count in pairs))
    console.print(table)


def _ticks(console: Console, found: dict[str, Any]) -> None:
    console.rule("Ticks")
    console.print(
        f"hotlines have answered {found['by_hotlines']} of the {found['to_hotlines']} offers that they were sent; "
        f"of {found['referrals']} referrals all recipients of {found['answered_by_all']} have answered"
    )
    console.print(
        "their third tick: " + ", ".join("{done} of {of}".format(**each["acknowledged"]) for each in found["shown"])
    )


def _work_lists(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(title="Work lists", title_justify="left")
    for column in ("list", "reason", "referrals"):
        table.add_column(column)
    for row in rows:
        table.add_row(row["list"], row["reason"], str(row["count"]))
    console.print(table)


def _lists(console: Console, report: dict[str, Any]) -> None:
    waiting = Counter(
        reason for lists in report["lists"].values() for row in lists["attention"] for reason in row["reasons"]
    )
    console.rule("What needs a person (causeway attention)")
    console.print(", ".join(f"{reason}: {count}" for reason, count in sorted(waiting.items())))
    accepted, told = (sum(each[name] for each in report["feedback"].values()) for name in ("accepted", "told"))
    console.print(f"feedback: agencies accepted {accepted} cases and have said of {told} what came of them")


def print_flow(console: Console, flow: dict[str, Any]) -> None:
    """Print the messages of one referral. In lines: a table of whole names is wider than most terminals."""
    console.rule(f"The flow of referral {flow['referral_id']}")
    for message in flow["messages"]:
        kind = (message["type"] or "unreadable").removeprefix("causeway.")
        place = f"{message['topic'].removeprefix('causeway.')}/{message['partition']}/{message['offset']}"
        parties = f"{message['sender'] or '?'} → {message['recipient'] or '?'}"
        lines = [f"{message['position']}  {message['at'][11:]}  {kind}  {message['outcome'] or ''}"]
        lines += [f"  {parties}  {', '.join(message['rules'])}", f"  {place}"]
        for line in lines:
            console.print(Text(line.rstrip()), soft_wrap=True)
