"""Imports against a service that fails at every point: each row is created once, and every row gets a result."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.api import CausewayClient
from client.cli import import_file as files
from client.cli.import_file import AcceptanceFile, ImportState, Summary, import_file, state_path
from client.cli.rows import RowFile
from shared.core.errors import Refused
from tests.client.fake_service import BASE_URL, KEY, FakeService, Refusal, referral

CANARY = "canary-7f3a"


class Killed(BaseException):
    """The end of the process: no later code runs, and no memory survives."""


class Wire(httpx.AsyncBaseTransport):
    """A service behind a connection that `fault` can cut. Its arguments: call number, whether the service has acted."""

    def __init__(self, service: FakeService, fault: Callable[[int, bool], None] = lambda _, __: None) -> None:
        self._inner = httpx.ASGITransport(service.app)
        self._fault = fault
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        self._fault(self.calls, False)
        response = await self._inner.handle_async_request(request)
        self._fault(self.calls, True)
        return response


def jsonl(path: Path, *submissions: dict[str, Any] | str) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in submissions))
    return path


async def imported(path: Path, wire: Wire, *, key: str = KEY, origin: str | None = None) -> Summary:
    """Run the import once, as the verb does."""
    rows = RowFile(path)
    kept = AcceptanceFile.beside(path)
    state = ImportState(state_path(path), kept, file_sha256=rows.sha256, origin=origin, url=BASE_URL, key=key)
    async with httpx.AsyncClient(transport=wire) as http:
        client = CausewayClient(BASE_URL, key, http=http, attempts_max=1)
        return await import_file(rows, client, state, origin=origin, on_progress=lambda _, __: None)


def refusing(*references: str, status: int = 422) -> Callable[[dict[str, Any]], Refusal | None]:
    def refuse(one: dict[str, Any]) -> Refusal | None:
        return (status, "schema", "/items/0/locator/value", "url") if one["external_ref"] in references else None

    return refuse


async def test_a_row_for_which_the_service_refuses_the_whole_body_is_found_and_the_others_go_through(
    tmp_path: Path,
) -> None:
    path = jsonl(tmp_path / "a.jsonl", *(referral(number) for number in range(1, 251)))

    def refuse_body(batch: list[dict[str, Any]]) -> Refusal | None:
        bad = any(one["external_ref"] in ("CASE-7", "CASE-101") for one in batch)
        return (413, "body_too_large", None, "") if bad else None

    service = FakeService(batch_refusal=refuse_body)
    summary = await imported(path, Wire(service))
    assert [(error.row, error.code) for error in summary.errors] == [(7, "body_too_large"), (101, "body_too_large")]
    assert len(service.stored) == 248


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_a_refusal_that_is_no_rows_fault_stops_the_run_and_is_kept_for_no_row(
    tmp_path: Path, status: int
) -> None:
    path = jsonl(tmp_path / "a.jsonl", *(referral(number) for number in range(1, 151)))
    service = FakeService(batch_refusal=lambda _: (status, "some_code", None, ""))
    stopped = await imported(path, Wire(service))
    assert stopped.stopped is not None
    assert not stopped.results
    assert not stopped.succeeded
    assert len(service.requests) == 1
    service.batch_refusal = lambda _: None
    assert (await imported(path, Wire(service))).succeeded
    assert len(service.stored) == 150


@pytest.mark.parametrize(("call", "acted"), [(1, False), (2, True), (4, True)])
async def test_a_run_killed_at_any_batch_goes_on_and_creates_nothing_twice(
    tmp_path: Path, call: int, acted: bool
) -> None:
    path = jsonl(tmp_path / "a.jsonl", *(referral(number) for number in range(1, 351)))
    service = FakeService()

    def kill(number: int, has_acted: bool) -> None:
        if (number, has_acted) == (call, acted):
            raise Killed

    with pytest.raises(Killed):
        await imported(path, Wire(service, kill))
    wire = Wire(service)
    summary = await imported(path, wire)
    assert summary.states == {"routed": 350}
    assert len(service.stored) == 350
    assert wire.calls == 4 - (call - 1)


@pytest.mark.parametrize("kept", [0, 1, 50, -1])
async def test_a_run_killed_while_it_writes_its_state_goes_on_and_creates_nothing_twice(
    tmp_path: Path, kept: int
) -> None:
    path = jsonl(tmp_path / "a.jsonl", *(referral(number) for number in range(1, 251)))
    service = FakeService()
    await imported(path, Wire(service))
    lines = state_path(path).read_bytes().splitlines(keepends=True)
    state_path(path).write_bytes(lines[0] + lines[1][:kept])
    summary = await imported(path, Wire(service))
    assert summary.states == {"routed": 250}
    assert len(service.stored) == 250
    again = Wire(service)
    assert (await imported(path, again)).states == {"routed": 250}
    assert again.calls == 0


async def test_without_its_state_file_a_rerun_still_creates_nothing_twice(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", *(referral(number) for number in range(1, 151)))
    service = FakeService()
    first = await imported(path, Wire(service))
    state_path(path).unlink()
    assert (await imported(path, Wire(service))).results == first.results
    assert len(service.stored) == 150


async def test_negative_control_a_key_that_changes_between_runs_and_no_references_would_create_twice(
    tmp_path: Path,
) -> None:
    path = jsonl(tmp_path / "a.jsonl", *(referral(number) for number in range(1, 11)))
    service = FakeService()
    await imported(path, Wire(service))
    state_path(path).unlink()
    service.answers.clear()
    service.referrals.clear()
    await imported(path, Wire(service))
    assert len(service.stored) == 20


async def test_a_corrected_file_sends_only_what_is_new_and_says_what_was_there(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", referral(1), "{", referral(3))
    service = FakeService()
    await imported(path, Wire(service))
    jsonl(path, referral(1), referral(2), referral(3))
    summary = await imported(path, Wire(service))
    assert (summary.states, summary.existing, summary.succeeded) == ({"routed": 1}, 2, True)
    known = {result.row: result.referral_id for result in summary.results if result.existing}
    assert known == {1: service.referrals["CASE-1"], 3: service.referrals["CASE-3"]}


async def test_one_state_file_keeps_two_parties_imports_of_one_file_apart(tmp_path: Path) -> None:
    lines = [
        json.dumps({"origin": f"{name}.example", "referral": referral(number)}) for number, name in enumerate("abab")
    ]
    path = jsonl(tmp_path / "a.jsonl", *lines)
    service = FakeService()
    await imported(path, Wire(service), origin="a.example")
    await imported(path, Wire(service), origin="b.example", key="cw_test_" + "j" * 43)
    again = Wire(service)
    summary = await imported(path, again, origin="a.example")
    assert [result.row for result in summary.results] == [1, 3]
    assert (again.calls, len(service.stored)) == (0, 4)


async def test_a_row_that_the_service_could_not_deal_with_now_is_sent_again_by_the_next_run(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", *(referral(number) for number in range(1, 4)))
    service = FakeService(refuse=refusing("CASE-2", status=503))
    assert [error.row for error in (await imported(path, Wire(service))).errors] == [2]
    service.refuse = lambda _: None
    summary = await imported(path, Wire(service))
    assert summary.states == {"routed": 3}
    assert len(service.stored) == 3


async def test_a_row_that_the_service_refused_is_not_sent_again(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", referral(1), referral(2))
    service = FakeService(refuse=refusing("CASE-2"))
    await imported(path, Wire(service))
    again = Wire(service)
    assert [error.row for error in (await imported(path, again)).errors] == [2]
    assert again.calls == 0


async def test_a_state_file_that_somebody_edited_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", referral(1))
    state_path(path).write_text('{"run": 1}\n[]\n')
    with pytest.raises(Refused, match="state_unreadable"):
        await imported(path, Wire(FakeService()))


async def test_the_state_file_is_the_users_alone_and_holds_no_value_of_a_row(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", referral(1, external_ref=CANARY), referral(2))
    await imported(path, Wire(FakeService(refuse=refusing("CASE-2"))))
    assert state_path(path).stat().st_mode & 0o777 == 0o600
    written = state_path(path).read_text()
    assert CANARY not in written
    assert "provider-007" not in written
    assert KEY not in written


def echoing(one: dict[str, Any]) -> Refusal | None:
    """Return a problem that violates the API and repeats the value in every field."""
    return 422, "schema", f"/items/{one['external_ref']}://", f"https://{one['external_ref']}"


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
async def test_the_report_of_errors_names_row_field_code_and_rule_and_never_a_value(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        path.write_text(f'external_ref,hosting_asn\nCASE-1,64496\nCASE-2,{CANARY}\n"{CANARY},1\n{CANARY},1\n')
    else:
        bad = '{"external_ref":"' + CANARY + '","' + CANARY + '":1.5}'
        jsonl(path, referral(1), bad, "{" + CANARY, referral(4, external_ref=CANARY))
    for refuse in (refusing("CASE-1"), echoing):
        summary = await imported(path, Wire(FakeService(refuse=refuse)), key=f"cw_test_{len(refuse.__name__):043}")
        report = files.write_report(path, RowFile(path).format, summary.errors)
        assert report is not None
        assert report.name == f"a.{suffix}.errors.{suffix}"
        text = report.read_text()
        assert CANARY not in text
        if suffix == "csv":
            entries = [*csv.DictReader(text.splitlines())]
            assert (entries[1]["row"], entries[1]["column"], entries[1]["code"]) == (
                "3",
                "hosting_asn",
                "cell_not_integer",
            )
        else:
            entries = [json.loads(line) for line in text.splitlines()]
            assert entries[1]["code"] == "body_number_not_integer"
        assert {"row", "field", "code", "rule"} <= entries[0].keys()
        assert len(entries) >= 3


async def test_a_run_without_errors_leaves_no_report_of_an_earlier_one(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", "{")
    report = files.write_report(path, RowFile(path).format, (await imported(path, Wire(FakeService()))).errors)
    assert report is not None
    assert report.exists()
    jsonl(path, referral(1))
    assert files.write_report(path, RowFile(path).format, (await imported(path, Wire(FakeService()))).errors) is None
    assert not report.exists()


@settings(max_examples=10, deadline=None)
@given(
    bad=st.sets(st.integers(1, 230), max_size=20),
    cuts=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=3),
)
async def test_whatever_is_refused_and_wherever_it_is_cut_every_good_row_is_created_once(
    tmp_path_factory: Any, bad: set[int], cuts: list[tuple[int, bool]]
) -> None:
    path = jsonl(tmp_path_factory.mktemp("cut") / "a.jsonl", *(referral(number) for number in range(1, 231)))
    service = FakeService(refuse=refusing(*(f"CASE-{number}" for number in bad)))
    for cut in cuts:

        def fault(number: int, acted: bool, at: tuple[int, bool] = cut) -> None:
            if (number, acted) == at:
                raise httpx.ReadError("cut")

        await imported(path, Wire(service, fault))
    summary = await imported(path, Wire(service))
    assert {error.row for error in summary.errors} == bad
    assert sorted(result.row for result in summary.results) == [*range(1, 231)]
    assert sorted(one["external_ref"] for one in service.stored) == sorted(
        f"CASE-{number}" for number in range(1, 231) if number not in bad
    )
