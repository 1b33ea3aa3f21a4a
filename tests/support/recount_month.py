"""What the parties did in a month, counted once more: a program that imports nothing of the project.

Standard input: `{"urls": [...], "first": ISO, "after": ISO, "exercises": bool}`, the origins' databases as their
accountants reach them. Standard output: by recipient and measure, how many and the lower median in minutes.
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
    for url in asked["urls"]:
        connection = await asyncpg.connect(url)
        referrals = {
            row["referral_id"]: row["accepted_at"]
            for row in await connection.fetch("SELECT referral_id, accepted_at, exercise FROM referral")
            if row["exercise"] == asked["exercises"]
        }
        begun = {
            (row["edge_id"], row["party"]): row["begun_at"]
            for row in await connection.fetch("SELECT edge_id, party, begun_at FROM clocked")
        }
        subjects = {}
        for edge in await connection.fetch("SELECT edge_id, referral_id, notice_id, party, recipient FROM edge"):
            at = begun.get((edge["edge_id"], edge["party"]))
            if edge["referral_id"] in referrals and at is not None:
                key = edge["notice_id"] or edge["referral_id"], edge["recipient"]
                before = subjects.get(key, (at, None))[0]
                subjects[key] = min(before, at), referrals[edge["referral_id"]]
        said = defaultdict(dict)
        columns = "subject, sender, code, answer, at, child_identified, child_safeguarded"
        for act in await connection.fetch(f"SELECT {columns} FROM answer_act ORDER BY at DESC"):
            if act["code"] is None:
                for measure in measures(act):
                    said[act["subject"], act["sender"]][measure] = act["at"]
        for key, (sent_at, filed_at) in subjects.items():
            for measure, at in {"sent": sent_at, **said.get(key, {})}.items():
                if first <= at < after:
                    since = filed_at if measure == "sent" else sent_at
                    durations[key[1], measure].append(max(int((at - since).total_seconds() // 60), 0))
        await connection.close()
    found = defaultdict(dict)
    for (recipient, measure), minutes in durations.items():
        found[recipient][measure] = [len(minutes), sorted(minutes)[(len(minutes) - 1) // 2]]
    json.dump(found, sys.stdout)


def measures(act):
    """What one answer is counted as."""
    if act["answer"] != "withdrawal_acknowledged":
        yield "answered"
    if act["answer"] in ("actioned", "rejected", "not_ours", "accepted", "declined", "closed"):
        yield act["answer"]
    if act["answer"] in ("ongoing", "closed"):
        yield "fed_back"
    if act["child_identified"] == "yes":
        yield "identified"
    if act["child_safeguarded"] == "yes":
        yield "safeguarded"


asyncio.run(main())
