"""A table of answers: its lines about one subject are one act, and each line gets its result."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from client.api import CausewayClient
from client.cli.answer_file import SUBJECTS, AnswerFile, FileResult, answer_file, columns
from shared.catalog import CATALOG
from shared.core.acts.act import Subject
from shared.core.errors import Refused, Unavailable
from tests.client.fake_service import BASE_URL, KEY

A, B, C = (f"019ab0e5-1111-7111-8111-11111111111{n}" for n in range(3))
HOLDS = {"place_hold", "extend_hold", "release_hold", "no_objection"}
CANARY = "canary-7f3a"


class Batches:
    """A service that stores posted batches, and refuses the subjects in `refuses` with (status, problem)."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.refuses: dict[str, dict[str, Any]] = {}
        self.fails = 0

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [line for body in self.posted for line in body["answers"]]

    async def answer(self, request: Request) -> JSONResponse:
        if self.fails:
            self.fails -= 1
            raise httpx.ConnectError("cut")
        body = await request.json()
        self.posted.append(body)
        results = []
        for index, line in enumerate(body["answers"]):
            problem = self.refuses.get(line["notice_id"])
            done = {"status": 202, "notice_id": line["notice_id"], "state": "actioned"}
            results.append({"index": index} | (done if problem is None else {"status": 422, "problem": problem}))
        return JSONResponse({"results": results})

    async def sent(self, path: Path, subject: Subject = Subject.NOTICE) -> FileResult:
        app = Starlette(routes=[Route("/v1/{kind:path}", self.answer, methods=["POST"])])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            client = CausewayClient(BASE_URL, KEY, http=http, attempts_max=1)
            return await answer_file(AnswerFile(path, subject), client, on_progress=lambda _, __: None)


def table(folder: Path, *lines: str, first: str = "notice_id,act,item,answer,suggested") -> Path:
    path = folder / "answers.csv"
    path.write_text("\n".join([first, *lines]), encoding="utf-8")
    return path


async def test_lines_about_one_notice_are_one_act_wherever_they_stand(tmp_path: Path) -> None:
    service = Batches()
    lines = (
        f"{A},,1,removed;preserved,",
        f"{B},not_ours,,,p.example",
        f"{A},answer,2,not_found,",
        "",
        f"{B},acknowledge,,,",
    )
    ended = await service.sent(table(tmp_path, *lines))
    assert (ended.lines, ended.errors) == (4, ())
    keys = [line.pop("key") for line in service.lines]
    assert service.lines == [
        {
            "notice_id": A,
            "act": "answer",
            "items": [
                {"n": 1, "action": "removed"},
                {"n": 1, "action": "preserved"},
                {"n": 2, "rejection": "not_found"},
            ],
        },
        {"notice_id": B, "act": "not_ours", "disowned": [{"suggested": "p.example"}]},
        {"notice_id": B, "act": "acknowledge"},
    ]
    assert all(re.fullmatch(r"line-[0-9a-f]{48}", key) for key in keys)
    await service.sent(tmp_path / "answers.csv")
    assert [line["key"] for line in service.lines[3:]] == keys
    table(tmp_path, *lines, f"{C},acknowledge,,,")
    await service.sent(tmp_path / "answers.csv")
    assert not {line["key"] for line in service.lines[6:]} & {*keys}


async def test_the_line_at_fault_is_named_with_its_column_and_those_beside_it_are_told(tmp_path: Path) -> None:
    service = Batches()
    service.refuses[A] = {"code": "item_answer_contradicts", "field": "/items/1"}
    errors = [{"field": "/items/0/rejection", "rule": "enum"}, {"field": "/items/1/n", "rule": "greater_than_equal"}]
    service.refuses[B] = {"code": "fields_invalid", "field": "/items/0/rejection", "errors": errors}
    lines = f"{A},,1,removed,", f"{A},,1,not_found,", f"{B},,1,{CANARY},", f"{B},,0,removed,", f"{C},,,removed,"
    ended = await service.sent(table(tmp_path, *lines))
    assert [(each.line, each.column, each.code, each.rule) for each in ended.errors] == [
        (2, None, "beside_refused", None),
        (3, "answer", "item_answer_contradicts", None),
        (4, "answer", "fields_invalid", "enum"),
        (5, "item", "fields_invalid", "greater_than_equal"),
    ]
    assert all(each.remedy for each in ended.errors if each.code != "fields_invalid")
    assert CANARY not in repr(ended)


async def test_what_cannot_be_read_is_not_sent_nor_what_stands_beside_it(tmp_path: Path) -> None:
    service = Batches()
    lines = [
        f"{A},,one,removed,",
        f"{A},,2,removed,",
        f"{B},juggle,,,",
        f"{C},acknowledge,,,",
        f"{C},acknowledge,,,",
        "nobody,,,removed,",
        f"{B},acknowledge,,removed,",
        f"{B},,,",
        ",acknowledge,,,",
        f"{A},,3,,",
    ]
    ended = await service.sent(table(tmp_path, *lines))
    assert service.posted == []
    assert [(each.line, each.column, each.code) for each in ended.errors] == [
        (2, "item", "cell_not_integer"),
        (3, None, "beside_refused"),
        (4, "act", "act_unknown"),
        (5, None, "beside_refused"),
        (6, "act", "line_repeated"),
        (7, "notice_id", "cell_not_id"),
        (8, "answer", "cell_not_of_act"),
        (9, None, "cells_do_not_match_columns"),
        (10, "notice_id", "cell_missing"),
        (11, "answer", "cell_missing"),
    ]


async def test_refused_lines_are_kept_as_they_stand_and_why_beside_them(tmp_path: Path) -> None:
    service = Batches()
    service.refuses[B] = {"code": "not_found"}
    path = table(tmp_path, f"{A},,,removed,", f"{B},,1,removed,", f"{B},,2,not_found,")
    file, ended = AnswerFile(path, Subject.NOTICE), await service.sent(path)
    refused, report = file.keep_refused(ended.refused), file.keep_errors(ended.errors)
    assert refused is not None
    assert report is not None
    assert refused.read_text(encoding="utf-8").splitlines() == [
        "notice_id,act,item,answer,suggested", f"{B},,1,removed,", f"{B},,2,not_found,",
    ]  # fmt: skip
    assert refused.stat().st_mode & 0o77 == 0
    told = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    assert [(each["line"], each["code"]) for each in told] == [("3", "not_found"), ("4", "not_found")]
    assert file.keep_refused(frozenset()) is None
    assert file.keep_errors(()) is None
    assert not refused.exists()
    assert not report.exists()


async def test_a_run_that_is_cut_short_goes_on_under_the_same_keys(tmp_path: Path) -> None:
    service = Batches()
    ids = [f"019ab0e5-1111-7111-8111-{n:012d}" for n in range(250)]
    path = table(tmp_path, *(f"{each},acknowledge,,," for each in ids))
    service.fails = 1
    first = await service.sent(path)
    assert isinstance(first.stopped, Unavailable)
    await service.sent(path)
    assert [len(body["answers"]) for body in service.posted] == [100, 100, 50]
    before = [line["key"] for line in service.lines]
    await service.sent(path)
    assert [line["key"] for line in service.lines[250:]] == before


@pytest.mark.parametrize(
    ("first", "code"), [("notice_id,weather", "column_unknown"), ("", "file_empty"), ("act,act", "column_repeated")]
)
def test_a_first_line_that_says_something_else_is_refused(tmp_path: Path, first: str, code: str) -> None:
    with pytest.raises(Refused, match=code):
        AnswerFile(table(tmp_path, first=first), Subject.NOTICE)


def test_the_page_has_every_column_and_every_act_of_a_table_there_is() -> None:
    page = Path("docs/bulk.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (`[a-z].*?`) \| ", page.partition("| column |")[2], re.MULTILINE)
    said = {name.strip(" `") for cell in listed for name in cell.split(",")}
    assert said == frozenset().union(*map(columns, SUBJECTS))
    for subject, (_, usual, acts) in SUBJECTS.items():
        known = {row.name for row in CATALOG.personal(subject)}
        assert acts.keys() <= known
        assert known - acts.keys() <= HOLDS | {"claim", "hand_over", "refer", "ask", "dispute"}
        assert usual is None or usual in acts
