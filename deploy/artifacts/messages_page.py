"""`docs/messages.md`: every message, who sends it to whom, what it shows and hides, and what happens to a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from deploy.artifacts.correspondents import ROUTES, messages_on, pairs, readers_of, topics
from deploy.artifacts.schemas import meaning, message_name
from shared.contracts.registry import Family, MessageType
from shared.envelope.attributes import CONTENT_TYPE, TIME_STEP_S
from shared.envelope.content_proof import SALT_BYTES, TREE_SIZES
from shared.envelope.spelling import EXTENSION_CHARACTERS_MAX, EXTENSIONS_CHARACTERS_MAX, EXTENSIONS_MAX
from shared.exchange.authority import cells, cells_of
from shared.exchange.record_table import DECIDE_AGAIN, RECORD_TABLE, Row
from shared.runtime.kafka.documents import DIRECTORY_TOPIC

_KEYS = {
    Family.REFERRAL: "`referral_id`",
    Family.NOTICE: "`notice_id`",
    Family.PRESERVATION: "`preservation_id`",
    Family.FACT: "the id of the referral or notice that it is about, else an id of its own",
}
_HEAD = """# Messages

Written by `python -m deploy.artifacts` from `shared/contracts/registry.py`, `shared/exchange/record_table.py`,
`shared/exchange/authority.py` and `deploy/artifacts/correspondents.py`; a test compares. Schemas:
`shared/contracts/schemas/`. Accepted and refused examples: `shared/contracts/examples/`. The same for machines:
`docs/api/asyncapi.json`.

An `accepted-*.json` is a clear part, or the opened sealed part of a schema `….sealed`. A `refused-*.json` is an
accepted one with one thing changed: `value`, and `expected`: who refuses it (`schema`; `model`, for what no schema can
say; `guard`; `index`, for a whole document), the code, and the field where one is named.

A value is the clear part as canonical JSON, a line feed, and the sealed part as bytes; without a sealed part the line
feed is the last byte. The clear part is class S1 only: codes, countries, party ids, times. A version is closed for
ever: [How it grows](#how-it-grows).

`shared/envelope/segment_sealing.py` says how a sealed part is made. What it opens to has one spelling: JSON without
spaces or needless escapes, members in the order listed here, an edge's facts by name.

## Families

| family | between | Kafka key |
| --- | --- | --- |
| referral | two parties | `referral_id` |
| notice | two parties, industry one of them | `notice_id` |
| preservation | an agency and a provider | `preservation_id` |
| fact | an instance and audit; `reads_announced` also between instances | see below |

Only the origin and audit can link a `notice_id` with a `referral_id`.
"""
_HEADERS = f"""## Headers

A message is a CloudEvent 1.0 in Kafka's binary binding; `docs/api/asyncapi.json` has each header's form. Its content
type is `{CONTENT_TYPE}`. **Covered is what arrived:** every `ce_` header and `content-type`, each as name, `:`, value
and a line feed, sorted by name; a line feed more; the value's bytes. A header `ce_x…` that is not known is covered and
otherwise ignored; any other unknown `ce_` header is `header_unknown`.

`ce_time` is the time of writing cut to {TIME_STEP_S} s, and `ce_id` a UUID of that time: nothing finer links messages.
`ce_guard` names the edition of the guard that the texts passed.

Two headers belong to one copy of a message and are not covered, both in lower-case hexadecimal: `salt`, {SALT_BYTES}
random bytes, and `place`, the incarnation of the stream (16 bytes) and the number in it (8 bytes, big-endian).

## Proofs

A message's **leaf** is SHA-256 of a zero byte, the salt and the covered bytes. Its hexadecimal form is the message's
digest: chains, acknowledgements, audit and evidence name the message by it. All messages of one transaction to one
instance are a **segment**. A segment has trees (RFC 6962) of {" or ".join(map(str, TREE_SIZES))} leaves, in which
messages lie at random positions between fillers, and one Ed25519 signature a tree
(`shared/envelope/content_proof.py`). Unless a segment is large, each recipient party has a tree of its own.
Salt, position and path prove one message to outsiders and reveal nothing of its neighbours.

A **proof record** precedes the records of a segment whenever they are appended. It holds the trees' signatures, all
leaves, the encapsulated data keys and one signature over the segment's place: stream, incarnation, first number, count,
the chain before and after it (`shared/messaging/placement.py`). A reader takes a record only if the proof record before
it covers its place and its leaf.
"""
_GROWTH = """## How it grows

Releases run side by side: N beside N−1, for as long as an operator needs. So nothing is added that a reader could take
for a broken body, and nothing is sent to whom cannot read it.
"""
_HEADER = (
    f"as `ce_x…`: at most {EXTENSIONS_MAX}, of {EXTENSION_CHARACTERS_MAX:,} characters each and "
    f"{EXTENSIONS_CHARACTERS_MAX:,} in all; never as another value of `ce_tier` or second word of `ce_guard`"
)
_NEW = (
    (
        "a member",
        "with a new **version** of its message, which only adds what may be left out; the one before stays closed",
        "answers `deferred`, `version_unknown`. In version 1 what that has no place for is broken, for everybody",
    ),
    ("a message", "under a new name", "`deferred`, `type_unknown`"),
    (
        "a code",
        "with a new **edition of the vocabulary** (`shared/vocabulary/edition.py`: since which edition each code is)",
        "`deferred`, `code_unknown`: well formed but for the code",
    ),
    (
        "a kind of locator",
        "with a new version of each message that holds locators: it is a form, though a list of codes has its name",
        "`deferred`, `version_unknown`. In version 1 it is broken, for everybody",
    ),
    (
        "who may say a message to whom",
        "with another message: no cell of the [table](#who-may-say-what) comes to one that was released",
        "`deferred`, `type_unknown`. In the released one it is refused for ever, `statement_not_yours`",
    ),
    ("an engine, a guard", "with its number, its edition", "`deferred`, `engine_unknown`, `guard_unknown`"),
    (
        "a jurisdiction, a member of a bloc",
        "with a new engine: edges are derived by its tree (`shared/vocabulary/data`)",
        "`deferred`, `engine_unknown`",
    ),
    ("a header", _HEADER, "covers it and ignores it"),
    (
        "a member of the directory or the policy",
        "at any time, but for what stands under `requires`",
        "keeps it in the digest and ignores it",
    ),
    (
        "a suite or use of keys",
        "beside a key of one that all know, as long as there is somebody who does not know it",
        "passes over that key",
    ),
    (
        "an approval by a key that is not known everywhere, of whatever suite",
        "beside those of two approvers whose keys everybody knows",
        "passes over that approval; one by a key that is known has to hold",
    ),
    (
        "a member around a document or a beat",
        "at any time; in a beat never: a further one stands beside it",
        "ignores it",
    ),
    (
        "a code in the directory or the policy",
        "once every instance that reads them knows it: the desk is of the release of its operator",
        "does not take the document; what it sends waits for one that it reads",
    ),
)
_READERS = """\
A reader of a version reads every lower one: each by its own closed model, and then as the newest. Names, versions,
codes and members are never taken away or given another meaning. A withdrawal never grows, nor do its reasons: it is
never deferred. `shared/contracts/golden/` has a record of each as a release wrote it, with the keys and documents to
read it by and what it reads as: every later release reads them so (`tests/contracts/test_golden.py`), and finds the
same content in them, by which it tells an edge or act that is told again. It has the codes of each edition, the tree of
each engine and what each guard charges, too; and in `at_rest.json` bytes as they are stored: rows under their keys,
packed evidence, segments, what waits, a journal, and what rows are found by. What a member is where it is left out is
kept as well: another default is another meaning.

**Who reads what.** At every start an instance tells every other and audit in `reads_announced` what its code reads; the
newest by the broker's time counts. Of one that has not been heard the directory says the floor (`reads_floor` of its
instance), and where it says nothing, that is the first release of this format. Whoever writes an edge takes the highest
version that its recipient reads, if that holds what is to be said. If nothing does, the edge **waits**: no message is
signed, no number used; it stands on the origin's work list as `recipient_cannot_read`, and is decided afresh and sent
when the recipient has announced more. Answers and withdrawals are sent at once: they say what has happened. What their
recipient cannot read it defers.

**Deferred** is no refusal. The recipient keeps the record as it came and states what it lacks; the message is on its
sender's work list. After an upgrade the recipient tries the record again and tells the sender its outcome. Audit defers
nothing: it keeps an entry of a message that it cannot read, with the same code, and takes its number.
"""
_DELIVERY = """## Delivery

A **stream** has the messages from one instance to another in one lane, which is a partition of their topic. The urgent
lane has withdrawals, messages that tell of a child at risk, and the messages of delivery itself; the ordinary lane has
all others. Messages of a stream are numbered densely in the transaction that sends them, within an *incarnation*, and
chained: chain(n) is SHA-256 of chain(n − 1) and the leaf of message n (`shared/messaging/streams.py`).

A reader takes a message only if it is the next one of the current incarnation, in the same transaction as its effect.
It drops every other record. Readers are the peer and audit.

| record | what it says | numbered | form |
| --- | --- | --- | --- |
| message | what this page lists, and the three messages of delivery | yes | CloudEvent |
| proof record | place and content of the records behind it | no | `causeway: proof`, binary |
| acknowledgement | the last number taken of each lane, and the chain there | no | `causeway: ack`, signed JSON |

| message of delivery | what it says |
| --- | --- |
| `causeway.outcomes.v1` | the outcome of each message that was not simply applied |
| `causeway.resync.v1` | a question which subjects the peer holds, with the exceptions that the asker has open |
| `causeway.holdings.v1` | the answer: digests by day, then the rows of days that differ |

Their clear parts are in `shared/messaging/contract.py`. An acknowledgement is cumulative: each at most 10 s after the
last, and at once for a child at risk. A sender keeps a message until both its peer and audit have acknowledged it. If
an acknowledgement shows a gap, the sender appends the same bytes again from there. If it shows another chain, or a
number that the sender never gave, the sender's database was restored: it opens a new incarnation, carries the kept
messages into it, and both sides compare what they hold (`resync`).

A message is **delivered** if its number is acknowledged and no outcome of it is open.
"""
_TOPICS = """## Topics

`causeway.inbox.<to>.<from>.v1`: one topic of two partitions for every two instances, in each direction, whose parties
may correspond; partition 0 is the urgent lane. Only `<from>` writes it. The table shows one instance of each kind. The
names follow from the ids of the instances in the directory (`shared/exchange/topics.py`), the rights from the names
(`deploy/kafka/derive.py`).
"""
_RECORDS = """## What happens to a record

`skip` takes no number: the reader drops the record, and its writer appends it again. `park` makes the message a dead
letter for a person. Its record is kept where the table says so. Of any other record only place, salt and proof are
kept, since its sender could have put content into it. `refuse` is a coded answer. `wait` and `defer` keep the record
until what it lacks has come. A kept record is encrypted under a data key of its own, and has its covered headers alone.
`move` is for another instance. No row of this table holds up the records behind it, except that a skipped number has to
come again.
"""
_OUTCOMES = """## Outcomes

For each transaction that took messages an instance sends the writer at most one `causeway.outcomes.v1`. It has an entry
for each message that was not simply applied: message id, kind of message, subject, revision, acts, outcome and code.
`refused` and `moved` are last words. `deferred`, `waiting` and `dead` stay open: the recipient keeps the record and
sends another outcome when it is applied, refused or discarded. A message that is acknowledged and has no outcome was
applied; that does not say that anybody has acted on it. """

_AUTHORITY = f"""\
### Who may say what

*From* and *to* are kinds; *its speaker* is what whoever says it must be to what it speaks of. One table has both,
`shared/exchange/authority.py`, {len(cells())} cells, derived from the rows of acts. `accept` and audit check kinds
(`statement_not_yours`), whoever knows the subject checks the relation. What no cell allows has no effect: a party
refuses it, audit keeps it as an entry marked `not_entitled`, which replaces and links nothing, and the accounts name it
and count it for nobody.

| its speaker | who that is | who checks |
| --- | --- | --- |
| `filed_it` | the origin that the subject is from, and no other | the recipient: its edge, its item's sender; audit |
| `was_sent_it` | a recipient that the origin sent the subject to | the origin: its edge; audit |
| `serves_its_origin` | the instance that serves the origin, first of all to state it | audit, the accounts |
| `serves_who_has_it` | the instance that serves a party that filed or was sent the subject | audit |
| `reads_it` | the instance itself | – |
"""


def messages_page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            *_topics(),
            _HEADERS,
            _GROWTH,
            *_table(("what is new", "how it comes", "who does not know it"), _NEW),
            _READERS,
            _DELIVERY,
            "## Messages\n",
            *_overview(),
            _AUTHORITY,
            *(line for message in ROUTES for line in _entry(message)),
            _RECORDS,
            *_records(),
            _OUTCOMES.rstrip(),
            "",
        ]
    )


def _topics() -> Iterable[str]:
    yield _TOPICS
    yield from _table(
        ("topic", "written by", "read by", "messages"),
        ((f"`{topic}`", _writers(topic), ", ".join(readers_of(topic)), _names(topic)) for topic in topics()),
    )


def _writers(topic: str) -> str:
    if topic == DIRECTORY_TOPIC:
        return "the operator"
    return pairs()[topic].sender


def _names(topic: str) -> str:
    if topic == DIRECTORY_TOPIC:
        return "signed documents: `published_document.v1`; which are newest: `signed_beat.v1`"
    return ", ".join(f"`{message.name}`" for message in messages_on(topic))


def _overview() -> Iterable[str]:
    yield from _table(
        ("message", "family", "from", "to", "its speaker", "carries an edge"),
        (
            (
                f"[`{message.name}`](#{message.name})",
                message.family.value,
                ", ".join(route.senders),
                ", ".join(route.recipients),
                f"`{cells_of(message)[0].relation.value}`",
                _yes(message.edge),
            )
            for message, route in ROUTES.items()
        ),
    )


def _entry(message: MessageType) -> Iterable[str]:
    yield f"### {message.name}\n"
    yield f"`{message.type}` · schema `{message_name(message)}.json` · key {_KEYS[message.family]}\n"
    yield f"{meaning(message)}\n"
    yield f"- clear: {_fields(message.clear)}"
    if message.sealed is not None:
        yield f"- sealed{'' if message.needs_sealed else ' (may be left out)'}: {_fields(message.sealed)}"
    yield ""


def _fields(model: type[BaseModel]) -> str:
    """The members of a part; those that may be left out with a question mark."""
    return ", ".join(f"`{name}{'' if field.is_required() else '?'}`" for name, field in model.model_fields.items())


def _records() -> Iterable[str]:
    yield from _table(
        ("code", "meaning", "fate", "alarm", "record kept"),
        ((f"`{code}`", row.meaning, _fate(code, row), *map(_yes, _flags(row))) for code, row in RECORD_TABLE.items()),
    )
    yield "Every other code comes from a service's own state machine: refused, without an alarm.\n"


def _fate(code: str, row: Row) -> str:
    return f"{row.fate}, and the origin decides again" if code in DECIDE_AGAIN else row.fate.value


def _flags(row: Row) -> tuple[bool, bool]:
    return row.alarm, row.keeps_body


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
