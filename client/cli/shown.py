"""The output of a command for an answer.

The columns and lines of a row are templates: `{received_at:minute}`. A field that is missing, or has another form, is
empty. `{:NAME}` is made from the whole item.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from client.cli import output
from client.cli.request import Answer, Said
from client.cli.settings import ClientOptions
from client.cli.verb_table import VerbRow
from client.problem import ApiProblem
from shared.core.clock import parse_rfc3339, rfc3339

Item = Mapping[str, JsonValue]
#: The member of an answer that names its subject.
_SUBJECTS: Final = ("referral_id", "notice_id", "preservation_id", "webhook_id", "work_item")
#: The members that name a party, in an opened record.
_PARTIES: Final = frozenset({"agency", "by", "notifier", "origin", "party", "recipient", "suggested"})
#: The scheme of a web address, the colon of any other scheme, and the dots of names.
_BREAKABLE: Final = re.compile(
    r"(?P<web>\bhttp)(?=s?://)|(?<=[a-z0-9]):(?=//|\?xt=)|(?<=[a-z0-9])\.(?=[a-z])", re.IGNORECASE
)


def show(verb: VerbRow, answer: Answer, said: Said, *, options: ClientOptions) -> int:
    """Print an answer as its command shows it, or as JSON. Raises `ApiProblem("unexpected_answer")`."""
    if isinstance(answer, bytes):
        output.write_file(Path(str(said["out"])), answer)
        return output.DONE
    name = verb.get("shows", "listed" if "columns" in verb else "state")
    _check(verb, name, answer)
    if name == "file":
        output.write_file(Path(str(said["out"])), json.dumps(answer, indent=2, ensure_ascii=False).encode())
    elif name == "draft":
        output.document(answer | ({} if said["reference"] is None else {"external_ref": said["reference"]}))
    elif name == "state":
        show_state(answer, options)
    elif options.json or name == "document":
        output.document(answer["items"] if verb.get("bare") else answer)
    else:
        _PRINTERS.get(name, _show_list)(verb, answer, options)
    failed = name == "results" and any(each.get("problem") for each in items(answer, "results"))
    return output.FAILED if failed else output.DONE


def show_state(answer: Item, options: ClientOptions) -> None:
    """Print the result of an act: its subject, its state and warnings.

    Raises `ApiProblem("unexpected_answer")`.
    """
    subject, state = _named(answer, _SUBJECTS), _named(answer, ("state",))
    if options.json:
        output.document(answer)
        return
    offered = " or ".join(_texts(answer.get("offered")))
    number = answer.get("number")
    after = f", to be claimed by {offered}" if offered else "" if number is None else f", after event {number}"
    output.line(f"{subject}: {state}{after}")
    if "secret" in answer:
        output.line(str(answer["secret"]))
    for warning in _texts(answer.get("warnings")):
        output.line(f"warning: {warning}")


def show_amended(answer: Item, options: ClientOptions) -> None:
    """Print the revision of a referral, and the parties that are informed of it."""
    if options.json:
        output.document(answer)
        return
    output.line(filled("{referral_id}: revision {revision}, {state}", answer))
    effects = {"replaced": "replaced", "added": "added", "withdrawn": "taken_back"}
    rows = [(what, " ".join(_texts(answer.get(name)))) for what, name in effects.items()]
    output.table(("effect", "parties"), [row for row in rows if row[1]])


def filled(template: str, item: Item) -> str:
    """Return the text of a template for an item."""
    return _Filler().vformat(template, (item,), item)


def items(answer: Item, name: str) -> list[dict[str, JsonValue]]:
    """Return a list of objects in an answer. Raises `ApiProblem("unexpected_answer")` for anything else."""
    listed, found = answer.get(name), _objects(answer.get(name))
    if not isinstance(listed, list) or len(found) < len(listed):
        raise ApiProblem("unexpected_answer", status=200)
    return found


def defanged(text: str) -> str:
    """Return `text` with every address broken, so that no link and no copied address opens."""
    return _BREAKABLE.sub(lambda found: "hxxp" if found["web"] else f"[{found[0]}]", text)


def _check(verb: VerbRow, name: str, answer: Item) -> None:
    """Check that an answer has the rows and the subject of its command.

    Raises `ApiProblem("unexpected_answer")`.
    """
    if "columns" in verb or "rows" in verb:
        items(answer, verb.get("rows", "items"))
    if name not in {"draft", "file", "listed"}:
        _named(answer, _SUBJECTS)


def _named(answer: Item, names: Sequence[str]) -> str:
    """Return the first of these members of an answer.

    Raises `ApiProblem("unexpected_answer")` if it is not text.
    """
    found = next((answer[name] for name in names if name in answer), None)
    if not isinstance(found, str):
        raise ApiProblem("unexpected_answer", status=200)
    return found


def _show_list(verb: VerbRow, answer: Item, _: ClientOptions) -> None:
    rows = [
        [filled(each, item) for each in verb["columns"].values()] for item in items(answer, verb.get("rows", "items"))
    ]
    for line in verb.get("lines", ()):
        output.line(filled(line, answer))
    output.table([*verb["columns"]], rows)
    if answer.get("next"):
        output.print_hint(f"there are more: --cursor {answer['next']}")


def _show_flow(verb: VerbRow, answer: Item, options: ClientOptions) -> None:
    """Print each message, as paragraphs on a terminal.

    Afterwards print the parties that facts name beyond their lines.
    """
    messages = items(answer, "messages")
    if output.at_a_terminal():
        for message in messages:
            for line in verb["lines"]:
                output.line(filled(line, message).rstrip())
        if answer.get("next"):
            output.print_hint(f"there are more: --cursor {answer['next']}")
    else:
        _show_list({**verb, "lines": ()}, answer, options)
    for message in messages:
        detail = message.get("detail")
        fields: dict[str, JsonValue] = detail if isinstance(detail, dict) else {}
        place: dict[str, JsonValue] = {"place": filled("{topic}/{partition}/{offset}", message)}
        for kept_out in _objects(fields.get("not_sent")):
            if _has_texts(kept_out, "recipient", "purpose"):
                output.line(filled("{place}: not sent to {recipient} for {purpose}: {rules:spaced}", kept_out | place))
        if _has_texts(fields, "party", "role"):
            output.line(filled("{place}: opened for {party} as {role}", fields | place))
    for outsider in _objects(answer.get("outsiders")):
        output.line(filled("records of {sender}, which has no part in it: {count}", outsider))


def _show_results(_: VerbRow, answer: Item, __: ClientOptions) -> None:
    for each in items(answer, "results"):
        problem = each.get("problem")
        outcome = each.get("state") or (problem.get("code") if isinstance(problem, dict) else None)
        output.line(f"{each.get('notice_id')}: {outcome}")


def _broken(value: object, name: str = "") -> object:
    """Return a value with every text broken as in `defanged`, except ids of parties."""
    match value:
        case dict():
            return {key: _broken(inner, key) for key, inner in value.items()}
        case list():
            return [_broken(inner, name) for inner in value]
        case str():
            return value if name in _PARTIES else defanged(value)
        case _:
            return value


_PRINTERS: Final[Mapping[str, Callable[[VerbRow, Item, ClientOptions], None]]] = {
    "amended": lambda _, answer, options: show_amended(answer, options),
    "flow": _show_flow,
    "opened": lambda _, answer, __: output.line(json.dumps(_broken(answer), indent=2)),
    "results": _show_results,
}


class _Filler(string.Formatter):
    """A formatter of templates. A missing field is None, and None is empty."""

    def get_field(self, field_name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> tuple[object, str]:
        try:
            found, _ = super().get_field(field_name or "0", args, kwargs)
        except (LookupError, TypeError, AttributeError):
            return None, field_name
        return found, field_name

    def format_field(self, value: object, format_spec: str) -> str:
        if value is None:
            return _NONE.get(format_spec, "")
        return _FORMATS[format_spec](value) if format_spec else str(value)


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _has_texts(item: Item, *names: str) -> bool:
    return all(isinstance(item.get(name), str) for name in names)


def _objects(value: object) -> list[dict[str, JsonValue]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _at(form: str) -> Callable[[object], str]:
    """Return a function that formats a time, or returns it unchanged.

    Raises `ApiProblem("unexpected_answer")`.
    """

    def write(value: object) -> str:
        try:
            at = parse_rfc3339(str(value))
        except ValueError:
            raise ApiProblem("unexpected_answer", status=200) from None
        return format(at, form) if form else rfc3339(at)

    return write


def _hold_end(item: object) -> str:
    """Return the end that the origin granted, otherwise the requested one."""
    hold = item if isinstance(item, dict) else {}
    return filled("{not_after:clock}", hold) or filled("{asked_until:clock}", hold)


def _ticks(item: object) -> str:
    """Return the three steps accepted, delivered, acknowledged.

    For a withdrawn referral, they are the steps of its withdrawal.
    """
    if not isinstance(item, dict) or not isinstance(item.get("ticks"), dict):
        return ""
    ticks = "delivered: {ticks[delivered][done]} of {ticks[delivered][of]}  "
    ticks += "acknowledged: {ticks[acknowledged][done]} of {ticks[acknowledged][of]}"
    text = f"accepted: {'yes' if item['ticks'].get('accepted') else 'no'}  {filled(ticks, item)}"
    return f"{text}  (of its withdrawal)" if item.get("withdrawn_at") else text


def _answer(item: object) -> str:
    """Return an edge's answer.

    A notice has an answer for each item; a case has its outcome and its agency's reference.
    """
    edge = item if isinstance(item, dict) else {}
    detail = edge.get("answer_detail") or {}
    parts = [f"{each.get('n')} {each.get('action') or each.get('rejection')}" for each in _objects(detail.get("items"))]
    outcomes = ("outcome", "child_identified", "child_safeguarded")
    parts += [f"{name.removeprefix('child_')} {detail[name]}" for name in outcomes if detail.get(name)]
    parts += [f"case {edge['case_reference']}"] if edge.get("case_reference") else []
    answer = edge.get("answer", "none")
    return f"{answer}: {', '.join(parts)}" if parts else str(answer)


def _question(item: object) -> str:
    """Return the reply, or the question without one; with the code of a refusal."""
    question = item if isinstance(item, dict) else {}
    listed = _objects(question.get("replied") or question.get("decided") or question.get("disputed"))
    words = [f"{each.get('n')}={each.get('reply') or each.get('verdict') or each.get('reason')}" for each in listed]
    text = " ".join(words or _texts(question.get("needs")))
    return f"{text} ({question['code']})" if question.get("code") else text


def _deadlines(edge: object) -> str:
    """Return the deadlines of a notice; their hours count from its issue."""
    named = edge.get("deadlines") if isinstance(edge, dict) else None
    hours = named if isinstance(named, dict) else {}
    limits = {"acknowledge": hours.get("acknowledge_h"), "act": hours.get("act_h")}
    return ", ".join(f"{verb} within {value} h" for verb, value in limits.items() if isinstance(value, int))


#: Texts of missing fields that are not empty.
_NONE: Final = {"revision": "1", "unknown": "?", "unreadable": "unreadable"}
_FORMATS: Final[Mapping[str, Callable[[object], str]]] = {
    "answer": _answer,
    "bracketed": lambda value: f" ({value})",
    "clock": _at("%Y-%m-%d %H:%M"),
    "deadlines": _deadlines,
    "hold_end": _hold_end,
    "level": lambda value: str(value).partition("_")[0],
    "listed": lambda value: ", ".join(_texts(value)),
    "mark": lambda value: "!" if value else "",
    "minute": _at("%Y-%m-%d %H:%MZ"),
    "notice_count": lambda value: str(len({each.get("notice_id") for each in _objects(value)})),
    "notifiers": lambda value: " ".join(sorted({str(each.get("notifier")) for each in _objects(value)})),
    "question": _question,
    "short": lambda value: str(value)[:12],
    "spaced": lambda value: " ".join(_texts(value)),
    "ticks": _ticks,
    "time": _at(""),
    **dict.fromkeys(_NONE, str),
}
