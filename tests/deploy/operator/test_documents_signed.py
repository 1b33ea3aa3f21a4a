"""A directory or a policy from the draft to two approvers, each alone: they sign exactly what they read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.operator.drafts import changes, publish, read_draft
from deploy.policy import sample_policy
from deploy.site.installation import Installation
from shared.core.contracts.directory import DocumentActivated
from shared.core.errors import Refused
from shared.core.routing.documents import verify_document
from shared.platform.kafka.documents import read_approver_keys
from tests.deploy.operator.conftest import Run

APPROVERS = ("one.example", "two.example")


@pytest.fixture
def desks(run: Run, tmp_path: Path) -> dict[str, Path]:
    """Return the folder of each approver, with a draft of the sample policy."""
    run("policy", "sample", "--out", tmp_path / "policy.json")
    ended = run("document", "draft", "policy", tmp_path / "policy.json", "--renew", "--out", tmp_path / "p.draft.json")
    assert ended.code == 0, ended.err
    folders = {}
    for approver in APPROVERS:
        folders[approver] = tmp_path / approver
        run("key", "make", approver, "approve", "--into", folders[approver])
        (folders[approver] / "p.draft.json").write_bytes((tmp_path / "p.draft.json").read_bytes())
    return folders


def digest_of(draft: Path) -> str:
    return str(json.loads(draft.read_text())["digest"])


def signed(run: Run, desks: dict[str, Path], approver: str) -> Any:
    desk = desks[approver]
    draft = desk / "p.draft.json"
    ended = run("document", "sign", draft, "--key", desk / f"{approver}.key", "--digest", digest_of(draft))
    assert ended.code == 0, ended.err
    return json.loads((desk / f"policy.{approver}.approval.json").read_text())


def test_two_who_sign_alone_make_a_document_that_holds(run: Run, desks: dict[str, Path], tmp_path: Path) -> None:
    approvals = [signed(run, desks, approver) for approver in APPROVERS]
    read, body = read_draft(tmp_path / "p.draft.json")
    said = {"kind": read.kind, "digest": read.digest, "active_from": read.active_from, "approvals": approvals}
    cards = [json.loads((desks[approver] / f"{approver}.json").read_text()) for approver in APPROVERS]
    (tmp_path / "keys.json").write_text(json.dumps(cards))
    verify_document(DocumentActivated.model_validate(said), body, read_approver_keys(tmp_path / "keys.json"))
    assert json.loads(body)["version"] == sample_policy().version


def test_the_desk_publishes_no_approval_by_an_unknown_key(run: Run, desks: dict[str, Path], tmp_path: Path) -> None:
    """Instances ignore such an approval, so the publisher gets an error. No broker is contacted before."""
    for approver in APPROVERS:
        signed(run, desks, approver)
    card = json.loads((desks["one.example"] / "one.example.json").read_text())
    site: Any = SimpleNamespace(state=tmp_path)
    Installation(tmp_path).approver_keys_file.write_text(json.dumps([card]))
    files = [desks[approver] / f"policy.{approver}.approval.json" for approver in APPROVERS]
    with pytest.raises(Refused, match="approver_unknown at /approvals/1"):
        publish(site, tmp_path / "p.draft.json", files)


def test_what_was_reviewed_since_its_day_may_be_issued_again(run: Run, tmp_path: Path) -> None:
    run("policy", "sample", "--out", tmp_path / "policy.json")
    days = {"issued_on": "2026-01-01", "valid_until": "2026-12-01"}
    policy = json.loads((tmp_path / "policy.json").read_bytes()) | days
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    words = ("document", "draft", "policy", tmp_path / "policy.json", "--out", tmp_path / "p.json")
    assert (run(*words).code, run(*words, "--renew").code) == (1, 0)


def altered(draft: Path, change: dict[str, Any]) -> None:
    draft.write_text(json.dumps(json.loads(draft.read_text()) | change))


@pytest.mark.parametrize("code", ["draft_altered", "over_at_issue"])
def test_a_draft_of_another_digest_or_to_which_the_desk_objects_is_not_signed(
    desks: dict[str, Path], code: str
) -> None:
    draft = desks["one.example"] / "p.draft.json"
    document = json.loads(draft.read_text())["document"]
    change = {"version": document["version"] + 1} if code == "draft_altered" else {"valid_until": document["issued_on"]}
    altered(draft, {"document": document | change})
    with pytest.raises(Refused, match=code):
        read_draft(draft)


@pytest.mark.parametrize("change", [{"digest": "0" * 63}, {"kind": "law"}, {"more": 1}, {"active_from": "soon"}])
def test_what_is_no_draft_is_refused_by_its_field(run: Run, desks: dict[str, Path], change: dict[str, Any]) -> None:
    desk = desks["one.example"]
    altered(desk / "p.draft.json", change)
    ended = run("document", "show", desk / "p.draft.json", "--json")
    assert (ended.code, ended.json["error"]["code"]) == (2, "draft_malformed")
    assert ended.json["error"]["field"] == f"/{next(iter(change))}"


def test_a_key_signs_with_its_own_card_alone(run: Run, desks: dict[str, Path]) -> None:
    one, two = desks["one.example"], desks["two.example"]
    (one / "one.example.json").write_bytes((two / "two.example.json").read_bytes())
    words = ("document", "sign", one / "p.draft.json", "--key", one / "one.example.key", "--digest")
    ended = run(*words, digest_of(one / "p.draft.json"))
    assert (ended.code, "card_of_another_key" in ended.err) == (2, True)


def test_what_is_signed_is_what_was_shown_whatever_becomes_of_the_file(run: Run, desks: dict[str, Path]) -> None:
    """Another complete draft replaces the one that its approver has read."""
    desk = desks["one.example"]
    shown = digest_of(desk / "p.draft.json")
    document = json.loads((desk / "p.draft.json").read_text())["document"]
    (desk / "policy.json").write_text(json.dumps(document | {"version": document["version"] + 1}))
    run("document", "draft", "policy", desk / "policy.json", "--out", desk / "p.draft.json")
    words = ("document", "sign", desk / "p.draft.json", "--key", desk / "one.example.key")
    ended = run(*words, "--digest", shown, "--json")
    assert (ended.code, ended.json["error"]["code"]) == (2, "draft_of_another_digest")
    assert not [*desk.glob("*.approval.json")]
    assert run(*words).code != 0, "a signature requires the digest"
    assert run(*words, "--digest", digest_of(desk / "p.draft.json")).code == 0


def test_what_a_draft_changes_is_shown_by_its_places() -> None:
    before: Any = {"version": 1, "parties": [{"id": "a", "instance": "x"}, {"id": "b"}], "same": [1]}
    after: Any = {"version": 2, "parties": [{"id": "b"}, {"id": "a", "instance": "y"}, {"id": "c"}], "same": [1]}
    parties = [("/parties/a/instance", "changed"), ("/parties/c", "added")]
    assert [*changes(before, after)] == [*parties, ("/version", "changed")]
