"""`docs/messages.md`: every message, who sends it to whom, what it shows and hides, and what happens to a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

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


def messages_page() -> str:
    """The whole page: `messages_page.template`, with its tables and figures filled in."""
    template = Template(Path(__file__).with_suffix(".template").read_text(encoding="utf-8"))
    return template.substitute(
        topics=_joined(_topics()),
        overview=_joined(_overview()),
        entries=_joined(line for message in ROUTES for line in _entry(message)),
        records=_joined(_records()),
        content_type=CONTENT_TYPE,
        time_step_s=TIME_STEP_S,
        salt_bytes=SALT_BYTES,
        tree_sizes=" or ".join(map(str, TREE_SIZES)),
        extensions_max=EXTENSIONS_MAX,
        extension_characters_max=f"{EXTENSION_CHARACTERS_MAX:,}",
        extensions_characters_max=f"{EXTENSIONS_CHARACTERS_MAX:,}",
        cells=len(cells()),
    )


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n")


def _topics() -> Iterable[str]:
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
