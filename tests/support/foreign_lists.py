"""Recount the parties' lists and feedback figures with `asyncpg` and the standard library only.

    python foreign_lists.py < asked.json

Input: {"databases": {instance: url}, "kinds": {instance: kind}, "audit": url, "sample": the submitted referrals as JSON
lines, "lists": {party: {"attention": [row, …], "feedback_due": [row, …]}}, "feedback": {agency: {"accepted", "told"}},
"timelines": [{"party", "subject", "listed": ["REASON …", …]}, …]}. The timelines are those of the stories.

An expected row is counted from the other side. A recipient's answer comes from its own table. The outcome of a message
comes from its recipient's exceptions and its reports to audit. Children at risk come from the file.

Prints {"expected", "missing", "extra", "by_reason", "accepted", "without_feedback", "unnamed", "rates_differ",
"ticks"}. The last one has the number of referrals that all recipients have answered by their own tables, and the
hotlines' answers to their offers.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import asyncpg

P0 = "p0_child_at_risk"
#: By kind of recipient: the states with a final answer or a rejection.
FINISHED = {
    "law_enforcement": {"declined", "closed"},
    "hotline": {"declined", "closed", "claimed", "transferred", "gone"},
    "industry": {"actioned", "rejected", "not_ours"},
}
NO = {"declined", "rejected", "not_ours"}
BACK = {"withdrawn", "withdrawal_acknowledged", "record_erased"}
OF_EDGES = {"deferred", "waiting", "parked", "recipient_cannot_read"}
STUCK = {"refused", "deferred", "waiting", "parked"}
#: Refusal codes after which the origin decides again, so no person is needed.
AGAIN = ("law",)
#: Messages that a recipient stored but did not apply, and those that it refused, by its latest report to audit.
OPEN = "SELECT message_id, CASE outcome WHEN 'dead' THEN 'parked' ELSE outcome END AS outcome, code FROM exception"
REFUSED = """
SELECT message_id, outcome, code FROM (
    SELECT DISTINCT ON (message_id) message_id, outcome, code FROM outcome
    ORDER BY message_id, reported_at DESC, number DESC, position DESC
) AS last WHERE outcome = 'refused'
"""
Row = tuple[str, str, str, str, str]
Databases = dict[str, asyncpg.Connection]
Kinds = dict[str, str]
#: A result of a hold is listed until the agency acts on the case, and a preservation request until the provider
#: answers.
#: They are counted from the origin's table and the agency's table.
ENDED = """
SELECT agency AS party, referral_id AS subject, 'hold_' || state AS reason FROM hold AS h
WHERE state IN ('expired', 'overridden', 'lapsed', 'too_late') AND NOT EXISTS (
    SELECT FROM answer_act AS a
    WHERE a.subject = h.referral_id AND a.sender = h.agency AND a.at > coalesce(h.ended_at, h.placed_at))
"""
UNANSWERED = """
SELECT counterpart AS party, preservation_id AS subject, 'preservation_unanswered' AS reason FROM preservation
WHERE is_requester AND state = 'requested'
"""
OF_STORIES = [(ENDED, {"hotline", "industry"}), (UNANSWERED, {"law_enforcement"})]
HOLDS = {"hold_expired", "hold_overridden", "hold_lapsed", "hold_too_late"}
#: The reasons on the lists of stories that are counted here.
COUNTED = NO | HOLDS | {"reappeared", "preservation_unanswered", "handed_over"}
#: Claims that an origin granted to a hotline, and the referrals that the hotline derived from them.
GRANTED = "SELECT recipient AS party, referral_id AS subject FROM transfer WHERE claimed_at IS NOT NULL"
DERIVED = "SELECT party, other_referral_id AS subject FROM referral_relation WHERE kind = 'derived_from'"
#: Cases that an officer of the agency holds or held last. They are not open for others to claim.
CLAIMED = """
SELECT referral_id, party FROM (
    SELECT DISTINCT ON (referral_id, party) * FROM case_lease ORDER BY referral_id, party, number DESC
) AS newest WHERE actor IS NOT NULL
"""
EXPIRED = "SELECT origin, referral_id FROM hold WHERE state = 'expired'"


def sampled(lines: str) -> dict[tuple[str, str], str | None]:
    """Return the priority of each submitted referral, by origin and the origin's reference."""
    rows = [(row["origin"], row["referral"]) for row in map(json.loads, lines.splitlines())]
    return {(origin, each["external_ref"]): each.get("priority", {}).get("level") for origin, each in rows}


async def must_stand(databases: Databases, kinds: Kinds, sample: str, audit: asyncpg.Connection) -> set[Row]:
    """Return every expected (party, subject, other side, notice, reason) of the sample's referrals."""
    known = sampled(sample)
    held: dict[tuple[str, str], str] = {}
    outcomes: dict[Any, tuple[str, str | None]] = {
        row["message_id"]: (row["outcome"], row["code"]) for row in await audit.fetch(REFUSED)
    }
    found: set[Row] = set()
    for each in databases.values():
        for row in await each.fetch("SELECT subject, party, state FROM received"):
            held[str(row["subject"]), row["party"]] = row["state"]
        for row in await each.fetch(OPEN):
            outcomes[row["message_id"]] = row["outcome"], row["code"]
    for name, each in databases.items():
        if kinds[name] == "law_enforcement":
            continue
        for row in await each.fetch("SELECT referral_id, party, external_ref, state, unrouted_reason FROM referral"):
            if (row["party"], row["external_ref"]) not in known or row["state"] == "withdrawn":
                continue
            subject = str(row["referral_id"])
            if row["unrouted_reason"] and row["unrouted_reason"] not in OF_EDGES:
                found.add((row["party"], subject, "", "", row["unrouted_reason"]))
            p0 = known[row["party"], row["external_ref"]] == P0
            for edge in await each.fetch(
                "SELECT recipient, notice_id, message_id, state FROM edge WHERE referral_id = $1"
                " AND state IN ('emitted', 'waiting')",
                row["referral_id"],
            ):
                notice = str(edge["notice_id"] or "")
                state = held.get((notice or subject, edge["recipient"]))
                for reason in reasons(edge, state, outcomes.get(edge["message_id"]), p0=p0):
                    found.add((row["party"], subject, edge["recipient"], notice, reason))
    return found | await at_recipients(databases, kinds) | await asked_and_contested(databases, kinds)


def reasons(edge: asyncpg.Record, state: str | None, outcome: tuple[str, str | None] | None, *, p0: bool) -> list[str]:
    said = ["recipient_cannot_read"] if edge["state"] == "waiting" else []
    if not said and outcome is not None and outcome[0] in STUCK and outcome[1] not in AGAIN:
        said = [outcome[0]]
    if not said and state in NO:
        said = [str(state)]
    ended = NO | {"actioned", "closed"} | BACK
    return [*said, "p0_open"] if p0 and state not in ended else said


async def at_recipients(databases: Databases, kinds: Kinds) -> set[Row]:
    """Return recipients' open items with a child at risk and, for agencies, the unclaimed cases."""
    found: set[Row] = set()
    for name, each in databases.items():
        finished, agency = FINISHED[kinds[name]], kinds[name] == "law_enforcement"
        claimed = {(row["referral_id"], row["party"]) for row in await each.fetch(CLAIMED)} if agency else set()
        for row in await each.fetch("SELECT subject, party, sender, state FROM received WHERE priority = $1", P0):
            said = ["p0_open"] if row["state"] not in finished | BACK else []
            if agency and row["state"] == "offered" and (row["subject"], row["party"]) not in claimed:
                said.append("p0_unclaimed")
            found |= {(row["party"], str(row["subject"]), row["sender"], "", reason) for reason in said}
    return found


async def asked_and_contested(databases: Databases, kinds: Kinds) -> set[Row]:
    """Return the open questions and disputes of recipients, by their own tables, as both sides must list them."""
    notices: dict[str, str] = {}
    for name, each in databases.items():
        if kinds[name] != "law_enforcement":
            for row in await each.fetch("SELECT referral_id, notice_id FROM edge WHERE notice_id IS NOT NULL"):
                notices[str(row["notice_id"])] = str(row["referral_id"])
    found: set[Row] = set()
    for name, each in databases.items():
        for row in await each.fetch(
            "SELECT q.subject, q.party, q.counterpart, q.kind, t.state FROM question AS q"
            " JOIN received AS t USING (subject, party) WHERE q.is_own AND q.state = 'open'"
        ):
            if row["state"] in FINISHED[kinds[name]] | NO | BACK | {"closed"}:
                continue
            subject = str(row["subject"])
            reason = "disputed" if row["kind"] == "dispute" else "needs_info"
            notice = subject if subject in notices else ""
            found.add((row["counterpart"], notices.get(subject, subject), row["party"], notice, reason))
            if reason == "disputed":
                found.add((row["party"], subject, row["counterpart"], "", reason))
    return found


async def in_stories(databases: Databases, kinds: Kinds, timelines: list[dict[str, Any]]) -> set[Row]:
    """Return the expected rows at the end of the stories: holds, preservations and answers, from the other side."""
    told = {(each["party"], each["subject"]) for each in timelines}
    found: set[Row] = set()
    for name, each in databases.items():
        for query, of in OF_STORIES:
            if kinds[name] in of:
                for row in await each.fetch(query):
                    found.add((row["party"], str(row["subject"]), "", "", row["reason"]))
    granted, derived = set[Row](), set[Row]()
    for name, each in databases.items():
        if kinds[name] != "law_enforcement":
            for query, rows in ((GRANTED, granted), (DERIVED, derived)):
                rows |= {(r["party"], str(r["subject"]), "", "", "handed_over") for r in await each.fetch(query)}
    found |= granted - derived
    edges = [
        (row["party"], str(row["referral_id"]), row["recipient"], str(row["notice_id"] or row["referral_id"]))
        for name, each in databases.items()
        if kinds[name] != "law_enforcement"
        for row in await each.fetch(
            "SELECT party, referral_id, recipient, notice_id FROM edge WHERE state = 'emitted' AND NOT is_retracted"
        )
    ]
    states: dict[tuple[str, str], str] = {}
    ended: set[tuple[str, str]] = set()
    for name, each in databases.items():
        for row in await each.fetch("SELECT subject, party, state FROM received"):
            states[str(row["subject"]), row["party"]] = row["state"]
        if kinds[name] == "law_enforcement":
            ended |= {(r["origin"], str(r["referral_id"])) for r in await each.fetch(EXPIRED)}
    for party, referral, recipient, subject in edges:
        state = states.get((subject, recipient))
        if state in NO | {"reappeared"}:
            found.add((party, referral, "", "", str(state)))
        if (party, referral) in ended and subject != referral and state == "issued":
            found.add((party, referral, "", "", "hold_expired"))
    return {row for row in found if row[:2] in told}


async def without_feedback(databases: Databases, kinds: Kinds, sample: str) -> dict[str, Any]:
    """Return each agency's accepted cases and those without feedback, counted from its own acts."""
    known, accepted = sampled(sample), dict[str, set[str]]()
    silent: dict[str, set[str]] = {}
    filed = {
        str(row["referral_id"])
        for name, each in databases.items()
        if kinds[name] != "law_enforcement"
        for row in await each.fetch("SELECT referral_id, party, external_ref FROM referral")
        if (row["party"], row["external_ref"]) in known
    }
    for name, each in databases.items():
        if kinds[name] != "law_enforcement":
            continue
        acts: dict[tuple[str, str], list[str]] = {}
        for row in await each.fetch("SELECT referral_id, party, state FROM case_act ORDER BY number"):
            acts.setdefault((str(row["referral_id"]), row["party"]), []).append(row["state"])
        for (referral, party), states in acts.items():
            if referral in filed and "accepted" in states and not BACK & {*states}:
                accepted.setdefault(party, set()).add(referral)
                if not {"ongoing", "closed"} & {*states}:
                    silent.setdefault(party, set()).add(referral)
    return {"accepted": accepted, "silent": silent}


async def ticks(databases: Databases, kinds: Kinds, sample: str) -> dict[str, int]:
    """Return the demo's figures of answers, counted from the answering parties' tables."""
    known, states = sampled(sample), dict[tuple[str, str], str]()
    offers: set[tuple[str, str]] = set()
    for each in databases.values():
        for row in await each.fetch("SELECT subject, party, kind, state FROM received"):
            states[str(row["subject"]), row["party"]] = row["state"]
            if row["kind"] == "offer":
                offers.add((str(row["subject"]), row["party"]))
    edges: dict[str, list[tuple[str, str]]] = {}
    for name, each in databases.items():
        if kinds[name] != "law_enforcement":
            for row in await each.fetch(
                "SELECT referral_id, notice_id, recipient, party, external_ref FROM edge"
                " JOIN referral USING (referral_id, party)"
                " WHERE referral.state <> 'withdrawn' AND edge.state IN ('emitted', 'referred', 'waiting', 'planned')"
            ):
                if (row["party"], row["external_ref"]) in known:
                    subject = str(row["notice_id"] or row["referral_id"])
                    edges.setdefault(str(row["referral_id"]), []).append((subject, row["recipient"]))
    answered = {subject for subject, state in states.items() if state not in ("offered", "issued")}
    to_hotlines = [each for sent in edges.values() for each in sent if each in offers]
    return {
        "referrals": len(edges),
        "answered_by_all": sum(all(each in answered for each in sent) for sent in edges.values()),
        "to_hotlines": len(to_hotlines),
        "by_hotlines": sum(each in answered for each in to_hotlines),
    }


async def main() -> int:
    asked = json.load(sys.stdin)
    databases = {name: await asyncpg.connect(url) for name, url in asked["databases"].items()}
    audit = await asyncpg.connect(asked["audit"])
    expected = await must_stand(databases, asked["kinds"], asked["sample"], audit)
    await audit.close()
    shown = {
        (party, row["subject"], row.get("party") or "", row.get("notice_id") or "", reason)
        for party, lists in asked["lists"].items()
        for row in lists["attention"]
        for reason in row["reasons"]
    }
    stories = asked.get("timelines", [])
    expected |= await in_stories(databases, asked["kinds"], stories)
    last = [(each["party"], each["subject"], line.split()[0]) for each in stories for line in each["listed"]]
    shown |= {(party, subject, "", "", reason) for party, subject, reason in last if reason in COUNTED}
    cases = await without_feedback(databases, asked["kinds"], asked["sample"])
    named = {(party, row["subject"]) for party, lists in asked["lists"].items() for row in lists["feedback_due"]}
    silent = {(party, referral) for party, referrals in cases["silent"].items() for referral in referrals}
    rates = {
        party: {"accepted": len(each), "told": len(each - cases["silent"].get(party, set()))}
        for party, each in cases["accepted"].items()
    }
    told = asked["feedback"]
    json.dump(
        {
            "expected": len(expected),
            "missing": sorted(expected - shown),
            "extra": sorted(shown - expected),
            "by_reason": Counter(row[-1] for row in expected),
            "accepted": sum(len(each) for each in cases["accepted"].values()),
            "without_feedback": len(silent),
            "unnamed": sorted(silent - named),
            "ticks": await ticks(databases, asked["kinds"], asked["sample"]),
            "rates_differ": sorted(p for p in rates.keys() | told.keys() if rates.get(p) != told.get(p)),
        },
        sys.stdout,
    )
    for each in databases.values():
        await each.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
