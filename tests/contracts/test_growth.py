"""Released parts only grow: schemas and other promises are compared with their released form.

A version never changes except in the values of its codes, which a newer edition of the vocabulary adds to. The
directory and the policy, with the documents around them, may get optional members. Defaults do not change either.
Anything else is a new version. A submission is read only by the instance that serves its sender, so it may get optional
members and requirements may be dropped. In the flat lists (`tests.contracts.pledged`) no line is removed, no call gets
a requirement, bounds of requests are only widened, and no message gets a new sender (`golden_files`: schemas,
pledged).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import create_model

from deploy.artifacts.schemas import LENIENT
from shared.core.contracts.registry import CASE_ACCEPTED, READS_ANNOUNCED, MessageType
from shared.core.errors import Refused
from shared.core.protocol.read_capabilities import CANNOT_READ, _first_reads, form_for
from shared.core.vocabulary import edition as vocabulary
from shared.core.vocabulary.answers import AnswerState
from tests.contracts.golden import CONTRACTS, GOLDEN, shape
from tests.contracts.pledged import NEEDS, WORDS, pledged
from tests.contracts.published import read, schema

RELEASED = sorted((GOLDEN / "schemas").glob("*.json"))
#: Submissions: closed, and read by the release that serves the sender.
REQUESTS = frozenset({"referral_submission.v1"})
#: Sent by every new pair of kinds, to announce the readable versions.
OF_EVERY_PAIR = {READS_ANNOUNCED.name}
#: In these each line is a list, and gets further words.
LISTS = {"answers", "always", "codes"}
PLEDGED = sorted((GOLDEN / "pledged").glob("*.json"))


def changed(released: Any, now: Any, *, lenient: bool = False, request: bool = False, at: str = "") -> Iterator[str]:
    """Yield the changes of a schema since its release, as paths of its members."""
    if not isinstance(released, dict) or not isinstance(now, dict):
        yield from () if released == now else (at,)
        return
    lenient = request or (lenient and released.get("additionalProperties") is not False)
    for name in sorted(released.keys() | now.keys()):
        where, before, after = f"{at}/{name}", released.get(name), now.get(name)
        if before is None and (at == "/$defs" or (lenient and at.endswith("/properties"))):
            continue
        if name == "enum" and before is not None and after is not None:
            # A list of codes has a name, and an unknown new code is deferred. Codes listed at a member of a message,
            # such as a `Literal` of several, cannot grow, because the body would be malformed.
            grows = lenient or (at.startswith("/$defs/") and at.count("/") == 2)
            yield from () if before == after or (grows and set(before) <= set(after)) else (where,)
        elif request and before is not None and after is not None and widened(name, before, after):
            continue
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for number, pair in enumerate(zip(before, after, strict=True)):
                yield from changed(*pair, lenient=lenient, request=request, at=f"{where}/{number}")
        else:
            yield from changed(before, after, lenient=lenient, request=request, at=where)


def widened(name: str, before: Any, after: Any) -> bool:
    """Return whether a keyword still accepts all earlier values: also with one more kind, or a member now optional."""
    match name:
        case "maximum" | "maxLength" | "maxItems":
            return bool(before <= after)
        case "minimum" | "minLength" | "minItems":
            return bool(after <= before)
        case "required":
            return set(after) <= set(before)
        case "oneOf" | "anyOf":
            return all(each in after for each in before)
        case _:
            return False


def test_each_schema_is_kept_as_it_was_released() -> None:
    assert {each.stem for each in RELEASED} == {each.stem for each in (CONTRACTS / "schemas").glob("*.json")}


@pytest.mark.parametrize("file", RELEASED, ids=lambda file: file.stem)
def test_a_released_schema_has_only_grown(file: Path) -> None:
    released, now = read(file), shape(schema(file.stem))
    assert list(changed(released, now, lenient=file.stem in LENIENT, request=file.stem in REQUESTS)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda declined: declined["$defs"]["CaseDeclineReason"]["enum"].remove("no_crime"),
        lambda declined: declined["properties"].pop("due"),
        lambda declined: declined["properties"].update(since={"type": "string"}),
        lambda declined: declined["properties"]["number"].update(maximum=1000),
        lambda declined: declined["required"].append("due"),
    ],
    ids=["without a code", "without a member", "with a member", "with a lower bound", "with more required"],
)
def test_what_is_no_growth_is_found(change: Callable[[dict[str, Any]], object]) -> None:
    released = shape(schema("case_declined.v1"))
    now = copy.deepcopy(released)
    change(now)
    assert len(list(changed(released, now))) == 1


def test_what_a_member_is_where_it_is_left_out_does_not_change() -> None:
    """This includes documents that are read leniently: a writer that left a member out has stated its default."""
    released = shape(schema("directory.v1"))
    assert released["properties"]["grace_days"]["default"] == 60
    for change in ({"default": 5}, {}):
        now = copy.deepcopy(released)
        del now["properties"]["grace_days"]["default"]
        now["properties"]["grace_days"] |= change
        assert list(changed(released, now, lenient=True)) == ["/properties/grace_days/default"]


def test_codes_that_are_written_out_at_a_member_of_a_message_do_not_grow() -> None:
    """The test detects an error in a sample: an older release would make it a dead letter, as malformed."""

    def with_stands(*codes: AnswerState) -> dict[str, Any]:
        return shape(create_model("Sample", stands=Literal[codes]).model_json_schema())

    released = with_stands(AnswerState.NONE, AnswerState.ACCEPTED)
    assert list(changed(released, released)) == []
    now = with_stands(AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING)
    assert list(changed(released, now)) == ["/properties/stands/enum"]


def test_what_is_growth_is_let_through() -> None:
    released = shape(schema("case_declined.v1"))
    now = copy.deepcopy(released)
    now["$defs"]["CaseDeclineReason"]["enum"].append("of_a_newer_edition")
    now["$defs"]["OfANewerEdition"] = {"type": "string"}
    assert list(changed(released, now)) == []
    directory = shape(schema("directory.v1"))
    now = copy.deepcopy(directory)
    now["properties"]["since"] = {"type": "string"}
    assert list(changed(directory, now)) == ["/properties/since"]
    assert list(changed(directory, now, lenient=True)) == []


def with_a_further_kind(posted: dict[str, Any]) -> None:
    posted["$defs"]["HashLocator"] = {"type": "object"}
    posted["$defs"]["Item"]["properties"]["locator"]["oneOf"].append({"$ref": "#/$defs/HashLocator"})


def with_a_member(posted: dict[str, Any], *, is_needed: bool = False) -> None:
    posted["properties"]["since"] = {"type": "string"}
    posted["required"] += ["since"] * is_needed


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (with_a_further_kind, 0),
        (with_a_member, 0),
        (lambda posted: posted["properties"]["items"].update(maxItems=99), 0),
        (lambda posted: posted["required"].remove("external_ref"), 0),
        (lambda posted: with_a_member(posted, is_needed=True), 1),
        (lambda posted: posted["properties"]["items"].update(maxItems=9), 1),
        (lambda posted: posted["$defs"]["Item"]["properties"]["locator"]["oneOf"].pop(), 1),
        (lambda posted: posted.pop("additionalProperties"), 1),
    ],
    ids=[
        *("a further kind", "a member", "more items", "less required"),
        *("a needed member", "fewer items", "fewer kinds", "open"),
    ],
)
def test_what_is_posted_may_be_more_and_never_has_to(change: Callable[[dict[str, Any]], object], found: int) -> None:
    """No other release reads it. If it were closed like messages, a service could never receive more than at first."""
    released = shape(schema("referral_submission.v1"))
    now = copy.deepcopy(released)
    change(now)
    assert len(list(changed(released, now, request=True))) == found
    assert list(changed(released, now)) != []


def test_what_stands_around_a_beat_may_grow_and_nothing_that_is_signed_in_it() -> None:
    beat = shape(schema("signed_beat.v1"))
    now = copy.deepcopy(beat)
    now["properties"]["further"] = now["$defs"]["Beat"]["properties"]["since"] = {"type": "string"}
    assert list(changed(beat, now, lenient=True)) == ["/$defs/Beat/properties/since"]


def bounds_of(listed: dict[str, list[str]]) -> dict[str, dict[str, list[Any]]]:
    return {name: json.loads("{" + bounds) for name, _, bounds in (each.partition(" {") for each in listed["bounds"])}


def narrower(bound: str, before: dict[str, list[Any]], now: list[Any]) -> bool:
    """Return whether an earlier value is no longer within the bound.

    A pattern stays, is removed, or gets an alternative.
    """
    values = before.get(bound)
    if values is None:
        return True
    if bound.startswith(("max", "exclusiveMax")):
        return bool(max(now) < max(values))
    if bound.startswith(("min", "exclusiveMin")):
        return bool(min(now) > min(values))
    return not set(values) <= set(now)


def withdrawn(released: dict[str, list[str]], now: dict[str, list[str]]) -> Iterator[str]:
    """Yield removed lines and new requirements of calls, except in parts of a body that are new.

    A new sender of an existing message counts too, because an older release would always refuse it.
    """
    for kind in released.keys() - LISTS - {"bounds"}:
        yield from (each for each in released[kind] if NEEDS not in each and each not in now[kind])
    for kind in LISTS:
        lists = {name: words.split() for name, _, words in (each.partition(WORDS) for each in now[kind])}
        for name, _, words in (each.partition(WORDS) for each in released[kind]):
            yield from (f"{name}{WORDS}{word}" for word in words.split() if word not in lists.get(name, ()))
    bounds = bounds_of(now)
    for name, before in bounds_of(released).items():
        yield from (
            f"{name} {bound}" for bound, values in bounds.get(name, {}).items() if narrower(bound, before, values)
        )
    calls = {each for each in released["calls"] if NEEDS not in each}
    parts = {each.split(" ", 1)[1].partition(".")[0] for each in released["members"]}
    for each in set(now["calls"]) - set(released["calls"]):
        call, needs, what = each.partition(NEEDS)
        if needs and call in calls and (" " in what or what.partition(".")[0] in parts):
            yield each
    closed = set(released["messages"]) - OF_EVERY_PAIR
    yield from (each for each in set(now["says"]) - set(released["says"]) if each.split(" ", 1)[0] in closed)


@pytest.mark.parametrize("file", PLEDGED, ids=lambda file: file.stem)
def test_nothing_that_others_go_by_was_taken_away(file: Path) -> None:
    assert list(withdrawn(read(file), pledged())) == []


def test_an_instance_that_was_never_heard_reads_what_the_first_release_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first announcement is fixed: a later message, engine or edition is not assumed to be read."""
    first = _first_reads()
    assert sorted(first.messages) == read(PLEDGED[0])["messages"]
    later = MessageType("of_a_later_release", 1, CASE_ACCEPTED.family, CASE_ACCEPTED.meter, CASE_ACCEPTED.clear, None)
    monkeypatch.setattr(vocabulary, "editions", lambda: ("7f" * 32, *vocabulary.editions()))
    _first_reads.cache_clear()
    assert _first_reads() == first
    with pytest.raises(Refused, match=CANNOT_READ):
        form_for(later, _first_reads(), {})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("says", "notice_issued hotline to industry filed_it"),
        ("calls", "hotline get /v1/referrals query state"),
        ("members", "hotline AcceptedReferral.referral_id: string"),
        ("members", "hotline Ticks.delivered: object"),
        ("members", 'hotline Item.commerciality = "not_determined"'),
        ("calls", "hotline get /v1/referrals query limit = 50"),
        ("events", "referral.withdraw"),
        ("events", "clock.overdue"),
        ("errors", "not_found"),
        ("columns", "external_ref"),
        ("statuses", "not_found 404"),
    ],
)
def test_what_is_taken_away_is_found(kind: str, name: str) -> None:
    released = pledged()
    assert list(withdrawn(released, released | {kind: [each for each in released[kind] if each != name]})) == [name]


@pytest.mark.parametrize(
    ("kind", "name", "word"),
    [
        ("answers", "hotline post /v1/referrals 202", "AcceptedReferral"),
        ("answers", "hotline post /v1/referrals 202", "Location"),
        ("answers", "hotline post /v1/referrals 409", "ReferenceTaken"),
        ("always", "hotline AcceptedReferral", "referral_id"),
        ("always", "hotline Problem", "code!"),
        ("codes", "audit EntryKind", "loss"),
        ("codes", "audit EntryKind", "unproven"),
        ("codes", "hotline ReferralState", "unroutable"),
        ("codes", "hotline Remedy", "refile"),
        ("codes", "hotline SentEdge.delivery", "queued"),
        ("codes", "stored Offering", "claimable"),
    ],
)
def test_a_word_that_is_taken_away_is_found_and_one_that_comes_is_not(kind: str, name: str, word: str) -> None:
    """A changed status, a removed body, a member that may be missing, a code: each is a word."""
    now = pledged()
    lists = {each.partition(WORDS)[0]: each.partition(WORDS)[2].split() for each in now[kind]}
    lists[name].remove(word)
    without = now | {kind: [f"{each}{WORDS}{' '.join(words)}" for each, words in lists.items()]}
    assert list(withdrawn(without, now)) == []
    assert list(withdrawn(now, without)) == [f"{name}{WORDS}{word}"]


@pytest.mark.parametrize(
    ("bound", "narrow", "wide"),
    [
        ({"maximum": [200]}, {"maximum": [199]}, {"maximum": [201]}),
        ({"minLength": [2]}, {"minLength": [3]}, {"minLength": [1]}),
        ({"pattern": ["^a$"]}, {"pattern": ["^x$"]}, {"pattern": ["^a$", "^x$"]}),
        ({}, {"maxItems": [9]}, {}),
        ({"format": ["uuid"]}, {"format": ["date"]}, {}),
    ],
)
def test_a_bound_that_narrows_is_found_and_one_that_widens_is_not(bound: Any, narrow: Any, wide: Any) -> None:
    name, of = "hotline ReferralSubmission.more", pledged()
    released, narrowed, widened = (of | {"bounds": [f"{name} {json.dumps(each)}"]} for each in (bound, narrow, wide))
    assert list(withdrawn(released, narrowed)) == [f"{name} {next(iter(narrow))}"]
    assert list(withdrawn(released, widened)) == list(withdrawn(of | {"bounds": []}, narrowed)) == []


def test_requests_are_bounded_by_what_the_documents_say() -> None:
    """The test uses three: a parameter, an element of a list, and a part with alternatives."""
    bounds = bounds_of(pledged())
    assert bounds["hotline get /v1/referrals query limit"] == {"minimum": [1], "maximum": [200]}
    assert bounds["hotline ReferralSubmission.items"].keys() == {"minItems", "maxItems"}
    assert bounds["hotline ReferralSubmission.external_ref"].keys() == {"minLength", "maxLength", "pattern"}


def test_what_a_call_comes_to_need_is_found_and_what_only_comes_is_not() -> None:
    released = pledged()
    call = "hotline post /v1/referrals"
    more = [f"{call}{NEEDS}header X-More", f"{call}{NEEDS}ReferralSubmission.more"]
    assert sorted(withdrawn(released, released | {"calls": released["calls"] + more})) == sorted(more)
    harmless = [f"{call} query more", f"{call}{NEEDS}OfANewerEdition.value", f"hotline get /v1/more{NEEDS}query more"]
    assert list(withdrawn(released, released | {"calls": released["calls"] + harmless})) == []


def test_a_message_that_somebody_else_comes_to_say_is_found_and_another_message_is_not() -> None:
    """The test uses the table: an instance of the previous release would finally refuse it as `statement_not_yours`."""
    released = pledged()
    late = "notice_issued law_enforcement to industry filed_it"
    harmless = [
        "of_a_later_release law_enforcement to industry filed_it",
        "reads_announced auditor to auditor reads_it",
    ]
    assert list(withdrawn(released, released | {"says": [*released["says"], late, *harmless]})) == [late]
