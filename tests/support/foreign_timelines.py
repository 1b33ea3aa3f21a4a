"""Compare timelines with the databases and audit: `asyncpg` and the standard library only.

    python foreign_timelines.py < asked.json

Input: {"databases": {instance: url}, "kinds": {instance: kind}, "audit": url, "timelines": [{"party", "subject",
"entries": [{"type", "state", "by", …}]}], "groups": [{"party", "work_item", "notices"}]}.

A timeline is recounted from the messages that audit has and that their recipients accepted without a refusal. The ends
of streams at the recipients and all tables give the actor, the act, the order and the resulting state. A work item has
the notices that name its place, each of another notifier, without the withdrawn ones. Prints a JSON list of sentences,
one for each difference.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import asyncpg

#: Maps a message to its act. If the act depends on the recipient's kind, the value maps kinds to acts.
ACTS: dict[str, str | dict[str, str]] = {
    "referral_offered": {"law_enforcement": "case.offer", "hotline": "offer.offer"},
    "referral_withdrawn": {"law_enforcement": "case.withdraw", "hotline": "offer.withdraw"},
    "notice_issued": {"industry": "notice.issue"},
    "notice_withdrawn": {"industry": "notice.withdraw"},
    "question_replied": {"law_enforcement": "case.reply", "hotline": "offer.reply"},
    "notice_question_replied": {"industry": "notice.reply"},
    "dispute_answered": {"law_enforcement": "case.uphold", "hotline": "offer.uphold"},
    "notice_dispute_answered": {"industry": "notice.uphold"},
    "items_checked": "notice.check",
    "hold_activated": "case.hold_activated",
    "hold_too_late": "case.hold_too_late",
    "hold_ended": "case.hold_ended",
    "contact_suggested": "case.contact_suggested",
    "transfer_offered": "offer.transfer",
    "claim_granted": "offer.claim_granted",
    "claim_gone": "offer.claim_gone",
}
#: An origin's messages about questions and disputes, as lines of its own timeline.
ORIGINS_OWN = {
    "question_replied": "referral.reply",
    "notice_question_replied": "referral.reply",
    "dispute_answered": "referral.uphold",
    "notice_dispute_answered": "referral.uphold",
}
#: A repeated message about a known subject is an amendment.
AGAIN = {"case.offer": "case.amend", "offer.offer": "offer.amend", "notice.issue": "notice.amend"}
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
    "notice_reinstated": "notice.reinstate",
    "offer_accepted": "offer.accept",
    "offer_declined": "offer.decline",
    "offer_assessed": "offer.assess",
    "offer_claimed": "offer.claim",
    "hold_placed": "case.place_hold",
    "hold_extended": "case.extend_hold",
    "hold_released": "case.release_hold",
    "no_objection": "case.no_objection",
    "preservation_requested": "preservation.submit",
    "preservation_extension_requested": "preservation.extend",
    "preservation_withdrawn": "preservation.withdraw",
    "preservation_answered": "preservation.answer",
    "preservation_corrected": "preservation.correct",
    "preservation_extension_answered": "preservation.answer_extension",
    "preservation_ended": "preservation.end",
    "preservation_withdrawal_acknowledged": "preservation.acknowledge_withdrawal",
}
#: By kind of party, the tables of the items that it received or requested.
SHOWN = {
    "law_enforcement": [("received", "subject"), ("preservation", "preservation_id")],
    "hotline": [("received", "subject")],
    "industry": [("received", "subject"), ("preservation", "preservation_id")],
}
#: States of withdrawn subjects.
BACK = {"withdrawn", "withdrawal_acknowledged", "record_erased"}
#: Maps the cause of a new revision to the origin's act.
CHANGED = {"amended": "referral.amend", "rerouted": "referral.reroute"}
#: Acts of an origin that its own tables do not record one by one. They are counted at the recipients: one act each,
SENT = {"hold_ended": "case.hold_ended", "claim_granted": "referral.hand_over"}
#: and these as one act for all recipients.
SENT_TO_ALL = {"items_checked": "referral.check", "transfer_offered": "referral.transfer"}
#: Each message between parties about these subjects once, even if it was carried to a second place, with its
#: recipient's
#: latest outcome if that is not `applied`.
TAKEN = """
SELECT * FROM (
    SELECT DISTINCT ON (e.message_id) e.message_id, e.type, e.subject, e.sender, e.recipient, e.writer, e.addressee,
           e.incarnation, e.lane, e.number, e.broker_time AS received_at, last.outcome
    FROM entry AS e LEFT JOIN LATERAL (
        SELECT o.outcome FROM outcome AS o WHERE o.message_id = e.message_id AND o.writer = e.writer
        ORDER BY o.reported_at DESC, o.number DESC, o.position DESC LIMIT 1
    ) AS last ON true
    WHERE e.subject = ANY($1::text[]) AND e.verified AND e.problem IS NULL AND e.number IS NOT NULL
      AND e.addressee <> 'audit'
    ORDER BY e.message_id, e.broker_time DESC
) AS taken WHERE coalesce(outcome, 'applied') = 'applied' ORDER BY received_at, incarnation, lane, number
"""
#: The last number of a stream that a recipient has read, in the present or a closed incarnation.
THROUGH = """
SELECT incarnation, urgent_through, ordinary_through FROM receive_state WHERE writer = $1 AND addressee = $2
UNION ALL SELECT incarnation, urgent_through, ordinary_through FROM incarnation WHERE writer = $1 AND addressee = $2
"""


#: The name of an act and its actor. None: the party of the timeline, or an unnamed actor.
Act = tuple[str, str | None]


class Books:
    """All databases, read as their owners."""

    def __init__(self, databases: dict[str, asyncpg.Connection], kinds: dict[str, str], audit: asyncpg.Connection):
        self.databases, self.kinds, self.audit = databases, kinds, audit


async def expected(books: Books, party: str, subject: str) -> dict[str, Any]:
    """Return the received and own acts of the party about the subject, each in order, and the state of each side."""
    filed = await filings(books, subject)
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
    taken = [(books.kinds[row["addressee"]], row) for row in await books.audit.fetch(TAKEN, subjects)]
    came = [(kind, row) for kind, row in taken if row["recipient"] == party]
    said = [(kind, row) for kind, row in taken if row["sender"] == party and short(row) in ANSWERS]
    received = once_more([(act(row, kind if not own else ""), row["sender"]) for kind, row in came])
    done: list[Act] = [(act(row, await kind_of(books, party, subject)), None) for _, row in said]
    if own:
        done = own_acts(filed[0], filed[1:], [row for _, row in taken if row["sender"] == party])
    else:
        stands = {None: await state_of(books, party, subject)}
    missing = [short(row) for _, row in [*came, *said] if not await is_taken(books, row)]
    return {"received": received, "done": done, "stands": stands, "missing": missing}


async def is_taken(books: Books, row: asyncpg.Record) -> bool:
    """Return whether the message's recipient has accepted its number, by the recipient's own database."""
    ends = {
        each["incarnation"]: (each["urgent_through"], each["ordinary_through"])
        for each in await books.databases[row["addressee"]].fetch(THROUGH, row["writer"], row["addressee"])
    }
    return bool(row["number"] <= (ends.get(row["incarnation"], (0, 0))[row["lane"]] or 0))


async def filings(books: Books, subject: str) -> list[asyncpg.Record]:
    """Return the referral as it is now, followed by its earlier revisions, oldest first. Empty for other subjects."""
    found: list[asyncpg.Record] = []
    for name, each in books.databases.items():
        if books.kinds[name] != "law_enforcement":
            found += await each.fetch(
                "SELECT party, accepted_at, withdrawn_at, cause, amended_at AS at FROM referral WHERE referral_id = $1",
                subject,
            )
            found += await each.fetch(
                "SELECT cause, at FROM referral_revision WHERE referral_id = $1 ORDER BY revision", subject
            )
    return found


def own_acts(stands: asyncpg.Record, before: list[asyncpg.Record], sent: list[asyncpg.Record]) -> list[Act]:
    """Return an origin's acts, ordered by their own times or by the arrival of their messages."""
    acts: list[tuple[Any, Act]] = [(stands["accepted_at"], ("referral.submit", None))]
    acts += [(row["at"], (CHANGED[row["cause"]], None)) for row in [*before, stands] if row["cause"] in CHANGED]
    acts += [(stands["withdrawn_at"], ("referral.withdraw", None))] if stands["withdrawn_at"] else []
    acts += [(row["received_at"], (SENT[short(row)], row["recipient"])) for row in sent if short(row) in SENT]
    acts += [(row["received_at"], (ORIGINS_OWN[short(row)], None)) for row in sent if short(row) in ORIGINS_OWN]
    for message, name in SENT_TO_ALL.items():
        # One recheck informs each provider that has the item; one transfer informs each hotline that may claim it.
        told: dict[tuple[str, str], list[Any]] = {}
        for row in sent:
            if short(row) == message:
                told.setdefault((row["subject"], row["recipient"]), []).append(row["received_at"])
        acts += [(at, (name, None)) for at in max(told.values(), key=len, default=[])]
    return [each for _, each in sorted(acts, key=lambda act: act[0])]


def once_more(received: list[Act]) -> list[Act]:
    """Return the same acts, with repeated beginnings named as amendments."""
    begun: set[Act] = set()
    found = []
    for name, by in received:
        found.append((AGAIN.get(name, name) if (name, by) in begun else name, by))
        begun.add((name, by))
    return found


def short(row: asyncpg.Record) -> str:
    return str(row["type"]).removeprefix("causeway.").removesuffix(".v1")


def act(row: asyncpg.Record, kind: str) -> str:
    told = ACTS.get(short(row)) or ANSWERS.get(short(row)) or f"unknown {short(row)}"
    return told if isinstance(told, str) else told.get(kind, f"unknown {short(row)} at {kind}")


async def kind_of(books: Books, party: str, subject: str) -> str:
    for name, each in books.databases.items():
        for table, key in SHOWN[books.kinds[name]]:
            if await each.fetchval(f"SELECT count(*) FROM {table} WHERE {key} = $1 AND party = $2", subject, party):
                return books.kinds[name]
    return ""


async def state_of(books: Books, party: str, subject: str) -> str | None:
    for name, each in books.databases.items():
        for table, key in SHOWN[books.kinds[name]]:
            state = await each.fetchval(f"SELECT state FROM {table} WHERE {key} = $1 AND party = $2", subject, party)
            if state is not None:
                return str(state)
    return None


async def differences(books: Books, timeline: dict[str, Any]) -> list[str]:
    party, subject = timeline["party"], timeline["subject"]
    entries = [each for each in timeline["entries"] if not each["type"].startswith("clock.")]
    wanted = await expected(books, party, subject)
    found = [f"audit has {each}, and its recipient has not taken it" for each in wanted["missing"]]
    shown = [(each["type"], each.get("by")) for each in entries]
    mine = [each for each in shown if each in wanted["done"]]
    theirs = [each for each in shown if each not in mine]
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
        last = stood(entries, by)
        if last not in (state, None):
            found.append(f"{by or party} stands at {state}, the timeline ends at {last}")
    return [f"{party} {subject}: {each}" for each in found]


def stood(entries: list[dict[str, Any]], by: str | None) -> str | None:
    """Return the state between two parties at the end of a timeline. None if a later content may have changed it."""
    for each in reversed(entries):
        if by is not None and each["type"] in CHANGED.values():
            return None
        if by is None or (each.get("by") == by and each["type"] not in SENT.values()):
            return str(each["state"])
    return "none"


async def ungrouped(books: Books, group: dict[str, Any]) -> list[str]:
    """Return the difference if a work item does not have exactly the open notices about one place."""
    token, wanted = bytes.fromhex(group["work_item"].replace("-", "")), {*group["notices"]}
    rows = [
        row
        for name, each in books.databases.items()
        if books.kinds[name] == "industry"
        for row in await each.fetch(
            "SELECT l.notice_id, n.sender, n.state FROM notice_location AS l JOIN received AS n"
            " ON n.subject = l.notice_id AND n.party = l.party WHERE l.party = $1 AND l.token = $2",
            group["party"],
            token,
        )
    ]
    there = {str(row["notice_id"]) for row in rows if str(row["notice_id"]) in wanted or row["state"] not in BACK}
    notifiers = {row["sender"] for row in rows if str(row["notice_id"]) in wanted}
    told = [] if there == wanted else [f"work item {group['work_item']}: {sorted(there ^ wanted)} too many or missing"]
    return told if len(notifiers) == len(wanted) else [*told, f"work item {group['work_item']}: one notifier twice"]


async def main() -> int:
    asked = json.load(sys.stdin)
    databases = {name: await asyncpg.connect(url) for name, url in asked["databases"].items()}
    books = Books(databases, asked["kinds"], await asyncpg.connect(asked["audit"]))
    found = [each for timeline in asked["timelines"] for each in await differences(books, timeline)]
    found += [each for group in asked.get("groups", []) for each in await ungrouped(books, group)]
    json.dump(found, sys.stdout)
    for each in (*databases.values(), books.audit):
        await each.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
