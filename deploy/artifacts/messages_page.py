"""`docs/messages.md`: every message, who sends it to whom, what it shows and hides, and what happens to a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from deploy.artifacts.correspondents import ROUTES, messages_on, pairs, readers_of, topics
from deploy.artifacts.schemas import meaning, message_name
from shared.contracts.facts import RECEIPT_ENTRIES_MAX
from shared.contracts.registry import BETWEEN_PARTIES, Family, MessageType
from shared.envelope.attributes import PROOF, TIME_STEP_S
from shared.envelope.spelling import EXTENSION_CHARACTERS_MAX, EXTENSIONS_CHARACTERS_MAX, EXTENSIONS_MAX
from shared.exchange.authority import cells, cells_of
from shared.exchange.record_table import DECIDE_AGAIN, RECORD_TABLE, SIGN_AGAIN, Row
from shared.runtime.kafka.documents import DIRECTORY_TOPIC

_KEYS = {
    Family.REFERRAL: "`referral_id`",
    Family.NOTICE: "`notice_id`",
    Family.PRESERVATION: "`preservation_id`",
    Family.RECEIPT: "an id of its own",
    Family.DELIVERY: "an id of its own",
    Family.FACT: "the id of the referral or notice that it is about, else an id of its own",
}
_HEAD = """# Messages

Written by `python -m deploy.artifacts` from `shared/contracts/registry.py`, `shared/exchange/record_table.py`,
`shared/exchange/authority.py` and `deploy/artifacts/correspondents.py`; a test compares. Schemas:
`shared/contracts/schemas/`. Accepted and refused examples: `shared/contracts/examples/`. The same for machines:
`docs/api/asyncapi.json`.

An `accepted-*.json` is the value alone. A `refused-*.json` is an accepted one with one thing changed: `value`, and
`expected`: who refuses it (`schema`; `model`, for what no schema can say; `guard`; `index`, for a whole document), the
code, and the field where one is named. The sealed texts in examples are filler: they open for nobody.

A value is `{"clear": …}`, with `"sealed": …` where the message has a sealed part. The clear part is class S1 only:
codes, countries, party ids, times. A version is closed for ever: [How it grows](#how-it-grows).

A sealed text is `v2.<suite>.<key id>.` and base64url; `shared/envelope/sealing.py` says of what. What it opens to has
one spelling: JSON without spaces or needless escapes, members in the order listed here, an edge's facts by name.

## Families

| family | between | Kafka key | numbered | receipted | counted |
| --- | --- | --- | --- | --- | --- |
| referral | two parties | `referral_id` | yes | yes | yes |
| notice | two parties, industry one of them | `notice_id` | yes | yes | yes |
| receipt | two instances | an id of its own | yes | no | no |
| delivery | two instances, audit among them | an id of its own | yes, but `marks` | no | no |
| fact | an instance and audit | see below | yes | no: audit reads every topic itself | no |

Only the origin and audit can link a `notice_id` with a `referral_id`.
"""
_HEADERS = f"""## Headers

A message is a CloudEvent 1.0 in Kafka's binary binding; `docs/api/asyncapi.json` has each header's form. One Ed25519
signature covers what goes to one recipient together; by its proof (`{"`, `".join(PROOF)}`)
each message proves itself alone. **Covered is what arrived:** every `ce_` header but the proof, and `content-type`,
each as name, `:`, value and a line feed, sorted by name; a line feed more; the value's bytes. A header `ce_x…` that is
not known is covered and otherwise ignored; any other unknown `ce_` header is `header_unknown`.

`ce_time` is the time of writing cut to {TIME_STEP_S} s, and `ce_id` a UUID of that time: nothing finer links messages.
`ce_guard` names the edition of the guard that the texts passed. `ce_sequence` is dense per sender, recipient and
`ce_epoch`, the life of their counter: a database that was restored, or a party that moved to another instance, begins
another. The first message of an epoch names the one before (`ce_prevepoch`, `ce_prevlast`), or `unknown`.
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

**Deferred** is no refusal. The recipient keeps the message's number and what it lacked, not its body; the sender's row
lives on and is on its work list. Whoever has been upgraded asks for it (`wanted`), and gets the same bytes. Of what
instances state themselves only the newest that could not be read is noted, and counted: after the upgrade it is called
`gone`, so that its sender tells anew what it holds, and what its receipts may have answered for is sent and answered
again. Audit defers nothing: it keeps an entry of what it cannot read, with the same code, and its number counts as
taken.
"""
_TALK = """## What instances tell each other

`marks` say how far numbers have come, for each pair and epoch: given and lowest still held (`sent`), taken and holes
(`taken`; a hole keeps nothing back that lies behind it, up to `known`). They are said at most every 10 s after
something has changed, and every 60 s, asking, while anything is open: a row that is held, a hole, a `nonce` that the
other side has not named. They are cumulative, have no number themselves, and the newest by the broker's time counts, so
none of them has to arrive: those of a version that is not read are counted, and nobody waits for them. A start, and a
database that is another than before, asks everybody.

A hole older than 60 s is sent again, the same bytes. What is not held any more is answered `gone`, as is what was
`wanted` and is not held; both sides list it. A row leaves its sender once it has a last word and both its recipient's
and audit's marks have passed it. Marks that name numbers of ours which this database never gave say that it was
restored: the epoch ends, and another begins.
"""
_TOPICS = """## Topics

`causeway.inbox.<to>.<from>.v1`: one topic of one partition for every two instances, in each direction, whose parties
may correspond; only `<from>` writes it. The table shows one instance of each kind. The names follow from the ids of the
instances in the directory (`shared/exchange/topics.py`), the rights from the names (`deploy/kafka/derive.py`).
"""
_RECORDS = """## What happens to a record

`park` keeps coordinates, length, digest and reason, and the verified sender if there is one; the body, encrypted, only
where the table says so: signature and guard have passed by then. `refuse` is a coded answer. `retry` waits for what is
not there yet. `drop` was done before. Nothing in this table holds up the records beside it.
"""
_RECEIPTS = f"""## Receipts

For each consumed batch an instance sends one `messages_receipted` to every instance that had messages in it, with at
most {RECEIPT_ENTRIES_MAX} entries: message id, digest (SHA-256 of a zero byte and the covered bytes: its leaf in the
sender's batch), the revision that it names, which copy was judged, and what became of it, with its code. `applied`,
`refused` and `moved` are last words; `deferred`, `waiting` and `parked` are not: the sender's row lives on. Only its
sender says that a message is `gone`. A receipt says that the message took effect, or why not; it does not say that
anybody has acted on it. A message stays in its sender's outbox until its outcome is final and the marks of the
instance that it went to and of audit have passed its number. `{SIGN_AGAIN}` alone settles nothing: the sender ends
the epoch and signs the message again in a new one. An entry counts only if its digest is the sender's own and the
instance that signed it is the one the message went to. """

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
| `was_addressed` | the instance that the messages went to, about exactly those bytes | the sender's outbox; audit |
| `serves_its_origin` | the instance that serves the origin, first of all to state it | audit, the accounts |
| `serves_who_has_it` | the instance that serves a party that filed or was sent the subject | audit |
| `reads_its_topic` | the instance whose topic the record lies in | audit |
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
            _TALK,
            "## Messages\n",
            *_overview(),
            _AUTHORITY,
            *(line for message in ROUTES for line in _entry(message)),
            _RECORDS,
            *_records(),
            _RECEIPTS.rstrip(),
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
        ("message", "family", "from", "to", "its speaker", "receipted", "carries an edge"),
        (
            (
                f"[`{message.name}`](#{message.name})",
                message.family.value,
                ", ".join(route.senders),
                ", ".join(route.recipients),
                f"`{cells_of(message)[0].relation.value}`",
                _yes(message.family in BETWEEN_PARTIES),
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
        yield f"- sealed{'' if message.edge else ' (may be left out)'}: {_fields(message.sealed)}"
    yield ""


def _fields(model: type[BaseModel]) -> str:
    """The members of a part; those that may be left out with a question mark."""
    return ", ".join(f"`{name}{'' if field.is_required() else '?'}`" for name, field in model.model_fields.items())


def _records() -> Iterable[str]:
    yield from _table(
        ("code", "meaning", "fate", "receipt", "alarm", "body kept"),
        ((f"`{code}`", row.meaning, _fate(code, row), *map(_yes, _flags(row))) for code, row in RECORD_TABLE.items()),
    )
    yield "Every other code comes from a service's own state machine: refused, with a receipt, without an alarm.\n"


def _fate(code: str, row: Row) -> str:
    if code == SIGN_AGAIN:
        return f"{row.fate}, and the sender signs again"
    return f"{row.fate}, and the origin decides again" if code in DECIDE_AGAIN else row.fate.value


def _flags(row: Row) -> tuple[bool, bool, bool]:
    return row.receipt, row.alarm, row.keeps_body


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
