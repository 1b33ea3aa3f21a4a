"""How long each table of each kind of service keeps what: one row a table, and a test that none is missing.

Periods are the sample's; an operator's own stand here, in its own copy of this file, and are reviewed as code is.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Class(StrEnum):
    """The highest protection class of what a table holds (docs/glossary.md); keys have one of their own."""

    S0 = "S0"
    S1 = "S1"
    S2 = "S2"
    S3 = "S3"
    KEY = "key"


class Way(StrEnum):
    """What ends what a table keeps."""

    MONTHS = "months"  # partitions of months that are past the period are dropped
    ROWS = "rows"  # rows past the period are deleted
    RECORDS = (
        "records"  # of what was finished for the period, the data key and what it opens are deleted; the row stays
    )
    ITSELF = "itself"  # whatever is done with a row ends it: nothing to apply
    STAYS = "stays"  # for ever, and the reason says why


class Owner(StrEnum):
    """Who may decide on the period."""

    OPERATOR = "operator"
    PARTY = "party"  # the controller of the records
    PROTOCOL = "protocol"  # another period would break a promise of the exchange


class Kept(NamedTuple):
    """One table's row. `days` is None where nothing is applied. `where` is the column by which `ROWS` are past it.

    Of records that others sent, the class of the edge says less: `KEPT_DAYS`.
    """

    table: str
    holds: Class
    way: Way
    owner: Owner
    days: int | None
    reason: str
    where: str = ""


_EVERYWHERE: Final = (
    Kept("lease", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "one row: who publishes, or reads for audit"),
    Kept(
        "document",
        Class.S1,
        Way.STAYS,
        Owner.PROTOCOL,
        None,
        "a decision is derived again by the law that was in force",
    ),
    Kept("api_key", Class.KEY, Way.ROWS, Owner.OPERATOR, 365, "hashes of keys that were revoked", "revoked_at"),
    Kept(
        "console_person",
        Class.KEY,
        Way.ROWS,
        Owner.OPERATOR,
        365,
        "who may no longer come in, and what they were called",
        "ended_at",
    ),
    Kept("console_link", Class.KEY, Way.ROWS, Owner.OPERATOR, 7, "hashes of links that are over", "expires_at"),
    Kept("console_session", Class.KEY, Way.ROWS, Owner.OPERATOR, 7, "hashes of sessions that are over", "began_at"),
    Kept("ending", Class.KEY, Way.ITSELF, Owner.PROTOCOL, None, "until the journal of erasures has it"),
    Kept("erasure_place", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "one row: how far erasures are applied"),
    Kept("idempotency", Class.S2, Way.ROWS, Owner.OPERATOR, 7, "a request repeated later is a new one", "created_at"),
    Kept("permitted", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "the table of permissions"),
    Kept("schema_revision", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "the revision of the schema"),
)
#: Messaging (shared/messaging/schema.sql).
_MESSAGING: Final = (
    Kept("stream_pair", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "one row a peer"),
    Kept("stream", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "two rows a peer: without them a number is given twice"),
    Kept(
        "stream_source", Class.S1, Way.ITSELF, Owner.PROTOCOL, None, "until the messages of a former stream are carried"
    ),
    Kept(
        "segment",
        Class.S3,
        Way.ITSELF,
        Owner.PROTOCOL,
        None,
        "sealed messages, by the day, until the recipient and audit have acknowledged all of it",
    ),
    Kept("receive_state", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "one row a pair that is read"),
    Kept("incarnation", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "one row a restore and pair"),
    Kept("exception", Class.S3, Way.ITSELF, Owner.PROTOCOL, None, "bounded: until the message is applied or refused"),
    Kept("outcome_open", Class.S1, Way.ITSELF, Owner.PROTOCOL, None, "until the peer reports the end of the exception"),
    Kept("resync_state", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "one row a peer"),
    Kept("operator_line", Class.S1, Way.ROWS, Owner.OPERATOR, 365, "lines that a person closed", "closed_at"),
    Kept("proof", Class.S1, Way.ITSELF, Owner.PROTOCOL, None, "until the last record of its segment goes"),
)
#: Subjects of messages, where an instance serves parties; audit has none.
_EXCHANGED: Final = (
    *_MESSAGING,
    Kept("track", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "without it acts and older revisions are applied again"),
    Kept("peer", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "one row an instance: the versions that it reads"),
)
_FEED: Final = (
    Kept("act", Class.S1, Way.MONTHS, Owner.PARTY, 400, "acts on open subjects stay"),
    Kept(
        "feed",
        Class.S0,
        Way.STAYS,
        Owner.PROTOCOL,
        None,
        "one row a party: without it a number could be given out twice",
    ),
    Kept(
        "webhook",
        Class.S2,
        Way.STAYS,
        Owner.PARTY,
        None,
        "eight in use a party; a removed one stays, without address and secret",
    ),
    Kept("webhook_delivery", Class.S1, Way.ITSELF, Owner.PARTY, None, "the newest thousand attempts at each address"),
    Kept(
        "erased_record",
        Class.S1,
        Way.STAYS,
        Owner.PROTOCOL,
        None,
        "without it an erased record could come again; and when each was erased",
    ),
    Kept("feed_epoch", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "one row: the database that numbers belong to"),
)
_CLOCKS: Final = (
    Kept("deadline", Class.S1, Way.ITSELF, Owner.PARTY, None, "ends with the record that the edge carried"),
)
_ORIGIN: Final = (
    Kept(
        "referral",
        Class.S3,
        Way.RECORDS,
        Owner.PARTY,
        365,
        "external reference, facts and decision stay: audit's accounts name them",
    ),
    Kept(
        "referral_revision",
        Class.S3,
        Way.ITSELF,
        Owner.PARTY,
        None,
        "what a referral said before: under the key of its record, which nothing opens once that is deleted",
    ),
    Kept(
        "location_token",
        Class.S1,
        Way.ROWS,
        Owner.PARTY,
        365,
        "what stands for a location, under the party's key: as long as records are kept",
        "made_at",
    ),
    Kept("relation", Class.S1, Way.STAYS, Owner.PARTY, None, "which referrals name one place"),
    Kept("location_place", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "one row a party and version of the form"),
    Kept("edge", Class.S1, Way.STAYS, Owner.PARTY, None, "who was told what, and what was answered"),
    Kept(
        "answer_act",
        Class.S2,
        Way.STAYS,
        Owner.PROTOCOL,
        None,
        "without it an act that comes again could move twice; the agency's reference goes with the record's key",
    ),
    Kept("hold", Class.S1, Way.STAYS, Owner.PARTY, None, "which agency had a notice wait, and what became of it"),
    Kept("hold_act", Class.S1, Way.STAYS, Owner.PARTY, None, "what was said of a hold, act by act"),
    Kept("no_objection", Class.S1, Way.ITSELF, Owner.PARTY, None, "one row an agency and referral"),
    Kept("transfer", Class.S1, Way.STAYS, Owner.PARTY, None, "who might claim a referral, and who has it"),
    Kept("contact_due", Class.S1, Way.ITSELF, Owner.PARTY, None, "until it is looked at, seconds later"),
    Kept("contact", Class.S1, Way.STAYS, Owner.PARTY, None, "which agencies were told of each other"),
    Kept("party_day", Class.S0, Way.ROWS, Owner.PROTOCOL, 31, "what was filed of a day's budget", "day"),
    Kept("intake_count", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "one row a party"),
    Kept("alarm", Class.S1, Way.ROWS, Owner.OPERATOR, 400, "which alarms were raised about whom", "raised_at"),
)
_ERASED: Final = "codes, times and states stay"
#: What ends a preservation is its provider's word. From then on it is a record as others are.
_PRESERVING: Final = (
    Kept("preservation", Class.S3, Way.RECORDS, Owner.PARTY, 365, _ERASED),
    Kept("preservation_act", Class.S1, Way.STAYS, Owner.PARTY, None, "what was said of it, act by act"),
)
_RECEIVED: Final = (
    Kept("received", Class.S3, Way.RECORDS, Owner.PARTY, 365, _ERASED),
    Kept("received_edge", Class.S3, Way.RECORDS, Owner.PARTY, 365, _ERASED),
)
_ASKING: Final = (
    Kept("question", Class.S1, Way.STAYS, Owner.PARTY, None, "what was asked and contested"),
    Kept("record_look", Class.S1, Way.STAYS, Owner.PARTY, None, "who has opened which record, by opaque ids"),
)
#: By kind of service.
POLICY: Final[Mapping[str, tuple[Kept, ...]]] = {
    "hotline": (*(*_EVERYWHERE, *_EXCHANGED, *_FEED, *_CLOCKS, *_ORIGIN, *_ASKING, *_RECEIVED),),
    "industry": (
        *(*_EVERYWHERE, *_EXCHANGED, *_FEED, *_CLOCKS, *_ORIGIN, *_ASKING, *_RECEIVED),
        *_PRESERVING,
        Kept("preservation_location", Class.S2, Way.ITSELF, Owner.PARTY, None, "ends with its preservation's record"),
        Kept("location_turn", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "32,768 rows: who waits for whom"),
        Kept("notice_location", Class.S2, Way.ITSELF, Owner.PARTY, None, "ends with its notice's record"),
    ),
    "law_enforcement": (
        *(*_EVERYWHERE, *_EXCHANGED, *_FEED, *_CLOCKS, *_ASKING, *_RECEIVED),
        Kept("case_act", Class.S1, Way.STAYS, Owner.PARTY, None, "what the agency has said, act by act"),
        Kept("hold", Class.S1, Way.STAYS, Owner.PARTY, None, "what an origin was asked to hold, and what became of it"),
        Kept("case_passed", Class.S1, Way.STAYS, Owner.PARTY, None, "how a case came from another agency, in codes"),
        Kept("case_passing", Class.S1, Way.STAYS, Owner.PARTY, None, "by which messages cases went to other agencies"),
        Kept("case_contact", Class.S1, Way.STAYS, Owner.PARTY, None, "of which other agencies it was told, and why"),
        Kept(
            "case_location",
            Class.S1,
            Way.ROWS,
            Owner.PARTY,
            365,
            "what stands for a location, under the party's key: as long as records are kept, or until one is erased",
            "made_at",
        ),
        Kept("case_lease", Class.S1, Way.STAYS, Owner.PARTY, None, "which officer had which case, by opaque ids"),
        *_PRESERVING,
    ),
    "audit": (
        *_EVERYWHERE,
        *_MESSAGING,
        Kept("entry", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "the log"),
        Kept("folded_record", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "the log: one row a topic, day and reason"),
        Kept("outcome", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "the log: outcomes that recipients report"),
        Kept("acknowledgement", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "one row a lane and incarnation"),
        Kept("stream_end", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "one row a pair: its last numbers"),
        Kept("closed_end", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "the log: where recipients left streams"),
        Kept("topic_life", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "the log: which ids a topic has had"),
        Kept("partition_state", Class.S0, Way.STAYS, Owner.PROTOCOL, None, "one row a partition: how audit reads it"),
        Kept(
            "reconciliation", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "what each comparison of the books has found"
        ),
        Kept("reading", Class.S1, Way.STAYS, Owner.PROTOCOL, None, "who has looked, at what and why"),
    ),
}
