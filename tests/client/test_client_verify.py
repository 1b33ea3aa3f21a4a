"""Acceptances and evidence at the prompt: stored next to the posted file, checked with the directory alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from client.cli.import_file import AcceptanceFile
from shared.core.evidence import Witness
from shared.core.guard import edition
from shared.core.ids import uuid7
from shared.core.protocol.acceptance import Acceptor
from tests.client.fake_service import FakeService, referral
from tests.client.prompt import Run
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.exchange_world import World, world

SOON, LATE = "2026-05-04T13:00:00Z", "2026-05-06T12:00:00Z"
PURPOSE = "a missing referral"


made = cache(world)


@pytest.fixture
def here(service: FakeService) -> World:
    """Return a world in which the service is the hotline."""
    here = made()
    service.acceptor = Acceptor("hotline", here.keys["hotline"].signing, edition(), merge_delay_s=86_400)
    return here


@pytest.fixture
def directory(here: World, tmp_path: Path) -> Path:
    path = tmp_path / "directory.json"
    path.write_text(here.document.model_dump_json(exclude_none=True))
    return path


@pytest.fixture
def posted(run: Run, here: World, tmp_path: Path) -> Path:
    """Import a file of three referrals; return its path. Its acceptances are in a file next to it."""
    path = tmp_path / "posted.jsonl"
    path.write_text("\n".join(json.dumps(referral(number)) for number in range(3)))
    assert run("referral", "import", path).code == 0
    return path


Verify = Callable[..., Any]


@pytest.fixture
def verify(run: Run, directory: Path) -> Verify:
    """Return a function that runs the verb with the directory."""
    return lambda what, file, *more: run("verify", what, file, "--directory", directory, *more)


def beside(posted: Path) -> Path:
    return posted.with_name(f"{posted.name}.acceptances.jsonl")


def kept(posted: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in beside(posted).read_text().splitlines()]


def flow(acceptance: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a flow as audit answers it, with the decision fact of an accepted referral."""
    stated = {name: acceptance[name] for name in ("referral_id", "body_sha256")} | changes.pop("detail", {})
    message = {
        "position": 1,
        "at": "2026-05-04T12:00:02.000Z",
        "topic": "causeway.audit.v1",
        "partition": 0,
        "offset": 7,
        "type": "causeway.referral_decided.v1",
        "sender": "hotline",
        "verified": True,
        "digest": "0" * 64,
        "detail": stated,
    }
    return {"referral_id": acceptance["referral_id"], "messages": [message | changes]}


def test_an_import_keeps_an_acceptance_of_each_row_and_they_hold(posted: Path, verify: Verify) -> None:
    assert len(kept(posted)) == 3
    assert beside(posted).stat().st_mode & 0o077 == 0
    ended = verify("acceptance", beside(posted), "--body", posted)
    assert (ended.code, ended.out.count("\tholds")) == (0, 3)


def test_acceptances_hold_no_content(posted: Path) -> None:
    words = {"version", "instance", "party", "referral_id", "body_sha256", "guard", "accepted_at", "merge_delay_s"}
    assert {frozenset(each) for each in kept(posted)} == {frozenset(words | {"salt", "proof"})}


def test_one_post_keeps_its_acceptance_and_a_repetition_keeps_no_second_one(
    run: Run, here: World, verify: Verify, tmp_path: Path
) -> None:
    path, chosen = tmp_path / "one.json", tmp_path / "mine.jsonl"
    path.write_text(json.dumps(referral(7), indent=4))
    for _ in range(2):
        ended = run("referral", "submit", path, "--idempotency-key", "k7", "--acceptances", chosen)
        assert ended.out.splitlines()[-1] == f"signed acceptance: {chosen}"
    assert len(chosen.read_bytes().splitlines()) == 1
    assert verify("acceptance", chosen, "--body", path).code == 0


def test_an_acceptance_of_something_else_is_refused(posted: Path, verify: Verify, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(referral(99)))
    ended = verify("acceptance", beside(posted), "--body", other, "--json")
    assert ended.code == 1
    assert {each["code"] for each in ended.json["acceptances"]} == {"body_mismatch"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"referral_id": str(uuid7())}, "signature_invalid"),
        ({"accepted_at": "2026-05-04T11:00:00.000Z"}, "signature_invalid"),
        ({"instance": "industry"}, "key_unknown"),
        ({"salt": "0" * 32}, "signature_invalid"),
        ({"proof": {}}, "acceptance_malformed"),
        ({"unknown": 1}, "acceptance_malformed"),
        ({"version": 2, "unknown": 1}, "proof_of_later_release"),
    ],
)
def test_a_forged_one_is_refused_beside_those_that_hold(
    posted: Path, verify: Verify, change: dict[str, Any], code: str
) -> None:
    first, *others = kept(posted)
    beside(posted).write_text("\n".join(map(json.dumps, [first | change, *others])))
    ended = verify("acceptance", beside(posted), "--json")
    assert ended.code == 1
    assert [each["code"] for each in ended.json["acceptances"]] == [code, None, None]


@pytest.mark.parametrize(
    ("changes", "at", "code", "audit"),
    [
        ({}, LATE, 0, "found"),
        ({"verified": False}, LATE, 3, "missing_at_audit"),
        ({"verified": False}, SOON, 0, "due"),
        ({"sender": "industry"}, LATE, 3, "missing_at_audit"),
        ({"type": "causeway.referral_refused.v1"}, LATE, 3, "missing_at_audit"),
        ({"detail": {"body_sha256": "0" * 64}}, SOON, 3, "different_at_audit"),
        ({"detail": {"referral_id": str(uuid7())}}, LATE, 3, "missing_at_audit"),
    ],
)
def test_what_an_auditor_has_decides_whether_the_word_was_kept(
    posted: Path, verify: Verify, tmp_path: Path, changes: dict[str, Any], at: str, code: int, audit: str
) -> None:
    first = kept(posted)[0]
    beside(posted).write_text(json.dumps(first))
    entries = tmp_path / "flow.json"
    entries.write_text(json.dumps(flow(first, **changes)))
    ended = verify("acceptance", beside(posted), "--entries", entries, "--at", at, "--json")
    assert (ended.code, [each["audit"] for each in ended.json["acceptances"]]) == (code, [audit])


def test_the_refusal_that_an_auditor_got_says_that_there_is_nothing(
    run: Run, posted: Path, verify: Verify, tmp_path: Path
) -> None:
    beside(posted).write_text(json.dumps(kept(posted)[0]))
    entries = tmp_path / "flow.json"
    entries.write_text(run("flow", uuid7(), "--purpose", PURPOSE, "--json").out)
    assert verify("acceptance", beside(posted), "--entries", entries, "--at", LATE).code == 3
    entries.write_text('{"error": {"code": "key_unknown"}}')
    assert verify("acceptance", beside(posted), "--entries", entries, "--at", LATE).code == 2


def test_audit_itself_can_be_asked(posted: Path, verify: Verify, service: FakeService) -> None:
    present, _, gone = kept(posted)
    service.canned[f"/v1/flows/{present['referral_id']}"] = (200, flow(present))
    beside(posted).write_text("\n".join(map(json.dumps, [present, gone])))
    ended = verify("acceptance", beside(posted), "--purpose", PURPOSE, "--at", LATE, "--json")
    assert ended.code == 3
    assert [each["audit"] for each in ended.json["acceptances"]] == ["found", "missing_at_audit"]


def test_an_auditor_of_the_other_world_is_not_taken_for_audit(
    run: Run, posted: Path, verify: Verify, service: FakeService
) -> None:
    asked = len(service.requests)
    ended = verify("acceptance", beside(posted), "--purpose", PURPOSE, "--key", "cw_live_" + "k" * 43)
    assert (ended.code, len(service.requests)) == (2, asked)
    assert "world_mismatch" in ended.err


def test_what_could_not_be_kept_is_asked_for_again(
    run: Run, here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import counts a row as done only after its acceptance is stored on disk."""
    path = tmp_path / "posted.jsonl"
    path.write_text("\n".join(json.dumps(referral(number)) for number in range(3)))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(AcceptanceFile, "keep", full)
        assert run("referral", "import", path).code == 1
    assert run("referral", "import", path).code == 0
    assert len(kept(path)) == 3


def test_a_line_that_a_crash_cut_off_is_dropped_and_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "a.acceptances.jsonl"
    AcceptanceFile(path).keep([{"n": 1}, {"n": 2}])
    path.write_bytes(path.read_bytes()[:-3])
    AcceptanceFile(path).keep([{"n": 1}, {"n": 2}])
    assert path.read_text().splitlines() == ['{"n":1}', '{"n":2}']


@pytest.fixture
def written(run: Run, here: World, service: FakeService, tmp_path: Path) -> Path:
    """Return the evidence of a notice, as the verb has written it."""
    (record,) = here.records([here.offered(PROVIDER)])
    stated = Witness("industry", here.keys["industry"].signing).state(record, party=PROVIDER, at=AT)
    notice_id, path = uuid7(), tmp_path / "evidence.json"
    service.canned[f"/v1/notices/{notice_id}/evidence"] = (
        200,
        {"version": 1, "evidence": [stated.model_dump(mode="json")]},
    )
    ended = run("notice", "evidence", notice_id, "--out", path)
    assert (ended.code, ended.out) == (0, f"{path}\n")
    assert path.stat().st_mode & 0o077 == 0
    return path


def test_evidence_that_was_written_holds_and_says_what_it_does_not_prove(written: Path, verify: Verify) -> None:
    ended = verify("evidence", written)
    assert ended.code == 0
    assert f"sender: {HOTLINE}" in ended.out
    assert "proven: sender_signed\n" in ended.out
    assert "not proven: arrival act_of_the_party seen record_shown\n" in ended.out
    assert verify("evidence", written, "--json").json["holds"] is True


@pytest.mark.parametrize("place", ["value", "statement", "headers"])
def test_evidence_that_was_changed_is_refused_with_a_code(written: Path, verify: Verify, place: str) -> None:
    kept = json.loads(written.read_text())
    one = kept["evidence"][0]
    if place == "value":
        one["value"] = one["value"][:8] + ("B" if one["value"][8] == "A" else "A") + one["value"][9:]
    elif place == "statement":
        one["statement"]["topic"] += "x"
    else:
        one["headers"] = [[name, f"{text}0" if name == "ce_subject" else text] for name, text in one["headers"]]
    written.write_text(json.dumps(kept))
    ended = verify("evidence", written)
    assert ended.code == 1
    assert ended.err.startswith("error: ")
