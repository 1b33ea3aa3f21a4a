"""The credentials that `causeway login` stores: all or none, for their owner only, and sent to no other service."""

from __future__ import annotations

import io
import stat
import sys
from pathlib import Path

import pytest

from tests.client.fake_service import KEY, FakeService
from tests.client.prompt import Run

OTHER = "cw_live_" + "o" * 43


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, served: tuple[FakeService, str]) -> str:
    return served[1]


@pytest.fixture
def alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a prompt without settings in the environment."""
    for name in ("CAUSEWAY_URL", "CAUSEWAY_API_KEY"):
        monkeypatch.delenv(name)
    return run


@pytest.fixture
def file(alone: Run, tmp_path: Path) -> Path:
    return tmp_path / "config" / "causeway" / "login.json"


def test_after_a_login_a_verb_needs_neither_address_nor_key(
    alone: Run, file: Path, url: str, monkeypatch: pytest.MonkeyPatch, service: FakeService
) -> None:
    assert alone("referral", "list").err.startswith("error: url_missing")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    logged_in = alone("login", "--url", url)
    assert logged_in.code == 0
    assert KEY not in logged_in.out + logged_in.err
    assert service.requests == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert alone("referral", "list").code == 0
    assert service.requests[0][3]["authorization"] == f"Bearer {KEY}"
    assert alone("whoami", "--offline", "--json").json["from"] == "causeway login"
    assert alone("logout", "--json").json == {"forgotten": True}
    assert alone("referral", "list").code == 2


@pytest.mark.parametrize("named", [["--url", "https://other.example"], ["--key", OTHER]], ids=["url", "key"])
def test_a_kept_key_goes_to_no_service_that_was_named_otherwise(
    alone: Run, file: Path, url: str, named: list[str], service: FakeService
) -> None:
    assert alone("login", "--url", url, "--key", KEY).code == 0
    ended = alone("referral", "list", *named)
    assert ended.code == 2
    assert ended.err.startswith(("error: api_key_missing", "error: url_missing"))
    assert service.requests == []


def test_what_is_said_at_the_prompt_wins_and_whoami_says_so(alone: Run, file: Path, url: str) -> None:
    assert alone("login", "--url", url, "--key", KEY).code == 0
    said = alone("whoami", "--offline", "--url", "https://other.example", "--key", OTHER, "--json").json
    assert (said["url"], said["world"], said["from"]) == ("https://other.example", "live", "options and environment")
    assert OTHER not in str(said)


@pytest.mark.parametrize("arguments", [["--url", "http://hotline.example", "--key", KEY], ["--key", KEY]])
def test_a_login_that_could_not_be_used_is_not_kept(alone: Run, file: Path, arguments: list[str]) -> None:
    assert alone("login", *arguments).code == 2
    assert not file.exists()


@pytest.mark.parametrize("code", ["login_file_exposed", "login_file_malformed"])
def test_a_file_that_others_can_read_or_that_is_none_is_refused(alone: Run, file: Path, url: str, code: str) -> None:
    assert alone("login", "--url", url, "--key", KEY).code == 0
    if code == "login_file_exposed":
        file.chmod(0o640)
    else:
        file.write_text('{"url": 1}')
    ended = alone("referral", "list", "--json")
    assert (ended.code, ended.json["error"]["code"]) == (2, code)
