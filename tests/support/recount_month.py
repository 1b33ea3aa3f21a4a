"""A second count of the parties' acts in a month: a program that imports nothing of the project.

Standard input: `{"urls": {URL: kind}, "first": ISO, "after": ISO, "exercises": bool}`, the origins' databases as their
accountants reach them. Standard output: by recipient and measure, the count and the lower median in minutes. Under
`gone`: the number of items that a provider reported as gone, and how many of their notices had been held.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from datetime import datetime

import asyncpg


async def main():
    asked = json.load(sys.stdin)
    first, after = (datetime.fromisoformat(asked[name]) for name in ("first", "after"))
    durations = defaultdict(list)
    gone = defaultdict(lambda: [0, 0])
    for url, kind in asked["urls"].items():
        connection = await asyncpg.connect(url)
        referrals = {
            row["referral_id"]: row["accepted_at"]
            for row in await connection.fetch("SELECT referral_id, accepted_at, exercise FROM referral")
            if row["exercise"] == asked["exercises"]
        }
        begun = {
            (row["edge_id"], row["party"]): row["started_at"]
            for row in await connection.fetch("SELECT edge_id, party, started_at FROM deadline")
        }
        subjects = {}
        for edge in await connection.fetch("SELECT edge_id, referral_id, notice_id, party, recipient FROM edge"):
            at = begun.get((edge["edge_id"], edge["party"]))
            if edge["referral_id"] in referrals and at is not None:
                key = edge["notice_id"] or edge["referral_id"], edge["recipient"]
                before = subjects.get(key, (at, None))[0]
                subjects[key] = min(before, at), referrals[edge["referral_id"]]
        said = defaultdict(dict)
        columns = "subject, sender, code, answer, at, child_identified, child_safeguarded, removals, recheck_results"
        for act in await connection.fetch(f"SELECT {columns} FROM answer_act ORDER BY at DESC"):
            if act["code"] is None:
                for measure in measures(act):
                    said[act["subject"], act["sender"]][measure] = act["at"]
        seen = await looked(connection)
        for key, (sent_at, filed_at) in subjects.items():
            sent = {"sent": sent_at, "from_providers" if kind == "industry" else "from_hotlines": sent_at}
            for measure, at in {**sent, **said.get(key, {}), **seen.get(key[0], {})}.items():
                if first <= at < after:
                    since = filed_at if measure in sent else sent_at
                    durations[key[1], measure].append(max(int((at - since).total_seconds() // 60), 0))
        await count_gone(connection, gone, set(referrals), first, after)
        await connection.close()
    found = defaultdict(dict)
    for (recipient, measure), minutes in durations.items():
        found[recipient][measure] = [len(minutes), sorted(minutes)[(len(minutes) - 1) // 2]]
    for recipient, counted in gone.items():
        found[recipient]["gone"] = counted
    json.dump(found, sys.stdout)


async def looked(connection):
    """Return by notice when a recheck first found a reported removal confirmed, and when one found the item again."""
    acts = await connection.fetch(
        "SELECT subject, code, at, removals, recheck_results FROM answer_act ORDER BY at DESC"
    )
    acts, removed, found = [act for act in acts if act["code"] is None], {}, defaultdict(dict)
    for act in acts:
        for item in json.loads(act["removals"] or "[]"):
            removed[act["subject"], item["n"], item["round"]] = act["at"]
    for act in acts:
        for item in json.loads(act["recheck_results"] or "[]"):
            said_at = removed.get((act["subject"], item["n"], item["round"]))
            if item["found"] == "reappeared":
                found[act["subject"]]["reappeared"] = act["at"]
            if item["found"] == "gone" and said_at is not None and said_at <= act["at"]:
                found[act["subject"]]["confirmed"] = act["at"]
    return found


async def count_gone(connection, gone, referrals, first, after):
    """Add by provider the number of items that it reported as gone, and how many of these a hold was in time for."""
    placed = defaultdict(list)
    for hold in await connection.fetch("SELECT referral_id, placed_at, state FROM hold"):
        if hold["state"] != "too_late":
            placed[hold["referral_id"]].append(hold["placed_at"])
    notices = {}
    for edge in await connection.fetch("SELECT referral_id, notice_id, recipient, state, decided_at FROM edge"):
        if edge["notice_id"] and edge["state"] == "emitted" and edge["referral_id"] in referrals:
            held = any(at <= edge["decided_at"] for at in placed[edge["referral_id"]])
            key = edge["notice_id"], edge["recipient"]
            notices[key] = notices.get(key, False) or held
    for act in await connection.fetch("SELECT subject, sender, code, at, already_gone FROM answer_act"):
        key = act["subject"], act["sender"]
        if act["code"] is None and act["already_gone"] and first <= act["at"] < after and key in notices:
            gone[key[1]][0] += act["already_gone"]
            gone[key[1]][1] += act["already_gone"] * notices[key]


def measures(act):
    """Yield the measures that one answer counts for."""
    if act["answer"] != "withdrawal_acknowledged":
        yield "answered"
    if json.loads(act["removals"] or "[]"):
        yield "removed"
    if act["answer"] in ("actioned", "rejected", "not_ours", "accepted", "declined", "closed"):
        yield act["answer"]
    if act["answer"] in ("ongoing", "closed"):
        yield "fed_back"
    if act["child_identified"] == "yes":
        yield "identified"
    if act["child_safeguarded"] == "yes":
        yield "safeguarded"


asyncio.run(main())
