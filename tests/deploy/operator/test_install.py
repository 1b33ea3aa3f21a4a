"""The folder of an instance is complete, private and never overwritten; and the key ceremony around it."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path

import pytest

from deploy.devstack.servers import make_certificates
from deploy.operator.doctor import examine
from deploy.operator.folder import read_card
from deploy.site.endpoints import read_site
from deploy.site.installation import new_kek
from deploy.site.open import Site
from shared.core.clock import SystemClock
from shared.instance.settings import RuntimeSettings, load_keys, prefix_of
from tests.deploy.operator.conftest import Ended, Run

NAME = "hotline_north"


@pytest.fixture
def cards(run: Run, tmp_path: Path) -> list[str]:
    """Return two approvers' cards as arguments for a verb."""
    words: list[str] = []
    for approver in ("one.example", "two.example"):
        run("key", "make", approver, "approve", "--into", tmp_path / approver)
        words += ["--approver", str(tmp_path / approver / f"{approver}.json")]
    return words


@pytest.fixture
def servers(tmp_path: Path) -> list[str]:
    _, authority = make_certificates(tmp_path, name="server", clock=SystemClock())
    ca = str(authority)
    return [*("--database", "127.0.0.1:1", "--database-ca", ca), *("--kafka", "127.0.0.1:2", "--kafka-ca", ca)]


def made(run: Run, folder: Path, *words: str, kind: str = "hotline", instance: str = NAME) -> Ended:
    place = ["--kind", kind, "--instance", instance, "--url", "https://hotline.example", "--port", "8101"]
    return run("install", "init", folder, *place, *words, "--json")


def test_a_folder_is_private_states_its_defaults_and_says_no_secret(
    run: Run, tmp_path: Path, cards: list[str], servers: list[str]
) -> None:
    folder = tmp_path / "hotline"
    twice = made(run, folder, *servers, *cards[:2], *cards[:2])
    assert (twice.code, twice.json["error"]["code"]) == (2, "approvers_too_few")
    ended = made(run, folder, *servers, *cards)
    assert ended.code == 0
    paths = [folder, *folder.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}
    secrets = [path.read_text().strip() for path in (*folder.glob("keys/*/*"), folder / "secrets" / "kafka")]
    assert len(secrets) == 4
    assert not [secret for secret in secrets if secret in (folder / "public.json").read_text() + ended.out + ended.err]
    lines, fields = (folder / "settings.env").read_text().splitlines(), RuntimeSettings.model_fields
    commented = [line.removeprefix(f"#{prefix_of(NAME)}") for line in lines if line.startswith("#CAUSEWAY")]
    defaults = {name.upper(): "" if each.default is None else str(each.default) for name, each in fields.items()}
    assert dict(line.split("=", 1) for line in commented).items() <= defaults.items()
    assert len(commented) >= 20


def test_the_settings_name_every_one_and_start_the_instance(
    run: Run, tmp_path: Path, cards: list[str], servers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hotline"
    made(run, folder, *servers, *cards)
    text, prefix = (folder / "settings.env").read_text(), prefix_of(NAME)
    assert all(f"{prefix}{name.upper()}=" in text for name in RuntimeSettings.model_fields)
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name.startswith(prefix):
            monkeypatch.setenv(name, value.strip("'"))
    settings = RuntimeSettings.of(NAME)
    assert settings.kafka_access().tls
    assert settings.http_port == 8101
    assert load_keys(settings.keys_dir).signing.key_id in {
        one.key_id for one in read_card(folder / "public.json").instance.keys
    }
    assert settings.database_url.get_secret_value() == read_site(folder / "site.json").database(NAME).service_url


def test_nothing_is_written_over(run: Run, tmp_path: Path, cards: list[str], servers: list[str]) -> None:
    made(run, tmp_path / "hotline", *servers, *cards)
    before = {path: path.read_bytes() for path in (tmp_path / "hotline").rglob("*") if path.is_file()}
    ended = made(run, tmp_path / "hotline", *servers, *cards)
    assert (ended.code, ended.json["error"]["code"]) == (2, "folder_in_use")
    assert before == {path: path.read_bytes() for path in before}
    again = run("key", "make", "one.example", "approve", "--into", tmp_path / "one.example")
    assert (again.code, "key_there" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--kind", "audit"], "instance_name_unfit"),
        (["--kind", "bank"], "kind_unknown"),
        (["--kafka-ca", "/nowhere"], "file_unusable"),
        (["--instance", "Hotline"], "instance_name_unfit"),
        (["--url", "http://hotline.example"], "address_unfit"),
        (["--kafka", "kafka.example"], "address_unfit"),
        (["--database", "db'.example:1"], "address_unfit"),
        (["--url", "ftp://hotline.example"], "address_unfit"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    run: Run, tmp_path: Path, cards: list[str], servers: list[str], words: list[str], code: str
) -> None:
    given = dict(zip(servers[::2], servers[1::2], strict=True))
    given |= {"--kind": "hotline", "--instance": NAME, "--url": "https://hotline.example", "--port": "8101"}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    stated = [word for pair in given.items() for word in pair]
    ended = run("install", "init", tmp_path / "hotline", *stated, *cards, "--json")
    assert (ended.code, ended.json["error"]["code"]) == (2, code)
    assert not (tmp_path / "hotline").exists()


def test_admission_adds_keys_and_keeps_all(run: Run, tmp_path: Path, cards: list[str], servers: list[str]) -> None:
    folder, exchange = tmp_path / "hotline", tmp_path / "exchange"
    made(run, folder, *servers, *cards)
    (tmp_path / "admin").write_text("a password")
    kafka = ["--kafka", "127.0.0.1:2", *servers[6:], "--admin-password", str(tmp_path / "admin")]
    assert run("install", "exchange", exchange, *kafka, *cards).code == 0
    first = run("install", "admit", exchange, folder / "public.json")
    assert (first.code, "password_file_unreadable" in first.err) == (1, True)
    assert run("install", "admit", exchange, folder / "public.json", "--password", folder / "secrets/kafka").code == 0
    assert read_site(exchange / "site.json").kafka.password(NAME) == (folder / "secrets" / "kafka").read_text()
    made_key = run("key", "make", NAME, "sign", "--site", folder / "site.json").json["entry"]["key_id"]
    again = run("install", "admit", exchange, folder / "public.json", "--json").json
    assert made_key in {key["key_id"] for key in again["instance"]["keys"]}
    assert len(again["instance"]["keys"]) == 3
    assert (folder / "keys" / NAME / "signing.key.next").exists()


def test_a_further_key_that_wraps_is_added(
    run: Run, tmp_path: Path, cards: list[str], servers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hotline"
    made(run, folder, *servers, *cards)
    file = folder / "keys" / NAME / "kek.key"
    first, tokens = file.read_text(), load_keys(file.parent).kek.actor_id("party.example", b"actor")
    assert run("key", "make", NAME, "kek", "--site", folder / "site.json").code == 0
    assert file.read_text().splitlines()[:-1] == [first.strip()]
    assert load_keys(file.parent).kek.actor_id("party.example", b"actor") == tokens
    monkeypatch.setattr("deploy.operator.keys.new_kek", lambda: _new_kek_alone(file.parent))
    assert run("key", "make", NAME, "kek", "--site", folder / "site.json").code == 0
    assert [line.partition(" ")[0] for line in file.read_text().splitlines()[1:]] == ["2", "3"]
    assert len(load_keys(file.parent).kek.ciphers) == 3


def _new_kek_alone(folder: Path) -> str:
    """Return a new key; fail if a second process could make one in the folder at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
    return new_kek()


def test_the_doctor_needs_no_rights_of_admins(run: Run, tmp_path: Path, cards: list[str], servers: list[str]) -> None:
    folder = tmp_path / "hotline"
    made(run, folder, *servers, *cards)
    site = Site(folder / "site.json", folder, read_site(folder / "site.json"))
    found = examine(site, lambda _: [])
    assert "kafka_password_missing" not in {finding.code for finding in found}
    assert {finding.code for finding in found if finding.what.startswith("state")} == {""}
    assert json.loads((folder / "approver_keys.json").read_text())[0]["approver"] == "one.example"
