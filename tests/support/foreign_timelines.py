"""Hold timelines against what databases and audit say: `asyncpg` and the standard library only.

    python foreign_timelines.py < asked.json

Input: {"databases": {instance: url}, "kinds": {instance: kind}, "audit": url, "timelines": [{"party", "subject",
"entries": [{"type", "state", "by", …}]}]}. What is in a timeline is counted again from the messages that the instances
have taken (`inbox`), from what stands in their tables, and from audit's entries: whose act, which, in which order, and
where it has led. Prints a JSON list of sentences, one for each difference.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import asyncpg

#: Message → the act that it tells; of those that begin or take back, by the kind of party that receives them.
ACTS = {
    "referral_offered": {"law_enforcement": "case.offer", "hotline": "offer.offer"},
    "referral_withdrawn": {"law_enforcement": "case.withdraw", "hotline": "offer.withdraw"},
    "notice_issued": {"industry": "notice.issue"},
    "notice_withdrawn": {"industry": "notice.withdraw"},
    "question_replied": {"law_enforcement": "case.reply", "hotline": "offer.reply"},
    "notice_question_replied": {"industry": "notice.reply"},
    "dispute_answered": {"law_enforcement": "case.uphold", "hotline": "offer.uphold"},
    "notice_dispute_answered": {"industry": "notice.uphold"},
}
#: What an origin says of questions and disputes, as its own line.
ORIGINS_OWN = {
    "question_replied": "referral.reply",
    "notice_question_replied": "referral.reply",
    "dispute_answered": "referral.uphold",
    "notice_dispute_answered": "referral.uphold",
}
ANSWERS: dict[str, str | dict[str, str]] = {
    "withdrawal_acknowledged": {
        "law_enforcement": "case.acknowledge_withdrawal",
        "hotline": "offer.acknowledge_withdrawal",
        "": "offer.acknowledge_withdrawal",
    },
    "notice_withdrawal_acknowledged": "notice.acknowledge_withdrawal",
    "record_erased": {"law_enforcement": "case.erase", "hotline": "offer.erase", "": "offer.erase"},
    "notice_record_erased": "notice.erase",
    "notice_acknowledged": "notice.acknowledge",
    "notice_answered": "notice.answer",
    "notice_not_ours": "notice.not_ours",
    "case_accepted": "case.accept",
    "case_declined": "case.decline",
    "outcome_reported": "case.outcome",
    "question_asked": {"law_enforcement": "case.ask", "hotline": "offer.ask", "": "offer.ask"},
    "notice_question_asked": "notice.ask",
    "question_lapsed": {"law_enforcement": "case.lapse", "hotline": "offer.lapse", "": "offer.lapse"},
    "notice_question_lapsed": "notice.lapse",
    "dispute_raised": {"law_enforcement": "case.dispute", "hotline": "offer.dispute", "": "offer.dispute"},
    "notice_dispute_raised": "notice.dispute",
}
SHOWN = {"law_enforcement": ("case_file", "referral_id"), "hotline": ("offer", "referral_id")}
SHOWN |= {"industry": ("notice", "notice_id")}
TAKEN = """
SELECT message_id, type, subject, sender, recipient FROM inbox
WHERE subject = ANY($1::text[]) AND outcome = 'applied' AND type <> ALL($2::text[]) ORDER BY received_at, sequence
"""
NOTED = """
SELECT DISTINCT message_id FROM entry
WHERE subject = ANY($1::text[]) AND verified AND problem IS NULL AND message_id IS NOT NULL
"""
OF_DELIVERY = ["causeway.messages_receipted.v1"]


class Books:
    """All databases, read as whoever owns them."""

    def __init__(self, databases: dict[str, asyncpg.Connection], kinds: dict[str, str], audit: asyncpg.Connection):
        self.databases, self.kinds, self.audit = databases, kinds, audit

    async def everywhere(self, query: str, *arguments: Any) -> list[tuple[str, asyncpg.Record]]:
        return [
            (self.kinds[name], row)
            for name, each in self.databases.items()
            for row in await each.fetch(query, *arguments)
        ]


async def expected(books: Books, party: str, subject: str) -> dict[str, Any]:
    """What has come to the party of it, and what it has done, each in order; and where each side has come to."""
    filed = [
        row
        for name, each in books.databases.items()
        if books.kinds[name] != "law_enforcement"
        for row in await each.fetch("SELECT party, state, withdrawn_at FROM referral WHERE referral_id = $1", subject)
    ]
    own = bool(filed) and filed[0]["party"] == party
    subjects, stands = [subject], {}
    if own:
        for name, each in books.databases.items():
            if books.kinds[name] != "law_enforcement":
                for row in await each.fetch(
                    "SELECT recipient, notice_id, answer FROM edge WHERE referral_id = $1 AND state = 'emitted'",
                    subject,
                ):
                    stands[row["recipient"]] = row["answer"]
                    subjects += [str(row["notice_id"])] if row["notice_id"] else []
    taken = await books.everywhere(TAKEN, subjects, OF_DELIVERY)
    came = [(kind, row) for kind, row in taken if row["recipient"] == party]
    said = [(kind, row) for kind, row in taken if row["sender"] == party and short(row) in ANSWERS]
    received = [(act(row, kind if not own else ""), row["sender"]) for kind, row in came]
    done = [(act(row, await kind_of(books, party, subject)), None) for _, row in said]
    if own:
        answered = [
            (ORIGINS_OWN[short(row)], None) for _, row in taken if row["sender"] == party and short(row) in ORIGINS_OWN
        ]
        withdrawn = [("referral.withdraw", None)] if filed[0]["withdrawn_at"] else []
        done = [("referral.submit", None), *answered, *withdrawn]
    else:
        stands = {None: await state_of(books, party, subject)}
    noted = {row["message_id"] for row in await books.audit.fetch(NOTED, subjects)}
    missing = [short(row) for _, row in [*came, *said] if row["message_id"] not in noted]
    return {"received": received, "done": done, "stands": stands, "missing": missing}


def short(row: asyncpg.Record) -> str:
    return str(row["type"]).removeprefix("causeway.").removesuffix(".v1")


def act(row: asyncpg.Record, kind: str) -> str:
    told = ACTS.get(short(row)) or ANSWERS.get(short(row)) or f"unknown {short(row)}"
    return told if isinstance(told, str) else told.get(kind, f"unknown {short(row)} at {kind}")


async def kind_of(books: Books, party: str, subject: str) -> str:
    for name, each in books.databases.items():
        table, key = SHOWN[books.kinds[name]]
        if await each.fetchval(f"SELECT count(*) FROM {table} WHERE {key} = $1 AND party = $2", subject, party):
            return books.kinds[name]
    return ""


async def state_of(books: Books, party: str, subject: str) -> str | None:
    for name, each in books.databases.items():
        table, key = SHOWN[books.kinds[name]]
        state = await each.fetchval(f"SELECT state FROM {table} WHERE {key} = $1 AND party = $2", subject, party)
        if state is not None:
            return str(state)
    return None


async def differences(books: Books, timeline: dict[str, Any]) -> list[str]:
    party, subject = timeline["party"], timeline["subject"]
    entries = [each for each in timeline["entries"] if not each["type"].startswith("clock.")]
    wanted = await expected(books, party, subject)
    found = [f"audit has no entry of {each}" for each in wanted["missing"]]
    mine = [(each["type"], None) for each in entries if each["type"] in {name for name, _ in wanted["done"]}]
    theirs = [(each["type"], each.get("by")) for each in entries if (each["type"], None) not in mine]
    senders = [(name, by) for name, by in wanted["received"]]
    if not any(by for _, by in theirs):
        senders = [(name, None) for name, _ in senders]
    if mine != wanted["done"]:
        found.append(
            f"done {Counter(wanted['done']) - Counter(mine)} missing, {Counter(mine) - Counter(wanted['done'])} more"
        )
    if theirs != senders:
        found.append(f"received {senders}, shown {theirs}")
    for by, state in wanted["stands"].items():
        last = next((each["state"] for each in reversed(entries) if by is None or each.get("by") == by), "none")
        if last != state:
            found.append(f"{by or party} stands at {state}, the timeline ends at {last}")
    return [f"{party} {subject}: {each}" for each in found]


async def main() -> int:
    asked = json.load(sys.stdin)
    databases = {name: await asyncpg.connect(url) for name, url in asked["databases"].items()}
    books = Books(databases, asked["kinds"], await asyncpg.connect(asked["audit"]))
    found = [each for timeline in asked["timelines"] for each in await differences(books, timeline)]
    json.dump(found, sys.stdout)
    for each in (*databases.values(), books.audit):
        await each.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
