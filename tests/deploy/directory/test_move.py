"""The next directory moves a party and changes nothing else. An invalid move is refused with a code."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import app
from deploy.directory.approval import document_body, sample_directory
from deploy.operator.documents import moved
from deploy.site.settings import SAMPLE_INSTANCES
from shared.core.contracts.directory import FORMER_MAX
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.errors import Refused
from shared.core.routing.documents import read_directory
from tests.support.exchange_world import Keys

PARTY, OLD, NEW = "provider-001.example", "industry", "industry_two"
ON = date(2026, 4, 1)


@pytest.fixture(scope="module")
def directory() -> bytes:
    keys = {name: Keys(SigningKey.generate(), OpeningKey.generate()).public() for name in SAMPLE_INSTANCES}
    return document_body(sample_directory(keys))


def test_the_next_directory_differs_in_its_number_its_day_and_the_partys_instance(directory: bytes) -> None:
    before, after = json.loads(directory), json.loads(moved(directory, PARTY, NEW, issued_on=ON))
    said = (after["version"], after["issued_on"], after["valid_until"])
    assert said == (before["version"] + 1, "2026-04-01", "2027-05-01")
    assert differing(before["parties"], after["parties"]) == {PARTY: (OLD, NEW)}
    [entry] = [each for each in after["parties"] if each["id"] == PARTY]
    assert entry["instances_before"] == [{"instance": OLD, "until": "2026-04-01"}]
    renewed = {name: before[name] for name in ("version", "issued_on", "valid_until", "parties")}
    assert after | renewed == before


def test_an_instance_would_take_it_and_send_to_the_new_place(directory: bytes) -> None:
    read = read_directory(moved(directory, PARTY, NEW, issued_on=ON))
    assert read.serves(NEW, PARTY)
    assert not read.serves(OLD, PARTY)
    assert (read.served_before(OLD, PARTY), read.served_before(NEW, PARTY)) == (True, False)
    assert PARTY in read.reached_at(OLD)
    assert PARTY not in read.parties_of(OLD)


def test_a_party_that_comes_back_was_elsewhere_before(directory: bytes) -> None:
    """The party's last former instance is listed last, and its present one is not listed. The list is bounded."""
    away = moved(directory, PARTY, NEW, issued_on=ON)
    back = moved(away, PARTY, OLD, issued_on=ON + timedelta(days=1))
    [entry] = [each for each in json.loads(back)["parties"] if each["id"] == PARTY]
    assert entry["instances_before"] == [{"instance": NEW, "until": "2026-04-02"}]
    long = [{"instance": f"gone_{number}", "until": "2026-01-01"} for number in range(FORMER_MAX)]
    full = json.loads(directory)
    next(each for each in full["parties"] if each["id"] == PARTY)["instances_before"] = long
    [entry] = [each for each in json.loads(moved(json.dumps(full).encode(), PARTY, NEW, issued_on=ON))["parties"]
               if each["id"] == PARTY]  # fmt: skip
    assert entry["instances_before"] == [*long[1:], {"instance": OLD, "until": "2026-04-01"}]


def test_what_a_later_release_says_stays(directory: bytes) -> None:
    later = json.dumps(json.loads(directory) | {"said_later": [1]}).encode()
    assert json.loads(moved(later, PARTY, NEW, issued_on=ON))["said_later"] == [1]


@pytest.mark.parametrize(
    ("party", "instance", "code"),
    [
        ("nobody.example", NEW, "party_unknown"),
        (PARTY, "industry_three", "instance_unknown"),
        (PARTY, "hotline", "instance_of_another_kind"),
        (PARTY, OLD, "party_there_already"),
    ],
)
def test_what_would_not_hold_is_refused_by_its_code(directory: bytes, party: str, instance: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        moved(directory, party, instance, issued_on=ON)
    assert (refused.value.code, refused.value.status) == (code, 400)


def called(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        app([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def site(directory: bytes, tmp_path: Path) -> Path:
    """A site without databases, whose state has a directory in force."""
    (tmp_path / "directory.json").write_bytes(directory)
    kafka = {"bootstrap_servers": "kafka.example:9092", "security_protocol": "PLAINTEXT"}
    http = {OLD: "https://industry.example", NEW: "https://two.example"}
    file = tmp_path / "site.json"
    file.write_text(json.dumps({"kafka": kafka, "databases": {}, "http": http, "kinds": {NEW: "industry"}}))
    return file


def test_the_verb_writes_it_for_the_approvers(site: Path, directory: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    out = site.with_name("next.json")
    assert called("directory", "move", PARTY, NEW, "--out", out, "--site", site, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(out), "party": PARTY, "instance": NEW}
    assert differing(json.loads(directory)["parties"], json.loads(out.read_bytes())["parties"]) == {PARTY: (OLD, NEW)}
    assert site.with_name("directory.json").read_bytes() == directory


def test_the_verb_writes_nothing_that_it_refuses(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = site.with_name("next.json")
    assert called("directory", "move", PARTY, OLD, "--out", out, "--site", site) == 2
    assert capsys.readouterr().err.startswith("error: party_there_already")
    assert called("directory", "move", PARTY, NEW, "--at", "2026-05-01", "--out", out, "--site", site) == 2
    assert not out.exists()


def differing(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return the parties that have changed, with the instance of each before and after."""
    return {a["id"]: (a["instance"], b["instance"]) for a, b in zip(before, after, strict=True) if a != b}
