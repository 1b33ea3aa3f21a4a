"""The call of the service that one row of `verbs.json` makes from the words and options of a command."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue, ValidationError
from pydantic_core import to_jsonable_python

from client.api import CausewayClient, stated
from client.cli import output
from client.cli.settings import zoned
from client.cli.verb_table import OWN, Statements, VerbRow, parameters, vocabulary
from client.views import PageView, View
from shared.core.acts.act import Subject
from shared.core.acts.states import collection, row
from shared.core.clock import SystemClock
from shared.core.contracts.answers import RetentionStatement, WithdrawalAnswer
from shared.core.errors import CausewayError, Refused
from shared.core.vocabulary.answers import WithdrawalFate

if TYPE_CHECKING:
    from shared.core.contracts.base import Contract

Answer = dict[str, JsonValue] | bytes
Said = Mapping[str, object]
#: The answer reports a removal while a request of an agency to preserve it is open.
_UNANSWERED: Final = "preservation_unanswered"


async def perform(client: CausewayClient, verb: VerbRow, arguments: Said, *, is_json: bool) -> Answer:
    """Make the call of a command.

    Raises `Refused` for words that make no valid body, and all errors of the client.
    """
    arguments = {name: zoned(value) if isinstance(value, datetime) else value for name, value in arguments.items()}
    method, path, form = _call(verb, arguments)
    body = _body(verb, arguments, form, path=verb["call"])
    if method == "POST":
        return await _act(client, path, body, quiet=is_json)
    if method == "DELETE":
        return await client.call("DELETE", path)
    query = {name: "true" if value is True else str(value) for name, value in body.items() if value is not False}
    purpose = query.pop("purpose", None)
    if "accept" in verb:
        return await client.raw(path, verb["accept"], query)
    if "limit" in verb:
        limit = int(str(arguments["limit"]))
        pages = client.pages(path, PageView[View], None, limit=min(limit, output.PAGE_MAX), **query)
        return {"items": [each.model_dump(mode="json") for each in await output.first(pages, limit)]}
    headers = {} if purpose is None else stated(purpose)
    return await client.call("GET", path, query=query, headers=headers)


def _call(verb: VerbRow, said: Said) -> tuple[str, str, type[Contract] | None]:
    """Return the method, the path and the form of the body. For an act they come from its row."""
    call = next((each for word, each in verb.get("instead", {}).items() if word in said.values()), verb["call"])
    method, spaced, path = call.partition(" ")
    if spaced:
        return method, path.format_map({name: str(value) for name, value in said.items()}), None
    subject, _, name = call.partition(".")
    act, subject_id = row(Subject(subject), name), said[next(iter(verb["words"]))]
    return "POST", f"/v1/{collection(act)}/{subject_id}:{name.replace('_', '-')}", act.takes


def _body(verb: VerbRow, said: Said, form: type[Contract] | None, *, path: str) -> dict[str, JsonValue]:
    """Return the JSON fields from words and options."""
    fields = dict(verb.get("always", {})) | dict(_fields(verb, said, path=path))
    if "kept" in verb.get("common", ()):
        return _json(_withdrawal(said))
    if (listed := verb.get("statements")) is not None:
        fields[listed["list"]] = _statements(verb, listed, said)
    elif "wanted" in verb:
        _check_said(said["needs"])
    if form is None:
        body: dict[str, JsonValue] = to_jsonable_python(fields)
        return body
    return _json(_read(form, fields, verb))


def _fields(verb: VerbRow, said: Said, *, path: str) -> Iterator[tuple[str, object]]:
    """Yield the fields outside the path and outside the list of statements. Omitted options make none."""
    listed = verb.get("statements", {})
    taken = {name for _, name, _, _ in string.Formatter().parse(path)} | {*listed.get("beside", {})} | OWN
    taken |= {"words", "item"} if listed else set()
    named = parameters(verb)
    first = next(iter(named), None) if " " not in path else None
    for name, word in named.items():
        value = said.get(name)
        if name not in taken and name != first and value not in (None, (), []):
            yield word.get("field", name), value


def _statements(verb: VerbRow, listed: Statements, said: Said) -> list[dict[str, object]]:
    """Return the list: `removed` is about every item, `3=removed` about the third.

    Without words, one per item.
    """
    found = [*_of_words(listed, said)] if "fields" in listed else [*_of_items(said)]
    for option, after in listed.get("beside", {}).items():
        value = said[option]
        if value is None and option == listed.get("now"):
            value = SystemClock().now()
        for each in found:
            if value is not None and (not after or {*after} & {*each, *map(str, each.values())}):
                each[option] = value
    if "form" not in listed:
        return found
    form: type[Contract] = resolve_name(listed["form"])
    return [dict(_json(_read(form, each, verb))) for each in found]


def _of_words(listed: Statements, said: Said) -> Iterator[dict[str, object]]:
    words = said["words"] or tuple(filter(None, (listed.get("usual"),)))
    for word in _check_said(words):
        number, named, code = word.rpartition("=")
        fields = [field for field, codes in listed["fields"].items() if code in {*vocabulary(codes)}]
        n: dict[str, object] = {"n": int(number) if number.isdecimal() else number} if named else {}
        yield n | {(fields or [*listed["fields"]])[-1 if not fields else 0]: code}


def _of_items(said: Said) -> Iterator[dict[str, object]]:
    items = said["item"]
    numbers = items if isinstance(items, Sequence) else ()
    yield from [{"n": n} for n in numbers] or [{}]


def _check_said(words: object) -> Sequence[str]:
    if not isinstance(words, Sequence) or not words:
        raise Refused("answer_missing", "give at least one code", status=400)
    return words


def _read(form: type[Contract], fields: Mapping[str, object], verb: VerbRow) -> Contract:
    """Return the fields in their form.

    Raises `Refused("answer_malformed")` if the row has a text for `wanted`.
    """
    try:
        return form.model_validate(fields)
    except ValidationError:
        if "wanted" not in verb:
            raise
    # Raised here, outside the handler: the error of the form quotes its input.
    codes = (*verb.get("statements", {}).get("fields", {}).values(), *verb.get("vocabularies", ()))
    listed = " or ".join(", ".join(each.value for each in vocabulary(name)) for name in codes)
    raise Refused("answer_malformed", f"{verb['wanted']}: {listed}" if listed else verb["wanted"], status=400)


def _withdrawal(said: Said) -> WithdrawalAnswer:
    """Return the fate of a withdrawn record: retained if all grounds are given, erased if none is."""
    until = said["kept_until"]
    words = {"retention": said["kept_class"], "basis": said["kept_basis"]}
    words["until"] = until.date() if isinstance(until, datetime) else None
    if all(word is None for word in words.values()):
        return WithdrawalAnswer(fate=WithdrawalFate.ERASED)
    try:
        return WithdrawalAnswer(fate=WithdrawalFate.KEPT, kept=RetentionStatement.model_validate(words))
    except ValidationError:
        raise Refused("keeping_malformed", "give its class, basis and end date", status=400) from None


def _json(said: Contract) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = said.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return found


async def _act(client: CausewayClient, path: str, body: Mapping[str, object], *, quiet: bool) -> Answer:
    try:
        return await client.call("POST", path, body=body)
    except CausewayError as error:
        if error.code == _UNANSWERED and not quiet:
            await _name_unanswered(client)
        raise


async def _name_unanswered(client: CausewayClient) -> None:
    """List requests without an answer. The provider sees which of them matches when it opens one."""
    async for page in client.pages("/v1/preservations", PageView[View], None, limit=output.PAGE_MAX, state="requested"):
        for each in page.items:
            body = each.model_dump(mode="json")
            since = f"{str(body.get('asked_at'))[:10]} by {body.get('counterpart')} ({body.get('instrument')})"
            output.print_hint(f"unanswered since {since}: causeway preservation show {body.get('preservation_id')}")
