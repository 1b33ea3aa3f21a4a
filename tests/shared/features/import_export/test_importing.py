"""A table is submitted in parts: an import continues where it stopped, and nothing is submitted twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response

from shared.core.authority import Role
from shared.core.errors import Refused
from shared.features.filing.api.bodies import CheckRefused
from shared.features.filing.rules import HttpReply
from shared.features.import_export import pages as import_export_pages
from shared.features.import_export.pages import LINES_MAX, TABLE_LINES_MAX, as_rows, lines_of, list_results
from shared.platform.console.forms import PageInput
from shared.platform.http.identity import Identity

PARTY = "hotline-be.example"
HEAD = "external_ref,incident_kind"
PROBLEM = {"type": "/problems/any", "title": "said", "status": 422}


class Pages:
    """Records the data of a page, and renders nothing."""

    def __init__(self) -> None:
        self.views: dict[str, Any] = {}

    def get(self, *_: object) -> None: ...

    def post(self, *_: object) -> None: ...

    def page(self, _: PageInput, __: str, views: Mapping[str, object], *, status: int = 200) -> Response:
        self.views = dict(views)
        return Response(status_code=status)


class Intake:
    """An origin that stores submissions by reference, and repeats its answer to a known key."""

    def __init__(self) -> None:
        self.filed: list[str] = []
        self.answers: dict[bytes, HttpReply] = {}

    def require_filing(self, _: Identity) -> None: ...

    async def file_spelt(self, _: Identity, body: bytes, *, key: bytes, route: str) -> HttpReply:
        assert route.endswith(":batch")
        if key not in self.answers:
            told = [self._one(each["external_ref"]) for each in json.loads(body)["referrals"]]
            self.answers[key] = HttpReply(200, json.dumps({"results": told}).encode())
        return self.answers[key]

    def _one(self, reference: str) -> Mapping[str, object]:
        if reference in self.filed:
            return {"status": 409, "problem": PROBLEM | {"code": "external_ref_exists"}}
        self.filed.append(reference)
        return {"status": 202, "referral_id": str(UUID(int=len(self.filed))), "state": "routed"}


def asked(form: Mapping[str, str]) -> PageInput:
    scope = {"type": "http", "path": "/console/import:batch", "headers": [], "query_string": b"", "method": "POST"}
    scope |= {"server": ("127.0.0.1", 80), "scheme": "http"}
    identity = Identity(PARTY, Role.ANALYST, kind="hotline", exercise=True, actor="somebody")
    return PageInput(Request(scope), identity, "", {name: [value] for name, value in form.items()})


def table(rows: Sequence[str]) -> str:
    return "\n".join([HEAD, *(f"{each},csam" for each in rows)])


@pytest.fixture
def intake() -> Intake:
    return Intake()


async def go_on(intake: Intake, form: Mapping[str, str]) -> import_export_pages.Progress:
    pages = Pages()
    door = import_export_pages.ImportPages(pages, intake)  # type: ignore[arg-type]
    await door._go_on(asked(form))
    progress = pages.views["progress"]
    assert isinstance(progress, import_export_pages.Progress)
    return progress


async def test_what_is_left_goes_on_where_it_was_and_is_counted_on(intake: Intake) -> None:
    rows = [f"r-{n}" for n in range(2 * LINES_MAX + 50)]
    form = {"table": table([*rows, "r-0"]), "once": "one", "act": "file"}
    parts = []
    for _ in range(3):
        parts.append(await go_on(intake, form))
        form |= {name: str(getattr(parts[-1], name)) for name in ("upto", "filed", "existing", "refused", "report")}
    of = len(rows) + 1
    assert [(each.done, each.of) for each in parts] == [(LINES_MAX, of), (2 * LINES_MAX, of), (of, of)]
    assert (parts[-1].filed, parts[-1].existing, parts[-1].refused) == (len(rows), 0, 1)
    assert parts[-1].report == f"{of + 1},external_ref_repeated,"
    assert intake.filed == rows


async def test_a_part_that_is_sent_twice_is_filed_once_and_told_alike(intake: Intake) -> None:
    form = {"table": table(["a", "b"]), "once": "one", "act": "file"}
    first, again = await go_on(intake, form), await go_on(intake, form)
    assert first == again
    assert intake.filed == ["a", "b"]
    other = await go_on(intake, form | {"once": "another"})
    assert (other.filed, other.existing) == (0, 2)


def test_lines_of_another_party_are_left_out_and_exercise_is_the_party_s() -> None:
    text = f"{HEAD},origin\na,csam,{PARTY}\nb,csam,hotline-de.example\nc,csam,"
    found = lines_of(text, PARTY, exercise=False)
    assert [(each.number, each.body["external_ref"], each.body["exercise"]) for each in found] == [
        (2, "a", False),
        (4, "c", False),
    ]


def test_a_table_has_no_more_lines_than_are_read_while_others_wait() -> None:
    """Empty lines weigh a byte each, so a permitted body could have millions of them."""
    found = lines_of("external_ref" + "\na" * TABLE_LINES_MAX, PARTY, exercise=True)
    assert len(found) == TABLE_LINES_MAX
    for line in ("\na", "\n"):
        with pytest.raises(Refused) as refused:
            lines_of("external_ref" + line * (TABLE_LINES_MAX + 2), PARTY, exercise=True)
        assert (refused.value.code, refused.value.field) == ("table_too_long", "/table")


def test_each_column_of_a_line_that_is_wrong_is_named_with_what_helps() -> None:
    broken = [
        {"field": "/observed_at", "rule": "instant_form"},
        {"field": "/media_kind", "rule": "enum", "expected": "'image' or 'video'"},
    ]
    problem = PROBLEM | {"code": "fields_invalid", "errors": broken}
    told = CheckRefused.model_validate({"index": 0, "ok": False, "problem": problem})
    (found,) = list_results(lines_of(f"{HEAD}\na,csam", PARTY, exercise=True), [told])
    assert [at for at, _ in found.wrong] == ["observed_at", "media_kind"]
    assert "2026-05-11T12:00:00Z" in found.wrong[0][1]
    assert "image" in found.wrong[1][1]
    assert [*as_rows([found])] == ["2,fields_invalid,observed_at", "2,fields_invalid,media_kind"]
